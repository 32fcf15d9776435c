"""Peaks of a card's memory between its readings: a process of its own that asks NVML every 5 ms, phase by phase.

    with MemorySampler("GPU-…") as sampler:
        sampler.phase("load")
        ...
        sampler.phase("prefill")
        ...
    sampler.sampled.phases["load"].device.peak       # bytes in use on the device; .own: of this process, or None

    python -m harness.measure.memory_sampler UUID PID    # what it starts: phase names in, each answered; then JSON out

A process of its own, as a thread would wait for the interpreter's lock while a kernel is launched or weights are read.
It ends with its parent, holds no memory of the card and does not import torch. Each phase has a reading at its begin
and one at its end, however short it was.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness.errors import ResourceError, oneline
from harness.measure.nvml import Card, Reading

INTERVAL_S = 0.005
PATIENCE_S = 30.0  # for an answer of the sampler: it starts an interpreter, and NVML takes a second on some nodes


@dataclass(frozen=True)
class Extent:
    """Bytes in use: at most, and at the phase's end."""

    peak: int
    last: int


@dataclass(frozen=True)
class Phase:
    """What was seen of a phase; of this process None where NVML did not list it in any reading."""

    samples: int
    seconds: float
    device: Extent | None
    own: Extent | None

    @property
    def interval_s(self) -> float:
        """Seconds from one reading to the next, on the average: more than INTERVAL_S where NVML is slow."""
        return self.seconds / max(self.samples - 1, 1)


@dataclass(frozen=True)
class Sampled:
    """All phases, and why one of the two was not to be had in the last reading (None: it was)."""

    phases: Mapping[str, Phase]
    device_absent: str | None = None
    own_absent: str | None = None

    @classmethod
    def nothing(cls, reason: str) -> Sampled:
        return cls({}, reason, reason)


class MemorySampler:
    """Samples the memory of a card, and of this process on it, until it is closed. ResourceError if it cannot run."""

    def __init__(self, uuid: str, pid: int | None = None) -> None:
        self._uuid, self._pid = uuid, os.getpid() if pid is None else pid
        self._process: subprocess.Popen[str] | None = None
        self.sampled = Sampled.nothing("nothing was sampled")

    def __enter__(self) -> MemorySampler:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.measure.memory_sampler", self._uuid, str(self._pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        return self

    def phase(self, name: str) -> None:
        """From now on readings are of this phase: it returns when the first has been taken."""
        into, out = self._pipes()
        with suppress(BrokenPipeError):
            into.write(f"{name}\n")
            into.flush()
        ready = select.select([out], [], [], PATIENCE_S)[0]
        if not ready or out.readline().strip() != name:
            raise self._fault()

    def __exit__(self, *raised: object) -> None:
        process = self._process
        if process is None:
            return
        try:
            out, _ = process.communicate(timeout=PATIENCE_S)  # closes its stdin: it answers and ends
            self.sampled = _sampled(json.loads(out.strip().splitlines()[-1]))
        except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
            process.kill()
            process.wait()
            self.sampled = Sampled.nothing(f"the memory sampler did not answer: {oneline(error, 100)}")

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        process = self._process
        assert process is not None, "within `with`"
        assert process.stdin is not None
        assert process.stdout is not None
        return process.stdin, process.stdout

    def _fault(self) -> ResourceError:
        assert self._process is not None
        self._process.kill()
        _, said = self._process.communicate()
        last = said.strip().splitlines()[-1] if said.strip() else "no answer"
        return ResourceError(f"the memory sampler failed: {last}")


def _sampled(raw: Mapping[str, Any]) -> Sampled:
    def extent(found: Mapping[str, int] | None) -> Extent | None:
        return None if found is None else Extent(**found)

    phases = {
        name: Phase(one["samples"], one["seconds"], extent(one["device"]), extent(one["own"]))
        for name, one in raw["phases"].items()
    }
    return Sampled(phases, raw["device_absent"], raw["own_absent"])


# --- the other process -----------------------------------------------------------------------------


@dataclass
class _Extent:
    peak: int = 0
    last: int = 0
    seen: bool = False

    def add(self, reading: Reading[int]) -> None:
        if reading.value is not None:
            self.peak, self.last, self.seen = max(self.peak, reading.value), reading.value, True

    def plain(self) -> dict[str, int] | None:
        return {"peak": self.peak, "last": self.last} if self.seen else None


@dataclass
class _Phase:
    samples: int = 0
    seconds: float = 0.0
    device: _Extent = field(default_factory=_Extent)
    own: _Extent = field(default_factory=_Extent)


def sample(card: Card, pid: int) -> dict[str, Any]:
    """Answer each line of stdin once its phase has begun, until stdin ends: all that was seen, as plain JSON."""
    phases: dict[str, _Phase] = {}
    now: _Phase | None = None
    absent: dict[str, str | None] = {"device": None, "own": None}
    pending, parent = b"", os.getppid()

    def read(into: _Phase) -> None:
        memory, own = card.memory(), card.memory_of(pid)
        into.samples += 1
        into.device.add(Reading(memory.value.used) if memory.value else Reading(None, memory.absent))
        into.own.add(own)
        absent.update(device=memory.absent, own=own.absent)

    began = due = time.perf_counter()
    while os.getppid() == parent:  # an orphan has nobody to tell, even where somebody else still holds the pipe
        due = max(due + INTERVAL_S, time.perf_counter())
        told = select.select([0], [], [], max(0.0, due - time.perf_counter()))[0]
        if now is not None:
            read(now)
        if not told:
            continue
        arrived = os.read(0, 4096)
        *lines, pending = (pending + arrived).split(b"\n")
        for line in lines:
            moment = time.perf_counter()
            if now is not None:
                now.seconds += moment - began
            now, began = phases.setdefault(line.decode().strip(), _Phase()), moment
            read(now)
            print(line.decode().strip(), flush=True)
        if not arrived:
            break
    if now is not None:
        now.seconds += time.perf_counter() - began
    found = {
        name: {"samples": one.samples, "seconds": one.seconds, "device": one.device.plain(), "own": one.own.plain()}
        for name, one in phases.items()
    }
    return {"phases": found, "device_absent": absent["device"], "own_absent": absent["own"]}


if __name__ == "__main__":
    print(json.dumps(sample(Card.open(sys.argv[1]), int(sys.argv[2]))))
