"""One answer, stage by stage: media, prepare, vision, prefill, decode per token; TTFT and the whole beside them.

    stages = Stages(model, items, Workload(frames=8, batch=1, new_tokens=32))
    stages.round().prefill        # seconds; the next round asks about the next clips

All stages of a round come from one pass, so none is timed twice and together they are the answer. Stages of the device
lie between CUDA events on its stream: nothing that is queued is missed, and no wait is put between them that a
deployment would not have. Nothing is cached from round to round: media are decoded anew, questions tokenised anew, the
KV cache begins empty, and each round takes the next clips. Answers are forced to one length, whatever the model would
rather say, so that variants do the same work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.qa.asking import prepare
from harness.qa.frame_cache import decoded_anew
from harness.qa.items import Clip, Frames, QAItem, by_clip
from models.interface import Architecture

CLIPS = 16  # asked about in turn
STAGES = ("media", "prepare", "vision", "prefill", "itl")
ROWS = (*STAGES, "ttft", "answer")

HOW = {
    "media": "reading and decoding frames (and sound) of the request, no cache of frames; not part of TTFT",
    "prepare": "preprocessing and tokenising on the CPU",
    "vision": "pixels to features: transfer, vision tower, projector or merger; hearing, where the model has ears",
    "prefill": "splice, language model over the prompt, head, first token chosen",
    "itl": "each further token: embedding, language model, head, token chosen and known to the host",
    "ttft": "from decoded frames and question to the first token known to the host: prepare, vision, prefill",
    "answer": "from decoded frames and question to the last token known to the host",
}

Request = tuple[Clip, tuple[QAItem, ...]]


@dataclass(frozen=True)
class Workload:
    """What one round asks: `batch` clips of so many frames with one question each, `new_tokens` tokens of answer."""

    frames: int
    batch: int
    new_tokens: int

    @property
    def id(self) -> str:
        return f"frames{self.frames}-batch{self.batch}-tokens{self.new_tokens}"


@dataclass(frozen=True)
class Round:
    """Seconds of one round. `tokens`: of each token after the first."""

    media: float
    prepare: float
    vision: float
    prefill: float
    tokens: tuple[float, ...]
    ttft: float
    answer: float

    def seconds(self, row: str) -> tuple[float, ...]:
        """What a row of ROWS is made of."""
        return self.tokens if row == "itl" else (float(getattr(self, row)),)


class Stages:
    """Answers one batch of requests after another."""

    def __init__(self, model: Architecture, items: Sequence[QAItem], workload: Workload) -> None:
        self.model, self.workload = model, workload
        groups = by_clip(items)[: max(CLIPS, workload.batch)]
        self._requests: list[Request] = [(clip, asked[:1]) for clip, asked in groups]
        self._at = 0
        self._clock: Any = _CudaClock(model.device) if model.device.type == "cuda" else _HostClock()
        self.prompt_tokens = 0  # of the shortest row so far; 0 before the first round
        self.frame_size = (0, 0)  # height and width of the smallest first frame so far

    @property
    def still(self) -> bool:
        """Are photos asked about, each of a size of its own?"""
        return self._requests[0][0].still

    def begin_again(self) -> None:
        """The next round asks about the first clips."""
        self._at = 0

    def next_requests(self) -> list[Request]:
        """The next `batch` clips, from the beginning again after the last."""
        picked = [self._requests[(self._at + i) % len(self._requests)] for i in range(self.workload.batch)]
        self._at = (self._at + self.workload.batch) % len(self._requests)
        return picked

    @torch.inference_mode()
    def round(self, new_tokens: int | None = None) -> Round:
        """One pass over the next requests, with answers of `new_tokens` instead of the workload's where it is told.
        ModelFault where clip and question do not fit the context.
        """
        model, clock = self.model, self._clock
        requests = self.next_requests()
        model.forget_questions()
        begun = time.perf_counter()
        with decoded_anew():
            shown = [(self._decoded(clip), asked) for clip, asked in requests]
        asked_at = time.perf_counter()
        prepared = prepare(model, shown)
        prepared_at = time.perf_counter()
        marks = [clock.mark()]
        sights, sounds = model.see(prepared), model.hear(prepared)
        marks.append(clock.mark())
        embedded = model.embed(prepared, sights, sounds)
        state = model.prefill(embedded)
        tokens = model.logits(state.hidden).argmax(-1)
        marks.append(clock.mark())
        tokens.tolist()  # who asked sees the token: the host waits for it
        first_at = time.perf_counter()
        for _ in range((new_tokens or self.workload.new_tokens) - 1):
            state = model.decode_one_token(state, tokens)
            tokens = model.logits(state.hidden).argmax(-1)
            marks.append(clock.mark())
            tokens.tolist()
        answered_at = time.perf_counter()
        gaps = clock.gaps(marks)
        shortest = min(len(one.prefix) + len(one.questions[0]) for one in embedded)
        self.prompt_tokens = min(self.prompt_tokens or shortest, shortest)
        sizes = [(height, width) for clip, _ in shown for height, width, _ in (clip.frames()[0].shape,)]
        self.frame_size = min([*sizes, *([self.frame_size] if any(self.frame_size) else [])], key=math.prod)
        return Round(
            media=asked_at - begun,
            prepare=prepared_at - asked_at,
            vision=gaps[0],
            prefill=gaps[1],
            tokens=tuple(gaps[2:]),
            ttft=first_at - asked_at,
            answer=answered_at - asked_at,
        )

    def _decoded(self, clip: Clip) -> Clip:
        """The clip with its frames, and sound for a model that hears, in memory; at the workload's number of frames."""
        frames = spread(clip.frames(), self.workload.frames, clip.still)
        sound = clip.sound() if self.model.hears else None
        return replace(clip, load=lambda: frames, load_sound=lambda: sound)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(frames: Frames, count: int, still: bool) -> Frames:
    """`count` of the frames, evenly; some twice where there are fewer, as in a dataset of a fixed number of frames.
    Photos stay as they are: each is looked at on its own.
    """
    if still or len(frames) == count:
        return frames
    places = np.linspace(0, len(frames) - 1, count).round().astype(int)
    chosen: NDArray[np.uint8] = np.asarray(frames)[places]
    return chosen


class _HostClock:
    """Marks on the host's clock: a CPU has done its work when the call returns."""

    def mark(self) -> float:
        return time.perf_counter()

    def gaps(self, marks: Sequence[float]) -> list[float]:
        return [after - before for before, after in pairwise(marks)]


class _CudaClock:
    """Marks as CUDA events on the stream that the model's kernels are queued on."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def gaps(self, marks: Sequence[torch.cuda.Event]) -> list[float]:
        """Seconds from each mark to the next, after all work before the last has ended."""
        marks[-1].synchronize()
        return [before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)]
