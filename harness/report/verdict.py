"""Which variant to ship: every candidate held against every budget, by the interval and not by the mean.

    decide(run).sentence -> "Ship distilled-int8: it answers like the teacher on 82.1 % of 800 questions …"

Among those that surely meet every budget the best by the pair's objective is shipped. Where the figures
cannot tell two apart on it, the one that agrees more is, and the sentence says that it is a tie.
"""

from dataclasses import dataclass

from harness.errors import RecordError, oneline
from harness.record import Run
from harness.report.budgets import Judged, budgets_of, judge
from harness.report.compare import baseline_of, paired, ratio
from harness.report.view import VariantView, dig, has_random_weights, variants
from harness.report.wording import OBJECTIVES, Tie, reason, shipping, shipping_none
from harness.stats import Estimate, difference_interval, more_items, simultaneous_confidence


@dataclass(frozen=True)
class Verdict:
    """What to ship, or None; one sentence; the table it follows from; a line on each of the others."""

    ship: str | None
    sentence: str
    tie: tuple[str, ...]
    objective: str
    table: tuple[Judged, ...]
    reasons: tuple[str, ...]
    held: Judged | None = None  # what is shipped, or came nearest, with its checks; None where nobody was judged

    @property
    def given(self) -> bool:
        """Whether there was something to judge, and something to judge by."""
        return not self.sentence.startswith("No verdict")


def decide(run: Run) -> Verdict:
    """The verdict of a run against the budgets that its pair stated when it was measured."""
    views = variants(run)
    budgets, objective = budgets_of(run), dig(run.pair, "objective") or "size"
    if objective not in OBJECTIVES:
        raise RecordError(f"objective {oneline(objective, 40)}: unknown; there are {', '.join(OBJECTIVES)}")
    table = tuple(judge(view, budgets) for view in views)
    candidates = [judged for judged in table if not judged.control and judged.measured]
    ship: str | None = None
    nearest: Judged | None = None
    tie: tuple[str, ...] = ()
    if has_random_weights(run):
        sentence = (
            "No verdict: the weights are random, at their real shapes. Speed and memory are true; whether a variant "
            "answers like the teacher, only trained weights can show."
        )
    elif not budgets:
        sentence = "No verdict: the pair states no budget."
    elif not candidates:
        sentence = "Ship none: no variant that could be shipped was measured."
    elif any(judged.meets_all for judged in candidates):
        by_name = {view.name: view for view in views}
        fit = [by_name[judged.variant] for judged in candidates if judged.meets_all]
        best, tied = best_of(fit, objective)
        ship, tie = best.name, tuple(found.variant for found in tied)
        unsure = any(not judged.meets_all and not judged.having("missed") for judged in table if not judged.control)
        rivals = sum(not judged.control for judged in table)
        sentence = shipping(best, tied, len(fit), rivals, baseline_of(views), objective, unsure=unsure)
    else:
        nearest = min(candidates, key=_distance)
        sentence = shipping_none(nearest)
    judged_by = () if has_random_weights(run) else table
    reasons = tuple(reason(judged, ship, tie, objective, views) for judged in judged_by if judged.variant != ship)
    held = next((judged for judged in table if judged.variant == ship), nearest)
    return Verdict(ship, sentence, tie, objective, table, tuple(filter(None, reasons)), held)


def best_of(fit: list[VariantView], objective: str) -> tuple[VariantView, tuple[Tie, ...]]:
    """Of those that meet every budget the best by the objective; of those not told apart from it, the one that agrees
    most; and who tied with it.
    """
    metric, sign = OBJECTIVES[objective], -1 if objective == "agreement" else 1

    def rank(view: VariantView) -> tuple[bool, float]:
        value = view.get(metric).value
        return value is None, sign * (value or 0.0)

    first = min(fit, key=rank)
    confidence = simultaneous_confidence(max(1, len(fit) - 1))  # as many comparisons as rivals
    equals = [view for view in fit if view is first or not _rivalry(view, first, metric, confidence).told_apart]
    best = max(equals, key=lambda view: (view.get("agreement").value or 0.0, view is first))
    tied = [(view, _rivalry(view, best, metric, confidence)) for view in equals if view is not best]
    return best, tuple(Tie(view.name, rivalry.more, rivalry.counted) for view, rivalry in tied)


@dataclass(frozen=True)
class _Rivalry:
    """How far two are apart: a ratio (of which `same` is 1) or a difference (0), over n of what is counted."""

    estimate: Estimate
    same: float
    n: int
    counted: str  # empty: exact values, of which nothing is counted

    @property
    def told_apart(self) -> bool:
        value, low, high = self.estimate
        if low is None or high is None:
            return not self.counted and value != self.same
        return not low <= self.same <= high

    @property
    def more(self) -> int | None:
        """How many more would tell them apart: 0 where they are, None where no number would."""
        value, low, high = self.estimate
        if self.told_apart:
            return 0
        if low is None or high is None or not self.counted:
            return None
        more = more_items(value, low, high, self.n, self.same)
        return None if more is None else max(1, more)


def _rivalry(a: VariantView, b: VariantView, metric: str, confidence: float) -> _Rivalry:
    ours, theirs = a.get(metric), b.get(metric)
    if ours.value is None or theirs.value is None:
        return _Rivalry(Estimate(float(ours.value is not theirs.value), None, None), 0.0, 0, "")
    difference = ours.value - theirs.value
    if metric == "agreement":
        one, other = paired(a.items, b.items)
        if one:
            agreed = [x.agrees for x in one], [x.agrees for x in other]
            bounds = difference_interval(*agreed, [x.clip for x in one], confidence=confidence)
            return _Rivalry(Estimate(difference, bounds.low, bounds.high), 0.0, len(one), "questions")
    if ours.samples and theirs.samples and min(theirs.samples) > 0:
        found = ratio(ours, theirs, confidence, in_turn=not (a.apart or b.apart))
        return _Rivalry(found, 1.0, min(len(ours.samples), len(theirs.samples)), "rounds of each")
    if ours.low is None or ours.high is None or theirs.low is None or theirs.high is None:
        return _Rivalry(Estimate(difference, None, None), 0.0, 0, "")
    apart = Estimate(difference, ours.low - theirs.high, ours.high - theirs.low)
    return _Rivalry(apart, 0.0, min(ours.n, theirs.n), "questions" if metric == "agreement" else "rounds of each")


def _distance(judged: Judged) -> tuple[int, int, int, float]:
    missed = judged.having("missed")
    worst = max((abs(check.margin or 0.0) / abs(check.limit) if check.limit else 0.0 for check in missed), default=0.0)
    return len(missed), len(judged.having("not measured")), len(judged.having("cannot tell")), worst
