"""What Linux counts of our CPUs: how long our threads waited for one, what the hypervisor gave away, the load.

    processor = Processor(Path("/proc"))
    was = processor.spent()
    ...
    processor.spent().waited_since(was, seconds)        # share of the time, of the thread that waited longest

Files are kept open and read again (1 µs each, opening takes 20), so that a round of a millisecond can be watched. A
container shows the /proc/stat of its host: only the lines of those CPUs are read that this process may run on.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# A thread that wanted a CPU for less than this share of the time (a progress bar's, a loader's that is done) does not
# hold the round up, however long it waited; the thread that watches is the one that works, and always counts.
WORKING_SHARE = 0.25


@dataclass(frozen=True)
class Spent:
    """Counters at one moment: `threads`: id → nanoseconds run and waited; `ticks` of 10 ms: stolen and busy."""

    threads: Mapping[int, tuple[int, int]]
    ticks: tuple[int, int] | None
    load: float | None
    main: int
    absent: Mapping[str, str]

    def waited_since(self, was: Spent, seconds: float) -> float | None:
        """The largest share of `seconds` in which a working thread was ready and did not run; None: not known.

        The largest, as threads of a parallel region wait for the last of them. Of who had the CPU Linux says nothing:
        it may be our own other threads, where they are more than CPUs, or a quota's end.
        """
        shares = []
        for thread, (ran, waited) in self.threads.items():
            ran_before, waited_before = was.threads.get(thread, (0, 0))  # started meanwhile
            wanted = (ran - ran_before + waited - waited_before) / 1e9
            if thread == self.main or wanted >= WORKING_SHARE * seconds:
                shares.append(min((waited - waited_before) / 1e9 / max(seconds, 1e-9), 1.0))
        return max(shares, default=None)

    def ticks_since(self, was: Spent) -> tuple[int | None, int | None]:
        """Ticks of our CPUs, stolen and busy; None where they are not counted."""
        if self.ticks is None or was.ticks is None:
            return None, None
        return max(0, self.ticks[0] - was.ticks[0]), max(0, self.ticks[1] - was.ticks[1])


class Processor:
    """Reads the counters of this process below a /proc; the thread that makes it is the one that works."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._tasks, self._main = str(proc / "self" / "task"), threading.get_native_id()
        self._open: dict[str, int] = {}
        weakref.finalize(self, _close, self._open)
        self._threads: dict[str, str] = {}  # name of the thread's folder → its file
        self._stat, self._load = str(proc / "stat"), str(proc / "loadavg")
        self._absent: dict[str, str] = {}
        # On bare metal nothing is stolen, and /proc/stat of a node with hundreds of CPUs takes a millisecond to write.
        self._stealable = "hypervisor" in _text(proc / "cpuinfo")
        self._ours = {f"cpu{number}".encode() for number in os.sched_getaffinity(0)}

    def spent(self) -> Spent:
        """All counters, now. What is not there is told in `absent`."""
        ticks = self._ticks() if self._stealable else None
        load = self._read(self._load)
        threads = self._waited()  # last: nearest to the clock
        if not threads:
            self._absent["waited"] = "how long threads waited for a CPU cannot be read here (no schedstat in /proc)"
        return Spent(threads, ticks, float(load.split()[0]) if load else None, self._main, self._absent)

    def _waited(self) -> dict[int, tuple[int, int]]:
        try:
            present = os.listdir(self._tasks)
        except OSError:
            return {}
        found = {}
        for name in present:
            if (path := self._threads.get(name)) is None:
                path = self._threads[name] = f"{self._tasks}/{name}/schedstat"
            fields = self._read(path).split()
            if len(fields) >= 2:
                found[int(name)] = int(fields[0]), int(fields[1])
        if len(self._threads) > len(present):
            for gone in self._threads.keys() - set(present):
                self._shut(self._threads.pop(gone))
        return found

    def _ticks(self) -> tuple[int, int] | None:
        stolen = busy = seen = 0
        for line in self._read(self._stat, 1 << 16).split(b"intr", 1)[0].splitlines()[1:]:
            name, user, nice, system, _, _, irq, softirq, steal, *_ = line.split()
            if name in self._ours:
                stolen, seen = stolen + int(steal), seen + 1
                busy += int(user) + int(nice) + int(system) + int(irq) + int(softirq)
        return (stolen, busy) if seen else None

    def _read(self, path: str, size: int = 256) -> bytes:
        """A file from its beginning, opened once; nothing where it is not there (any more)."""
        try:
            if path not in self._open:
                self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._open[path], size, 0)
        except OSError:
            self._shut(path)
            return b""

    def _shut(self, path: str) -> None:
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


def _close(descriptors: Mapping[str, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
