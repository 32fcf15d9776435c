"""The pair's budgets held against one variant: met, missed, cannot tell, or not measured; by how much.

A budget on agreement or accuracy is met when the interval's lower bound reaches it, missed when the upper
bound stays below, else it cannot be told. Times, energy, memory and size likewise from above; a figure without
an interval by its value.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from harness.errors import RecordError, oneline
from harness.record import JSON, Measurement, Run
from harness.report import figures
from harness.report.view import VariantView
from harness.stats import more_items

Status = Literal["met", "missed", "cannot tell", "not measured"]

# budget in the pair file -> the metric it binds
BUDGETS = {
    "agreement": "agreement",
    "accuracy": "accuracy",
    "ttft_ms": "ttft",
    "itl_ms": "itl",
    "answer_ms": "answer",
    "answer_j": "joules_per_answer",
    "memory_mb": "memory_peak",
    "size_mb": "weights",
}
_UNITS = {"ms": "ms", "j": "J", "mb": "MB"}  # by a budget's last word; the others are shares
_COUNTED = {
    "1": "questions",
    "ms": "rounds",
    "J": "blocks",
    "MB": "processes",
}  # what a figure of that unit is measured over


def unit_of(budget: str) -> str:
    """The unit that a budget's limit is in: ms, J, MB; 1 for a share."""
    return _UNITS.get(budget.rpartition("_")[2], "1")


def limit_words(budget: str, limit: float) -> str:
    """80 %, 12 000 MB: a limit with its unit, in all of its digits."""
    unit = unit_of(budget)
    return f"{figures.exact(limit, 2)} %" if unit == "1" else f"{figures.exact(limit)} {unit}"


@dataclass(frozen=True)
class Check:
    """One budget held against one variant. The margin is room to spare in the metric's own unit: of one that is met
    from the interval's worse end, else from the value, and negative when over.
    """

    budget: str
    metric: str
    limit: float
    at_least: bool
    status: Status
    measurement: Measurement
    margin: float | None
    more: int | None  # further items that would settle a `cannot tell`

    @property
    def asked(self) -> str:
        """At least 80 %, at most 40 ms."""
        return f"at {'least' if self.at_least else 'most'} {limit_words(self.budget, self.limit)}"

    @property
    def bound(self) -> float | None:
        """The strictest limit that this measurement surely meets; None where it meets none."""
        return _bound(self.measurement, self.at_least)

    @property
    def settled_by(self) -> str:
        """What would settle a `cannot tell`; empty otherwise."""
        if self.status != "cannot tell":
            return ""
        found, what = self.measurement, _COUNTED[unit_of(self.budget)]
        if found.low is None or found.high is None:
            lacking = "interval" if found.low is found.high else "lower bound" if found.low is None else "upper bound"
            return f"it has no {lacking}, so how many more {what} would settle it is not known"
        if self.more is None:
            return f"no feasible number of further {what} would settle it"
        processes = sum(size > 0 for size in found.groups)
        if processes > 1:  # an interval over processes narrows by further ones, and not by longer ones
            within = figures.estimated(math.ceil(self.more * processes / found.n), "processes")
            return f"about {figures.estimated(self.more, what)}, in {within}, would settle it"
        return f"about {figures.estimated(self.more, what)} would settle it"

    @property
    def margin_words(self) -> str:
        """2.1 points to spare, 3.4 ms over; empty when nothing was measured."""
        if self.margin is None:
            return ""
        return f"{self._margin} {'to spare' if self.margin >= 0 else 'short' if self.at_least else 'over'}"

    @property
    def margin_briefly(self) -> str:
        """By 2.1 points, over by 3.4 ms; empty when nothing was measured."""
        if self.margin is None:
            return ""
        return f"{'' if self.margin >= 0 else 'short ' if self.at_least else 'over '}by {self._margin}"

    @property
    def _margin(self) -> str:
        size = abs(self.margin or 0.0)
        if unit_of(self.budget) == "1":
            return f"{100 * size:.1f} points"
        return figures.amount(self.metric, size, self.measurement.unit)


@dataclass(frozen=True)
class Judged:
    """A variant with its checks; a control is held against the budgets too, but never shipped."""

    variant: str
    control: bool
    measured: bool
    checks: tuple[Check, ...]

    def having(self, status: Status) -> tuple[Check, ...]:
        """The checks that came out so."""
        return tuple(check for check in self.checks if check.status == status)

    @property
    def meets_all(self) -> bool:
        """Whether every budget is surely met."""
        return self.measured and len(self.having("met")) == len(self.checks)


def check(budget: str, limit: float, measurement: Measurement) -> Check:
    """One budget against one measurement; one that was recorded in another unit is as good as absent."""
    metric, at_least = BUDGETS[budget], unit_of(budget) == "1"
    measurement = _in_unit(measurement, unit_of(budget))
    value, low, high = measurement.value, measurement.low, measurement.high
    bound = _bound(measurement, at_least)
    far = high if at_least else low  # the end that is best for it
    if low is None and high is None and not at_least:
        far = value
    status: Status = "cannot tell"
    if value is None:
        status = "not measured"
    elif bound is not None and (bound >= limit if at_least else bound <= limit):
        status = "met"
    elif far is not None and (far < limit if at_least else far > limit):
        status = "missed"
    held_from = bound if status == "met" else value
    margin = None if held_from is None else (held_from - limit if at_least else limit - held_from)
    more = None
    if status == "cannot tell" and value is not None and low is not None and high is not None:
        more = more_items(value, low, high, measurement.n, limit)
        more = None if more is None else max(1, more)  # an interval that just touches: another one might tell
    return Check(budget, metric, limit, at_least, status, measurement, margin, more)


def budgets_of(run: Run) -> dict[str, float]:
    """The budgets that the pair stated; one that this version does not know is an error."""
    stated = run.pair.get("budgets")
    found: dict[str, float] = {}
    for name, limit in (stated if isinstance(stated, dict) else {}).items():
        if name == "objective" or limit is None:
            continue
        number = _finite(limit)
        if name not in BUDGETS or number is None:
            raise RecordError(f"budget {oneline(name, 40)}: not one that this version can hold a variant against")
        found[name] = number
    return {name: found[name] for name in BUDGETS if name in found}


def judge(view: VariantView, budgets: dict[str, float]) -> Judged:
    """A variant held against every budget."""
    checks = tuple(check(name, limit, view.get(BUDGETS[name])) for name, limit in budgets.items())
    measured = any(c.status != "not measured" for c in checks)
    return Judged(view.name, view.control, measured, checks)


def _bound(measurement: Measurement, at_least: bool) -> float | None:
    if at_least:
        return measurement.low
    no_interval = measurement.low is None and measurement.high is None
    return measurement.value if no_interval else measurement.high


def _finite(limit: JSON) -> float | None:
    if isinstance(limit, bool) or not isinstance(limit, (int, float)):
        return None
    try:
        return float(limit) if math.isfinite(limit) else None
    except OverflowError:  # an integer of more than 308 digits
        return None


def _in_unit(measurement: Measurement, unit: str) -> Measurement:
    if measurement.value is None or measurement.unit == unit:
        return measurement
    reason = f"recorded in {oneline(measurement.unit, 20)}, where the budget is in {unit}"
    return replace(measurement, value=None, low=None, high=None, n=0, samples=(), groups=(), ruler=(), absent=reason)
