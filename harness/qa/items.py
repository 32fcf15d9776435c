"""Clip and QAItem: a moment of first-person video, and a question asked about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]  # [frames, height, width, 3], RGB


@dataclass(frozen=True)
class Clip:
    """A clip's frames are rendered or decoded when asked for, so that a thousand clips cost no memory."""

    id: str
    source: str  # where the frames come from, in words: digests are made of it
    load: Callable[[], Frames] = field(compare=False, repr=False)

    def frames(self) -> Frames:
        """uint8 RGB `[frames, height, width, 3]`."""
        return self.load()


@dataclass(frozen=True)
class QAItem:
    """One question on one clip. `options` is empty for an open question; `gold` is the right answer as text."""

    id: str
    clip: Clip
    question: str
    gold: str
    type: str
    template: str
    options: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The text the model reads: lettered options follow the question."""
        if not self.options:
            return self.question
        letters = " ".join(f"{chr(ord('A') + i)} {option}" for i, option in enumerate(self.options))
        return f"{self.question} {letters}"


def by_clip(items: Sequence[QAItem]) -> list[tuple[Clip, tuple[QAItem, ...]]]:
    """Items grouped by their clip, both in the order of first appearance."""
    groups: dict[str, list[QAItem]] = {}
    for item in items:
        groups.setdefault(item.clip.id, []).append(item)
    return [(group[0].clip, tuple(group)) for group in groups.values()]
