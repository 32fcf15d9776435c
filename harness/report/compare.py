"""Each variant beside baseline: ratios with intervals from the raw rounds, differences of paired answers, and
what got faster.

A ratio whose interval holds 1 is said to be not told apart, never rounded into a gain.
"""

from dataclasses import dataclass
from functools import lru_cache

from harness.record import Measurement, Run
from harness.report import figures
from harness.report.view import BASELINE, Item, VariantView, on_cpu, variants
from harness.stats import Estimate, difference_interval, ratio_interval, replicate_ratio


@dataclass(frozen=True)
class Relative:
    """How a metric stands to baseline's: a ratio, or for shares a difference."""

    metric: str
    estimate: Estimate
    words: str
    symbol: str

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out `the same`; without an interval, whether the values differ."""
        same = 0.0 if figures.metric(self.metric).kind == "share" else 1.0
        value, low, high = self.estimate
        if low is None or high is None:
            return value != same
        return low > same or high < same


def relative(view: VariantView, baseline: VariantView | None, metric: str, batch: int | None = None) -> Relative | None:
    """A variant's metric against baseline's; None for baseline itself and where either is absent."""
    if baseline is None or view.name == baseline.name:
        return None
    ours, theirs = view.get(metric, batch), baseline.get(metric, batch)
    if ours.value is None or theirs.value is None:
        return None
    if figures.metric(metric).kind == "share":
        return _difference(view, baseline, ours, theirs)
    if ours.value <= 0 or theirs.value <= 0:
        return None
    estimate = Estimate(ours.value / theirs.value, None, None)
    if ours.samples and theirs.samples and min(theirs.samples) > 0:
        estimate = ratio(ours, theirs, in_turn=not (view.apart or baseline.apart))
    return _ratio_in_words(metric, estimate)


def baseline_of(views: tuple[VariantView, ...]) -> VariantView | None:
    """The teacher as it is, if it was measured."""
    return next((view for view in views if view.name == BASELINE), None)


def speed(run: Run) -> str:
    """One or two sentences: what reaches its first token sooner than baseline, and plainly so when nothing
    does.
    """
    views = variants(run)
    baseline = baseline_of(views)
    where = "on this CPU" if on_cpu(run) else "on this device"
    found = {view.name: relative(view, baseline, "ttft") for view in views if not view.control}
    known = {name: ratio for name, ratio in found.items() if ratio is not None}
    if not known:
        return f"Whether anything got faster {where} cannot be said: no TTFT to compare with baseline’s."
    faster = {name: r for name, r in known.items() if r.told_apart and r.estimate.value < 1}
    slower = {name: r for name, r in known.items() if r.told_apart and r.estimate.value > 1}
    same = [name for name in known if name not in faster and name not in slower]
    parts = []
    if slower:
        parts.append(figures.listed([f"{name} is {_with_interval(r)}" for name, r in slower.items()]))
    if same:
        parts.append(f"{figures.listed(same)} cannot be told from baseline")
    rest = "; ".join(parts)
    if not faster:
        return f"Nothing got faster {where}: to the first token, {rest}."
    gains = figures.listed([f"{name} is {_with_interval(r)}" for name, r in faster.items()])
    return f"To the first token {where}, {gains}" + (f"; {rest}." if rest else ".")


def paired(a: tuple[Item, ...], b: tuple[Item, ...]) -> tuple[list[Item], list[Item]]:
    """The questions that both answered, in the same order."""
    theirs = {item.id: item for item in b}
    ours = [item for item in a if item.id in theirs]
    return ours, [theirs[item.id] for item in ours]


def _difference(view: VariantView, baseline: VariantView, ours: Measurement, theirs: Measurement) -> Relative:
    assert ours.value is not None
    assert theirs.value is not None
    estimate = Estimate(ours.value - theirs.value, None, None)
    a, b = paired(view.items, baseline.items)
    if a:
        field = "agrees" if ours.metric == "agreement" else "correct" if ours.metric == "accuracy" else ""
        if field:
            bounds = difference_interval(
                [getattr(x, field) for x in a], [getattr(x, field) for x in b], [x.clip for x in a]
            )
            estimate = Estimate(estimate.value, bounds.low, bounds.high)
    words = figures.points(estimate.value)
    return Relative(ours.metric, estimate, words, words)


def _ratio_in_words(metric: str, estimate: Estimate) -> Relative:
    names, value = figures.metric(metric), estimate.value
    relation = Relative(metric, estimate, "", f"×{value:.2f}" if value >= 0.01 else f"×{value:.2g}")
    if not relation.told_apart:
        words = "the same" if estimate.low is None else "not told apart"
    elif estimate.low is None and abs(value - 1) < 0.02:
        words = "about the same"  # without an interval, so small a difference is not claimed
    else:
        words = f"{figures.times(max(value, 1 / value))} {names.less if value < 1 else names.more}"
    return Relative(metric, estimate, words, relation.symbol)


def _with_interval(relation: Relative) -> str:
    low, high = relation.estimate.low, relation.estimate.high
    if low is None or high is None:
        return relation.words
    ends = sorted((low, high)) if relation.estimate.value > 1 else sorted((1 / low, 1 / high))
    return f"{relation.words} ({ends[0]:.2f}–{ends[1]:.2f})"


@lru_cache(maxsize=256)
def ratio(ours: Measurement, theirs: Measurement, confidence: float = 0.95, in_turn: bool = True) -> Estimate:
    """How many times as long, from the samples of one run: its processes timed both in turn, so they are paired, unless
    jobs of their own timed them; and each round is held against the ruler around it. A pair of which one process has
    no valid round is left out. Of a record that one process made, from the rounds alone.
    """
    ruled = bool(ours.ruler) == bool(theirs.ruler)
    a, b = (one.by_process_ruled() if ruled else one.by_process() for one in (ours, theirs))
    if in_turn and len(a) == len(b):
        both = [place for place in range(len(a)) if a[place] and b[place]]
        if len(both) > 1:
            pairs = [a[place] for place in both], [b[place] for place in both]
            return replicate_ratio(*pairs, paired=True, confidence=confidence)
    a, b = ours.processes(ruled=ruled), theirs.processes(ruled=ruled)
    if min(len(a), len(b)) > 1:
        return replicate_ratio(a, b, paired=False, confidence=confidence)
    return ratio_interval(ours.samples, theirs.samples, confidence=confidence)
