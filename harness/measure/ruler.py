"""A fixed piece of work between the rounds: how fast is the machine just now?

    ruler = Ruler()
    before = ruler.read(); answer(); after = ruler.read()
    seconds / (before * after) ** 0.5          # the answer's time, held against the machine's own speed around it

On a shared host the same code takes 6 % more in one minute than in the next, on some 40 %, and nothing that can be
read says so: a neighbour on the core's other thread, its caches, memory. Whoever compares two runs of different times
would call that a regression. The ruler is work of two kinds that models are made of, a product of matrices and a small
layer (some forty different kernels and the Python between them), and it never changes between commits: VERSION says
which one it is. It reads the geometric mean of their seconds, so that none weighs more for being longer. A control
variate (Lavenberg and Welch 1981, Management Science 27:322), but as a ratio.

Why these: what a neighbour slows most is code that is not in the core's first caches. A loop over one small kernel, or
of plain Python, stays there and takes 2 % longer while vision takes 40 %; a layer's kernels come by once each, as a
model's do. benchmarks/README.md has the figures.

Of a CPU only. What of a stage on a GPU follows the card and what follows the host was never shown, and a card says of
itself what a CPU does not: clocks, throttling, heat. There rounds are held against no ruler (`ruler_of`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

VERSION = "3"  # 2 had plain Python, one small kernel in a loop and a matrix times a vector in the layer's place
SIDE = 128  # of the squares
WIDTH, TOKENS, HEADS, WORDS = 32, 8, 2, 256  # of the layer


EVERY_S = 0.025  # of short rounds several lie between two readings: read after each, it would be a tenth of their time


def ruler_of(device: torch.device) -> Ruler | None:
    """None where none is held to be true."""
    return Ruler() if device.type == "cpu" else None


class Ruler:
    """Work in fp32: 0.05 and 0.2 ms of a fast core."""

    def __init__(self) -> None:
        self._square, self._input = _numbers(SIDE, SIDE), _numbers(1, TOKENS, WIDTH)
        self._words, self._ids, self._ones = _numbers(WORDS, WIDTH), torch.arange(TOKENS), torch.ones(WIDTH)
        self._projections = [_numbers(WIDTH, WIDTH) / WIDTH**0.5 for _ in range(4)]
        self._up, self._down = _numbers(2 * WIDTH, WIDTH) / WIDTH**0.5, _numbers(WIDTH, 2 * WIDTH) / WIDTH**0.5
        self._parts: tuple[Callable[[], object], ...] = (self._product, self._layer)

    @torch.inference_mode()
    def read(self) -> float:
        """Seconds: the geometric mean of the parts."""
        logs = 0.0
        for part in self._parts:
            before = time.perf_counter()
            part()
            logs += math.log(max(time.perf_counter() - before, 1e-9))
        return math.exp(logs / len(self._parts))

    def _product(self) -> Tensor:
        return self._square @ self._square

    def _layer(self) -> Tensor:
        """What a decoder does once a layer, and at its head: embed, norm, rotate, attend, gate, choose."""
        shape = (1, TOKENS, HEADS, WIDTH // HEADS)
        hidden = functional.embedding(self._ids, self._words).unsqueeze(0) + self._input
        normed = functional.layer_norm(hidden, (WIDTH,), self._ones, self._ones)
        query, key, value = (
            functional.linear(normed, weight).view(shape).transpose(1, 2) for weight in self._projections[:3]
        )
        half = WIDTH // HEADS // 2
        query = torch.cat((-query[..., half:], query[..., :half]), -1) * query.cos()
        attended = torch.softmax(query @ key.transpose(-1, -2) / half, -1) @ value
        merged = attended.transpose(1, 2).reshape(1, TOKENS, WIDTH)
        hidden = hidden + functional.linear(merged, self._projections[3])
        normed = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-6)
        hidden = hidden + functional.linear(functional.gelu(functional.linear(normed, self._up)), self._down)
        return (torch.where(hidden > 0, hidden, -hidden)[:, -1] @ self._words.T).argmax(-1)


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


def _numbers(*shape: int) -> Tensor:
    """The same in every process."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))
