"""Tokens of a clip with its question, and how many frames the context holds.

clip_tokens(shapes, frames=16, size=(432, 768), new_tokens=64).context
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import UsageError
from harness.plan.shapes import Shapes

QUESTION_TOKENS = 40  # an assumption: a question with its turn's tokens
TEXT_TOKENS = 24 + QUESTION_TOKENS  # and the system prompt with what stands around the clip


@dataclass(frozen=True)
class ClipTokens:
    """Tokens of one clip with its questions and their answers."""

    visual: int
    speech: int
    text: int
    new: int  # the answers'

    @property
    def prompt(self) -> int:
        """What prefill runs over."""
        return self.visual + self.speech + self.text

    @property
    def context(self) -> int:
        """What the KV cache holds at the end."""
        return self.prompt + self.new


def clip_tokens(
    shapes: Shapes, frames: int, size: tuple[int, int], new_tokens: int, *, questions: int = 1
) -> ClipTokens:
    """Tokens of a video of so many frames of (height, width), as the architecture counts them, and of what is said.

    `new_tokens`: of each question's answer. All questions on a clip share its prefix, as `models/packing.py` lays out.
    """
    text = TEXT_TOKENS + (questions - 1) * QUESTION_TOKENS
    return ClipTokens(shapes.visual_tokens(frames, size), shapes.speech_tokens, text, questions * new_tokens)


def most_frames_in_context(shapes: Shapes, size: tuple[int, int], new_tokens: int, *, questions: int = 1) -> int:
    """The most frames with which prompt and answer stay within `max_position_embeddings`; 0 when none do."""
    context = shapes.text.context

    def fits(frames: int) -> bool:
        return clip_tokens(shapes, frames, size, new_tokens, questions=questions).context <= context

    return most(fits, 2 * context)


def most(fits: Callable[[int], bool], limit: int) -> int:
    """The largest n in 1…limit for which `fits(n)`, which once false stays false; 0 when it never holds."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def require_frames(shapes: Shapes, side: str, frames: int, size: tuple[int, int], new_tokens: int) -> None:
    """UsageError when so many frames are none, or more than the context holds; it says how many it holds."""
    if frames < 1:
        raise UsageError(f"--frames {frames}: at least one frame is needed")
    holds = most_frames_in_context(shapes, size, new_tokens)
    if frames > holds:
        wanted = clip_tokens(shapes, frames, size, new_tokens)
        raise UsageError(
            f"--frames {frames}: {wanted.context:,} tokens with question and answer, but the {side}'s context holds "
            f"{shapes.text.context:,}: at most {holds} frames of {size[0]}x{size[1]}"
        )
