"""Meters of a process's memory, phase by phase: resident memory on a CPU; NVML and torch's allocator on a GPU.

    with meter_of("cuda:0", "GPU-…") as meter:
        with meter.phase("load"):
            ...
    meter.found().peaks["load"]        # bytes, or None and found().absent

To be used in a fresh process, before torch is imported: what came before a meter is not seen, or is no longer free.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.measure.memory_sampler import Extent, MemorySampler, Sampled

BEFORE = "before"  # a phase of the sampler: what others hold of the device
PROC = Path("/proc/self")


@dataclass(frozen=True)
class Metered:
    """Peaks in bytes by phase, of what `how` says; `above`: the part of them that came after the first phase, where it
    is known by itself (torch's allocator), else the difference. `base`: the first phase's, without what is in `above`.
    """

    how: str
    peaks: Mapping[str, int | None]
    base: int | None
    above: Mapping[str, int]
    allocator: int | None  # peak of torch's CUDA allocator over all phases
    absent: str | None = None


class Meter(Protocol):
    def phase(self, name: str) -> AbstractContextManager[None]:
        """What runs inside is the phase `name`; it ends with the device idle."""

    def found(self) -> Metered:
        """After the last phase and outside of `with`."""


@contextmanager
def meter_of(device: str, uuid: str) -> Iterator[Meter]:
    """The meter of a device. `uuid`: of its card; torch is not asked, as asking may already take memory."""
    with ExitStack() as stack:
        if device.startswith("cuda"):
            sampler = stack.enter_context(MemorySampler(uuid))
            yield DeviceMemory(sampler, device)
        else:
            yield Resident()


class Resident:
    """Peak resident memory of this process: VmHWM, which Linux lets us reset."""

    how = "resident memory of a fresh process (Linux VmHWM, reset before each phase)"

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._peaks: dict[str, int | None] = {}
        self._absent: str | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._peaks[name] = None
        self._asked(lambda: (self._proc / "clear_refs").write_text("5"))  # resets VmHWM to what is resident now
        yield
        self._peaks[name] = self._asked(self._most)

    def found(self) -> Metered:
        known = {name: peak for name, peak in self._peaks.items() if peak is not None}
        if self._absent is not None or len(known) < len(self._peaks):
            return Metered(self.how, dict.fromkeys(self._peaks), None, {}, None, self._absent or "a phase did not end")
        first = next(iter(known.values()))
        return Metered(self.how, dict(known), first, {name: max(0, peak - first) for name, peak in known.items()}, None)

    def _most(self) -> int:
        lines = dict(line.split(":", 1) for line in (self._proc / "status").read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024

    def _asked(self, question: Callable[[], int]) -> int | None:
        try:
            return question()
        except (OSError, LookupError) as error:
            what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else "status has no VmHWM"
            self._absent = self._absent or f"the peak of resident memory cannot be had here: {what}"
            return None


@dataclass(frozen=True)
class Allocator:
    """What torch's CUDA allocator says of a phase, in bytes: at most and at its end."""

    allocated: int
    reserved: int
    reserved_last: int


@dataclass
class DeviceMemory:
    """NVML's peaks by a sampling process, and those of torch's allocator, which needs no sampling."""

    sampler: MemorySampler
    device: str
    allocators: dict[str, Allocator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sampler.phase(BEFORE)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.sampler.phase(name)
        if (torch := _torch()) is not None:
            torch.cuda.reset_peak_memory_stats(self.device)
        yield
        cuda = sys.modules["torch"].cuda
        cuda.synchronize(self.device)
        self.allocators[name] = Allocator(
            cuda.max_memory_allocated(self.device),
            cuda.max_memory_reserved(self.device),
            cuda.memory_reserved(self.device),
        )
        self.sampler.phase(f"after {name}")

    def found(self) -> Metered:
        return combined(self.sampler.sampled, self.allocators)


def combined(sampled: Sampled, allocators: Mapping[str, Allocator]) -> Metered:
    """NVML's readings and the allocator's as one: this process's own bytes where NVML lists it in every phase; else
    what the device holds above what it held before.

    Segments that the allocator gave back between two readings are known to the allocator alone: to what NVML says at a
    phase's end its peak is added, above its reserve then.
    """
    allocated = max(one.allocated for one in allocators.values())
    phases = {name: sampled.phases.get(name) for name in allocators}
    owned = {name: phase.own for name, phase in phases.items() if phase is not None and phase.own is not None}
    before = sampled.phases.get(BEFORE)
    if len(owned) == len(allocators):
        seen, base, what = owned, 0, "NVML, memory of this process on the device"
    elif before is not None and before.device is not None:
        seen = {name: phase.device for name, phase in phases.items() if phase is not None and phase.device is not None}
        base = before.device.last
        what = (
            "NVML, device delta: all that the device holds above what it held before this process (another's changes "
            f"would count as ours), because {sampled.own_absent or 'NVML did not list this process in every phase'}"
        )
    else:
        seen, base, what = {}, 0, "NVML"
    if len(seen) < len(allocators):
        reason = sampled.device_absent or "the memory sampler saw not every phase"
        return Metered(what, dict.fromkeys(allocators), None, {}, allocated, reason)
    peaks = {name: _peak(seen[name], one) - base for name, one in allocators.items()}
    samples = sum(phase.samples for phase in phases.values() if phase)
    seconds = sum(phase.seconds for phase in phases.values() if phase)
    how = (
        f"{what}; {samples} readings, one every {1e3 * seconds / max(samples, 1):.1f} ms, and at a phase's end the "
        "allocator's peak above its reserve then"
    )
    first = next(iter(allocators))
    return Metered(
        how,
        peaks,
        seen[first].last - base - allocators[first].reserved_last,
        {name: one.allocated for name, one in allocators.items()},
        allocated,
    )


def _peak(seen: Extent, allocator: Allocator) -> int:
    return max(seen.peak, seen.last + allocator.reserved - allocator.reserved_last)


def _torch() -> Any:
    """torch, if it has been imported: the first phase is the one that does."""
    return sys.modules.get("torch")
