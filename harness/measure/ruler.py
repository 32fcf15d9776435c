"""A fixed piece of work between the rounds: how fast is the machine just now?

    ruler = Ruler()
    before = ruler.read(); answer(); after = ruler.read()
    seconds / (before * after) ** 0.5          # the answer's time, held against the machine's own speed around it

On a shared host the same code takes 6 % more in one minute than in the next, and nothing that can be read says so:
clocks, neighbours' caches, memory. Whoever compares two runs of different times would call that a regression. The ruler
is work of four kinds that models are made of, a matrix times a vector (memory), a product of matrices (compute), small
kernels (launches) and plain Python, and it never changes between commits: VERSION says which one it is. It reads the
geometric mean of their seconds, so that none weighs more for being longer. A control variate (Lavenberg and Welch 1981,
Management Science 27:322), but as a ratio.

Of a CPU only. What of a stage on a GPU follows the card and what follows the host was never shown, and a card says of
itself what a CPU does not: clocks, throttling, heat. There rounds are held against no ruler (`ruler_of`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

VERSION = "2"  # 1 was larger by half, and added 3 % to a turn of 40 ms
ROWS, COLUMNS = 768, 1024  # of the matrix
SIDE = 128  # of the squares
LAUNCHES, STEPS = 20, 2000


EVERY_S = 0.025  # of short rounds several lie between two readings: read after each, it would be a tenth of their time


def ruler_of(device: torch.device) -> Ruler | None:
    """None where none is held to be true."""
    return Ruler() if device.type == "cpu" else None


class Ruler:
    """Work in fp32; a part takes some 40 µs of a fast core, 0.2 ms of a slow one."""

    def __init__(self) -> None:
        self._matrix, self._vector = _numbers(ROWS, COLUMNS), _numbers(COLUMNS)
        self._square, self._small = _numbers(SIDE, SIDE), _numbers(64)
        self._parts: tuple[Callable[[], object], ...] = (self._moves, self._multiplies, self._launches, _steps)

    @torch.inference_mode()
    def read(self) -> float:
        """Seconds: the geometric mean of the four parts."""
        logs = 0.0
        for part in self._parts:
            before = time.perf_counter()
            part()
            logs += math.log(max(time.perf_counter() - before, 1e-9))
        return math.exp(logs / len(self._parts))

    def _moves(self) -> Tensor:
        return torch.mv(self._matrix, self._vector)

    def _multiplies(self) -> Tensor:
        return self._square @ self._square

    def _launches(self) -> Tensor:
        found = self._small
        for _ in range(LAUNCHES):
            found = found + 1
        return found


class Readings:
    """Readings between rounds, the first before them, and what of them each round lies between."""

    def __init__(self, ruler: Ruler | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._ruler, self._clock = ruler, clock
        self._read: list[float] = []
        self._before: list[int] = []  # of each round the reading before it
        self._at = 0.0
        if ruler is not None:
            ruler.read()  # the first chooses kernels
            self._take()

    def after_round(self) -> None:
        """A round has ended, outside of its clock."""
        self._before.append(len(self._read) - 1)
        if self._ruler is not None and self._clock() - self._at >= EVERY_S:
            self._take()

    def around(self) -> list[float | None]:
        """Seconds of the ruler around each round: the geometric mean of the readings before and after it."""
        if self._ruler is None:
            return [None] * len(self._before)
        if self._before and self._before[-1] == len(self._read) - 1:
            self._take()
        return [math.sqrt(self._read[place] * self._read[place + 1]) for place in self._before]

    def _take(self) -> None:
        assert self._ruler is not None
        self._read.append(self._ruler.read())
        self._at = self._clock()


def _steps() -> int:
    total = 0
    for step in range(STEPS):
        total += step
    return total


def _numbers(*shape: int) -> Tensor:
    """The same in every process."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))
