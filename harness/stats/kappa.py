"""Agreement of two lists of answers beyond what chance gives: Cohen's κ and its interval by clip."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from harness.stats.clusters import Floats, codes, draws_of, middle


def cohens_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Agreement beyond chance of two lists of answers; 1 where both always give the one same answer."""
    table = _confusion(a, b)
    return float(_kappa(table.trace()[None], table.sum(1)[None], table.sum(0)[None])[0])


def kappa_interval(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    clusters: Sequence[Hashable],
    seed: int = 0,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Percentile interval of κ when whole clusters are drawn again; one cluster tells nothing: (-1, 1)."""
    first, second, labels = _paired_codes(a, b)
    members = codes(clusters)
    groups = int(members.max()) + 1
    if groups == 1:
        return -1.0, 1.0
    draws = draws_of(groups, seed, resamples)
    same = np.bincount(members, weights=(first == second).astype(np.float64), minlength=groups)
    rows, columns = np.zeros((groups, labels)), np.zeros((groups, labels))
    np.add.at(rows, (members, first), 1.0)
    np.add.at(columns, (members, second), 1.0)
    return middle(_kappa(draws @ same, draws @ rows, draws @ columns))


def _paired_codes(
    a: Sequence[Hashable], b: Sequence[Hashable]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    if len(a) != len(b) or not len(a):
        raise ValueError(f"{len(a)} and {len(b)} answers cannot be paired")
    both = codes([*a, *b])
    return both[: len(a)], both[len(a) :], int(both.max()) + 1


def _confusion(a: Sequence[Hashable], b: Sequence[Hashable]) -> Floats:
    first, second, labels = _paired_codes(a, b)
    table = np.zeros((labels, labels))
    np.add.at(table, (first, second), 1.0)
    return table


def _kappa(same: Floats, rows: Floats, columns: Floats) -> Floats:
    total = rows.sum(axis=1)
    seen = same / total
    chance = (rows * columns).sum(axis=1) / total**2
    certain = chance >= 1 - 1e-12
    return np.where(certain, 1.0, (seen - chance) / np.where(certain, 1.0, 1 - chance))
