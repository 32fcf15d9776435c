"""The rows of two runs, matched by variant, suite, workload and metric; one that is missing is an error, not a pass.

matched(a, b).rows      # RecordError where B lacks what A has: a renamed row must not slip through a gate
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from harness.errors import RecordError, oneline
from harness.gate.gated import Kind, kind_of
from harness.record import JSON, Measurement, Record, Run

_NAMED = 3  # rows that an error names; the others are counted


@dataclass(frozen=True, order=True)
class Key:
    """What a row is about."""

    variant: str
    suite: str
    workload: str  # canonical JSON
    metric: str

    def __str__(self) -> str:
        where = self.where
        return oneline(f"{self.variant} {self.metric}" + (f" at {where}" if where else ""), 160)

    @property
    def where(self) -> str:
        """4 frames, batch 1, 8 tokens."""
        found: Mapping[str, JSON] = json.loads(self.workload)
        names = sorted(found, key=lambda name: (name != "frames", name))
        return oneline(", ".join(filter(None, (_worded(name, found[name]) for name in names))), 100)


@dataclass(frozen=True)
class Side:
    """A row in one run."""

    record: Record
    measurement: Measurement

    @property
    def ruler(self) -> str:
        """Which fixed work its rounds are held against; empty where none is."""
        rounds = self.record.details.get("rounds")
        told = rounds.get("ruler") if isinstance(rounds, dict) else None
        return str(told) if told is not None and self.measurement.ruler else ""


@dataclass(frozen=True)
class Row:
    """A row in both runs. kind None: told, not gated."""

    key: Key
    kind: Kind | None
    a: Side
    b: Side


@dataclass(frozen=True)
class Matched:
    """Rows in both runs, in A's order, and a line for each thing that was left out."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def matched(
    a: Run, b: Run, *, only_common: bool = False, all_rows: bool = False, any_workload: bool = False
) -> Matched:
    """The rows to compare: the gated ones, with `all_rows` every one.

    RecordError where one run has a row that the other lacks, unless `only_common`; with `any_workload` a suite that has
    one workload on each side is matched whatever the two are.
    """
    left_out = _single_workloads(a, b) if any_workload else frozenset()
    ours, theirs = sides(a, left_out), sides(b, left_out)
    missing = {
        "B": [key for key in ours if key not in theirs and (all_rows or gated_kind(ours[key]))],
        "A": [key for key in theirs if key not in ours and (all_rows or gated_kind(theirs[key]))],
    }
    both = {key: ours[key] for key in ours if key in theirs}
    notes = []
    if any(missing.values()):
        said = [
            f"{lacking} lacks {_counted(keys)} that {other} has: {_listed(keys, has, hasnt)}"
            for lacking, other, keys, has, hasnt in (
                ("B", "A", missing["B"], ours, theirs),
                ("A", "B", missing["A"], theirs, ours),
            )
            if keys
        ]
        common = sum(1 for side in both.values() if gated_kind(side))
        if not only_common:
            raise RecordError(f"{'; '.join(said)}; --only-common compares the {common} gated rows that both have")
        notes += said
    rows = [Row(key, gated_kind(side) and gated_kind(theirs[key]), side, theirs[key]) for key, side in both.items()]
    absent = [row for row in rows if row.a.record.valid and row.b.record.valid and _is_absent(row)]
    if gone := [row for row in absent if row.kind]:
        why = oneline(gone[0].a.measurement.absent or "", 80)
        notes.append(f"{_counted(gone)} without a value in either run, such as {gone[0].key}: {why}")
    kept = [row for row in rows if row not in absent and (row.kind or all_rows)]
    if not any(row.kind for row in kept):
        raise RecordError("A and B have no gated row in common: nothing to compare; give two runs of the same suites")
    return Matched(tuple(kept), tuple(notes))


def _is_absent(row: Row) -> bool:
    """Without a value in either run, as energy on a CPU."""
    return row.a.measurement.value is None and row.b.measurement.value is None


def sides(run: Run, without_workload: frozenset[str] = frozenset()) -> dict[Key, Side]:
    """Every row of a run by its key. RecordError where a gated one is measured twice: which is meant?"""
    found: dict[Key, Side] = {}
    for record in run.records:
        kept = {} if record.suite in without_workload else dict(record.workload)
        workload = json.dumps(kept, sort_keys=True)
        for measurement in record.measurements:
            key = Key(record.variant, record.suite, workload, measurement.metric)
            if key in found and gated_kind(found[key]):
                name = "" if run.path is None else f"{oneline(run.path.name, 80)}: "
                raise RecordError(f"{name}{key} is measured twice; give runs that measure each row once")
            found.setdefault(key, Side(record, measurement))
    return found


def workloads(run: Run) -> dict[str, tuple[str, ...]]:
    """The workloads of each suite, as canonical JSON."""
    found: dict[str, dict[str, None]] = {}
    for record in run.records:
        found.setdefault(record.suite, {})[json.dumps(dict(record.workload), sort_keys=True)] = None
    return {suite: tuple(sorted(names)) for suite, names in found.items()}


def worded(workload: str) -> str:
    """A workload's canonical JSON in words."""
    return Key("", "", workload, "").where or "no workload"


def _single_workloads(a: Run, b: Run) -> frozenset[str]:
    ours, theirs = workloads(a), workloads(b)
    return frozenset(suite for suite in ours if len(ours[suite]) == 1 == len(theirs.get(suite, ())))


def gated_kind(side: Side) -> Kind | None:
    """How a row is gated; None: it is told with --all, and stops nobody."""
    if side.record.details.get("sweep") is True:  # timed by fewer processes: told, not gated
        return None
    return kind_of(side.record.suite, side.measurement)


def rulers(of: Iterable[Side]) -> frozenset[str]:
    """What the gated times among these are held against, each version once; "" where it is nothing."""
    times = (side for side in of if gated_kind(side) == "time")
    return frozenset(side.ruler for side in times if side.measurement.samples)


def _listed(keys: list[Key], has: Mapping[Key, Side], hasnt: Mapping[Key, Side]) -> str:
    strangers = [key for key in hasnt if key not in has]
    shown = []
    for key in keys[:_NAMED]:
        renamed = _renamed(key, strangers)
        shown.append(str(key) + (f" (there is {renamed}: renamed?)" if renamed else ""))
    more = len(keys) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _renamed(key: Key, strangers: list[Key]) -> Key | None:
    """The row of the other run that this one is likely to be now: one field differs, and the names are alike."""
    best: tuple[float, Key] | None = None
    for other in strangers:
        differing = list(_differing(key, other))
        if len(differing) == 1:
            alike = SequenceMatcher(None, *differing[0]).ratio()
            if best is None or alike > best[0]:
                best = alike, other
    return best[1] if best is not None else None


def _differing(key: Key, other: Key) -> Iterator[tuple[str, str]]:
    for name in ("variant", "suite", "workload", "metric"):
        ours, theirs = getattr(key, name), getattr(other, name)
        if ours != theirs:
            yield ours, theirs


def _counted(rows: list[Key] | list[Row]) -> str:
    return f"{len(rows)} row" + ("" if len(rows) == 1 else "s")


def _worded(name: str, value: JSON) -> str:
    if name == "frames":
        return f"{value} frames"
    if name == "new_tokens":
        return f"{value} tokens"
    if name == "questions" or (name == "seed" and value == 0):
        return ""
    return f"{name} {value if isinstance(value, (str, int, float)) else json.dumps(value)}"
