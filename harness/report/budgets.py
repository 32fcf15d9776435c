"""The pair's budgets held against one variant: met, missed, cannot tell, or not measured; by how much.

A budget on agreement or accuracy is met when the interval's lower bound reaches it, missed when the upper
bound stays below, else it cannot be told. Times, memory and size likewise from above; a figure without an
interval by its value.
"""

from dataclasses import dataclass
from typing import Literal

from harness.errors import RecordError, oneline
from harness.record import Measurement, Run
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
    "memory_mb": "memory_peak",
    "size_mb": "weights",
}


@dataclass(frozen=True)
class Check:
    """One budget held against one variant. The margin is room to spare in the metric's own unit, negative
    when over.
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
        unit = "ms" if self.budget.endswith("_ms") else "MB"
        limit = (
            f"{100 * self.limit:.4g} %" if figures.metric(self.metric).kind == "share" else f"{self.limit:.6g} {unit}"
        )
        return f"at {'least' if self.at_least else 'most'} {limit}"

    @property
    def margin_words(self) -> str:
        """2.1 points to spare, 3.4 ms over; empty when nothing was measured."""
        if self.margin is None:
            return ""
        size = abs(self.margin)
        if figures.metric(self.metric).kind == "share":
            text = f"{100 * size:.1f} points"
        else:
            text = figures.amount(self.metric, size, self.measurement.unit)
        return f"{text} {'to spare' if self.margin >= 0 else 'short' if self.at_least else 'over'}"


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
    """One budget against one measurement."""
    metric = BUDGETS[budget]
    share = figures.metric(metric).kind == "share"
    value, low, high = measurement.value, measurement.low, measurement.high
    status: Status = "cannot tell"
    if value is None:
        status = "not measured"
    elif share:
        if low is not None and low >= limit:
            status = "met"
        elif high is not None and high < limit:
            status = "missed"
    elif low is None and high is None:
        status = "met" if value <= limit else "missed"
    elif high is not None and high <= limit:
        status = "met"
    elif low is not None and low > limit:
        status = "missed"
    margin = None if value is None else (value - limit if share else limit - value)
    more = None
    if status == "cannot tell" and value is not None and low is not None and high is not None:
        more = more_items(value, low, high, measurement.n, limit)
    return Check(budget, metric, limit, share, status, measurement, margin, more)


def budgets_of(run: Run) -> dict[str, float]:
    """The budgets that the pair stated; one that this version does not know is an error."""
    stated = run.pair.get("budgets")
    found: dict[str, float] = {}
    for name, limit in (stated if isinstance(stated, dict) else {}).items():
        if name == "objective" or limit is None:
            continue
        if name not in BUDGETS or isinstance(limit, bool) or not isinstance(limit, (int, float)):
            raise RecordError(f"budget {oneline(name, 40)}: not one that this version can hold a variant against")
        found[name] = float(limit)
    return {name: found[name] for name in BUDGETS if name in found}


def judge(view: VariantView, budgets: dict[str, float]) -> Judged:
    """A variant held against every budget."""
    checks = tuple(check(name, limit, view.get(BUDGETS[name])) for name, limit in budgets.items())
    measured = any(c.status != "not measured" for c in checks)
    return Judged(view.name, view.control, measured, checks)
