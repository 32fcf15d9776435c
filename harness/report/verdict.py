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
from harness.report.wording import OBJECTIVES, reason, shipping, shipping_none
from harness.stats import difference_interval


@dataclass(frozen=True)
class Verdict:
    """What to ship, or None; one sentence; the table it follows from; a line on each of the others."""

    ship: str | None
    sentence: str
    tie: tuple[str, ...]
    objective: str
    table: tuple[Judged, ...]
    reasons: tuple[str, ...]


def decide(run: Run) -> Verdict:
    """The verdict of a run against the budgets that its pair stated when it was measured."""
    views = variants(run)
    budgets, objective = budgets_of(run), dig(run.pair, "objective") or "size"
    if objective not in OBJECTIVES:
        raise RecordError(f"objective {oneline(objective, 40)}: unknown; there are {', '.join(OBJECTIVES)}")
    table = tuple(judge(view, budgets) for view in views)
    candidates = [judged for judged in table if not judged.control and judged.measured]
    ship: str | None = None
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
        best, tied = _best(fit, OBJECTIVES[objective])
        ship, tie = best.name, tuple(view.name for view in tied)
        sentence = shipping(best, tied, len(fit), len(candidates), baseline_of(views), objective)
    else:
        sentence = shipping_none(min(candidates, key=_distance))
    judged_by = () if has_random_weights(run) else table
    reasons = tuple(reason(judged, ship, tie, objective, views) for judged in judged_by if judged.variant != ship)
    return Verdict(ship, sentence, tie, objective, table, tuple(filter(None, reasons)))


def _best(fit: list[VariantView], metric: str) -> tuple[VariantView, list[VariantView]]:
    """The best by the objective; of those not told apart from it, the one that agrees most; who tied."""
    sign = -1 if metric == "agreement" else 1

    def rank(view: VariantView) -> tuple[bool, float]:
        value = view.get(metric).value
        return value is None, sign * (value or 0.0)

    first = min(fit, key=rank)
    # As many comparisons as rivals: each at a level that keeps 95 % over all of them (Bonferroni).
    confidence = 1 - 0.05 / max(1, len(fit) - 1)
    equals = [view for view in fit if view is first or not _told_apart(view, first, metric, confidence)]
    best = max(equals, key=lambda view: (view.get("agreement").value or 0.0, view is first))
    return best, [view for view in equals if view is not best]


def _told_apart(a: VariantView, b: VariantView, metric: str, confidence: float) -> bool:
    ours, theirs = a.get(metric), b.get(metric)
    if ours.value is None or theirs.value is None:
        return ours.value is not theirs.value
    if metric == "agreement":
        one, other = paired(a.items, b.items)
        if one:
            agreed = [x.agrees for x in one], [x.agrees for x in other]
            bounds = difference_interval(*agreed, [x.clip for x in one], confidence=confidence)
            return bounds.low is not None and bounds.high is not None and not bounds.low <= 0 <= bounds.high
    if ours.samples and theirs.samples and min(theirs.samples) > 0:
        found = ratio(ours, theirs, confidence, in_turn=not (a.apart or b.apart))
        return found.low is not None and found.high is not None and not found.low <= 1 <= found.high
    if None in (ours.low, ours.high, theirs.low, theirs.high):
        return ours.value != theirs.value
    return bool(ours.low > theirs.high or ours.high < theirs.low)  # type: ignore[operator]


def _distance(judged: Judged) -> tuple[int, int, int, float]:
    missed = judged.having("missed")
    worst = max((abs(check.margin or 0.0) / abs(check.limit) if check.limit else 0.0 for check in missed), default=0.0)
    return len(missed), len(judged.having("not measured")), len(judged.having("cannot tell")), worst
