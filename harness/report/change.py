"""One thing that would change what is shipped, in words: a budget that is moved, or a doubt that is settled.

    change.sentence -> "With a size budget of 1.2 MB (0.2 MB more), baseline would ship."

Found by counterfactual.py.
"""

import math
from dataclasses import dataclass
from decimal import Decimal

from harness.errors import oneline
from harness.report import figures
from harness.report.budgets import Check, limit_words, unit_of

_NAMES = {
    "agreement": "an agreement floor",
    "accuracy": "an accuracy floor",
    "ttft_ms": "a budget for the first token",
    "itl_ms": "an inter-token budget",
    "answer_ms": "a budget for a whole answer",
    "answer_j": "an energy budget",
    "memory_mb": "a memory budget",
    "size_mb": "a size budget",
}


@dataclass(frozen=True)
class Change:
    """One budget moved alone, and what would then ship (None: nothing).

    The change comes at `threshold`, or just beyond it where the limit is tightened; `limit` is how it is printed, that
    much or a little further. Without both, the budget is dropped: what it asks for was not measured, or has no bound.
    """

    budget: str
    stated: float
    at_least: bool
    looser: bool
    threshold: float | None
    limit: float | None
    to: str | None

    @property
    def distance(self) -> float:
        """How far it moves, as a share of what is stated; infinite for a budget that is dropped, or stated as 0."""
        if self.limit is None or self.stated == 0:
            return math.inf
        return abs(self.limit - self.stated) / abs(self.stated)

    @property
    def moved(self) -> str:
        """11.6 points higher, 0.2 MB more; empty for a budget that is dropped."""
        if self.limit is None:
            return ""
        by = abs(Decimal(repr(self.limit)) - Decimal(repr(self.stated)))
        up = self.limit > self.stated
        if self.at_least:
            return f"{_short(100 * by)} points {'higher' if up else 'lower'}"
        return f"{_short(by)} {unit_of(self.budget)} {'more' if up else 'less'}"

    @property
    def asks(self) -> str:
        """A size budget of 1.2 MB (0.2 MB more); no limit for a budget that is dropped."""
        name = _NAMES[self.budget]
        return name if self.limit is None else f"{name} of {limit_words(self.budget, self.limit)} ({self.moved})"

    @property
    def sentence(self) -> str:
        """With a size budget of 1.2 MB (0.2 MB more), baseline would ship."""
        ships = "nothing" if self.to is None else oneline(self.to, 60)
        return f"{'Without' if self.limit is None else 'With'} {self.asks}, {ships} would ship."

    @property
    def cell(self) -> str:
        """The same for a table: 1.2 MB (0.2 MB more): baseline ships."""
        ships = "nothing" if self.to is None else oneline(self.to, 60)
        if self.limit is None:
            return f"dropped: {ships} ships"
        return f"{limit_words(self.budget, self.limit)} ({self.moved}): {ships} ships"


@dataclass(frozen=True)
class Doubt:
    """A variant that misses no budget, is not surely within some or was not measured in it, and would change the
    answer if it were within.
    """

    variant: str
    checks: tuple[Check, ...]
    to: str

    @property
    def sentence(self) -> str:
        """If distilled is shown to meet agreement at least 83 %, it would ship: about 1 500 more questions …"""
        asked = figures.listed([f"{figures.metric(one.metric).words} {one.asked}" for one in self.checks])
        settled = figures.listed(list(dict.fromkeys(_settled(one) for one in self.checks)))
        ships = "it" if self.to == self.variant else oneline(self.to, 60)
        return f"If more measuring shows that {oneline(self.variant, 60)} meets {asked}, {ships} would ship: {settled}."


@dataclass(frozen=True)
class Together:
    """Budgets that must be moved at once for anything to ship, each to its limit; `to`: what then ships."""

    moved: tuple[Change, ...]
    to: str

    @property
    def words(self) -> str:
        """With a memory budget of 8 GB (2 GB more) and a size budget of 2 GB (1 GB more) at once, it would ship."""
        return f"with {figures.listed([one.asks for one in self.moved])} at once, {oneline(self.to, 60)} would ship"


def _settled(one: Check) -> str:
    if one.status == "not measured":
        return f"{figures.metric(one.metric).words} was not measured ({oneline(one.measurement.absent, 200)})"
    return one.settled_by


def _short(number: Decimal) -> str:
    """Three digits of a difference, without idle zeros: 0.2, 8 000."""
    return figures.exact(Decimal(f"{number:.3g}"))
