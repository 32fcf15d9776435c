"""What a clip teaches: its questions, the answers to learn, and where the teacher's knowledge of them lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.distill.align import require_spelt
from harness.distill.targets import Targets
from harness.qa.items import Clip, QAItem, by_clip
from models.interface import Architecture


@dataclass(frozen=True)
class Lesson:
    """One clip. `rows[k]` is the row of the teacher's state for the first token of answer k."""

    clip: Clip
    questions: tuple[str, ...]
    answers: tuple[tuple[int, ...], ...]
    rows: tuple[int, ...] | None = None


def gold_lessons(items: Sequence[QAItem], model: Architecture) -> list[Lesson]:
    """Learn the gold answers."""
    return [
        Lesson(clip, tuple(i.prompt for i in asked), tuple(model.answer_ids(i.gold) for i in asked))
        for clip, asked in by_clip(items)
    ]


def teacher_lessons(items: Sequence[QAItem], targets: Targets, student: Architecture, shared: int) -> list[Lesson]:
    """Learn the teacher's answers: the same ids on both sides, ending token included (asserted by spelling them)."""
    require_spelt(((targets.texts[i.id], targets.answers[i.id]) for i in items), shared)
    assert all(targets.answers[i.id][-1] == student.ending_id for i in items), "an answer without its ending token"
    return [
        Lesson(
            clip,
            tuple(i.prompt for i in asked),
            tuple(targets.answers[i.id] for i in asked),
            tuple(targets.first_row[i.id] for i in asked),
        )
        for clip, asked in by_clip(items)
    ]


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """The order of lessons in an epoch is a function of (seed, epoch), so that a resumed run repeats it exactly."""
    return [int(i) for i in np.random.default_rng([seed, epoch]).permutation(count)]


def token_rows(lessons: Iterable[Lesson]) -> list[int]:
    """Rows of the teacher's states for every answer token of these lessons, in the order of `answer_states`."""
    rows: list[int] = []
    for lesson in lessons:
        assert lesson.rows is not None, "these lessons come without a teacher"
        for first, answer in zip(lesson.rows, lesson.answers, strict=True):
            rows += range(first, first + len(answer))
    return rows
