"""Was a timed round the variant's own, or did something else hold the machine? Each round's state.

    watch = Watch(torch.device("cpu"))
    for _ in range(20):
        watch.before()
        answer()                            # timed, ended by the device
        states.append(watch.after())        # states[-1].reasons: () when valid
    judge_rounds(states).states             # with the SM clock judged, too

A round that breaks is shown and excluded; a run with too few others is invalid (`replicates.py`). `before` and `after`
lie outside of the clock's reading; together they take some 100 µs on a CPU. Of a card they read clocks, throttling and
pids at a round's two ends, not within it. What cannot be read is told (`absent`) and not judged.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from harness.measure.card_state import CardSetting, CardState, setting_of, state_of
from harness.measure.nvml import BREAKING, Card, card_of
from harness.measure.proc import Processor, Spent

if TYPE_CHECKING:
    import torch

# The share of a round in which a thread of ours was ready and another process ran. At a tenth the round is a ninth too
# long, about what separates two variants that are worth comparing; an undisturbed machine shows below 2 %.
WAITED_LIMIT = 0.10
# The share that the hypervisor gave to other machines. Nobody here can see whom it hit, so the limit is half of that.
STOLEN_LIMIT = 0.05
# Linux counts steal in ticks of 10 ms: with fewer than 20 a single tick is above the limit, and only the run is judged.
STOLEN_LEAST_TICKS = 20
# A page that had to be read from a disk costs 0.1 ms (NVMe) to 10 ms (a network's); 1 ms each is counted. Warm-up has
# touched all code and weights, so that a round with more than a few has lost pages to someone.
FAULT_SECONDS, FAULT_LIMIT = 1e-3, 0.05
# Below the run's median by more than this the card was another card: boost steps are 15 MHz of some 1,500.
CLOCK_DROP_LIMIT = 0.10
LEAST_VALID, LEAST_SHARE = (
    5,
    0.5,
)  # fewer valid rounds give no interval; a machine that is mostly disturbed is no machine

TEXTS = {
    "cpu wait": "others held the CPU for {value:.0f} % of the time (limit {limit:.0f} %)",
    "steal": "the hypervisor gave the CPU to others for {value:.0f} % of the time (limit {limit:.0f} %)",
    "page faults": "pages were read from disk for about {value:.0f} % of the time (limit {limit:.0f} %)",
    "clock drop": "the SM clock was {value:.0f} % below the run's median (limit {limit:.0f} %)",
}
LIMITS = {"cpu wait": WAITED_LIMIT, "steal": STOLEN_LIMIT, "page faults": FAULT_LIMIT, "clock drop": CLOCK_DROP_LIMIT}


@dataclass(frozen=True)
class Fault:
    """What broke a round; `text`: one line with the limit."""

    kind: str
    text: str


@dataclass(frozen=True)
class RoundState:
    """One round: how long it took by the watch's own clock, what was read, and what of it is a fault."""

    seconds: float
    faults: tuple[Fault, ...]
    waited: float | None  # share of the round, of the thread that waited longest
    stolen_ticks: int | None
    busy_ticks: int | None  # of our CPUs, of anybody; with what was stolen: what was wanted
    major_faults: int
    load: float | None  # runnable threads of the machine, mean of the last minute; told, no fault by itself
    before: CardState | None = None
    after: CardState | None = None
    setting: CardSetting | None = None
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the round is not valid, a line each; empty when it is."""
        return tuple(fault.text for fault in self.faults)


@dataclass(frozen=True)
class Judged:
    """All rounds of a process. `notes`: told, no fault. Whether enough are left, `Timed` in replicates.py says of all
    processes together.
    """

    states: tuple[RoundState, ...]
    notes: tuple[str, ...]


class Watch:
    """Reads the machine around each round. `proc`: another /proc, for tests; `card`: one that is open already."""

    def __init__(self, device: torch.device, *, proc: Path = Path("/proc"), card: Card | None = None) -> None:
        self._processor = Processor(proc)
        self._card = card if card is not None else card_of(device) if device.type == "cuda" else None
        self._setting = None if self._card is None else setting_of(self._card)
        self._known, note = (frozenset[int](), "") if self._card is None else _ours(self._card)
        self._notes = {"neighbours": note} if note else {}
        self._begin: tuple[Spent, CardState | None, int, float] | None = None

    def before(self) -> None:
        """Right before the round's own clock is started, with the device idle."""
        card = None if self._card is None else state_of(self._card)
        spent, pages = self._processor.spent(), _major_faults()
        self._begin = spent, card, pages, time.perf_counter()

    def after(self) -> RoundState:
        """Right after the round's own clock was stopped. RuntimeError without a `before`."""
        end = time.perf_counter()
        if self._begin is None:
            raise RuntimeError("after() without before()")
        (spent, before, pages, begin), self._begin = self._begin, None
        after = None if self._card is None else state_of(self._card)
        return self._judged(end - begin, spent, self._processor.spent(), _major_faults() - pages, before, after)

    def _judged(
        self, seconds: float, was: Spent, now: Spent, pages: int, before: CardState | None, after: CardState | None
    ) -> RoundState:
        waited = now.waited_since(was, seconds)
        stolen, busy = now.ticks_since(was)
        absent, faults = {**now.absent, **self._notes}, []
        for moment in (before, after):
            absent.update({f"card: {reason}": reason for reason in (moment.absent if moment else ())})
        if waited is not None and waited > WAITED_LIMIT:
            faults.append(over("cpu wait", waited))
        if stolen and busy is not None and stolen + busy >= STOLEN_LEAST_TICKS:
            share = stolen / (stolen + busy)
            faults += [over("steal", share)] if share > STOLEN_LIMIT else []
        if (read := pages * FAULT_SECONDS / max(seconds, 1e-9)) > FAULT_LIMIT:
            faults.append(over("page faults", min(read, 1.0)))
        faults += self._of_card(before, after)
        return RoundState(
            seconds, tuple(faults), waited, stolen, busy, pages, now.load, before, after, self._setting, absent
        )

    def _of_card(self, before: CardState | None, after: CardState | None) -> list[Fault]:
        moments = [moment for moment in (before, after) if moment is not None]
        held = [name for moment in moments for name in moment.throttled if name in BREAKING]
        faults = [Fault("throttled", f"the card throttled: {', '.join(dict.fromkeys(held))}")] if held else []
        new = sorted({pid for moment in moments for pid in moment.pids or ()} - self._known)
        if new:
            pids = ", ".join(map(str, new[:4])) + (" and more" if len(new) > 4 else "")
            faults.append(Fault("foreign process", f"another process was on the card (pid {pids})"))
        return faults


def judge_rounds(states: Sequence[RoundState]) -> Judged:
    """The SM clock is judged here, as its median is known only now, by the reading after each round: before it the card
    may have been idle.
    """
    judged = _clocks_judged(states)
    notes = list(judged[0].setting.notes) if judged and judged[0].setting else []
    notes += dict.fromkeys(reason for state in judged for reason in state.absent.values())
    return Judged(judged, tuple(notes))


def _ours(card: Card) -> tuple[frozenset[int], str]:
    """The pids on the card that break no round, and a note. Where NVML names our own pid, ours and our parent's, which
    holds an idle context; where its pids are those of another namespace, all that are there before the first round.
    """
    found = frozenset(one.pid for one in card.processes().value or ())
    if os.getpid() in found:
        return found & {os.getpid(), os.getppid()}, ""
    others = len(found) - 2  # this process, and the one that started it
    note = f"{len(found)} processes were on the card before the first round, and which are ours cannot be told here"
    return found, note if others > 0 else ""


def _clocks_judged(states: Sequence[RoundState]) -> tuple[RoundState, ...]:
    clocks = [state.after.sm_mhz for state in states if state.after and state.after.sm_mhz]
    if not clocks:
        return tuple(states)
    usual, judged = median(clocks), []
    for state in states:
        drop = 1 - state.after.sm_mhz / usual if state.after and state.after.sm_mhz else 0.0
        faults = (*state.faults, over("clock drop", drop)) if drop > CLOCK_DROP_LIMIT else state.faults
        judged.append(replace(state, faults=faults))
    return tuple(judged)


def over(kind: str, share: float) -> Fault:
    """One of TEXTS, of a share that is over its limit."""
    """One of TEXTS, with the share that is over its limit."""
    return Fault(kind, TEXTS[kind].format(value=100 * share, limit=100 * LIMITS[kind]))


def _major_faults() -> int:
    """Pages of this process that had to be read, swapped-in ones among them. (/proc/vmstat's pswpin is everybody's.)"""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
