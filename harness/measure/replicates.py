"""Several processes, one after another, each timing all variants in an order of its own: A B C, B C A, C A B …

    found = replicates(job, processes=7, tell=print_progress)
    found.of("int8", Workload(8, 1, 32)).groups("ttft")        # seconds: a tuple a process, its valid rounds

Rounds of one process are alike for reasons that another process does not share (memory layout, kernels chosen, what
else ran), so intervals are of processes; and as each process times every variant, drift of the machine meets all alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from harness.errors import ModelError
from harness.measure.timing import Workload
from harness.measure.validity import (
    CLOCK_DROP_LIMIT,
    LEAST_SHARE,
    LEAST_VALID,
    STOLEN_LEAST_TICKS,
    STOLEN_LIMIT,
    over,
)
from harness.measure.worker import Job
from harness.measure.worker_process import lines_of

Tell = Callable[[int, int, str], None]
# A shared host drifts by a tenth, which the ruler itself takes out; what is disturbed by more is another machine, and
# slows the parts of a model by other factors than those of the ruler.
RULER_LIMIT = 0.25
SWEEP_PROCESSES = 3  # a sweep shows how times grow; no budget or gate hangs on a few percent of it


@dataclass
class Timed:
    """A variant under a workload, in every process that timed it."""

    workload: Workload
    processes: list[Mapping[str, Any]] = field(default_factory=list)  # the worker's lines, with their `place`
    places: int = 1  # processes that were to time it
    sweep: bool = False  # shows how times grow, in fewer processes
    error: str = ""  # what stood in the way in some process: such as more frames than the context holds

    @property
    def impossible(self) -> str:
        """Why no process could time it; empty where one could."""
        return "" if self.processes else self.error

    def groups(self, row: str) -> tuple[tuple[float, ...], ...]:
        """Seconds of the valid rounds, a tuple a process; empty in the place of one that lost more than half of its
        rounds, so that processes of two variants stay paired. () where none has enough.
        """
        return self._of_valid(lambda taken: _seconds(taken, row))

    def rulers(self, row: str) -> tuple[tuple[float, ...], ...]:
        """Beside each of `groups`: seconds that the ruler took around its round."""
        if any(process["ruler"] is None for process in self.processes):
            return ()
        return self._of_valid(lambda taken: [taken["ruler"]] * len(_seconds(taken, row)))

    def _of_valid(self, told: Callable[[Mapping[str, Any]], list[float]]) -> tuple[tuple[float, ...], ...]:
        found: list[tuple[float, ...]] = [()] * self.places
        for process in self.processes:
            valid = [taken for taken in process["rounds"] if not taken["broken"]]
            if len(valid) >= LEAST_SHARE * len(process["rounds"]):
                found[process["place"]] = tuple(number for taken in valid for number in told(taken))
        return tuple(found) if any(found) else ()

    def replayed(self, row: str) -> list[float]:
        """The valid rounds' seconds, one process after another; where all are broken, theirs: they are shown."""
        valid = [second for group in self.groups(row) for second in group]
        if valid:
            return valid
        rounds = [taken for process in self.processes for taken in process["rounds"]]
        return [second for taken in rounds for second in _seconds(taken, row)]

    @property
    def invalid_reasons(self) -> tuple[str, ...]:
        """Why nothing should be concluded from these rounds; empty when it may."""
        rounds = [taken for process in self.processes for taken in process["rounds"]]
        broken = [taken for taken in rounds if taken["broken"]]
        valid, reasons = len(rounds) - len(broken), []
        if not broken and rounds and valid < LEAST_VALID:
            reasons.append(f"{valid} rounds were timed, fewer than {LEAST_VALID}")
        elif broken and (valid < LEAST_SHARE * len(rounds) or valid < LEAST_VALID):
            texts = [(kind, text) for taken in broken for kind, text in taken["broken"]]
            kind, count = Counter(kind for kind, _ in texts).most_common(1)[0]
            example = next(text for of, text in texts if of == kind)
            reasons.append(f"{len(broken)} of {len(rounds)} rounds are broken, {count} by {kind}, as: {example}")
        if self.error and len(self.processes) < LEAST_SHARE * self.places:
            reasons.append(f"{len(self.processes)} of {self.places} processes could time it: {self.error}")
        stolen, busy = (sum(process[name] for process in self.processes) for name in ("stolen_ticks", "busy_ticks"))
        if stolen + busy >= STOLEN_LEAST_TICKS and stolen > STOLEN_LIMIT * (stolen + busy):
            share = stolen / (stolen + busy)
            reasons.append(f"the hypervisor gave {share:.0%} of the CPU time to others (limit {STOLEN_LIMIT:.0%})")
        return tuple(reasons)

    def as_json(self) -> dict[str, Any]:
        """What a record says of the rounds: how many, which were broken and why, how long the warm-up was."""
        return {
            "processes": [
                {
                    "rounds": len(process["rounds"]),
                    "warmup": len(process["warmup"]),
                    "steady": process["steady"],
                    "median_error": process.get("median_error"),
                    "broken": [
                        {"round": at, "answer_ms": taken["answer"] * 1e3, "why": [text for _, text in taken["broken"]]}
                        for at, taken in enumerate(process["rounds"])
                        if taken["broken"]
                    ],
                    "notes": process["notes"],
                    "machine": process["machine"],
                    "wall_s": process["wall"],
                }
                for process in self.processes
            ],
            "asked": self.places,
            **({"failed": self.error} if self.error else {}),
            "ruler": self.processes[0]["ruler"] if self.processes else None,
            "threads": self.processes[0]["threads"] if self.processes else None,
            "prompt_tokens": self.processes[0]["prompt_tokens"] if self.processes else None,
            "frame_size": min((one["frame_size"] for one in self.processes), key=math.prod, default=None),
        }


@dataclass
class Replicates:
    """All variants under all workloads, and the device's ceilings as the first process found them."""

    timed: dict[tuple[str, Workload], Timed] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # variant → why it could not be loaded
    ceilings: Mapping[str, Any] | None = None

    def of(self, variant: str, workload: Workload) -> Timed:
        """ModelError with its reason for a variant that could not be timed."""
        if variant in self.failed:
            raise ModelError(f"{variant}: {self.failed[variant]}")
        return self.timed[variant, workload]


def replicates(
    job: Job, processes: int, tell: Tell, sweeps: Collection[Workload] = (), timeout_s: float = 3600
) -> Replicates:
    """Run the job in so many processes, the workloads of `sweeps` in the first SWEEP_PROCESSES of them alone.
    `tell(done, total, note)` follows each variant × workload. ModelError with the last line of a process that fails.
    """
    workloads = [Workload(**one) for one in job.workloads]
    found = Replicates()
    for load in workloads:
        places = min(SWEEP_PROCESSES, processes) if load in sweeps else processes
        found.timed |= {(one.variant, load): Timed(load, places=places, sweep=load in sweeps) for one in job.variants}
    asked = [[one for one in workloads if number < SWEEP_PROCESSES or one not in sweeps] for number in range(processes)]
    total = len(job.variants) * sum(map(len, asked))
    done = 0
    for number in range(processes):
        turn = number % len(job.variants)  # each variant is as often early as late
        first = number == 0
        own = replace(
            job,
            variants=(*job.variants[turn:], *job.variants[:turn]),
            workloads=tuple(vars(one) for one in asked[number]),
            sweeps=tuple(vars(one) for one in sweeps),
            ceilings=job.ceilings and first,
            energy=job.energy and first,
        )
        for line in lines_of(own, timeout_s):
            if "ceilings" in line:
                found.ceilings = line["ceilings"]
                continue
            if line["workload"] is None:
                found.failed.setdefault(line["variant"], line["error"])
                done += len(asked[number])
                tell(done, total, f"process {number + 1} of {processes}: {line['variant']} could not be loaded")
                continue
            load = Workload(**line["workload"])
            timed = found.timed[line["variant"], load]
            if "error" in line:
                timed.error = timed.error or line["error"]
            else:
                timed.processes.append({**line, "place": number})
            done += 1
            tell(done, total, f"process {number + 1} of {processes}: {line['variant']} {load.id}")
    _break_slow_moments([process for timed in found.timed.values() for process in timed.processes])
    return found


def _break_slow_moments(processes: Sequence[Mapping[str, Any]]) -> None:
    """Rounds around which the ruler took much longer than it usually did in this run: who else was there cannot always
    be seen (a neighbour on the same core's other thread waits for nobody), but what it does to us can. And rounds whose
    SM clock lies below the run's: a process that met a slower card throughout saw no drop itself.
    """
    clocked = [taken for process in processes for taken in process["rounds"] if taken.get("sm_mhz")]
    clock = median(taken["sm_mhz"] for taken in clocked) if clocked else 0
    for taken in clocked:
        drop = 1 - taken["sm_mhz"] / clock
        if drop > CLOCK_DROP_LIMIT and "clock drop" not in [kind for kind, _ in taken["broken"]]:
            taken["broken"].append(["clock drop", over("clock drop", drop).text])
    rounds = [taken for process in processes for taken in process["rounds"] if taken["ruler"] is not None]
    if not rounds:
        return
    usual = median(taken["ruler"] for taken in rounds)
    for taken in rounds:
        longer = taken["ruler"] / usual - 1
        if longer > RULER_LIMIT:
            text = f"a fixed piece of work took {longer:.0%} longer than usual (limit {RULER_LIMIT:.0%})"
            taken["broken"].append(["slow machine", text])


def _seconds(taken: Mapping[str, Any], row: str) -> list[float]:
    return list(taken["tokens"]) if row == "itl" else [taken[row]]
