"""What would change the answer: how far one budget would have to move for something else to be shipped.

    found = what_would_change(run)
    found.changes[0].sentence -> "With a size budget of 1.2 MB (0.2 MB more), baseline would ship."

Each budget is moved alone, the others stay as stated; `decide` of the run with the moved limit ships `change.to`, and
what it ships now for every limit before `change.threshold`. A limit is printed with as few digits as keep that true.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from harness.errors import oneline
from harness.record import Run
from harness.report import figures
from harness.report.budgets import Check, Judged, unit_of
from harness.report.change import Change, Doubt, Together
from harness.report.verdict import Verdict, best_of, decide
from harness.report.view import variants
from harness.report.wording import OBJECTIVES

MOST_SHOWN = 3  # on the first screen
_DIGITS = 3  # of a limit as printed, or more where fewer would not be true


@dataclass(frozen=True)
class Counterfactual:
    """All that would change the answer, nearest first; `budgets`: of each that was moved one check, for its words."""

    changes: tuple[Change, ...]
    doubts: tuple[Doubt, ...]
    budgets: tuple[Check, ...]
    objectives: tuple[tuple[str, str], ...]  # what the other objectives would ship, where something is shipped
    together: Together | None = None  # where no budget moved alone lets anything ship: those that must be moved at once

    @property
    def by_objective(self) -> str:
        """Preferred by TTFT or memory it would be distilled; empty where every objective ships the same."""
        chosen: dict[str, list[str]] = {}
        for objective, ships in self.objectives:
            chosen.setdefault(ships, []).append(figures.metric(OBJECTIVES[objective]).words)
        parts = [f"by {figures.listed(names, 'or')} {oneline(ships, 60)}" for ships, names in chosen.items()]
        return f"With these budgets, preferred {figures.listed(parts)} would ship." if parts else ""

    @property
    def says(self) -> tuple[str, ...]:
        """What the first screen says: the nearest changes, first those by which something ships, and the first doubt;
        or that there is none.
        """
        by_use = sorted(self.changes, key=lambda change: change.to is None)
        found = [change.sentence for change in by_use[:MOST_SHOWN]]
        if not found and self.budgets:
            alone = "No budget moved alone, however far, changes what is shipped"
            found = [f"{alone}{f': {self.together.words}' if self.together else ''}."]
        return (*found, *(doubt.sentence for doubt in self.doubts[:1]))

    @property
    def rows(self) -> tuple[tuple[str, str, str, str], ...]:
        """Budget, what is asked, what a looser and what a tighter limit would change."""
        cells = {(change.budget, change.looser): change.cell for change in self.changes}

        def cell(one: Check, looser: bool) -> str:
            return cells.get((one.budget, looser), "changes nothing")

        return tuple(
            (figures.metric(one.metric).heading, one.asked, cell(one, True), cell(one, False)) for one in self.budgets
        )


NOTHING = Counterfactual((), (), (), ())


def what_would_change(run: Run) -> Counterfactual:
    """Everything that one moved budget, or more measuring, would change; empty where nothing was held against one."""
    verdict = decide(run)
    if verdict.held is None:
        return NOTHING
    world = _World(run, verdict)
    changes = [change for budget in world.budgets for change in _moves(world, budget)]
    nearest = sorted(changes, key=lambda change: change.distance)
    return Counterfactual(
        changes=tuple(nearest),
        doubts=tuple(_doubts(world)),
        budgets=tuple(world.budgets.values()),
        objectives=tuple(_objectives(world)),
        together=None if changes or verdict.ship else _together(world, verdict.held),
    )


class _World:
    """What `decide` goes by: who could ship, with their checks; and what ships when some of them meet every budget."""

    def __init__(self, run: Run, verdict: Verdict) -> None:
        self.verdict = verdict
        self.candidates = tuple(judged for judged in verdict.table if not judged.control)
        self.budgets = {check.budget: check for check in self.candidates[0].checks}  # of each one check, for its limit
        self._views = {view.name: view for view in variants(run)}
        self._known: dict[tuple[frozenset[str], str], str | None] = {}

    def ships(self, fit: frozenset[str], objective: str = "") -> str | None:
        """What is shipped when just these meet every budget; by the stated objective, or by another."""
        key = fit, objective or self.verdict.objective
        if key not in self._known:
            views = [self._views[one.variant] for one in self.candidates if one.variant in fit]
            self._known[key] = best_of(views, key[1])[0].name if views else None
        return self._known[key]

    def elsewhere(self, budget: str) -> frozenset[str]:
        """Those that meet every budget but, maybe, this one."""
        return frozenset(
            one.variant for one in self.candidates if all(c.status == "met" for c in one.checks if c.budget != budget)
        )

    def bounds(self, budget: str) -> dict[str, float]:
        """The strictest limit that each of those meets, where it meets any."""
        there = self.elsewhere(budget)
        checks = {
            one.variant: c for one in self.candidates if one.variant in there for c in one.checks if c.budget == budget
        }
        return {name: check.bound for name, check in checks.items() if check.bound is not None}

    def ships_with(self, limits: dict[str, float]) -> str | None:
        """What is shipped with all of these limits moved at once."""
        fit = {
            one.variant
            for one in self.candidates
            if one.measured
            and all(
                c.bound is not None and (c.bound >= limits[c.budget] if c.at_least else c.bound <= limits[c.budget])
                if c.budget in limits
                else c.status == "met"
                for c in one.checks
            )
        }
        return self.ships(frozenset(fit))

    def ships_at(self, budget: str, limit: float) -> str | None:
        """What is shipped with this one limit moved."""
        most = not self.budgets[budget].at_least
        fit = (name for name, bound in self.bounds(budget).items() if (bound <= limit if most else bound >= limit))
        return self.ships(frozenset(fit))


def _moves(world: _World, budget: str) -> Iterator[Change]:
    """The nearest change of a looser and of a tighter limit; of a budget that no limit loosens, dropping it."""
    stated, at_least = world.budgets[budget].limit, world.budgets[budget].at_least
    now, loosened = world.verdict.ship, False
    for looser in (True, False):
        way = 1 if looser != at_least else -1  # the limit grows, or shrinks
        marks = sorted(
            {bound for bound in world.bounds(budget).values() if way * bound >= way * stated}, key=lambda x: way * x
        )
        for mark in marks:
            # Looser: it is met at the mark itself. Tighter: it still is, and no longer beyond it.
            limit = None if looser and mark == stated else _printed(world, budget, mark, way, beyond=not looser)
            if limit is not None and (to := world.ships_at(budget, limit)) != now:
                loosened = loosened or looser
                yield Change(budget, stated, at_least, looser, mark, limit, to)
                break
    if not loosened and len(world.budgets) > 1:
        to = world.ships(world.elsewhere(budget))
        if to != now:
            yield Change(budget, stated, at_least, True, None, None, to)


def _doubts(world: _World) -> Iterator[Doubt]:
    """Of those that miss nothing, and cannot be told on something, or were not measured in it while something else
    ships; the nearest of a `Ship none` is in its headline.
    """
    fit = frozenset(one.variant for one in world.candidates if one.meets_all)
    for one in world.candidates:
        lacking = one.having("not measured") if world.verdict.ship is not None else ()
        unsure = (*one.having("cannot tell"), *lacking)
        headline = world.verdict.ship is None and one is world.verdict.held
        if unsure and one.measured and len(unsure) + len(one.having("met")) == len(one.checks) and not headline:
            to = world.ships(fit | {one.variant})
            if to is not None and to != world.verdict.ship:
                yield Doubt(one.variant, unsure, to)


def _together(world: _World, nearest: Judged) -> Together | None:
    """Every budget that the nearest does not meet, moved to where it does; None where one of them has no figure."""
    limits: dict[str, float] = {}
    moved = []
    for one in nearest.checks:
        if one.status == "met":
            continue
        if one.bound is None:
            return None
        share = unit_of(one.budget) == "1"
        limit = _outward(one.bound, _DIGITS, -1 if one.at_least else 1, share)
        if not (0 <= limit <= 1 if share else limit > 0):
            return None
        limits[one.budget] = limit
        moved.append(Change(one.budget, one.limit, one.at_least, True, one.bound, limit, None))
    to = world.ships_with(limits)
    return Together(tuple(moved), to) if to is not None else None


def _objectives(world: _World) -> Iterator[tuple[str, str]]:
    """Other objectives, where they ship something else."""
    fit = frozenset(one.variant for one in world.candidates if one.meets_all)
    for objective in OBJECTIVES:
        ships = world.ships(fit, objective)
        if ships is not None and ships != world.verdict.ship:
            yield objective, ships


def _printed(world: _World, budget: str, mark: float, way: int, *, beyond: bool) -> float | None:
    """The shortest limit at the mark, or strictly beyond it, that passes no other mark; None outside what a pair file
    may state (a share from 0 to 1, else more than 0).
    """
    share = unit_of(budget) == "1"

    def stated(limit: float) -> bool:
        return 0 <= limit <= 1 if share else limit > 0

    def shown(limit: float) -> str:
        return figures.amount(world.budgets[budget].metric, limit, unit_of(budget))

    others = [way * bound for bound in world.bounds(budget).values() if way * bound > way * mark]
    exact = math.nextafter(mark, way * math.inf) if beyond else mark
    if not stated(exact):
        return None
    # Beyond 0.45617 MB, shown as 0.456, comes 0.455: that it fails at 0.456 is true, and reads like a slip.
    for apart in (True, False) if beyond else (False,):
        for digits in range(_DIGITS, 18):
            limit = _outward(exact, digits, way, share)
            if apart and shown(limit) == shown(mark):
                limit = _outward(math.nextafter(limit, way * math.inf), digits, way, share)
            ahead = way * limit
            short = all(ahead <= other if beyond else ahead < other for other in others)
            if stated(limit) and short and ahead >= way * exact and not (apart and shown(limit) == shown(mark)):
                return limit
    return exact


def _outward(value: float, digits: int, way: int, share: bool) -> float:
    """Rounded away from what is stated, to so many significant digits; a share to so many decimals at most."""
    number = Decimal(repr(value))
    places = digits - 1 - number.adjusted()
    step = Decimal(1).scaleb(-(min(places, digits) if share else places))
    return float(number.quantize(step, ROUND_CEILING if way > 0 else ROUND_FLOOR))
