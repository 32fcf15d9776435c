"""Where the time of an answer goes: each stage beside the least it could take, and how times grow with the workload.

Floors and shares are measurements like any other (`floor_vision` … `light_decode`, from the worker that timed the
stages); a run of before they were measured has neither table.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.record import Measurement, Record
from harness.report import figures
from harness.report.view import VariantView

STAGES = (  # label, metric, the stage whose floor it has
    ("Media", "media", "media"),
    ("Prepare", "prepare", "prepare"),
    ("Vision", "vision", "vision"),
    ("Prefill", "prefill", "prefill"),
    ("Decode, per token", "itl", "decode"),
    ("TTFT", "ttft", ""),
    ("Whole answer", "answer", ""),
)
COLD = (("Loading, cold", "cold_load", ""), ("First answer, cold", "cold_first_answer", ""))  # of a fresh process
SPLIT = ("media", "prepare", "vision", "prefill")  # a run that holds none of these timed no stages
TIMED, HELD = ("Median",), ("Floor", "Speed of light")
SWEPT = ("ttft", "itl", "answer")
FASTER = "faster than the floor"  # how harness/measure/floors.py begins to say that a share cannot be
BINDS = " binds:"  # and how it names, before it, the ceiling that a floor comes from

Load = tuple[int | None, int | None, int | None]  # frames, batch, tokens of an answer


@dataclass(frozen=True)
class StageTable:
    """One variant: rows are stages, cells (value, what stands beneath) in the order of the headings."""

    variant: str
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class WhereTimeGoes:
    """All variants at one workload; `notes`: why some cells are empty."""

    workload: str
    headings: tuple[str, ...]
    tables: tuple[StageTable, ...]
    notes: tuple[str, ...]

    @property
    def has_floors(self) -> bool:
        return len(self.headings) > len(TIMED)


@dataclass(frozen=True)
class SweepTable:
    """Medians of one metric: a row a workload, a cell (value, interval) a variant."""

    heading: str
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Sweep:
    """Times over workloads."""

    names: tuple[str, ...]
    tables: tuple[SweepTable, ...]
    notes: tuple[str, ...]


def where_time_goes(views: tuple[VariantView, ...]) -> WhereTimeGoes | None:
    """The stages of every variant that was timed, at the headline's workload; None where no stages were timed."""
    timed = [view for view in views if any(metric in view.metrics() for metric in SPLIT)]
    if not timed:
        return None
    floors = any(name.startswith(("floor_", "light_")) for view in timed for name in view.metrics())
    gaps = _Gaps(len(timed))
    tables = []
    for view in timed:
        shown = (*STAGES, *(row for row in COLD if any(row[1] in other.metrics() for other in timed)))
        rows = [(label, _cells(view, label, metric, stage, floors, gaps)) for label, metric, stage in shown]
        tables.append(StageTable(view.name, tuple(rows)))
    headings = (*TIMED, *HELD) if floors else TIMED
    return WhereTimeGoes(workload_of(timed[0]), headings, tuple(tables), gaps.told())


def sweep(views: tuple[VariantView, ...]) -> Sweep | None:
    """TTFT, inter-token latency and the whole answer under every workload; None where there is only one."""
    timed = [view for view in views if any(record.suite == "latency" for record in view.records)]
    loads = list(dict.fromkeys(_load(record) for view in timed for record in view.records if _swept(record)))
    if len(loads) < 2:
        return None
    gaps = _Gaps(len(timed))
    tables = []
    for metric in SWEPT:
        heading = figures.metric(metric).heading
        rows = []
        for load in loads:
            cells = [_swept_cell(view, metric, load, gaps) for view in timed]
            rows.append((_words(load), tuple(cells)))
        tables.append(SweepTable(heading, tuple(rows)))
    return Sweep(tuple(view.name for view in timed), tuple(tables), gaps.told())


class _Gaps:
    """Reasons of empty cells, each told once with the variants that it is about."""

    def __init__(self, variants: int) -> None:
        self._variants = variants
        self._who: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, what: str, why: str | None, variant: str) -> None:
        if why:
            self._who.setdefault((what, why), {})[variant] = None

    def told(self) -> tuple[str, ...]:
        alike: dict[
            tuple[str, tuple[str, ...]], list[str]
        ] = {}  # a run that is not valid lacks everything for one reason
        for (what, why), who in self._who.items():
            alike.setdefault((why, tuple(who)), []).append(what)
        return tuple(
            f"{what}: {why}" if len(who) == self._variants else f"{what} of {figures.listed(who)}: {why}"
            for (why, who), whats in alike.items()
            for what in (whats if len(whats) <= 3 else [f"{whats[0]} and {len(whats) - 1} others"])
        )


def _cells(
    view: VariantView, label: str, metric: str, stage: str, floors: bool, gaps: _Gaps
) -> tuple[tuple[str, str], ...]:
    median = view.get(metric)
    gaps.add(label, median.absent, view.name)
    timed = (figures.shown(median), figures.interval(median))
    if not floors:
        return (timed,)
    if not stage:
        return timed, ("–", ""), ("–", "")
    floor, light = (_named(view, f"{kind}_{stage}") for kind in ("floor", "light"))
    for found, what in ((floor, "floor"), (light, "speed of light")):
        if found is not None:
            gaps.add(f"{label}, {what}", found.absent, view.name)
    return timed, _floor(floor), _light(light)


def _named(view: VariantView, metric: str) -> Measurement | None:
    return view.get(metric) if metric in view.metrics() else None


def _floor(floor: Measurement | None) -> tuple[str, str]:
    """The floor, and beneath it the ceiling that binds."""
    if floor is None or floor.value is None:
        return "–", ""
    return figures.shown(floor), floor.how.partition(BINDS)[0] if BINDS in floor.how else ""


def _light(light: Measurement | None) -> tuple[str, str]:
    if light is None:
        return "–", ""
    if (light.absent or "").startswith(FASTER):
        return FASTER, "see below"
    return figures.shown(light), figures.interval(light)


def workload_of(view: VariantView) -> str:
    """The workload that `view.get` reads."""
    batch = min(view.batches(), default=None)
    for record in view.records:
        frames, size, tokens = load = _load(record)
        stated = (view.headline.get("frames", frames), view.headline.get("new_tokens", tokens))
        if record.suite == "latency" and size == batch and (frames, tokens) == stated:
            return _words(load)
    return ""


def _load(record: Record) -> Load:
    frames, batch, tokens = (
        value if isinstance(value, int) and not isinstance(value, bool) else None
        for value in (record.workload.get(name) for name in ("frames", "batch", "new_tokens"))
    )
    return frames, batch, tokens


def words_of(record: Record) -> str:
    """A record's workload: 4 frames, batch 1, 8 tokens."""
    return _words(_load(record))


def _words(load: Load) -> str:
    frames, batch, tokens = load
    told = (
        f"{frames} frame{'s' if frames != 1 else ''}" if frames is not None else "",
        f"batch {batch}" if batch is not None else "",
        f"{tokens} token{'s' if tokens != 1 else ''}" if tokens is not None else "",
    )
    return ", ".join(filter(None, told))


def _swept(record: Record) -> bool:
    return record.suite == "latency" and any(found.metric in SWEPT for found in record.measurements)


def _swept_cell(view: VariantView, metric: str, load: Load, gaps: _Gaps) -> tuple[str, str]:
    why = "not measured"
    for record in view.records:
        if record.suite != "latency" or _load(record) != load:
            continue
        for found in record.measurements:
            if found.metric == metric:
                if record.valid and found.value is not None:
                    return figures.shown(found), figures.interval(found)
                why = found.absent or f"not valid: {'; '.join(record.invalid_reasons)}"
    gaps.add(f"{figures.metric(metric).heading} at {_words(load)}", why, view.name)
    return "–", ""
