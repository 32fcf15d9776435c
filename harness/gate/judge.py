"""What became of each row: regressed, improved, same, or cannot tell, with the reason for the last.

Time and energy: the ratio B/A over processes (Welch's t on their log medians). Times with a ruler beside them
(`harness/measure/ruler.py`) are held against each other twice, at one pace of it (`harness/stats/adjusted.py`): by
what undisturbed rounds take (`harness/stats/undisturbed.py`), which is what the code takes, and by medians, which also
say what happens to many rounds and not to the fastest. A row is called where Holm's p over all rows of the comparison
is below 1 % and the ratio is beyond the noise floor (medians beside undisturbed rounds: beyond the margin, too). Not
called, it is the same when its 95 % interval ends within the margin; else it cannot be told.
Memory is one value without interval: called beyond the floor and 2 %, and not to be told where it grew by more than the
margin and the floor is larger. Where the machine itself was slower by more than the margin, and so was the code beside
it, `same` would trust the ruler alone, and what slows a whole process slows both: that cannot be told either. Shares:
the difference of paired answers, clustered by clip; the same answers are the same exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Literal, Self

from harness.errors import oneline
from harness.gate.answers import paired_answers
from harness.gate.gated import Kind
from harness.gate.noise import Floor, size_words
from harness.gate.rows import Key, Row
from harness.record import Measurement
from harness.stats import Estimate, difference_interval, mcnemar_clustered
from harness.stats.adjusted import adjusted_ratio, adjusted_ratio_p
from harness.stats.multiple import holm
from harness.stats.replicates import Groups, replicate_ratio, replicate_ratio_p
from harness.stats.undisturbed import undisturbed

Verdict = Literal["regressed", "improved", "same", "cannot tell"]

# Of a false call among all rows of one comparison. Not 5 %: who is stopped without reason once in forty changes no
# longer reads what a gate says, and rounds are precise enough that a true 5 % is called all the same.
ALPHA = 0.01
LEAST = 0.02  # the smallest ratio of single values that is called, as - 1
LEAST_PROCESSES = 2
# Two runs whose paces differ by more were on two machines, as it were: how a row follows the ruler is no detail then.
# It is called where any power of the ruler would have it so; the stages of small students follow it by 0.3 to 1.7.
PACE_LIMIT, EXPONENTS = 0.10, (0.25, 2.0)


@dataclass(frozen=True)
class Margins:
    """What is still the same: a ratio - 1, and a difference of shares (0.02 = 2 points)."""

    ratio: float = 0.05
    points: float = 0.02


@dataclass(frozen=True)
class Judged:
    """A row with its verdict. estimate: B/A, or B - A of shares; no ends: no interval. p: Holm's, if there is one."""

    key: Key
    kind: Kind
    a: Measurement
    b: Measurement
    verdict: Verdict
    estimate: Estimate | None
    p: float | None
    floor: float | None  # log ratio; difference of shares
    why: str = ""
    of: str = ""  # what the estimate of a time is of: undisturbed rounds, or medians

    @property
    def worse(self) -> bool:
        """Whether B's value is on the wrong side of A's, called or not."""
        if self.estimate is None:
            return False
        change = self.estimate.value - (0.0 if self.kind == "share" else 1.0)
        return change < 0 if self.b.higher_is_better else change > 0


@dataclass(frozen=True)
class _Weighed:
    """A row before all others are known: its estimate and raw p, or why there is none."""

    row: Row
    kind: Kind
    estimate: Estimate | None = None
    p: float | None = None
    why: str = ""
    raw: float | None = None  # B/A as the clock had it, and what the ruler took in B beside A; None: no ruler
    pace: float | None = None
    of: str = ""
    medians: Self | None = None  # where the estimate is of undisturbed rounds: of all rounds' medians

    def stands(self, least: float) -> bool:
        """Whether a change beyond `least` is one although the machine's pace differed."""
        if self.raw is None or self.pace is None or abs(math.log(self.pace)) <= math.log1p(PACE_LIMIT):
            return True
        changes = [math.log(self.raw) - power * math.log(self.pace) for power in EXPONENTS]
        return min(changes) > least or max(changes) < -least


def judge(rows: Sequence[Row], floor: Floor, margins: Margins = Margins()) -> tuple[Judged, ...]:
    """A verdict on every gated row; the p-values are adjusted over all of them together."""
    weighed = [_weigh(row, row.kind) for row in rows if row.kind is not None]
    every = [p for one in weighed for p in (one.p, one.medians.p if one.medians else None) if p is not None]
    adjusted = iter(holm(every))
    final = []
    for one in weighed:
        known = replace(one, p=next(adjusted)) if one.p is not None else one
        final.append(replace(known, medians=replace(one.medians, p=next(adjusted))) if one.medians else known)
    return tuple(_called(one, floor.of(one.row.key.metric), margins) for one in final)


def _weigh(row: Row, kind: Kind) -> _Weighed:
    a, b = row.a.measurement, row.b.measurement
    for name, side in (("A", row.a), ("B", row.b)):
        if not side.record.valid:
            return _Weighed(row, kind, why=f"not valid in {name}: {'; '.join(side.record.invalid_reasons)}")
        if side.measurement.value is None:
            return _Weighed(row, kind, why=f"absent in {name}: {side.measurement.absent}")
    assert a.value is not None
    assert b.value is not None
    if a.unit != b.unit:
        return _Weighed(row, kind, why=f"in {a.unit} in A and in {b.unit} in B; measure both by one version")
    if a.higher_is_better != b.higher_is_better:
        return _Weighed(row, kind, why="higher is better in one run only; measure both by one version")
    if kind == "share":
        return _share(row, kind)
    if min(a.value, b.value, *a.samples, *b.samples) <= 0:
        return _Weighed(row, kind, why="a value is not above zero, so that there is no ratio; measure again")
    ours, theirs = a.processes(ruled=False), b.processes(ruled=False)
    counts = {"A": len(ours), "B": len(theirs)}
    if min(counts.values()) >= LEAST_PROCESSES:
        if a.ruler and b.ruler:  # the comparison takes the rulers away where times are to be raw
            medians = _at_one_pace(row, kind, (theirs, b.rulers()), (ours, a.rulers()))
            calm_b, calm_a = undisturbed(theirs, b.rulers()), undisturbed(ours, a.rulers())
            if calm_a is None or calm_b is None:
                return medians
            return replace(_at_one_pace(row, kind, calm_b, calm_a), of="undisturbed rounds", medians=medians)
        estimate = replicate_ratio(theirs, ours, paired=False)
        return _Weighed(row, kind, estimate, replicate_ratio_p(theirs, ours, paired=False).equal, of="medians")
    if kind == "memory":
        return _Weighed(row, kind, Estimate(b.value / a.value, None, None), why="no interval")
    few = " and ".join(
        f"{count or 'no'} process{'' if count == 1 else 'es'} in {name}" for name, count in counts.items()
    )
    return _Weighed(row, kind, why=f"{few}: what the next one would give is not known; measure with more processes")


def _at_one_pace(row: Row, kind: Kind, theirs: tuple[Groups, Groups], ours: tuple[Groups, Groups]) -> _Weighed:
    """B/A of two runs' processes, each with its rulers."""
    raw, pace = (_centre(b) / _centre(a) for b, a in zip(theirs, ours, strict=True))
    told = (*theirs, *ours)
    return _Weighed(row, kind, adjusted_ratio(*told), adjusted_ratio_p(*told).equal, raw=raw, pace=pace, of="medians")


def _centre(groups: Sequence[Sequence[float]]) -> float:
    """The geometric mean of the processes' medians, as ratios compare them."""
    return math.exp(fmean(math.log(median(group)) for group in groups))


def _share(row: Row, kind: Kind) -> _Weighed:
    answers = paired_answers(row)
    if not answers.clips:
        return _Weighed(row, kind, why=answers.note or "no question is in both runs' records; measure again")
    if answers.a == answers.b:
        return _Weighed(row, kind, Estimate(0.0, 0.0, 0.0), why=answers.note or "the same answers")
    estimate = difference_interval(answers.b, answers.a, answers.clips)
    return _Weighed(row, kind, estimate, mcnemar_clustered(answers.b, answers.a, answers.clips), answers.note)


def _by_medians(medians: _Weighed, least: float) -> Verdict | None:
    """What is called although undisturbed rounds do not show it: what most rounds meet, but not the fastest."""
    assert medians.estimate is not None
    assert medians.p is not None
    change = math.log(medians.estimate.value)
    if medians.p >= ALPHA or abs(change) <= least or not medians.stands(least):
        return None
    return "improved" if (change > 0) == medians.row.b.measurement.higher_is_better else "regressed"


def _called(one: _Weighed, floor: float | None, margins: Margins) -> Judged:
    a, b = one.row.a.measurement, one.row.b.measurement

    def with_verdict(verdict: Verdict, why: str = one.why) -> Judged:
        return Judged(one.row.key, one.kind, a, b, verdict, one.estimate, one.p, floor, oneline(why, 300), one.of)

    if one.estimate is None:
        return with_verdict("cannot tell")
    value, low, high = one.estimate
    share = one.kind == "share"
    change = value if share else math.log(value)
    least = floor or 0.0
    if one.p is None and not share:  # a single value
        beyond = abs(change) > max(least, math.log1p(LEAST))
        better = (change > 0) == b.higher_is_better
        if beyond or better or abs(change) <= max(math.log1p(margins.ratio), math.log1p(LEAST)):
            return with_verdict(("improved" if better else "regressed") if beyond else "same")
        metric = one.row.key.metric
        return with_verdict("cannot tell", f"smaller than the noise floor ({size_words(metric, least)}); measure again")
    if one.p is not None and one.p < ALPHA and abs(change) > least:
        if not one.stands(least):
            assert one.pace is not None
            apart = f"fixed work beside it took {abs(one.pace - 1):.0%} {'longer' if one.pace > 1 else 'less'} in B"
            return with_verdict("cannot tell", f"{apart}: machine or code, these rounds do not say; measure again")
        return with_verdict("improved" if (change > 0) == b.higher_is_better else "regressed")
    if one.medians is not None and (found := _by_medians(one.medians, max(least, math.log1p(margins.ratio)))):
        why = f"of medians; undisturbed rounds: {value:.3f}× ({low:.3f}–{high:.3f})"
        return Judged(one.row.key, one.kind, a, b, found, one.medians.estimate, one.medians.p, floor, why, "medians")
    margin = margins.points if share else math.log1p(margins.ratio)
    assert low is not None
    assert high is not None
    ends = (low, high) if share else (math.log(low), math.log(high))
    worst = -ends[0] if b.higher_is_better else ends[1]
    if worst < margin:
        if one.raw is not None and one.pace is not None and min(one.raw, one.pace) > 1 + margins.ratio:
            slower = f"{one.raw - 1:.0%} slower by the clock, as was fixed work beside it by {one.pace - 1:.0%}"
            return with_verdict("cannot tell", f"{slower}: what slows a whole process slows both; measure again")
        return with_verdict("same")
    metric = one.row.key.metric
    shown = size_words(metric, margin)
    mend = "ask more questions" if share else "measure with more processes"
    if one.p is not None and one.p < ALPHA:
        why = (
            f"smaller than the noise floor ({size_words(metric, least)}), and may be worse by more than {shown}; {mend}"
        )
    else:
        why = f"may be worse by more than {shown}, and may not; {mend}"
    return with_verdict("cannot tell", "; ".join(filter(None, (one.why, why))))
