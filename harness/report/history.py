"""Each figure over commits: the run that is shown and those before it, with the changes that chance does not explain.

    shown = history(run, runs_below(folder).runs)      # None with fewer than three runs that can stand in one row

Only runs of the same pair, device, data and kind of weights, of the same workload, not later than the one shown: so the
page of a record stays the same whatever is measured after it.

What is drawn are the figures themselves. Where all of a row's runs were held against the same ruler, changes are looked
for in the times over it: a day on which everything takes longer is no change.
"""

import math
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from harness.errors import RecordError, oneline
from harness.gate.comparable import differences, measured_by
from harness.gate.rows import Key, Side, sides
from harness.record import Measurement, Run
from harness.report import figures
from harness.report.view import dig, variants
from harness.stats import replicate_interval
from harness.stats.changes import change_points

METRICS = ("ttft", "itl", "answer", "memory_peak", "agreement")
LEAST, MOST = 3, 60  # runs
_ALIKE = ("device", "pair", "data", "weights")  # a driver or a library may be what changed a figure
_NORMAL = 1.96  # of a 95 % interval
_NUMBER = re.compile(r"^(\d{4,})_")


@dataclass(frozen=True)
class Shift:
    """From `index` on, a variant's figure is another."""

    index: int
    change: float  # log ratio; for shares a difference
    words: str  # 0007 a1b2c3d: itl of distilled-int8 up 6.1 %
    short: str  # a1b2c3d +6.1 %


@dataclass(frozen=True)
class Series:
    """One variant over the runs; None where a run has no figure of it."""

    variant: str
    hue: int
    points: tuple[Measurement | None, ...]
    shifts: tuple[Shift, ...]


@dataclass(frozen=True)
class Panel:
    """One metric over the runs."""

    metric: str
    series: tuple[Series, ...]
    says: str


@dataclass(frozen=True)
class History:
    """All metrics over the runs, oldest first; a line for what was left out."""

    labels: tuple[str, ...]
    panels: tuple[Panel, ...]
    note: str


def history(run: Run, earlier: Sequence[Run]) -> History | None:
    """The last runs up to `run`; None with fewer than three."""
    before = [one for one in earlier if one.datetime < run.datetime]
    alike = [one for one in before if _alike(one, run)] if _alike(run, run) else []
    runs = sorted([*alike, run], key=_when)[-MOST:]
    if len(runs) < LEAST:
        return None
    labels = tuple(_label(one) for one in runs)
    rows = [_rows(one) for one in runs]
    steps = tuple(_environment_step(a, b) for a, b in pairwise(runs))
    panels = tuple(found for metric in METRICS if (found := _panel(metric, run, rows, labels, ("", *steps))))
    left_out = len(before) - len(alike)
    plural = "s" if left_out != 1 else ""
    note = f"{left_out} run{plural} of another device, pair, data or kind of weights left out." if left_out else ""
    return History(labels, panels, note) if panels else None


@dataclass(frozen=True)
class _Level:
    """A run's figure as changes are looked for in it, with its standard error where it has one."""

    value: float
    error: float | None


def _panel(
    metric: str, run: Run, rows: Sequence[dict[Key, Side]], labels: tuple[str, ...], steps: tuple[str, ...]
) -> Panel | None:
    series, held = [], set[str]()
    for place, view in enumerate(variants(run)):
        shown = view.get(metric)
        key = next(
            (key for key, side in rows[-1].items() if key.variant == view.name and side.measurement == shown), None
        )
        points = tuple(None if key is None else one.get(key) for one in rows)
        if shown.value is None or key is None or sum(point is not None for point in points) < LEAST:
            continue
        rulers = {point.ruler for point in points if point is not None}
        held |= rulers
        shifts = _shifts(metric, view.name, points, labels, steps, ruled=len(rulers) == 1)
        drawn = tuple(None if point is None else point.measurement for point in points)
        series.append(Series(view.name, place, drawn, shifts))
    if not series:
        return None
    found = sorted((shift for one in series for shift in one.shifts), key=lambda shift: shift.index)
    head = f"Over {len(labels)} runs, from {labels[0]} to {labels[-1]}: "
    says = "; ".join(shift.words for shift in found) if found else "no change that chance does not explain"
    return Panel(metric, tuple(series), f"{head}{says}{_looked_for(held)}.")


def _looked_for(held: Set[str]) -> str:
    """In what, where some of the times have a ruler: what its runs were held against."""
    if held <= {""}:
        return ""
    if len(held) == 1:
        return " (looked for in times over the ruler, so that a slow day is no change; drawn as measured)"
    return " (looked for in raw times, as not all runs were held against the same ruler: a slow day may be among them)"


def _shifts(
    metric: str,
    variant: str,
    points: Sequence[Side | None],
    labels: Sequence[str],
    steps: Sequence[str],
    *,
    ruled: bool,
) -> tuple[Shift, ...]:
    share = figures.metric(metric).kind == "share"
    known = [(i, _level(point.measurement, ruled)) for i, point in enumerate(points) if point is not None]
    if not share:
        known = [one for one in known if one[1].value > 0]
    scaled = [level.value if share else math.log(level.value) for _, level in known]
    at = [0, *_changes([level for _, level in known], share), len(scaled)]
    found = []
    for start, middle, end in zip(at, at[1:], at[2:], strict=False):
        change = _mean(scaled[middle:end]) - _mean(scaled[start:middle])
        index = known[middle][0]
        size = figures.points(change).lstrip("+−") if share else f"{100 * abs(math.expm1(change)):.1f} %"
        direction, sign = ("up", "+") if change > 0 else ("down", "−")
        step = f" ({steps[index]} in the same step)" if steps[index] else ""
        name = oneline(variant, 60)
        words = f"{labels[index]}: {figures.metric(metric).words} of {name} {direction} {size}{step}"
        found.append(Shift(index, change, words, f"{labels[index].split()[-1]} {sign}{size}"))
    return tuple(found)


def _level(point: Measurement, ruled: bool) -> _Level:
    """Of times over the ruler the centre of the processes, as two runs are compared by; else the figure itself."""
    assert point.value is not None
    value, low, high = point.value, point.low, point.high
    if ruled and point.ruler and min(point.samples) > 0:
        value, low, high = replicate_interval(point.processes(ruled=True))
    return _Level(value, None if low is None or high is None else (high - low) / (2 * _NORMAL))


def _changes(known: Sequence[_Level], share: bool) -> list[int]:
    """Where a level begins. A time is known as well as its interval says; the same questions are asked again each time,
    so that a share's interval, which is of other questions, says nothing here.
    """
    errors = [level.error for level in known if level.error is not None]
    return change_points([level.value for level in known], None if share or len(errors) < len(known) else errors)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _rows(run: Run) -> dict[Key, Side]:
    """The figures that may be shown, by what they are about."""
    return {
        key: side
        for key, side in sides(run).items()
        if key.metric in METRICS and side.record.valid and side.measurement.value is not None
    }


def _alike(one: Run, other: Run) -> bool:
    """Whether a run can stand in the same row: measured alike, and each of its rows once."""
    try:
        sides(one)
    except RecordError:
        return False
    ours, theirs = measured_by(one), measured_by(other)
    return all(ours[name] == theirs[name] for name in _ALIKE)


def _environment_step(before: Run, after: Run) -> str:
    """What else changed from one run to the next: torch 2.12.0 → 2.13.0."""
    found = [one for one in differences(before, after) if one.field not in (*_ALIKE, "workload")]
    return oneline(", ".join(f"{one.path} {one.a} → {one.b}" for one in found), 120)


def _label(run: Run) -> str:
    """0007 a1b2c3d: the number in the storage and the commit."""
    number = _NUMBER.match(run.path.name) if run.path is not None else None
    commit = dig(run.commit, "id")
    short = oneline(commit, 40)[:7] if commit and commit != "unversioned" else oneline(run.datetime[:10], 10) or "?"
    dirty = "+" if run.commit.get("dirty") is True else ""
    return " ".join(filter(None, (number[1] if number else "", short.replace(" ", "") + dirty)))


def _when(run: Run) -> tuple[float, str, str]:
    """Commits in their order; runs of one commit as they were measured."""
    return _seconds(dig(run.commit, "time")) or _seconds(run.datetime), run.datetime, str(run.path)


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
