"""When does an answer count: normalised exact match, and the letter where options were lettered."""

from __future__ import annotations

import re
import unicodedata

from harness.qa.items import QAItem

_ARTICLES = ("a", "an", "the")
_LETTER = re.compile(r"^\s*[(\[]?([A-Za-z])(?:[)\].:,]|\s|$)")


def normalise(text: str) -> str:
    """Lower case, no punctuation or articles, single spaces, as SQuAD grades: "The  Cup." and "cup" are one.

    An article alone stays: "A" is an option's letter, not an empty answer.
    """
    composed = unicodedata.normalize("NFKC", text)
    plain = "".join(" " if unicodedata.category(c)[0] in "PZCS" else c for c in composed)
    words = plain.lower().split()
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def parsed_letter(answer: str, options: int) -> str | None:
    """The option letter an answer begins with ("B", "(b) cup", "B: cup"), or None."""
    found = _LETTER.match(answer)
    if not found or ord(found.group(1).upper()) - ord("A") >= options:
        return None
    return found.group(1).upper()


def is_correct(item: QAItem, answer: str) -> bool:
    """Against gold: by the parsed letter for multiple choice, by normalised exact match else."""
    if item.options:
        return parsed_letter(answer, len(item.options)) == item.gold
    return normalise(answer) == normalise(item.gold)


def is_same(one: str, other: str) -> bool:
    """Do two models give the same answer?"""
    return normalise(one) == normalise(other)
