"""How one run stands to another of its pair, by the gate's own rules; or why that is not said.

Devices, drivers, images, versions, threads and workloads may not differ unless told (`harness/gate/comparable.py`): a
ratio of two machines is not one of two commits.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from harness.errors import FirstSightError
from harness.gate import Terms, compare
from harness.gate.comparable import differences
from harness.gate.judge import Judged, Margins
from harness.record import Run
from harness.report import figures
from harness.report.summary import Summary
from harness.stats import Estimate

_REFUSALS = 3  # of one run that are told


@dataclass(frozen=True)
class Ratio:
    """One variant's metric in the later run over the earlier; of shares the difference."""

    variant: str
    metric: str
    estimate: Estimate | None
    verdict: str  # the gate's: regressed, improved, same, cannot tell
    why: str

    @property
    def value(self) -> str:
        """×1.062, or +1.2 pt."""
        if self.estimate is None:
            return "–"
        return figures.points(self.estimate.value) if self._is_share else f"×{self.estimate.value:.3f}"

    @property
    def interval(self) -> str:
        """1.041–1.084, or −0.4 to +2.8 pt; a single value has none."""
        if self.estimate is None or self.estimate.low is None or self.estimate.high is None:
            return ""
        low, high = self.estimate.low, self.estimate.high
        if self._is_share:
            return f"{figures.points(low).removesuffix(' pt')} to {figures.points(high)}"
        return f"{low:.3f}–{high:.3f}"

    @property
    def words(self) -> str:
        """Slower, smaller, the same, no worse, cannot be told."""
        if self.verdict == "same":
            return "the same" if self._is_within else "no worse"
        if self.verdict == "cannot tell" or self.estimate is None:
            return "cannot be told"
        names = figures.metric(self.metric)
        return names.less if self.estimate.value < (0.0 if self._is_share else 1.0) else names.more

    @property
    def _is_within(self) -> bool:
        """Whether both ends are within the gate's margins, which asks only that the worse one is."""
        assert self.estimate is not None
        value, low, high = self.estimate
        ends, margins = [end for end in (low, high) if end is not None] or [value], Margins()
        if self._is_share:
            return all(abs(end) < margins.points for end in ends)
        return all(1 / (1 + margins.ratio) < end < 1 + margins.ratio for end in ends)

    @property
    def _is_share(self) -> bool:
        return figures.metric(self.metric).kind == "share"


@dataclass(frozen=True)
class Between:
    """The run at place `later` against the one at `earlier`; `refused` says why there are no rows."""

    earlier: int
    later: int
    rows: tuple[Ratio, ...]
    notes: tuple[str, ...]
    refused: str = ""

    def of(self, variant: str, metric: str) -> Ratio | None:
        """The row of a variant and metric."""
        return next((row for row in self.rows if (row.variant, row.metric) == (variant, metric)), None)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that both runs have, in their order."""
        return tuple(dict.fromkeys(row.variant for row in self.rows))

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why a row cannot be told, each reason once with the rows that it holds for."""
        held: dict[str, list[str]] = {}
        for row in self.rows:
            if row.verdict == "cannot tell" and row.why:
                held.setdefault(row.why, []).append(f"{row.variant}, {figures.metric(row.metric).heading}")
        return tuple(f"{'; '.join(rows)}: {why}" for why, rows in held.items())


def between(runs: tuple[Summary, ...], across: Set[str] = frozenset()) -> tuple[Between, ...]:
    """Each run against the first before it of its pair that it may be held against; where there is none, why not."""
    return tuple(
        one
        for later, run in enumerate(runs)
        for one in _of(runs, [place for place in range(later) if runs[place].pair == run.pair], later, across)
    )


def _of(runs: tuple[Summary, ...], earlier: list[int], later: int, across: Set[str]) -> list[Between]:
    refusals = []
    for place in earlier:
        a, b = runs[place].run, runs[later].run
        if said := _refusal(a, b, across):
            refusals.append(Between(place, later, (), (), said))
            continue
        try:
            compared = compare(a, b, Terms(across=frozenset(across), only_common=True))
        except FirstSightError as error:
            refusals.append(Between(place, later, (), (), str(error)))
            continue
        rows = tuple(_rows(runs[place], runs[later], compared.rows))
        return [Between(place, later, rows, (*compared.notes, compared.floor.words()))]
    return refusals[:_REFUSALS]


def _refusal(a: Run, b: Run, across: Set[str]) -> str:
    found = [one for one in differences(a, b) if one.field not in across]
    if not found:
        return ""
    fields = ",".join(dict.fromkeys(one.field for one in found))
    said = figures.listed([f"{one.path} ({one.a}; {one.b})" for one in found[:3]])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"they differ in {said}{more}; --across {fields} compares them all the same"


def _rows(a: Summary, b: Summary, judged: tuple[Judged, ...]) -> Iterator[Ratio]:
    """The metrics of the first table, at the workload that the table shows."""
    for view in a.views:
        for metric in figures.COLUMNS:
            found = [row for row in judged if (row.key.variant, row.key.metric) == (view.name, metric)]
            shown = view.get(metric)
            at = [row for row in found if (row.a.value, row.a.n) == (shown.value, shown.n)] or found
            if at:
                yield Ratio(view.name, metric, at[0].estimate, at[0].verdict, at[0].why)
