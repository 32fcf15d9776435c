"""What a device can do at best, measured here and now: what a share of the ceiling (MFU, roofline) is a share of.

    matmul_ceiling(torch.device("cpu"), torch.float32).flops_per_second
    measure_ceilings(torch.device("cuda"), torch.bfloat16).as_json()      # from one process to another

A data sheet's peak is of another clock and another card; this is the best that a large matrix product reaches on this
one, under the threads that are set. Each is measured once a process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch

from harness.errors import RecordError, oneline

CPU_SIZES, GPU_SIZES = (384, 768, 1024), (2048, 4096, 8192)  # sides of the square matrices
CPU_COPY, GPU_COPY = 128 << 20, 512 << 20  # bytes: well beyond the caches
SECONDS = {"cpu": 0.2, "cuda": 0.1}  # for each size
SLOW = 0.05  # seconds of one product: emulated types would take minutes for a larger one, and gain nothing by its size
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Ceiling:
    """The best rate of matrix products; of int8, operations are counted as FLOPs are: 2·m·n·k."""

    flops_per_second: float
    how: str


@dataclass(frozen=True)
class Bandwidth:
    """The best rate of a copy, bytes read and bytes written together; `block`: bytes of what was copied."""

    bytes_per_second: float
    how: str
    block: int


@dataclass(frozen=True)
class Unmeasured:
    """Why there is no such ceiling on this device."""

    why: str


@dataclass(frozen=True)
class Ceilings:
    """All ceilings of a device that a variant computing in one type meets.

    `matmul`: by the type's name, those that its floating-point products may be done in without losing anything.
    """

    copy: Bandwidth
    matmul: Mapping[str, Ceiling]
    int8: Ceiling | Unmeasured

    @property
    def floating(self) -> Ceiling:
        """The fastest of the floating-point products."""
        return max(self.matmul.values(), key=lambda one: one.flops_per_second)

    @property
    def quantised(self) -> Ceiling:
        """The fastest way to multiply int8 by int8. Where int8 is emulated that is to multiply as floating point: a
        slow kernel is no ceiling.
        """
        if isinstance(self.int8, Unmeasured):
            return self.floating
        return max((self.int8, self.floating), key=lambda one: one.flops_per_second)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, which `ceilings_from` reads."""
        return asdict(self)


def measure_ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Every ceiling for a variant whose activations are of `dtype`: some 1.5 s on a CPU, and 1 s on a GPU.

    On a CPU fp32 is measured beside any other type: where bf16 is emulated, a product of bf16 is best done in fp32.
    """
    kinds = {torch.float32, dtype} if device.type == "cpu" else {dtype}
    threads = torch.get_num_threads()
    rates = {_name(kind): _matmul(device, kind, threads) for kind in sorted(kinds, key=_name)}
    return Ceilings(copy_bandwidth(device), rates, int8_ceiling(device))


def ceilings_from(raw: object) -> Ceilings:
    """The ceilings that `as_json` wrote. RecordError, which names the field, for anything else."""
    whole = _object(raw, "ceilings")
    copied, int8 = _object(whole.get("copy"), "ceilings: copy"), _object(whole.get("int8"), "ceilings: int8")
    rates = _object(whole.get("matmul"), "ceilings: matmul")
    if not rates:
        raise RecordError("ceilings: matmul: not one type was measured")
    return Ceilings(
        Bandwidth(
            _rate(copied, "bytes_per_second", "copy"), str(copied.get("how")), int(_rate(copied, "block", "copy"))
        ),
        {str(name): _ceiling(one, f"matmul: {name}") for name, one in rates.items()},
        Unmeasured(str(int8["why"])) if "why" in int8 else _ceiling(int8, "int8"),
    )


def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> Ceiling:
    """The best of a few square products, after a warm-up. On a CPU always in fp32: few have products in bf16, and those
    that emulate them reach a hundredth of the rate, which is nobody's ceiling.
    """
    kind = torch.float32 if device.type == "cpu" else dtype
    return _matmul(device, kind, torch.get_num_threads())


def int8_ceiling(device: torch.device) -> Ceiling | Unmeasured:
    """The best of a few products of int8 by int8 into int32, the weights laid out as LLM.int8 lays them."""
    return _int8(device, torch.get_num_threads())


def copy_bandwidth(device: torch.device) -> Bandwidth:
    """The best of some copies of a block that no cache holds."""
    return _copy(device, torch.get_num_threads())


@lru_cache(maxsize=32)
def _matmul(device: torch.device, dtype: torch.dtype, threads: int) -> Ceiling:
    def product(size: int) -> Callable[[], object]:
        left, right, out = (torch.empty(size, size, device=device, dtype=dtype) for _ in range(3))
        left.normal_(std=size**-0.5)
        right.normal_(std=size**-0.5)
        return lambda: torch.mm(left, right, out=out)

    tf32 = ", TF32 allowed" if dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32 else ""
    return _fastest(product, device, _name(dtype), _where(device, threads) + (tf32 if device.type == "cuda" else ""))


@lru_cache(maxsize=8)
def _int8(device: torch.device, threads: int) -> Ceiling | Unmeasured:
    def product(size: int) -> Callable[[], object]:
        left = torch.randint(-127, 128, (size, size), device=device, dtype=torch.int8)
        weights = torch.randint(-127, 128, (size, size), device=device, dtype=torch.int8)
        out = torch.empty(size, size, device=device, dtype=torch.int32)
        return lambda: torch._int_mm(left, weights.t(), out=out)

    try:
        return _fastest(product, device, "int8", _where(device, threads))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AttributeError) as error:  # a card of before int8, a torch without the product
        return Unmeasured(f"torch has no product of int8 here: {oneline(error, 200)}")


def _fastest(product: Callable[[int], Callable[[], object]], device: torch.device, name: str, where: str) -> Ceiling:
    best, side, sizes = 0.0, 0, CPU_SIZES if device.type == "cpu" else GPU_SIZES
    for size in sizes:
        with suppress(torch.OutOfMemoryError):  # a card that is nearly full: what still fits is measured
            seconds = _best(product(size), device)
            best, side = max((best, side), (2 * size**3 / seconds, size))
            if seconds > SLOW:
                break
    if not best:
        raise torch.OutOfMemoryError(f"no room on {device} for three matrices of {sizes[0]}x{sizes[0]}")
    return Ceiling(best, f"best matrix product of {side}x{side} in {name}, measured on {where}")


@lru_cache(maxsize=8)
def _copy(device: torch.device, threads: int) -> Bandwidth:
    size = CPU_COPY if device.type == "cpu" else GPU_COPY
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rate = 2 * size / _best(lambda: target.copy_(source), device)
    how = f"best copy of {size >> 20} MiB, read and written, measured on {_where(device, threads)}"
    return Bandwidth(rate, how, size)


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


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _where(device: torch.device, threads: int) -> str:
    return f"{threads} CPU threads" if device.type == "cpu" else torch.cuda.get_device_name(device)


def _object(raw: object, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise RecordError(f"{where} must be an object, not {type(raw).__name__}")
    return raw


def _ceiling(raw: object, where: str) -> Ceiling:
    told = _object(raw, f"ceilings: {where}")
    return Ceiling(_rate(told, "flops_per_second", where), str(told.get("how")))


def _rate(raw: Mapping[str, Any], name: str, where: str) -> float:
    found = raw.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not (math.isfinite(found) and found > 0):
        raise RecordError(f"ceilings: {where}: {name} must be a rate above zero, not {oneline(repr(found), 40)}")
    return float(found)
