"""A fixed piece of work between the rounds: how fast is the machine just now?

    ruler = Ruler(torch.device("cpu"))
    before = ruler.read(); answer(); after = ruler.read()
    seconds / (before * after) ** 0.5          # the answer's time, held against the machine's own speed around it

On a shared host the same code takes 6 % more in one minute than in the next, and nothing that can be read says so:
clocks, neighbours' caches, memory. Whoever compares two runs of different times would call that a regression. The ruler
is work of four kinds that models are made of, a matrix times a vector (memory), a product of matrices (compute), small
kernels (launches) and plain Python, and it never changes between commits: VERSION says which one it is. It reads the
geometric mean of their seconds, so that none weighs more for being longer. A control variate (Lavenberg and Welch 1981,
Management Science 27:322), but as a ratio.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

VERSION = "1"
# Rows × columns of the matrix, side of the square ones; a part takes 0.2 to 0.5 ms.
SIZES = {"cpu": ((1024, 1024), 160), "cuda": ((8192, 4096), 2048)}
LAUNCHES, STEPS = 30, 3000


class Ruler:
    """Work for one device, in fp32 on a CPU and bf16 on a GPU. Some 1 ms a reading."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        (rows, columns), side = SIZES["cuda" if device.type == "cuda" else "cpu"]
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._matrix, self._vector = _numbers(device, dtype, rows, columns), _numbers(device, dtype, columns)
        self._square, self._small = _numbers(device, dtype, side, side), _numbers(device, dtype, 64)
        self._parts: tuple[Callable[[], object], ...] = (self._moves, self._multiplies, self._launches, _steps)

    @torch.inference_mode()
    def read(self) -> float:
        """Seconds: the geometric mean of the four parts, each ended by the device."""
        logs = 0.0
        for part in self._parts:
            before = time.perf_counter()
            part()
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
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


def _steps() -> int:
    total = 0
    for step in range(STEPS):
        total += step
    return total


def _numbers(device: torch.device, dtype: torch.dtype, *shape: int) -> Tensor:
    """Never zeros, which some devices multiply with less power; the same in every process."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator).to(device, dtype)
