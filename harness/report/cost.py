"""What making a student cost and what it had learnt by then: a row a training, read from the distillation suite's rows.

Only columns that some training has a figure for are shown; why the others are not there is said beneath.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.record import Measurement, Record
from harness.report import figures
from harness.report.view import VariantView

COLUMNS = (
    "distil_seconds",
    "joules",
    "tokens_per_second",
    "mfu",
    "peak_training_memory",
    "peak_teacher_memory",
    "held_out_kl",
    "top1_agreement",
    "free_running_agreement",
)


@dataclass(frozen=True)
class Cost:
    """A row a training; a cell is a figure, `–` where there is none."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    absent: tuple[str, ...]


def cost(views: tuple[VariantView, ...]) -> Cost | None:
    """The table; None where no training was priced in this run."""
    trainings = [(view.name, record, _figures(record)) for view in views for record in view.records if priced(record)]
    known = {name for _, _, found in trainings for name, one in found.items() if one.value is not None}
    there = [name for name in COLUMNS if name in known]
    if not there:
        return None
    seeds = {record.workload.get("seed", 0) for _, record, _ in trainings}
    rows = []
    for name, record, found in trainings:
        label = f"{name}, seed {record.workload.get('seed', 0)}" if len(seeds) > 1 else name
        rows.append((label, tuple(figures.shown(found[column]) if column in found else "–" for column in there)))
    gaps = {
        f"{figures.metric(column).heading}: {found[column].absent}": None
        for column in COLUMNS
        for _, _, found in trainings
        if column in found and found[column].absent
    }
    return Cost(tuple(figures.metric(name).heading for name in there), tuple(rows), tuple(gaps))


def priced(record: Record) -> bool:
    """Whether this row tells what a training cost."""
    return record.valid and any(found.metric == COLUMNS[0] for found in record.measurements)


def _figures(record: Record) -> dict[str, Measurement]:
    return {found.metric: found for found in record.measurements}
