"""The noise floor of a machine: what the same commit, weights and machine give when they are measured twice (A/A).

    floor = noise_floor(a, b, ruled=True)     # found among the runs beside A and B; else from within the two
    floor.of("itl")                      # a log ratio; for shares a difference. Nothing smaller is called

It is of the same kind as the ratios that it is held against: of times over their ruler, or of raw ones.

For a metric without an A/A pair each run is split in two, its processes dealt out in turn. That sees what differs
between processes, not what differs between runs (a warmer machine, another neighbour), and says so.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

from harness.errors import RecordError, UsageError, oneline
from harness.gate.commit import UNKNOWN
from harness.gate.comparable import differences, retrained
from harness.gate.gated import Kind
from harness.gate.rows import Side, gated_kind, rulers, sides
from harness.gate.storage import runs_below, storage_of
from harness.record import Measurement, Run
from harness.report.view import dig
from harness.stats.adjusted import adjusted_log_ratio
from harness.stats.replicates import Groups
from harness.stats.undisturbed import undisturbed

MOST = 30  # of the runs beside them, the newest are looked at
# Of many differences between equals the floor is the one that a twentieth exceed: the largest grows with every pair.
SHARE = 0.95
HOW_TO_MEND = "run `pytest suites` twice on one commit"


@dataclass(frozen=True)
class Floor:
    """The largest difference between equals (of 20 or more, the one that 95 % stay below), by metric: |log ratio|, for
    shares |difference|.
    """

    by_metric: Mapping[str, float]
    pairs: tuple[tuple[str, str], ...]  # files of the A/A pairs
    halves: frozenset[str]  # metrics that no pair has: from within A and B

    def of(self, metric: str) -> float | None:
        """None where nothing was measured twice."""
        return self.by_metric.get(metric)

    def words(self) -> str:
        """One line: how large it is, where it comes from, and what it cannot see."""
        if not self.by_metric:
            return f"noise floor: unknown, no row was measured by two processes; {HOW_TO_MEND} for a real one"
        between = self._sizes(name for name in self.by_metric if name not in self.halves)
        within = self._sizes(name for name in self.by_metric if name in self.halves)
        parts = []
        if between:
            first = " and ".join(oneline(name, 80) for name in self.pairs[0])
            more = "" if len(self.pairs) == 1 else f" and {len(self.pairs) - 1} more"
            plural = "pair" if len(self.pairs) == 1 else "pairs"
            parts.append(f"noise floor, of {len(self.pairs)} A/A {plural} ({first}{more}): {between}")
        if within:
            parts.append(
                f"noise floor, from halves of the same run: {within}. It cannot see drift between runs; "
                f"{HOW_TO_MEND} for a real one"
            )
        return "; ".join(parts)

    def _sizes(self, names: Iterable[str]) -> str:
        return ", ".join(f"{oneline(name, 40)} {size_words(name, self.by_metric[name])}" for name in names)


def size_words(metric: str, size: float) -> str:
    """1.4 %, or 0.5 pt of a share."""
    return f"{100 * size:.1f} pt" if metric in ("agreement", "accuracy") else f"{100 * math.expm1(size):.1f} %"


def noise_floor(a: Run, b: Run, aa: Sequence[Run] = (), *, ruled: bool) -> Floor:
    """From the runs of `aa`, else from those beside A and B, else from within A and B. `ruled`: of times over the ruler
    that B's are held against, which no other can stand for; else of raw times.
    """
    ruler = rulers(sides(b).values()) if ruled else None
    pairs = _told_pairs(aa, a, b, ruler) if aa else list(_found_pairs(a, b, ruler))
    between, within = _between(pairs, ruled), _within((a, b), ruled)
    names = tuple((_name(one), _name(other)) for one, other in pairs)
    halves = frozenset(within.keys() - between.keys())  # a pair of `-k vram` says nothing of times
    return Floor(_in_order(within | between, b), names, halves)


def is_aa(one: Run, other: Run) -> bool:
    """Whether two runs are of the same clean commit, weights and environment."""
    commit = dig(one.commit, "id")
    clean = one.commit.get("dirty") is False and other.commit.get("dirty") is False
    return clean and commit not in UNKNOWN and commit == dig(other.commit, "id") and _alike(one, other)


def _alike(one: Run, other: Run) -> bool:
    return not differences(one, other) and not retrained(one, other)


def _found_pairs(a: Run, b: Run, ruler: Set[str] | None) -> Iterator[tuple[Run, Run]]:
    """A/A pairs among the runs beside A and B, measured as B was; never A and B themselves: they are judged by it."""
    folders = dict.fromkeys(folder for folder in (storage_of(a), storage_of(b)) if folder is not None)
    beside: dict[Path, Run] = {}
    for folder in folders:
        for run in runs_below(folder, newest=MOST).runs:  # what cannot be read is no witness
            if run.path is not None and not differences(run, b) and _is_witness(run, ruler):
                beside[run.path.resolve()] = run
    judged = {run.path.resolve() for run in (a, b) if run.path is not None}
    for one, other in combinations(beside, 2):
        if {one, other} != judged and is_aa(beside[one], beside[other]):
            yield beside[one], beside[other]


def _is_witness(run: Run, ruler: Set[str] | None) -> bool:
    """Whether its rows can be told apart, and its times are held against that ruler; None: raw times are asked for."""
    try:
        held = rulers(sides(run).values())
    except RecordError:
        return False
    return ruler is None or held <= ruler


def _told_pairs(runs: Sequence[Run], a: Run, b: Run, ruler: Set[str] | None) -> list[tuple[Run, Run]]:
    if len(runs) < 2:
        raise UsageError("--aa: one run is no pair; give two of the same commit, or leave --aa out")
    files = [run.path.resolve() for run in runs if run.path is not None]
    judged = {run.path.resolve() for run in (a, b) if run.path is not None}
    if twice := next((file for file in files if files.count(file) > 1), None):
        raise UsageError(f"--aa {oneline(twice.name, 120)}: given twice; a run does not differ from itself")
    if len(judged) == 2 and judged <= set(files):
        raise UsageError("--aa: A and B themselves are not what they are judged by; give other runs of one commit")
    for run in runs:
        if found := differences(run, b):
            raise UsageError(f"--aa {_name(run)}: B was measured otherwise, {found[0]}; measure the pair as B was")
        if ruler is not None and not rulers(sides(run).values()) <= ruler:
            raise UsageError(f"--aa {_name(run)}: its times are not held against B's ruler; measure the pair as B was")
    pairs = list(combinations(runs, 2))
    for one, other in pairs:
        names = " and ".join(_name(run) for run in (one, other))
        if dig(one.commit, "id") != dig(other.commit, "id"):
            commits = " and ".join(dig(run.commit, "id")[:10] or "none" for run in (one, other))
            raise UsageError(f"--aa {names}: of commits {commits}; an A/A pair is the same commit measured twice")
        if found := differences(one, other):
            raise UsageError(f"--aa {names}: differ in {found[0]}; an A/A pair is measured in the same way twice")
        if changed := retrained(one, other):
            raise UsageError(f"--aa {names}: other weights of {oneline(changed[0], 40)}; give runs of the same weights")
        if not is_aa(one, other):
            raise UsageError(f"--aa {names}: of a commit that is not known, or with uncommitted changes; commit first")
    return pairs


def _between(pairs: Sequence[tuple[Run, Run]], ruled: bool) -> dict[str, float]:
    apart: dict[str, list[float]] = {}
    found = {id(run): _rows(run) for pair in pairs for run in pair}
    for one, other in pairs:
        ours, theirs = found[id(one)], found[id(other)]
        for key in ours.keys() & theirs.keys():
            (metric, _), value = key, _apart(ours[key], theirs[key], ruled)
            if value is not None:
                apart.setdefault(metric, []).append(value)
    return {metric: _floor(values) for metric, values in apart.items()}


def _floor(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(SHARE * len(values)) - 1]


def _within(runs: Sequence[Run], ruled: bool) -> dict[str, float]:
    apart: dict[str, list[float]] = {}
    for run in runs:
        for side, _ in _gated(run):
            measurement = side.measurement
            groups, beside = measurement.processes(ruled=False), measurement.rulers() if ruled else ()
            if len(groups) >= 2:
                value = abs(_log_ratio(groups[::2], groups[1::2], beside[::2], beside[1::2]))
                apart.setdefault(measurement.metric, []).append(value)
    return {metric: _floor(values) for metric, values in apart.items()}


def _rows(run: Run) -> dict[tuple[str, str], tuple[Measurement, Kind]]:
    return {
        (side.measurement.metric, f"{side.record.variant} {sorted(side.record.workload.items())}"): (
            side.measurement,
            kind,
        )
        for side, kind in _gated(run)
    }


def _apart(one: tuple[Measurement, Kind], other: tuple[Measurement, Kind], ruled: bool) -> float | None:
    """How far apart a row's two values are, as rows are compared: a log ratio, for shares the difference itself."""
    (ours, kind), (theirs, _) = one, other
    assert ours.value is not None
    assert theirs.value is not None
    if kind == "share":
        return abs(ours.value - theirs.value)
    a, b = ours.processes(ruled=False), theirs.processes(ruled=False)
    if min(len(a), len(b)) >= 2:
        beside = (ours.rulers(), theirs.rulers()) if ruled else ((), ())
        return abs(_log_ratio(a, b, *beside))
    if kind != "memory":
        return None  # of one process: not what rows are compared by
    return abs(math.log(ours.value / theirs.value)) if min(ours.value, theirs.value) > 0 else None


def _log_ratio(a: Groups, b: Groups, a_rulers: Groups, b_rulers: Groups) -> float:
    if a_rulers and b_rulers and min(len(a), len(b)) >= 2:
        calm_a, calm_b = undisturbed(a, a_rulers), undisturbed(b, b_rulers)
        if calm_a and calm_b:
            return adjusted_log_ratio(*calm_a, *calm_b).value
        return adjusted_log_ratio(a, a_rulers, b, b_rulers).value
    return _log_centre(a) - _log_centre(b)


def _gated(run: Run) -> Iterator[tuple[Side, Kind]]:
    for side in sides(run).values():
        kind = gated_kind(side)
        positive = all(sample > 0 for sample in side.measurement.samples)
        if kind is not None and side.record.valid and side.measurement.value is not None and positive:
            yield side, kind


def _log_centre(groups: Sequence[Sequence[float]]) -> float:
    """The log of the geometric mean of the processes' medians, as replicate_ratio compares them."""
    return fmean(math.log(median(group)) for group in groups)


def _in_order(largest: Mapping[str, float], run: Run) -> dict[str, float]:
    order = list(dict.fromkeys(m.metric for record in run.records for m in record.measurements))
    return {
        name: largest[name] for name in [*(n for n in order if n in largest), *(n for n in largest if n not in order)]
    }


def _name(run: Run) -> str:
    return oneline(run.path.name if run.path is not None else run.datetime, 120)
