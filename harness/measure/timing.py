"""Latency of answering: time to first token, inter-token latency, the whole answer.

Every stage ends with the device idle (CUDA kernels are queued, a clock alone would miss them). Answers are forced to
one length, whatever the model would rather say, so that variants do the same work. Preprocessing is inside TTFT and
nothing is cached between rounds: each round takes the next clips of the workload.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from harness import stats
from harness.qa.asking import prepare
from harness.qa.items import Clip, QAItem, by_clip
from harness.record import Measurement
from models.interface import Architecture, Decoding

HELD = 16  # clips asked about in turn, their frames in memory
QUANTILES = ((0.5, ""), (0.9, "_p90"), (0.99, "_p99"))


@dataclass(frozen=True)
class Workload:
    """What one round asks: `batch` clips with one question each, `new_tokens` tokens of answer."""

    batch: int
    new_tokens: int
    frames: int

    @property
    def id(self) -> str:
        return f"batch{self.batch}"


@dataclass
class Answering:
    """Answers one batch of requests after another, and keeps the seconds of each token."""

    model: Architecture
    items: Sequence[QAItem]
    workload: Workload
    token_seconds: list[float] = field(default_factory=list)  # gaps between tokens, of every decoding so far
    _at: int = 0

    def __post_init__(self) -> None:
        groups = by_clip(self.items)[: max(HELD, self.workload.batch)]
        self._requests: list[tuple[Clip, tuple[QAItem, ...]]] = [(_held(clip), asked[:1]) for clip, asked in groups]

    def next_requests(self) -> list[tuple[Clip, tuple[QAItem, ...]]]:
        """The next `batch` clips, from the beginning again after the last."""
        picked = [self._requests[(self._at + i) % len(self._requests)] for i in range(self.workload.batch)]
        self._at = (self._at + self.workload.batch) % len(self._requests)
        return picked

    @torch.inference_mode()
    def first_token(self, requests: list[tuple[Clip, tuple[QAItem, ...]]]) -> tuple[Decoding, torch.Tensor]:
        """From frames and question to the first token, on the device and known."""
        state = self.model.prefill(self.model.embed(prepare(self.model, requests)))
        tokens = self.model.logits(state.hidden).argmax(-1)
        synchronise(self.model.device)
        return state, tokens

    @torch.inference_mode()
    def decode(self, state: Decoding, tokens: torch.Tensor) -> None:
        """The other `new_tokens - 1` tokens, one by one."""
        before = time.perf_counter()
        for _ in range(self.workload.new_tokens - 1):
            state = self.model.decode_one_token(state, tokens)
            tokens = self.model.logits(state.hidden).argmax(-1)
            synchronise(self.model.device)
            now = time.perf_counter()
            self.token_seconds.append(now - before)
            before = now

    def whole_answer(self, requests: list[tuple[Clip, tuple[QAItem, ...]]]) -> None:
        """First token and all others."""
        self.decode(*self.first_token(requests))


def _held(clip: Clip) -> Clip:
    """The clip with its frames and sound in memory: decoding media is a stage of its own, not part of TTFT."""
    frames, sound = clip.frames(), clip.sound()
    return replace(clip, load=lambda: frames, load_sound=lambda: sound)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def latency(metric: str, seconds: Sequence[float], how: str) -> tuple[Measurement, ...]:
    """p50 (as `metric`), p90 and p99 in ms, each with its distribution-free 95% interval from order statistics."""
    milliseconds = tuple(s * 1e3 for s in seconds)
    if not milliseconds:  # --benchmark-disable: the target ran, nothing was timed
        return (Measurement(metric, None, "ms", 0, None, None, False, how, absent="no round was timed"),)
    found = []
    for quantile, suffix in QUANTILES:
        estimate = stats.percentile(milliseconds, quantile)
        found.append(
            Measurement(
                metric + suffix,
                estimate.value,
                "ms",
                len(milliseconds),
                estimate.low,
                estimate.high,
                False,
                f"{how}; p{quantile * 100:g} of {len(milliseconds)}, 95% interval from order statistics",
                milliseconds if not suffix else (),
            )
        )
    return tuple(found)
