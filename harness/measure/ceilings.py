"""What a device can do at best, measured here and now: what a share of the ceiling (MFU, roofline) is a share of.

    matmul_ceiling(torch.device("cpu"), torch.float32).flops_per_second

A data sheet's peak is of another clock and another card; this is the best that a large matrix product reaches on this
one, under the threads that are set. Each is measured once a process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import torch

CPU_SIZES, GPU_SIZES = (384, 768, 1024), (2048, 4096, 8192)  # sides of the square matrices
CPU_COPY, GPU_COPY = 128 << 20, 512 << 20  # bytes: well beyond the caches
SECONDS = {"cpu": 0.3, "cuda": 0.1}  # for each size
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Ceiling:
    """The best rate of matrix products."""

    flops_per_second: float
    how: str


@dataclass(frozen=True)
class Bandwidth:
    """The best rate of a copy, bytes read and bytes written together."""

    bytes_per_second: float
    how: str


def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> Ceiling:
    """The best of a few square products, after a warm-up. On a CPU always in fp32: few have products in bf16, and those
    that emulate them reach a hundredth of the rate, which is nobody's ceiling.
    """
    kind = torch.float32 if device.type == "cpu" else dtype
    return _matmul(device, kind, torch.get_num_threads())


def copy_bandwidth(device: torch.device) -> Bandwidth:
    """The best of some copies of a block that no cache holds."""
    return _copy(device, torch.get_num_threads())


@lru_cache(maxsize=32)
def _matmul(device: torch.device, dtype: torch.dtype, threads: int) -> Ceiling:
    best, side = 0.0, 0
    for size in CPU_SIZES if device.type == "cpu" else GPU_SIZES:
        with suppress(torch.OutOfMemoryError):  # a card that is nearly full: what still fits is measured
            left, right, out = (torch.empty(size, size, device=device, dtype=dtype) for _ in range(3))
            left.normal_(std=size**-0.5)
            right.normal_(std=size**-0.5)
            rate = 2 * size**3 / _best(lambda a=left, b=right, c=out: torch.mm(a, b, out=c), device)  # type: ignore[misc]
            best, side = max((best, side), (rate, size))
    if not best:
        raise torch.OutOfMemoryError(f"no room on {device} for three matrices of {GPU_SIZES[0]}x{GPU_SIZES[0]}")
    name = str(dtype).removeprefix("torch.")
    tf32 = ", TF32 allowed" if dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32 else ""
    where = f"{threads} CPU threads" if device.type == "cpu" else f"{torch.cuda.get_device_name(device)}{tf32}"
    return Ceiling(best, f"best matrix product of {side}x{side} in {name}, measured on {where}")


@lru_cache(maxsize=8)
def _copy(device: torch.device, threads: int) -> Bandwidth:
    size = CPU_COPY if device.type == "cpu" else GPU_COPY
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rate = 2 * size / _best(lambda: target.copy_(source), device)
    where = f"{threads} CPU threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return Bandwidth(rate, f"best copy of {size >> 20} MiB, read and written, measured on {where}")


def _best(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest round, each ended by the device; as many rounds as the time allows."""
    cuda = device.type == "cuda"

    def timed(repeats: int) -> float:
        before = time.perf_counter()
        for _ in range(repeats):
            run()
        if cuda:
            torch.cuda.synchronize(device)
        return (time.perf_counter() - before) / repeats

    timed(1)  # the first call chooses kernels and touches pages
    once = timed(1)
    repeats = max(1, round(0.005 / once)) if cuda else 1  # the clock, and the launch, are small beside 5 ms
    best, rounds, until = once, 0, time.perf_counter() + SECONDS[device.type]
    while rounds < LEAST_ROUNDS or time.perf_counter() < until:
        best, rounds = min(best, timed(repeats)), rounds + 1
    return best
