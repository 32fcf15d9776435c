"""Windows of lessons, one an optimizer step, cut into micro-batches of rows of like length.

The gradient is weighted by answer tokens over the whole window, so how a window is cut does not change it: rows are
sorted by length first, and what padding is left is counted. The longest come first: what does not fit is found at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor

from harness.distill.features import Features
from harness.distill.lessons import Lesson, epoch_order
from harness.pair import Recipe
from harness.qa.asking import prepare_clip
from models.interface import Architecture, Prepared

WORKERS = 4  # threads that decode and resize while the device computes


@dataclass(frozen=True)
class Ready:
    """A lesson as the model takes it. `seen`: the cached output of a frozen tower."""

    lesson: Lesson
    prepared: Prepared
    seen: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Of its row: the prefix once, then every question with its answer but the last token, which is no input."""
        asked = sum(map(len, self.prepared.questions)) + sum(len(answer) - 1 for answer in self.lesson.answers)
        return len(self.prepared.prefix_ids) + asked


@dataclass
class Work:
    """What a training has computed with, this process and on this rank."""

    tokens: int = 0  # of rows, without padding
    padded: int = 0  # of rows, with padding
    flops: int = 0  # of the model, validation included

    def add(self, batch: Sequence[Ready]) -> None:
        self.tokens += sum(ready.tokens for ready in batch)
        self.padded += len(batch) * max(ready.tokens for ready in batch)


def make_ready(model: Architecture, lesson: Lesson, features: Features | None) -> Ready:
    """Decode and pack a lesson, or read what was cached of it."""
    if features is None:
        return Ready(lesson, prepare_clip(model, lesson.clip, lesson.questions))
    return Ready(lesson, *features.prepared(model, lesson.clip.id, lesson.questions))


def micro_batches(window: Sequence[Ready], size: int) -> list[list[Ready]]:
    """The window in micro-batches of rows of like length, the longest first."""
    ordered = sorted(window, key=lambda ready: -ready.tokens)  # stable: equal lengths keep their order
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


class Windows:
    """Which lessons make up each step, and those lessons made ready: order = f(seed, epoch).

    On a GPU the next window is decoded by other threads while this one is learnt from.
    """

    def __init__(
        self,
        model: Architecture,
        lessons: Sequence[Lesson],
        recipe: Recipe,
        features: Features | None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._model, self._lessons, self._recipe, self._features = model, lessons, recipe, features
        self._rank, self._ranks = rank, ranks
        self.per_epoch = math.ceil(len(lessons) / recipe.batch_clips)
        self.total = min(recipe.epochs * self.per_epoch, recipe.max_steps or 2**62)
        self._orders: dict[int, list[int]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[int, list[Future[Ready]]] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Windows:
        if self._model.device.type == "cuda":
            self._pool = self._exit.enter_context(ThreadPoolExecutor(WORKERS))
        return self

    def __exit__(self, *failure: object) -> None:
        for futures in self._coming.values():
            for future in futures:
                future.cancel()
        self._exit.close()

    def lessons(self, step: int) -> list[Lesson]:
        """The whole window of a step, over all ranks."""
        epoch, at = divmod(step, self.per_epoch)
        if epoch not in self._orders:
            self._orders = {epoch: epoch_order(len(self._lessons), self._recipe.seed, epoch)}
        clips = self._recipe.batch_clips
        return [self._lessons[i] for i in self._orders[epoch][at * clips : (at + 1) * clips]]

    def ready(self, step: int) -> list[Ready]:
        """This rank's share of the window. A window with fewer lessons than ranks leaves some with none."""
        share = self.lessons(step)[self._rank :: self._ranks]
        if self._pool is None:
            return list(self._made(share))
        futures = self._coming.pop(step, None) or self._ask(share)
        if step + 1 < self.total:
            self._coming[step + 1] = self._ask(self.lessons(step + 1)[self._rank :: self._ranks])
        return [future.result() for future in futures]

    def one(self, lesson: Lesson) -> Ready:
        """A single lesson made ready."""
        return make_ready(self._model, lesson, self._features)

    def _made(self, share: Sequence[Lesson]) -> Iterator[Ready]:
        return (self.one(lesson) for lesson in share)

    def _ask(self, share: Sequence[Lesson]) -> list[Future[Ready]]:
        assert self._pool is not None
        return [self._pool.submit(self.one, lesson) for lesson in share]
