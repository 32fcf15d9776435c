"""Two runs compared: may they be, which rows, how large is the noise, what became of each.

compared = compare(before, after, Terms(across=parse_across("driver"), only_common=True))
compared.exit_code        # 1 a row regressed; 3 none did but one cannot be told; 0 otherwise
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median

from harness.errors import UsageError, oneline
from harness.gate.comparable import require_comparable, retrained
from harness.gate.judge import Judged, Margins, Verdict, judge
from harness.gate.noise import Floor, noise_floor
from harness.gate.rows import Key, Row, Side, matched, rulers
from harness.record import Measurement, Run
from harness.report import figures

REGRESSED, CANNOT_TELL = 1, 3


@dataclass(frozen=True)
class Terms:
    """What the command line asked for."""

    across: frozenset[str] = frozenset()
    only_common: bool = False
    all_rows: bool = False
    margins: Margins = field(default_factory=Margins)


@dataclass(frozen=True)
class Told:
    """A row that is not gated, with its value in both runs."""

    key: Key
    a: Measurement
    b: Measurement


@dataclass(frozen=True)
class Comparison:
    """What `text` renders."""

    a: Run
    b: Run
    rows: tuple[Judged, ...]
    told: tuple[Told, ...]
    floor: Floor
    notes: tuple[str, ...]

    def having(self, verdict: Verdict) -> tuple[Judged, ...]:
        """The rows with a verdict."""
        return tuple(row for row in self.rows if row.verdict == verdict)

    @property
    def exit_code(self) -> int:
        """1, 3 or 0."""
        return REGRESSED if self.having("regressed") else CANNOT_TELL if self.having("cannot tell") else 0


def compare(a: Run, b: Run, terms: Terms = Terms(), aa: Sequence[Run] = ()) -> Comparison:
    """Before and after. RecordError and UsageError where they cannot be compared, or a row is missing."""
    allowed = require_comparable(a, b, terms.across)
    found = matched(
        a, b, only_common=terms.only_common, all_rows=terms.all_rows, any_workload="workload" in terms.across
    )
    rows, held = found.rows, rulers(side for row in found.rows for side in (row.a, row.b))
    ruled = not allowed and len(held) == 1 and "" not in held
    if not ruled:
        rows = tuple(replace(row, a=_raw(row.a), b=_raw(row.b)) for row in rows)
    floor = noise_floor(a, b, aa, ruled=ruled)
    notes = [f"compared across {one.path}: {one.a} and {one.b}" for one in allowed]
    if changed := retrained(a, b):
        notes.append(f"other weights in B: {figures.listed([oneline(name, 60) for name in changed])}")
    notes += found.notes
    if len(held) > 1:
        notes.append("times are raw, held against no ruler or against two: drift of the machine is in the ratios")
    elif ruled:
        notes.append(f"times: B/A of undisturbed rounds, at one pace of fixed work beside them{_pace(rows)}")
    elif held - {""}:  # a ruler of another device, or of another torch, would divide the very difference away
        notes.append("times are raw: a ruler tells minutes of one machine apart, not two machines")
    told = tuple(Told(row.key, row.a.measurement, row.b.measurement) for row in rows if row.kind is None)
    return Comparison(a, b, judge(rows, floor, terms.margins), told, floor, tuple(notes))


def _pace(rows: Sequence[Row]) -> str:
    """How fast the machine was in B beside A, by the ruler alone; empty where no row has a valid round in both."""
    timed = [row for row in rows if row.a.measurement.ruler and row.b.measurement.ruler]
    if not timed:
        return ""
    logs = [[math.log(median(side.measurement.ruler)) for side in sides] for sides in ((r.a, r.b) for r in timed)]
    change = math.expm1(fmean(b - a for a, b in logs))
    if abs(change) < 0.005:
        return ", which took as long in both runs"
    return f", which took {abs(change):.0%} {'longer' if change > 0 else 'less'} in B"


def _raw(side: Side) -> Side:
    return replace(side, measurement=replace(side.measurement, ruler=()))


def margins(percent: float, points: float) -> Margins:
    """From `--margin 5 --margin-points 2`; UsageError for what is no margin."""
    for option, value in (("--margin", percent), ("--margin-points", points)):
        if not 0 < value <= 100:
            raise UsageError(f"{option} {value:g}: above 0 and at most 100")
    return Margins(percent / 100, points / 100)
