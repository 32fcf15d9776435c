"""What another training seed changes: agreement of every student by seed, mean and spread, and each gain by seed.

An interval over clips says nothing about the next training; seeds do. Read from records whose workload names a seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from harness.record import Run
from harness.report import figures
from harness.report.gain import STEPS


@dataclass(frozen=True)
class BySeed:
    """Agreement with the teacher of one variant's students, in the order of their seeds."""

    variant: str
    seeds: tuple[int, ...]
    agreements: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.agreements)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds."""
        return stdev(self.agreements)


@dataclass(frozen=True)
class Seeds:
    """All variants that were trained more than once, and what their differences are by seed, in words."""

    rows: tuple[BySeed, ...]
    sentences: tuple[str, ...]


def by_seed(run: Run) -> Seeds:
    """Empty when nothing was trained twice."""
    found: dict[str, dict[int, float]] = {}
    for record in run.records:
        seed = record.workload.get("seed")
        if record.suite != "agreement" or not record.valid or not isinstance(seed, int):
            continue
        for measurement in record.measurements:
            if measurement.metric == "agreement" and measurement.value is not None:
                found.setdefault(record.variant, {})[seed] = measurement.value
    rows = tuple(
        BySeed(variant, tuple(sorted(values)), tuple(values[seed] for seed in sorted(values)))
        for variant, values in found.items()
        if len(values) > 1
    )
    return Seeds(rows, tuple(_differences(rows)))


def _differences(rows: Sequence[BySeed]) -> list[str]:
    named = {row.variant: row for row in rows}
    said = []
    for first, second, _ in STEPS:
        if first not in named or second not in named or named[first].seeds != named[second].seeds:
            continue
        by_seed = [a - b for a, b in zip(named[first].agreements, named[second].agreements, strict=True)]
        each = figures.listed([figures.points(difference) for difference in by_seed])
        said.append(
            f"{first} − {second} over {len(by_seed)} seeds: {each}; mean {figures.points(fmean(by_seed))}, "
            f"standard deviation {figures.points(stdev(by_seed)).lstrip('+')}."
        )
    return said
