"""The verdict in words: what is shipped and why, what the others miss, what would settle a doubt."""

from dataclasses import dataclass

from harness.errors import oneline
from harness.report import figures
from harness.report.budgets import Check, Judged
from harness.report.compare import relative
from harness.report.view import BASELINE, VariantView

OBJECTIVES = {
    "size": "weights",
    "memory": "memory_peak",
    "ttft": "ttft",
    "itl": "itl",
    "agreement": "agreement",
}


@dataclass(frozen=True)
class Tie:
    """A variant that the objective does not tell from the shipped one, and how many more `counted` (questions,
    rounds) would; None: no feasible number. Nothing counted: the two are equal, and known without an interval.
    """

    variant: str
    more: int | None
    counted: str


def shipping(
    best: VariantView,
    tied: tuple[Tie, ...],
    fit: int,
    candidates: int,
    baseline: VariantView | None,
    objective: str,
    *,
    unsure: bool = False,
) -> str:
    """What is shipped and why; with whom it ties. `unsure`: of another one it is not known that it misses a budget."""
    agreement, parts = best.get("agreement"), []
    if best.name != BASELINE and agreement.value is not None:
        floor = "" if agreement.low is None else f" (at least {figures.percent(agreement.low)})"
        share, n = figures.percent(agreement.value), figures.count(agreement.n)
        parts.append(f"answers like the teacher on {share} of {n} questions{floor}")
    relation, words = relative(best, baseline, OBJECTIVES[objective]), figures.metric(OBJECTIVES[objective])
    if relation is not None and objective != "agreement" and relation.words.endswith((words.less, words.more)):
        how = {"memory": "takes", "ttft": "reaches its first token", "itl": "decodes"}.get(objective, "is")
        noun = " memory" if objective == "memory" else ""
        parts.append(f"{how} {relation.words}{noun} than baseline")
    only = f"is the only one {'shown to meet' if unsure else 'that meets'} every budget"
    parts.append(only if fit == 1 and candidates > 1 else "meets every budget")
    text = f"Ship {_name(best.name)}: it {_and(parts)}"
    if tied:
        names = figures.listed([_name(tie.variant) for tie in tied])
        by = "the value alone" if objective == "agreement" else "agreement"
        text += f" – a tie with {names} on {figures.metric(OBJECTIVES[objective]).words}, decided by {by}"
        settled = _untied(tied)
        text += f" ({settled})" if settled else ""
    return text + "."


def _untied(tied: tuple[Tie, ...]) -> str:
    """What would tell the tied apart: the largest number, and whom no number would."""
    equal = [tie for tie in tied if not tie.counted]
    told = [tie for tie in tied if tie.counted and tie.more]  # 0: told from the shipped one, but not from the best
    never = [tie for tie in tied if tie.counted and tie.more is None]
    parts = []
    if told:
        most = max(told, key=lambda tie: tie.more or 0)
        parts.append(f"about {figures.estimated(most.more or 0, most.counted)} would tell {_them(told, tied)} apart")
    if never:
        parts.append(f"no feasible number of further {never[0].counted} would tell {_them(never, tied)} apart")
    if equal:
        parts.append("the two are equal" if len(tied) == 1 else f"{_them(equal, tied)} equals it")
    return "; ".join(parts)


def _them(some: list[Tie], tied: tuple[Tie, ...]) -> str:
    if len(some) == len(tied):
        return "the two" if len(tied) == 1 else "them"
    return figures.listed([_name(tie.variant) for tie in some])


def shipping_none(nearest: Judged) -> str:
    """Why nothing is shipped: all that the nearest misses, cannot be told on, or lacks."""
    name, missed = _name(nearest.variant), nearest.having("missed")
    unsure = figures.listed([_unsure(check) for check in nearest.having("cannot tell")])
    gaps = figures.listed([_gap(check) for check in nearest.having("not measured")])
    if missed:
        parts = [f"Ship none: the nearest, {name}, misses {figures.listed([_missing(check) for check in missed])}"]
        parts += [f"it cannot be told whether it meets {unsure}"] * bool(unsure)
    elif unsure:
        parts = [f"Ship none yet: {name} misses no budget, but it cannot be told whether it meets {unsure}"]
    else:
        return f"Ship none yet: {name} misses no budget, but this was not measured: {gaps}."
    return "; ".join(parts + [f"not measured: {gaps}"] * bool(gaps)) + "."


def _gap(check: Check) -> str:
    return f"{figures.metric(check.metric).words} ({oneline(check.measurement.absent, 200)})"


def _missing(check: Check) -> str:
    value = figures.shown(check.measurement)
    by = check.margin_words.rsplit(" ", 1)[0] if check.margin is not None and check.margin < 0 else ""
    words = figures.metric(check.metric).words
    return f"{words} by {by} ({value}, asked {check.asked})" if by else f"{words} ({value}, asked {check.asked})"


def _unsure(check: Check) -> str:
    bounds = figures.interval(check.measurement)
    got = ", ".join(filter(None, (figures.shown(check.measurement), f"interval {bounds}" if bounds else "")))
    return f"{figures.metric(check.metric).words} {check.asked} ({got}; {check.settled_by})"


def reason(
    judged: Judged, ship: str | None, tie: tuple[str, ...], objective: str, views: tuple[VariantView, ...]
) -> str:
    """Why a variant is not the one that is shipped; empty for a control."""
    name = _name(judged.variant)
    if judged.control:
        return ""
    if not judged.measured:
        failed = next((view.failed for view in views if view.name == judged.variant), {})
        why = [f"its {oneline(suite, 40)} test failed ({oneline(said, 200)})" for suite, said in failed.items()]
        return f"{name}: nothing that a budget asks for was measured{': ' * bool(why)}{figures.listed(why)}."
    parts = [f"misses {_missing(check)}" for check in judged.having("missed")]
    parts += [f"cannot be told on {_unsure(check)}" for check in judged.having("cannot tell")]
    parts += [f"was not measured in {figures.metric(c.metric).words}" for c in judged.having("not measured")]
    if parts:
        return f"{name}: {'; '.join(parts)}."
    if judged.variant in tie:
        return f"{name}: meets every budget too; a tie on {objective}, and it agrees less."
    metric = OBJECTIVES[objective]
    words = figures.metric(metric).words
    ours, best = (next(v for v in views if v.name == n).get(metric) for n in (judged.variant, ship))
    return f"{name}: meets every budget too, but {figures.shown(ours)} of {words} against {figures.shown(best)}."


def _name(name: str) -> str:
    return oneline(name, 60)


def _and(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 2 else " and ".join(parts)
