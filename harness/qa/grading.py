"""When does an answer count: normalised exact match and token F1, and the letter where options were lettered."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from harness.qa.items import QAItem, letter

_ARTICLES = ("a", "an", "the")
_MARKED = re.compile(r"^\s*[(\[]?([A-Za-z])(?:[)\].:,]|\s*$)")  # "B", "(b)", "B: cup"
_LEADING = re.compile(r"^\s*([A-Z])\s")  # "B cup"; a lower-case letter there is an article
_NAMED = re.compile(r"\b(?i:answer|option|choice)\b(?:\s+is)?\s*:?\s*[(\[]?([A-Z])\b")  # "The answer is B"


def normalise(text: str) -> str:
    """Lower case, no punctuation or articles, single spaces, as SQuAD grades: "The  Cup." and "cup" are one.

    An article alone stays: "A" is an option's letter, not an empty answer.
    """
    composed = unicodedata.normalize("NFKC", text)
    plain = "".join(" " if unicodedata.category(c)[0] in "PZCS" else c for c in composed)
    words = plain.lower().split()
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def parsed_letter(answer: str, options: int, texts: Sequence[str] = ()) -> str | None:
    """The option letter that an answer gives, or None.

    In this order: a letter that stands alone or is marked as one ("B", "(b) cup", "B: cup"); an option's whole text
    ("a cup"); a capital before other words ("B cup"); a letter named as the answer ("The answer is B").
    """
    if (found := _MARKED.match(answer)) and (marked := _within(found[1], options)):
        return marked
    said = normalise(answer)
    meant = [letter(at) for at, text in enumerate(texts) if normalise(text) == said]
    if said and len(meant) == 1:
        return meant[0]
    for pattern in (_LEADING, _NAMED):
        if (found := pattern.search(answer)) and (named := _within(found[1], options)):
            return named
    return None


def is_correct(item: QAItem, answer: str) -> bool:
    """Against gold: by the parsed letter for multiple choice, by normalised exact match with any right answer else."""
    if item.options:
        return parsed_letter(answer, len(item.options), item.options) == item.gold
    return normalise(answer) in {normalise(gold) for gold in (item.gold, *item.also)}


def token_f1(item: QAItem, answer: str) -> float:
    """Harmonic mean of precision and recall of an answer's words against gold (SQuAD; Rajpurkar et al., 2016), 0 to 1;
    the best over all right answers.
    """
    said = Counter(normalise(answer).split())
    best = 0.0
    for gold in (item.gold, *item.also):
        right = Counter(normalise(gold).split())
        common = (said & right).total()
        if common:
            best = max(best, 2 * common / (said.total() + right.total()))
        elif not said and not right:
            best = 1.0
    return best


def _within(found: str, options: int) -> str | None:
    return found.upper() if ord(found.upper()) - ord("A") < options else None


def is_same(one: str, other: str) -> bool:
    """Do two models give the same answer?"""
    return normalise(one) == normalise(other)
