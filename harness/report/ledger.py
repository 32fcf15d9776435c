"""When distilling has paid for itself: what making a student took, over what each answer saves against baseline's.

    found = ledger(run, variants(run))
    found.rows[0].after -> "41 200 answers (38 900–43 800)"

In joules where the training and all answers have them; else in time of the device, and a note says why. A saving that
is not shown gives no number: it never pays where an answer takes more, and cannot be told where the interval of the
difference holds zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import oneline
from harness.record import Measurement, Record, Run
from harness.report import figures
from harness.report.compare import baseline_of
from harness.report.cost import priced
from harness.report.view import BASELINE, VariantView, dig, on_cpu
from harness.stats import Estimate, independent_difference

PHASES = {  # as a training's artifact names them; shared: by all that learn from them
    "targets": "The teacher’s answers and states (shared)",
    "features": "Features of the frozen tower (shared)",
    "train": "Training",
}
_NEEDED = ("targets", "train")


@dataclass(frozen=True)
class Phase:
    """What one phase took of the device: hours, joules; None where it is not told."""

    name: str
    hours: float | None
    joules: float | None


@dataclass(frozen=True)
class Made:
    """A training with its phases; `absent`: why there are no joules."""

    variant: str
    seed: str
    phases: tuple[Phase, ...]
    hours: float | None
    joules: float | None
    joules_how: str
    absent: str
    digests: frozenset[str]


@dataclass(frozen=True)
class PaysBack:
    """What a variant's answer takes and saves, and after how many answers the student's making is paid."""

    variant: str
    baseline: str
    answer: str
    saved: str
    after: str


@dataclass(frozen=True)
class Ledger:
    """The phases as rows of text, the variants, and what stands beside them."""

    unit: str  # GPU-hours, CPU-hours
    phases: tuple[tuple[str, str, str], ...]
    by: str  # energy, time of the device
    rows: tuple[PaysBack, ...]
    notes: tuple[str, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the variants' columns."""
        return "Variant", "Baseline’s answer", "Its answer", "Saved an answer", "Paid after"

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The variants as rows of text."""
        return tuple((row.variant, row.baseline, row.answer, row.saved, row.after) for row in self.rows)

    @property
    def says(self) -> str:
        """In time of the device, distilled has paid for itself after 55 600 answers (36 700–118 000)."""
        parts = [
            f"{oneline(row.variant, 60)} {'has paid for itself after ' if row.after[0].isdigit() else ''}{row.after}"
            for row in self.rows
        ]
        return f"In {self.by}, {'; '.join(parts)}."


def ledger(run: Run, views: tuple[VariantView, ...]) -> Ledger | None:
    """The ledger of what was distilled; None where no training of it was priced in this run."""
    made = [_made(view, record, run) for view in views for record in view.records if priced(record)]
    students = [(view, one) for view in views if (one := _origin(view, made, views)) is not None]
    if not students:
        return None
    baseline = baseline_of(views)
    gap = _no_joules(students, baseline)
    rows = tuple(_pays_back(view, one, baseline, energy=not gap) for view, one in students)
    unit = "CPU-hours" if on_cpu(run) else "GPU-hours"
    used = list({id(one): one for _, one in students}.values())
    notes = (*_assumed(students, baseline, run, energy=not gap), *((f"Not in energy: {gap}",) if gap else ()))
    return Ledger(unit, _phase_rows(used), "time of the device" if gap else "energy", rows, notes)


def _made(view: VariantView, record: Record, run: Run) -> Made:
    told = record.details.get("training")
    prices = told.get("price") if isinstance(told, dict) else None
    held = "seconds" if on_cpu(run) else "device_seconds"
    phases: tuple[Phase, ...] = ()
    if isinstance(prices, dict) and all(isinstance(prices.get(name), dict) for name in _NEEDED):
        there = {name: one for name in PHASES if isinstance(one := prices.get(name), dict)}
        phases = tuple(Phase(name, _hours(one, held), _number(one, "joules")) for name, one in there.items())
    found = {one.metric: one for one in record.measurements}
    energy, seconds = found.get("joules"), found["distil_seconds"].value
    whole = _sum([one.hours for one in phases]) if phases else None if seconds is None else seconds / 3600
    return Made(
        variant=view.name,
        seed=dig(record.workload, "seed"),
        phases=phases,
        hours=whole,
        joules=None if energy is None else energy.value,
        joules_how="" if energy is None else energy.how,
        absent="the record has none" if energy is None else energy.absent or "",
        digests=frozenset(record.artifacts.values()),
    )


def _origin(view: VariantView, made: list[Made], views: tuple[VariantView, ...]) -> Made | None:
    """The training that a variant's weights come from: by the digest of the artifact, else by its name."""
    if view.control or view.name == BASELINE:
        return None
    teacher = {digest for one in views if one.name == BASELINE for r in one.records for digest in r.artifacts.values()}
    own = {digest for r in view.records if r.suite in ("latency", "vram") for digest in r.artifacts.values()} - teacher
    linked = [one for one in made if one.digests & own]
    return next(iter(linked or [one for one in made if one.variant == view.name]), None)


def _no_joules(students: list[tuple[VariantView, Made]], baseline: VariantView | None) -> str:
    """Why the ledger cannot be kept in joules; empty where it can."""
    for _, one in students:
        if one.joules is None:
            return f"making the student: {one.absent}."
    for view in filter(None, (baseline, *(view for view, _ in students))):
        found = view.get("joules_per_answer")
        if found.value is None:
            return f"an answer of {view.name}: {found.absent}."
    return "" if baseline is not None else "baseline was not measured."


def _pays_back(view: VariantView, made: Made, baseline: VariantView | None, *, energy: bool) -> PaysBack:
    if baseline is None:
        return PaysBack(view.name, "–", "–", "–", "cannot be told: baseline was not measured")
    before, after = (_answer(one, energy=energy) for one in (baseline, view))
    cost = made.joules if energy else None if made.hours is None else made.hours * 3600e3
    name, unit = ("joules_per_answer", "J") if energy else ("answer", "ms")
    first, second = _shown(name, before, unit), _shown(name, after, unit)
    if isinstance(before, str) or isinstance(after, str):
        why = before if isinstance(before, str) else after
        return PaysBack(view.name, first, second, "–", f"cannot be told: {why}")
    saved = independent_difference(before, after)
    text = _shown(name, saved, unit)
    if cost is None:
        return PaysBack(view.name, first, second, text, "cannot be told: what making the student took is not recorded")
    return PaysBack(view.name, first, second, text, _after(cost, saved))


def _after(cost: float, saved: Estimate) -> str:
    """Answers until `cost` is saved, both in one unit."""
    value, low, high = saved
    if (value if high is None else high) <= 0:
        return "never has: an answer takes no less than baseline’s"
    if low is None or high is None:
        return f"{_count(cost / value)} answers (no interval)"
    if low <= 0:
        return f"cannot be told: it may save nothing; not before {_count(cost / high)} answers"
    return f"{_count(cost / value)} answers ({_count(cost / high)}–{_count(cost / low)})"


def _answer(view: VariantView, *, energy: bool) -> Estimate | str:
    """Joules, or milliseconds of the device, of one answer at the headline's smallest batch; or why there are none."""
    found: Measurement = view.get("joules_per_answer" if energy else "answer")
    if found.value is None:
        return found.absent or "not measured"
    each = 1 if energy else min(view.batches(), default=1)  # joules are an answer's already
    low, high = (None if end is None else end / each for end in (found.low, found.high))
    return Estimate(found.value / each, low, high)


def _assumed(
    students: list[tuple[VariantView, Made]], baseline: VariantView | None, run: Run, *, energy: bool
) -> list[str]:
    batch = min(students[0][0].batches(), default=1)
    asked = "one answer at a time" if batch == 1 else f"{batch} answers at once, each counted as its part"
    notes = [
        f"Assumed: {asked} (batch {batch}), on the device and workload of this run; the teacher is given, so what it "
        "once cost is not counted. What is shared is made once for all that learn from it, and counts in full here."
    ]
    if energy and baseline is not None:
        notes.append(f"Joules of making it: {students[0][1].joules_how}; what the card draws idle is in them.")
        notes.append(f"Joules of an answer: {baseline.get('joules_per_answer').how}.")
    elif on_cpu(run):
        notes.append("CPU-hours are wall clock of this machine’s CPU, however many of its threads were used.")
    return notes


def _phase_rows(used: list[Made]) -> tuple[tuple[str, str, str], ...]:
    rows = []
    for one in used:
        name = one.variant + (f", seed {one.seed}" if one.seed and len(used) > 1 else "")
        rows += [(f"{name}: {PHASES[p.name]}", _figure(p.hours), _figure(p.joules)) for p in one.phases]
        rows.append((f"{name}: together", _figure(one.hours), _figure(one.joules)))
    return tuple(rows)


def _shown(name: str, found: Estimate | str, unit: str) -> str:
    if isinstance(found, str):
        return "–"
    bounds = ["…" if end is None else figures.digits(end) for end in (found.low, found.high)]
    ends = "" if found.low is None and found.high is None else f" ({bounds[0]} to {bounds[1]})"
    return f"{figures.amount(name, found.value, unit)}{ends}".replace("-", "−")


def _figure(value: float | None) -> str:
    return "–" if value is None else figures.digits(value)


def _count(number: float) -> str:
    """Three digits are more than such an estimate can claim already."""
    return figures.count(float(f"{number:.3g}")) if number < 1e15 else f"{number:.1e}"


def _hours(price: Mapping[str, Any], name: str) -> float | None:
    seconds = _number(price, name)
    return None if seconds is None else seconds / 3600


def _number(price: Mapping[str, Any], name: str) -> float | None:
    found = price.get(name)
    good = isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if good and found is not None else None


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
