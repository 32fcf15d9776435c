"""Other ways to grade: by option likelihood, by words, by meaning; and whether the place of an option sways a model.

A question whose options were permuted is asked once in every rotation (`rotations`): what is chosen should follow the
option and not its place. Where a run asks each question in one order only, a few are asked again for this (`turned`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness import stats
from harness.measure.agreement import BOOTSTRAP, WILSON
from harness.measure.answers import Answers, answer
from harness.qa.grading import is_correct, parsed_letter, token_f1
from harness.qa.items import QAItem, letter
from harness.record import Measurement
from models.interface import Architecture

TURNED = 32  # questions that are asked again in their other orders, where nothing was said of orders
ROTATED = "~"  # between an item's id and the number of places its options were moved
Similarity = Callable[[Sequence[str], Sequence[str]], Sequence[float]]


def rotations(items: Sequence[QAItem], most: int) -> list[QAItem]:
    """The items, each multiple-choice question in `most` rotations of its options (at most as many as it has).

    Rotation 0 is the item itself; the others follow it.
    """
    asked = []
    for item in items:
        asked.append(item)
        for shift in range(1, min(most, len(item.options))):
            asked.append(replace(item.rotated(shift), id=f"{item.id}{ROTATED}{shift}"))
    return asked


def turned(
    model: Architecture, answers: Answers, *, batch_clips: int, max_new_tokens: int, most: int = TURNED
) -> Answers:
    """The answers to at most `most` multiple-choice questions in every order of their options: those whose ids' digests
    come first. Their answers in the first order are taken from `answers`.
    """
    places = [at for at, item in enumerate(answers.items) if item.options]
    places = sorted(places, key=lambda at: drawn(answers.items[at].id))[:most]
    items = [answers.items[at] for at in places]
    again = [item for item in rotations(items, max((len(i.options) for i in items), default=0)) if ROTATED in item.id]
    first = Answers(*(tuple(getattr(answers, name)[at] for at in places) for name in ("items", "ids", "texts", "sure")))
    if not again:
        return first
    said = answer(model, again, batch_clips=batch_clips, max_new_tokens=max_new_tokens)
    return Answers(first.items + said.items, first.ids + said.ids, first.texts + said.texts, first.sure + said.sure)


def drawn(text: str) -> int:
    """A number that orders texts as if by chance, the same everywhere: the beginning of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8], "big")


def measurements(
    answers: Answers, similarity: Similarity | None = None, in_orders: Answers | None = None
) -> tuple[Measurement, ...]:
    """accuracy_letter, accuracy_likelihood, exact_match, token_f1, similarity, option_consistency, position_bias; the
    last two of `in_orders`, where questions were asked in several orders for them alone.
    """
    orders = in_orders or answers
    return (
        _share("accuracy_letter", *_by_letter(answers), "multiple choice: share whose parsed letter is gold's"),
        _share(
            "accuracy_likelihood",
            *_by_likelihood(answers),
            "multiple choice: share whose likeliest letter, as the answer's first token, is gold's",
        ),
        _share("exact_match", *_open(answers, is_correct), "open questions: share equal to a right answer, normalised"),
        _share("token_f1", *_open(answers, token_f1), "open questions: mean F1 of words against the best right answer"),
        _similarity(answers, similarity),
        _consistency(orders),
        _position_bias(orders),
    )


def _by_letter(answers: Answers) -> tuple[NDArray[np.float64], list[str]]:
    pairs = [(item, text) for item, text in zip(answers.items, answers.texts, strict=True) if item.options]
    return np.array([float(is_correct(i, t)) for i, t in pairs]), [i.clip.id for i, _ in pairs]


def _by_likelihood(answers: Answers) -> tuple[NDArray[np.float64], list[str]]:
    rated = [(i, p) for i, p in zip(answers.items, answers.options_p, strict=True) if p is not None]
    right = [float(letter(int(np.argmax(chances))) == item.gold) for item, chances in rated]
    return np.array(right), [item.clip.id for item, _ in rated]


def _open(answers: Answers, grade: Callable[[QAItem, str], float]) -> tuple[NDArray[np.float64], list[str]]:
    pairs = [(item, text) for item, text in zip(answers.items, answers.texts, strict=True) if not item.options]
    return np.array([float(grade(i, t)) for i, t in pairs]), [i.clip.id for i, _ in pairs]


def _similarity(answers: Answers, similarity: Similarity | None) -> Measurement:
    how = "open questions: mean cosine of sentence embeddings of answer and gold"
    if similarity is None:
        return _absent("similarity", how, "no sentence-embedding model was named (--similarity FOLDER)")
    pairs = [(item, text) for item, text in zip(answers.items, answers.texts, strict=True) if not item.options]
    values = similarity([text for _, text in pairs], [item.gold for item, _ in pairs]) if pairs else []
    return _share("similarity", np.array(values, dtype=np.float64), [item.clip.id for item, _ in pairs], how)


def _rotated(answers: Answers) -> dict[str, list[tuple[QAItem, str | None]]]:
    """Multiple-choice questions asked in more than one rotation: id → (item, parsed letter) of each."""
    asked: dict[str, list[tuple[QAItem, str | None]]] = {}
    for item, text in zip(answers.items, answers.texts, strict=True):
        if item.options:
            chosen = parsed_letter(text, len(item.options), item.options)
            asked.setdefault(item.id.partition(ROTATED)[0], []).append((item, chosen))
    return {name: group for name, group in asked.items() if len(group) > 1}


def _consistency(answers: Answers) -> Measurement:
    groups = list(_rotated(answers).values())
    same = []
    for group in groups:
        chosen = {item.options[ord(told) - ord("A")] if told else None for item, told in group}
        same.append(float(len(chosen) == 1 and None not in chosen))
    how = "multiple choice: share of questions on which the same option is chosen in every rotation of the options"
    return _share("option_consistency", np.array(same), [g[0][0].clip.id for g in groups], how, _why(answers))


def _position_bias(answers: Answers) -> Measurement:
    """Total variation distance between the chosen places and a uniform choice, over whole sets of rotations."""
    how = (
        "multiple choice in every rotation: total variation distance of the chosen places from uniform (0: the place "
        f"does not matter); {BOOTSTRAP}"
    )
    full = [group for group in _rotated(answers).values() if len(group) == len(group[0][0].options)]
    sizes = Counter(len(group) for group in full)
    if not full:
        return _absent("position_bias", how, _why(answers))
    size = sizes.most_common(1)[0][0]
    places, clips = [], []
    for group in full:
        for item, told in group:
            if told is not None and len(group) == size:
                places.append(float(ord(told) - ord("A")))
                clips.append(item.clip.id)
    if not places:
        return _absent("position_bias", how, "no answer names an option")

    def distance(drawn: NDArray[np.float64]) -> float:
        shares = np.bincount(drawn.astype(int), minlength=size) / max(len(drawn), 1)
        return float(np.abs(shares - 1 / size).sum() / 2)

    values = np.array(places)
    low, high = stats.cluster_bootstrap(values, clips, statistic=distance)
    value = distance(values)
    return Measurement("position_bias", value, "1", len(places), min(low, value), max(high, value), False, how)


NOT_ROTATED = "no question was asked in several orders of its options (evaluation.rotations)"
NONE_ASKED = "no such question among them"


def _why(answers: Answers) -> str:
    """Why there is nothing to say of places."""
    return NOT_ROTATED if any(item.options for item in answers.items) else NONE_ASKED


def _share(
    metric: str, values: NDArray[np.float64], clips: Sequence[str], how: str, absent: str = NONE_ASKED
) -> Measurement:
    if not len(values):
        return _absent(metric, how, absent)
    if set(values.tolist()) <= {0.0, 1.0} and metric != "similarity":  # keeps a width where all are alike
        (low, high), told = stats.wilson_clustered(values.astype(bool).tolist(), clips), WILSON
    else:
        (low, high), told = stats.cluster_bootstrap(values, clips), BOOTSTRAP
    return Measurement(metric, float(values.mean()), "1", len(values), low, high, True, f"{how}; {told}")


def _absent(metric: str, how: str, why: str) -> Measurement:
    return Measurement(metric, None, "1", 0, None, None, metric != "position_bias", how, absent=why)
