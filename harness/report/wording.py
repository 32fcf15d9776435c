"""The verdict in words: what is shipped and why, what the others miss, what would settle a doubt."""

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


def shipping(
    best: VariantView,
    tied: list[VariantView],
    fit: int,
    candidates: int,
    baseline: VariantView | None,
    objective: str,
) -> str:
    """What is shipped and why; with whom it ties."""
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
    only = fit == 1 and candidates > 1
    parts.append("is the only one that meets every budget" if only else "meets every budget")
    text = f"Ship {_name(best.name)}: it {_and(parts)}"
    if tied:
        names = figures.listed([_name(view.name) for view in tied])
        text += f" – a tie with {names} on {figures.metric(OBJECTIVES[objective]).words}, decided by agreement"
    return text + "."


def shipping_none(nearest: Judged) -> str:
    """Why nothing is shipped: what the nearest misses, cannot be told on, or lacks."""
    name = _name(nearest.variant)
    missed, unsure, gaps = (
        nearest.having("missed"),
        nearest.having("cannot tell"),
        nearest.having("not measured"),
    )
    if missed:
        return f"Ship none: the nearest, {name}, misses {figures.listed([_missing(check) for check in missed])}."
    if unsure:
        said = figures.listed([_unsure(check) for check in unsure])
        return f"Ship none yet: {name} misses no budget, but it cannot be told whether it meets {said}."
    said = figures.listed([f"{figures.metric(c.metric).words} ({c.measurement.absent})" for c in gaps])
    return f"Ship none yet: {name} misses no budget, but this was not measured: {oneline(said, 400)}."


def _missing(check: Check) -> str:
    value = figures.shown(check.measurement)
    by = check.margin_words.rsplit(" ", 1)[0] if check.margin is not None and check.margin < 0 else ""
    words = figures.metric(check.metric).words
    return f"{words} by {by} ({value}, asked {check.asked})" if by else f"{words} ({value}, asked {check.asked})"


def _unsure(check: Check) -> str:
    what = "questions" if figures.metric(check.metric).kind == "share" else "rounds"
    if check.more is None:
        settle = f"no feasible number of further {what} would settle it"
    else:
        settle = f"about {figures.count(_rounded(check.more))} more {what} would settle it"
    got = f"{figures.shown(check.measurement)}, interval {figures.interval(check.measurement)}"
    return f"{figures.metric(check.metric).words} {check.asked} ({got}; {settle})"


def reason(
    judged: Judged, ship: str | None, tie: tuple[str, ...], objective: str, views: tuple[VariantView, ...]
) -> str:
    """Why a variant is not the one that is shipped; empty for a control."""
    name = _name(judged.variant)
    if judged.control:
        return ""
    if not judged.measured:
        return f"{name}: nothing that a budget asks for was measured."
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


def _rounded(number: int) -> int:
    """Two digits are all that such an estimate can claim."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // step) * step


def _name(name: str) -> str:
    return oneline(name, 60)


def _and(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 2 else " and ".join(parts)
