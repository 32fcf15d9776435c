"""Where the gain of distillation comes from: the controls held against each other on the same questions.

`finetuned` saw few gold answers; `hard-labels` the teacher's answers on the whole pool; `distilled` those
answers and the teacher's probabilities. Their differences, one by one, say what each step bought, in words
the figures allow.
"""

from dataclasses import dataclass

from harness.record import Run
from harness.report import figures
from harness.report.compare import paired
from harness.report.view import VariantView, variants
from harness.stats import Estimate, difference_interval, mcnemar_clustered, mcnemar_exact

SHOWN_BELOW = 0.01  # the p that a difference must stay below to be called shown

# first, second, what the step between them is
STEPS = (
    ("distilled", "undistilled", "training at all"),
    ("distilled", "finetuned", "distilling instead of fine-tuning on the few gold answers"),
    ("hard-labels", "finetuned", "answering more clips: the teacher’s answers on the whole pool"),
    ("distilled", "hard-labels", "the teacher’s probabilities beside its answers"),
)


@dataclass(frozen=True)
class Comparison:
    """Agreement with the teacher of two variants on the questions that both answered."""

    first: str
    second: str
    step: str
    n: int
    clips: int
    rates: tuple[float, float]
    difference: Estimate
    only_first: int
    only_second: int
    p_exact: float
    p_clustered: float

    @property
    def shown(self) -> bool:
        """Whether both tests and the interval call the difference real; the clips' own test is the stricter
        one.
        """
        low, high = self.difference.low, self.difference.high
        clear = low is not None and high is not None and (low > 0 or high < 0)
        return clear and self.p_exact < SHOWN_BELOW and self.p_clustered < SHOWN_BELOW


@dataclass(frozen=True)
class Gain:
    """The comparisons, what they allow to be said, and which could not be made."""

    comparisons: tuple[Comparison, ...]
    sentences: tuple[str, ...]
    missing: tuple[str, ...]


def compare(a: VariantView, b: VariantView, step: str = "") -> Comparison | None:
    """Two variants on the questions both answered; None when there is none."""
    ours, theirs = paired(a.items, b.items)
    if not ours:
        return None
    first, second = [item.agrees for item in ours], [item.agrees for item in theirs]
    clips = [item.clip for item in ours]
    only_first = sum(x and not y for x, y in zip(first, second, strict=True))
    only_second = sum(y and not x for x, y in zip(first, second, strict=True))
    return Comparison(
        first=a.name,
        second=b.name,
        step=step,
        n=len(ours),
        clips=len(set(clips)),
        rates=(sum(first) / len(ours), sum(second) / len(ours)),
        difference=difference_interval(first, second, clips),
        only_first=only_first,
        only_second=only_second,
        p_exact=mcnemar_exact(only_first, only_second),
        p_clustered=mcnemar_clustered(first, second, clips),
    )


def gain(run: Run) -> Gain:
    """All the comparisons that this run's records allow, and their reading."""
    views = {view.name: view for view in variants(run)}
    found: dict[tuple[str, str], Comparison] = {}
    missing = []
    for first, second, step in STEPS:
        absent = [name for name in (first, second) if name not in views or not views[name].items]
        made = None if absent else compare(views[first], views[second], step)
        if made is None:
            why = f"no answers of {figures.listed(absent)} in this run" if absent else "no question that both answered"
            missing.append(f"{first} against {second}: {why}.")
        else:
            found[first, second] = made
    seeds = {record.workload.get("seed", 0) for record in run.records if record.suite == "agreement"}
    return Gain(tuple(found.values()), tuple(_reading(found, trained_again=len(seeds) > 1)), tuple(missing))


def _reading(found: dict[tuple[str, str], Comparison], trained_again: bool) -> list[str]:
    whole = found.get(("distilled", "finetuned"))
    more = found.get(("hard-labels", "finetuned"))
    soft = found.get(("distilled", "hard-labels"))
    said = []
    if whole is not None:
        said.append(_whole(whole))
    if more is not None:
        said.append(_more(more, whole))
    if soft is not None:
        said.append(_soft(soft))
    elif whole is not None and whole.shown:
        said.append("Whether more clips or the probabilities bring it cannot be said without hard-labels.")
    if said and trained_again:
        said.append("These are the students of the first seed; what another seed changes is told below.")
    elif said:
        said.append(
            "Each is one trained student of one seed: the intervals hold for these students on other clips; "
            "another seed can move a student by more (--seeds 3 trains each again)."
        )
    return said


def _whole(whole: Comparison) -> str:
    if not whole.shown:
        return f"That distilling beats fine-tuning on few gold answers is not shown here ({_interval(whole)})."
    difference = whole.difference.value
    verb = "more" if difference > 0 else "less"
    return (
        f"Distilled agrees with the teacher {_points(abs(difference))} {verb} often than finetuned "
        f"({_interval(whole)}, {figures.p_value(whole.p_clustered)} by clips)."
    )


def _more(more: Comparison, whole: Comparison | None) -> str:
    value = more.difference.value
    if not more.shown:
        return f"That answering more clips brings a gain is not shown here ({_interval(more)})."
    if value < 0:
        return f"The teacher’s answers on more clips bring no gain: {_points(-value)} lost ({_interval(more)})."
    gained = whole is not None and whole.shown and whole.difference.value > 0
    share = ""
    if gained and whole is not None:
        of_those = value < whole.difference.value
        share = f" of those {100 * whole.difference.value:.1f}" if of_those else ", no less than all of it"
    return (
        f"Answering more clips brings {_points(value)}{share}: a student that saw only the teacher’s answers "
        f"on the pool, without its probabilities, gains that much over finetuned ({_interval(more)})."
    )


def _soft(soft: Comparison) -> str:
    value, interval = soft.difference.value, _interval(soft)
    if not soft.shown:
        return (
            "That the teacher’s probabilities add anything to its answers is not shown: distilled against "
            f"hard-labels differs by {_signed(value)} ({interval}, {figures.p_value(soft.p_clustered)})."
        )
    if value > 0:
        return f"The teacher’s probabilities bring {_points(value)} beyond its answers ({interval})."
    return (
        f"The teacher’s probabilities bring no gain: distilled agrees {_points(-value)} less often than "
        f"hard-labels ({interval})."
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _signed(share: float) -> str:
    return figures.points(share).replace(" pt", " points")


def _interval(made: Comparison) -> str:
    low, high = made.difference.low, made.difference.high
    if low is None or high is None:
        return "no interval"
    ends = [figures.points(end).removesuffix(" pt") for end in (low, high)]
    return f"95 % interval {ends[0]} to {ends[1]}"
