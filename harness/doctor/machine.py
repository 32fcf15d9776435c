"""The machine under the models: cores and who else uses them, memory, and what a control group allows of both.

processor(), load(), memory(), each from /proc and /sys/fs/cgroup; tests give folders of their own
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.doctor.finding import Finding, Status
from harness.measure.proc import Spent
from harness.measure.validity import STOLEN_LIMIT

AREA = "machine"
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
BUSY = 0.25  # of the cores: timed rounds take one, and pytest and the kernel the rest of another
TICK = 0.01  # seconds, of /proc/stat
# A process of the tiny pair holds 0.5 GB, libraries included, and pytest holds another beside it.
LEAST, ENOUGH = 1.0e9, 2.0e9


@dataclass(frozen=True)
class Limits:
    """What the control group of this process allows: CPUs and bytes; None: as much as there is."""

    cpus: float | None
    memory: int | None


def limits(proc: Path = PROC, cgroup: Path = CGROUP) -> Limits:
    """The least over the group and those above it; of both versions of control groups."""
    cpus: list[float] = []
    memory: list[int] = []
    lines = [line.split(":", 2) for line in _text(proc / "self" / "cgroup").splitlines()]
    for fields in (fields for fields in lines if len(fields) == 3):
        for at in _upwards(fields[2]):
            if fields[0] == "0":  # version 2
                quota, _, period = _text(cgroup / at / "cpu.max").partition(" ")
                with suppress(ValueError, ZeroDivisionError):
                    cpus.append(int(quota) / int(period))
                with suppress(ValueError):
                    memory.append(int(_text(cgroup / at / "memory.max")))
            elif "cpu" in fields[1].split(","):
                folder = cgroup / "cpu" / at
                with suppress(ValueError, ZeroDivisionError):
                    quota_us = int(_text(folder / "cpu.cfs_quota_us"))
                    if quota_us > 0:  # -1: none
                        cpus.append(quota_us / int(_text(folder / "cpu.cfs_period_us")))
            elif "memory" in fields[1].split(","):
                with suppress(ValueError):
                    memory.append(int(_text(cgroup / "memory" / at / "memory.limit_in_bytes")))
    return Limits(min(cpus, default=None), min((size for size in memory if size < 1 << 60), default=None))


def processor(name: str, cores: int, usable: int, allowed: Limits) -> Finding:
    """Cores that this process may run on, of those there are, and the control group's quota."""
    words = f"{name}, {usable} of {cores} cores" if usable < cores else f"{name}, {cores} core" + "s" * (cores > 1)
    if allowed.cpus is not None and allowed.cpus < usable:
        remedy = f"OMP_NUM_THREADS={max(1, int(allowed.cpus))}: more threads than that wait for their quota"
        return Finding(AREA, "CPU", "warning", f"{words}, but a quota of {allowed.cpus:g}", remedy)
    return Finding(AREA, "CPU", "ok", words)


def threads(usable: int, environment: Mapping[str, str] = os.environ) -> Finding:
    """OMP_NUM_THREADS against the cores there are."""
    said = environment.get("OMP_NUM_THREADS")
    if said is None:
        return Finding(
            AREA, "threads", "ok", "OMP_NUM_THREADS is not set: torch decides, and a pair's latency.threads when timed"
        )
    remedy = f"unset OMP_NUM_THREADS, or a number from 1 to {usable}"
    if not said.isdecimal() or int(said) < 1:
        return Finding(AREA, "threads", "warning", f"OMP_NUM_THREADS={said} is no number of threads", remedy)
    if int(said) > usable:
        return Finding(AREA, "threads", "warning", f"OMP_NUM_THREADS={said} on {usable} cores: they wait", remedy)
    return Finding(AREA, "threads", "ok", f"OMP_NUM_THREADS={said}")


def load(usable: int, proc: Path = PROC) -> Finding:
    """How busy the machine is: timings need quiet."""
    text = _text(proc / "loadavg").split()
    if len(text) < 3:
        return Finding(AREA, "load", "not here", "the load cannot be read here: who else computes is not known")
    minute, quarter = float(text[0]), float(text[2])
    words = f"{minute:.1f} in the last minute, {quarter:.1f} in 15, on {usable} core" + "s" * (usable > 1)
    if minute > BUSY * usable:
        remedy = "wait, or end what computes: rounds that it disturbs are left out, and with too few there is no time"
        return Finding(AREA, "load", "warning", words, remedy)
    return Finding(AREA, "load", "ok", words)


def stolen(was: Spent, now: Spent, seconds: float, usable: int) -> Finding:
    """What the hypervisor gave to other machines while this was examined."""
    ticks, _ = now.ticks_since(was)
    if ticks is None:
        return Finding(AREA, "hypervisor", "ok", "none that takes time away can be seen")
    share = ticks * TICK / max(seconds * usable, TICK)
    words = f"took {100 * share:.0f} % of our CPUs' time in the last {seconds:.1f} s"
    if share > STOLEN_LIMIT:
        remedy = (
            f"time on another host, or at another hour: rounds with more than {100 * STOLEN_LIMIT:.0f} % are left out"
        )
        return Finding(AREA, "hypervisor", "warning", words, remedy)
    return Finding(AREA, "hypervisor", "ok", words)


def memory(allowed: Limits, proc: Path = PROC) -> Iterator[Finding]:
    """What is free, of the machine and of the control group; and what lies in swap."""
    told = dict(line.split(":", 1) for line in _text(proc / "meminfo").splitlines() if ":" in line)
    sizes = {name: int(value.split()[0]) * 1024 for name, value in told.items() if value.split()[:1]}
    if "MemAvailable" not in sizes:
        yield Finding(AREA, "memory", "not here", "how much is free cannot be read here (no /proc/meminfo)")
        return
    free, total = sizes["MemAvailable"], sizes["MemTotal"]
    words = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    if allowed.memory is not None and allowed.memory < total:
        words += f"; the control group allows {allowed.memory / 1e9:.1f} GB"
        free = min(free, allowed.memory)
    remedy = "end what holds it, or allow more: the tiny pair takes 0.5 GB a process, two at once"
    status: Status = "will not work" if free < LEAST else "warning" if free < ENOUGH else "ok"
    yield Finding(AREA, "memory", status, words, "" if status == "ok" else remedy)
    swapped = sizes.get("SwapTotal", 0) - sizes.get("SwapFree", 0)
    if swapped > sizes["MemTotal"] // 20:
        said = f"{swapped / 1e9:.1f} of {sizes['SwapTotal'] / 1e9:.1f} GB used: what was pushed out is read back slowly"
        yield Finding(AREA, "swap", "warning", said, "free memory before timing; rounds that read pages are left out")
    else:
        yield Finding(AREA, "swap", "ok", "none" if not sizes.get("SwapTotal") else "hardly used")


def _upwards(path: str) -> Iterator[str]:
    """A group and those above it, the root as an empty name."""
    parts = [part for part in path.strip().split("/") if part and part != ".."]
    for count in range(len(parts), -1, -1):
        yield "/".join(parts[:count])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
