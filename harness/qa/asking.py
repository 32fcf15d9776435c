"""Clips and their questions as a model takes them: the CPU stage, for training, answering and timing alike."""

from __future__ import annotations

from collections.abc import Sequence

from harness.qa.items import Clip, QAItem
from models.interface import Architecture, Prepared


def prepare(model: Architecture, batch: Sequence[tuple[Clip, tuple[QAItem, ...]]]) -> list[Prepared]:
    """A batch of clips with their questions."""
    return [prepare_clip(model, clip, [item.prompt for item in asked]) for clip, asked in batch]


def prepare_clip(model: Architecture, clip: Clip, prompts: Sequence[str]) -> Prepared:
    """One clip with what is asked about it."""
    sound = clip.sound() if model.hears else None  # a track is not decoded for a model without ears
    return model.prepare(clip.frames(), prompts, still=clip.still, sound=sound)
