"""What a projection to other devices takes from a run's records: times with their work, the memory a request needs.

    stages_of(view)["decode"]["8 frames, batch 1, 32 tokens"]        # Timed, or Cannot with the reason
    needed(view)                                                     # bytes, or Cannot

A record says for each stage the bytes and FLOPs that its floor was made from (harness/measure/floors.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import RecordError, UsageError, oneline
from harness.measure.devices import Cannot, Device
from harness.measure.edge import METRICS, Timed, work_of
from harness.record import Record, Run
from harness.report.stages import words_of
from harness.report.view import VariantView, dig, on_cpu, variants

MB = 1e6

Stages = dict[str, dict[str, Timed | Cannot]]  # stage → workload in words


def stages_of(view: VariantView) -> Stages:
    """Each stage under each workload, as its own row of the record has it."""
    found: Stages = {stage: {} for stage in METRICS}
    for record in view.records:
        for stage, metric in METRICS.items():
            if record.suite == "latency" and any(one.metric == metric for one in record.measurements):
                found[stage].setdefault(words_of(record), _timed(record, stage, metric))
    return found


def only_timed(found: Mapping[str, Timed | Cannot]) -> list[Timed]:
    """Those workloads that have a time and its work."""
    return [one for one in found.values() if isinstance(one, Timed)]


def headline(view: VariantView) -> str:
    """In words, the workload that the report's first table is of: the headline's, at the smallest batch."""
    batch = min(view.batches(), default=None)
    for record in view.records:
        asked = record.workload
        same = all(asked.get(name) == view.headline.get(name, asked.get(name)) for name in ("frames", "new_tokens"))
        if record.suite == "latency" and same and asked.get("batch", 1) == batch:
            return words_of(record)
    return ""


def needed(view: VariantView) -> float | Cannot:
    """Bytes of one request on a GPU: as planned from shapes (harness/plan) or as measured, whichever is more."""
    planned, peak = view.get("memory_planned"), view.get("memory_peak")
    values = [one.value * MB for one in (planned, peak) if one.value is not None and one.unit == "MB"]
    return max(values) if values else Cannot(planned.absent or peak.absent or "its unit is not MB")


def format_of(record: Record) -> str:
    """The number format's name; empty where the record does not say it."""
    told = record.details.get("format")
    return str(told.get("name")) if isinstance(told, dict) else ""


def by_device(
    run: Run, source: Device, others: Mapping[str, Run], known: Mapping[str, Device]
) -> dict[str, dict[str, VariantView]]:
    """The variants of runs of the same pair by the device that each was measured on.

    UsageError for a device that is not known or the run's own, RecordError for a run of another pair or of a CPU.
    """
    found = {}
    for name, other in others.items():
        if name not in known:
            raise UsageError(f"{oneline(name, 60)}: no such device; there are {', '.join(known)}")
        if name == source.id:
            raise UsageError(f"{name}: the run itself was measured there; give one of another device")
        if on_cpu(other):
            raise RecordError(f"{name}: its run was measured on a CPU, {dig(other.environment, 'device', 'name')}")
        if (theirs := dig(other.pair, "name")) != (ours := dig(run.pair, "name")):
            raise RecordError(f"{name}: its run is of another pair, {theirs} and not {ours}")
        found[name] = {view.name: view for view in variants(other)}
    return found


def _timed(record: Record, stage: str, metric: str) -> Timed | Cannot:
    if not record.valid:
        return Cannot(f"not valid: {'; '.join(record.invalid_reasons)}")
    by_name = {one.metric: one for one in record.measurements}
    median = by_name[metric]
    if median.value is None or median.value <= 0 or median.unit != "ms":
        return Cannot(f"no median of {stage}: {median.absent or f'{median.value} {median.unit}'}")
    work = work_of({name: one.value for name, one in by_name.items() if one.value is not None}, stage)
    if isinstance(work, Cannot):
        return work
    low, high = (median.value if end is None or end <= 0 else end for end in (median.low, median.high))
    return Timed(words_of(record), work, median.value / 1e3, low / 1e3, high / 1e3)
