"""The dataset `synthetic`: frames without meaning and questions of a usual length, to time and weigh models with.

Nothing is learnt from it and nobody is judged by it: a pair that has it needs `--qa name:path` for answers. Frames are
noise drawn from the clip's number, of the size of a phone's video cut to `max_side`; other noise between them, so that
what is taught in several views costs here what it costs on videos.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np

from harness.pair import DataSpec
from harness.qa.items import Clip, Frames, QAItem

RATIO = 9 / 16
SIDE = 768  # pixels, where the pair says no max_side
CLIPS, EACH = 8, 4  # of a split whose size the pair leaves open
QUESTIONS = (
    "What am I holding in my left hand at the end of the clip?",
    "What did I do right after I opened the drawer?",
    "Where did I put the cup that was on the table at the start?",
    "How many people are in the room?",
)


def load_split(
    split: str, clips: int, questions_per_clip: int, data: DataSpec | None = None, descriptions: bool = False
) -> list[QAItem]:
    """`clips × questions_per_clip` items; the answers are fillers."""
    frames, side, seed = (data.frames, data.max_side or SIDE, data.seed) if data else (4, SIDE, 0)
    items = []
    for number in range(clips):
        clip = _clip(split, frames, side, seed, number)
        items += [
            QAItem(f"{clip.id}/{place}", clip, QUESTIONS[place % len(QUESTIONS)], "nothing", "synthetic", "synthetic")
            for place in range(questions_per_clip)
        ]
    return items


def lexicon() -> tuple[str, ...]:
    """Words of the questions."""
    return tuple(sorted({word for question in QUESTIONS for word in question.replace("?", " ?").split()}))


def _clip(split: str, frames: int, side: int, seed: int, number: int, shift: Fraction | None = None) -> Clip:
    source = f"synthetic:{seed}:{split}:{number}:{frames}:{side}" + (f":{shift}" if shift else "")
    again = partial(_clip, split, frames, side, seed, number)
    load = partial(_frames, frames, side, seed, number, shift)
    return Clip(f"{split}-{number:04d}", source, load, shifted=again)


def _frames(frames: int, side: int, seed: int, number: int, shift: Fraction | None) -> Frames:
    height = round(side * RATIO / 2) * 2
    rng = np.random.default_rng([17, seed, number, *(shift.as_integer_ratio() if shift else ())])
    return rng.integers(0, 256, (frames, height, side, 3), dtype=np.uint8)
