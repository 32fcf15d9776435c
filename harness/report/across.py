"""Several runs side by side: pairs, devices or commits; what ships in each, and how they stand to each other.

    found = gather([load_run(a), load_run(b)])
    found.headline        # Ship distilled-int8 in both of 2 runs.

The formats of `harness/report/formats/` and the page of `harness/report/across_page.py` say this.
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from harness.errors import RecordError, UsageError, oneline
from harness.record import Run
from harness.report import figures
from harness.report.between import Between, between
from harness.report.summary import Summary, summarise


@dataclass(frozen=True)
class Across:
    """One or more runs, ordered by pair, device and date, so that the order they were given in changes nothing."""

    runs: tuple[Summary, ...]
    between: tuple[Between, ...]

    @property
    def headline(self) -> str:
        """The one run's verdict; of several, what ships in how many."""
        return self.runs[0].verdict.sentence if len(self.runs) == 1 else _headline(self.runs)

    @property
    def spread(self) -> str:
        """2 pairs, 1 device, 3 commits."""
        counts = {
            "pair": len({one.pair for one in self.runs}),
            "device": len({one.device for one in self.runs}),
            "commit": len({one.commit for one in self.runs}),
        }
        return figures.listed([f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items()])


def gather(runs: Sequence[Run], across: Set[str] = frozenset()) -> Across:
    """The runs in brief, each held against an earlier one of its pair. UsageError where one is given twice,
    RecordError naming the file whose details are malformed.
    """
    ordered = sorted(runs, key=lambda run: (run.datetime, str(run.path)))
    for place, run in enumerate(ordered):
        for other in ordered[:place]:
            if _same(run, other):
                shown = " and ".join(oneline(one.path or "a run without file", 200) for one in (other, run))
                raise UsageError(f"{shown}: the same run given twice; give each once")
    brief = sorted((_brief(run) for run in ordered), key=lambda one: (one.pair, one.device, one.run.datetime))
    return Across(tuple(brief), between(tuple(brief), across))


def _brief(run: Run) -> Summary:
    try:
        return summarise(run)
    except RecordError as error:  # of several, which
        raise error if run.path is None else RecordError(f"{oneline(run.path, 200)}: {error}") from None


def _same(run: Run, other: Run) -> bool:
    """Whether both are one file, or one a copy of the other."""
    if run.path is not None and other.path is not None and run.path.resolve() == other.path.resolve():
        return True
    return run.datetime == other.datetime and replace(run, path=None) == replace(other, path=None)


def _headline(runs: tuple[Summary, ...]) -> str:
    ships = Counter(one.verdict.ship for one in runs if one.verdict.ship)
    none = sum(1 for one in runs if one.has_verdict and not one.verdict.ship)
    silent = sum(1 for one in runs if not one.has_verdict)
    all_of = "both" if len(runs) == 2 else f"all {len(runs)}"
    if len(ships) == 1 and not none and not silent:
        return f"Ship {oneline(next(iter(ships)), 60)} in {all_of} runs."
    if not ships:
        said = f"Ship none in {all_of} runs" if not silent else f"No verdict in {silent} of {len(runs)} runs"
        return f"{said}." if not (none and silent) else f"{said}, and none to ship in {none}."
    most_first = sorted(ships.items(), key=lambda one: (-one[1], one[0]))
    parts = [f"{oneline(name, 60)} in {count}" for name, count in most_first]
    parts += [f"none in {none}"] * bool(none) + [f"no verdict in {silent}"] * bool(silent)
    return f"Of {len(runs)} runs ship {figures.listed(parts)}."
