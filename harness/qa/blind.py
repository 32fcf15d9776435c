"""What can be had without looking: the most frequent gold answer to each question, learnt from another split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from harness.qa.items import QAItem

HOW = "for each test question the most frequent gold answer to the same text in the split {split}, no frames"


def blind_accuracy(learnt: Sequence[QAItem], asked: Sequence[QAItem]) -> float:
    """Accuracy of the majority answer by question text; by template where a text was never seen."""
    by_text: defaultdict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    by_template: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in learnt:
        by_text[item.question, bool(item.options)][item.gold] += 1
        by_template[item.template][item.gold] += 1
    right = 0
    for item in asked:
        seen = by_text.get((item.question, bool(item.options))) or by_template[item.template]
        right += bool(seen) and _majority(seen) == item.gold
    return right / len(asked)


def _majority(counts: Counter[str]) -> str:
    return min(counts, key=lambda answer: (-counts[answer], answer))
