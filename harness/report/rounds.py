"""Which timed rounds were left out, and why: of every variant and workload, and each broken round by itself.

What latency's records say of their rounds (`details["rounds"]`); a run of before they said it has no such table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from harness.record import JSON, Record
from harness.report import figures
from harness.report.stages import words_of
from harness.report.view import VariantView

SHOWN = 60  # broken rounds, one line each; more are counted


@dataclass(frozen=True)
class Rounds:
    """`rows`: a cell for each of HEADINGS; `broken`: a line a round."""

    says: str
    rows: tuple[tuple[str, ...], ...]
    broken: tuple[str, ...]
    more: int  # broken rounds that are not among the lines
    notes: tuple[str, ...]


HEADINGS = ("Variant", "Workload", "Processes", "Rounds", "Left out", "Warm-up", "Median known within", "Verdict")


def timed_rounds(views: tuple[VariantView, ...]) -> Rounds | None:
    """None for a run whose records do not say."""
    rows: list[tuple[str, ...]] = []
    broken: list[str] = []
    notes: dict[str, None] = {}
    machines: list[Mapping[str, JSON]] = []
    total = left_out = 0
    for view in views:
        told: set[str] = set()
        for record in view.records:
            processes = _processes(record)
            if not processes or (load := words_of(record)) in told:  # every row of a workload says the same
                continue
            told.add(load)
            count = sum(_count(one, "rounds") for one in processes)
            lines = [line for number, one in enumerate(processes, 1) for line in _broken(one, number)]
            warmups = [_count(one, "warmup") for one in processes]
            unsteady = sum(one.get("steady") is not True for one in processes)
            warmup = f"{min(warmups)}–{max(warmups)}" if min(warmups) != max(warmups) else str(warmups[0])
            if unsteady:
                warmup += f" (not steady in {unsteady} of {len(processes)})"
            verdict = "valid" if record.valid else "; ".join(record.invalid_reasons)
            counts = (str(len(processes)), str(count), str(len(lines)))
            rows.append((view.name, load, *counts, warmup, _known(processes), verdict))
            broken += [f"{view.name}, {load}, {line}" for line in lines]
            notes |= dict.fromkeys(str(note) for one in processes for note in _list(one.get("notes")))
            machines += [machine for one in processes if isinstance(machine := one.get("machine"), Mapping)]
            total, left_out = total + count, left_out + len(lines)
    if not rows:
        return None
    says = f"{figures.count(left_out)} of {figures.count(total)} rounds were broken by what else used the machine"
    around = [words] if (words := _around(machines)) else []
    return Rounds(says, tuple(rows), tuple(broken[:SHOWN]), max(0, len(broken) - SHOWN), (*around, *notes))


READ = {  # as harness/measure/machine_state.py names them: least, median, most
    "load": ("load", "{:.1f}", ""),
    "sm_mhz": ("SM clock", "{:,.0f}", " MHz"),
    "memory_mhz": ("memory clock", "{:,.0f}", " MHz"),
    "temperature_c": ("", "{:.0f}", " °C"),
}


def _around(machines: list[Mapping[str, JSON]]) -> str:
    """What was read around all rounds: "around the rounds: load 0.1 to 0.4, SM clock 1,395 to 1,410 MHz"."""
    told = []
    for name, (label, form, unit) in READ.items():
        readings = [one[name] for one in machines if isinstance(one.get(name), list)]
        known = [float(x) for three in readings for x in _list(three) if isinstance(x, (int, float))]
        if known:
            ends = dict.fromkeys(form.format(end) for end in (min(known), max(known)))
            told.append(f"{label} {' to '.join(ends)}{unit}".strip())
    limits: dict[str, None] = {}
    for one in machines:
        limit, usual = one.get("power_limit_w"), one.get("power_default_w")
        if isinstance(limit, (int, float)) and isinstance(usual, (int, float)):
            limits[f"power limit {limit:g} W of {usual:g} W"] = None
    told += limits
    return f"around the rounds: {', '.join(told)}" if told else ""


def _processes(record: Record) -> list[Mapping[str, JSON]]:
    rounds = record.details.get("rounds")
    found = rounds.get("processes") if isinstance(rounds, Mapping) else None
    return [one for one in _list(found) if isinstance(one, Mapping)]


def _known(processes: list[Mapping[str, JSON]]) -> str:
    """Standard errors of the processes' own medians, the usual one and the largest: "0.6 %, at most 1.4 %"."""
    errors = [float(x) for one in processes if isinstance(x := one.get("median_error"), (int, float))]
    if not errors:
        return "—"
    usual, largest = (f"{100 * x:.1f} %" for x in (median(errors), max(errors)))
    return usual if len(errors) == 1 or usual == largest else f"{usual}, at most {largest}"


def _broken(process: Mapping[str, JSON], number: int) -> list[str]:
    lines = []
    for one in _list(process.get("broken")):
        if isinstance(one, Mapping):
            why = "; ".join(str(reason) for reason in _list(one.get("why")))
            took = one.get("answer_ms")
            took_words = f"{figures.digits(float(took))} ms" if isinstance(took, (int, float)) else "?"
            lines.append(f"process {number}, round {one.get('round')}: {took_words}: {why}")
    return lines


def _count(process: Mapping[str, JSON], name: str) -> int:
    found = process.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _list(raw: JSON) -> list[JSON]:
    return raw if isinstance(raw, list) else []
