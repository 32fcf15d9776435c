"""Clip and QAItem: a moment of first-person video, and a question asked about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Frame: TypeAlias = NDArray[np.uint8]  # [height, width, 3], RGB
Frames: TypeAlias = NDArray[np.uint8] | tuple[Frame, ...]  # [frames, height, width, 3]; or stills of any sizes
Sound: TypeAlias = NDArray[np.float32]  # mono, 16 kHz, in [-1, 1]

LINES = "Answer with the option's letter from the given choices directly."


@dataclass(frozen=True)
class Clip:
    """A clip's frames are rendered or decoded when asked for, so that a thousand clips cost no memory."""

    id: str
    source: str  # where the frames come from, in words, with a digest of any file: artifacts' keys are made of it
    load: Callable[[], Frames] = field(compare=False, repr=False)
    still: bool = False  # photos, each looked at on its own, and not moments of one video
    load_sound: Callable[[], Sound | None] | None = field(default=None, compare=False, repr=False)
    absent: bool = False  # a file that it is read from was not there when it was listed
    recording: str = ""  # clips of one recording are never parted over two splits; empty: the clip is one
    shifted: Callable[[Fraction], Clip] | None = field(default=None, compare=False, repr=False)  # see `between`

    def frames(self) -> Frames:
        """uint8 RGB `[frames, height, width, 3]`; for stills a tuple of `[height, width, 3]`."""
        return self.load()

    def sound(self) -> Sound | None:
        """What is heard, or None where there is nothing to hear."""
        return self.load_sound() if self.load_sound else None

    def between(self, shift: Fraction) -> Clip:
        """Its frames taken `shift` of the way from each to the next, under a source that says so; the clip itself where
        there is nothing to see between them."""
        return self.shifted(shift) if self.shifted else self


@dataclass(frozen=True)
class QAItem:
    """One question on one clip. `options` is empty for an open question; `gold` is the right answer as text, or the
    right option's letter. `also`: further answers that count as right."""

    id: str
    clip: Clip
    question: str
    gold: str
    type: str
    template: str
    options: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    lettering: Literal["inline", "lines"] = "inline"

    @property
    def prompt(self) -> str:
        """The text the model reads: lettered options follow the question."""
        if not self.options:
            return self.question
        if self.lettering == "lines":
            lines = "\n".join(f"{letter(i)}. {option}" for i, option in enumerate(self.options))
            return f"{self.question}\n{lines}\n{LINES}"
        return f"{self.question} " + " ".join(f"{letter(i)} {option}" for i, option in enumerate(self.options))

    def permuted(self, order: Sequence[int]) -> QAItem:
        """The same question with its options in another order: option `order[k]` stands at place k."""
        assert sorted(order) == list(range(len(self.options))), "an order names every option once"
        gold = letter(list(order).index(ord(self.gold) - ord("A")))
        return replace(self, options=tuple(self.options[at] for at in order), gold=gold)

    def rotated(self, places: int) -> QAItem:
        """The same question with its options moved by so many places, round and round; an open one as it is."""
        count = len(self.options)
        return self.permuted([(at + places) % count for at in range(count)]) if count else self


def letter(index: int) -> str:
    """0 → A, 1 → B, …"""
    return chr(ord("A") + index)


def by_clip(items: Sequence[QAItem]) -> list[tuple[Clip, tuple[QAItem, ...]]]:
    """Items grouped by their clip, both in the order of first appearance."""
    groups: dict[str, list[QAItem]] = {}
    for item in items:
        groups.setdefault(item.clip.id, []).append(item)
    return [(group[0].clip, tuple(group)) for group in groups.values()]
