"""Answers that come in clusters, the questions of one clip: sums by cluster, and drawing whole clusters again."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], float]


def by_cluster(values: Floats, clusters: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """The sum of the values of each cluster and how many they are, clusters in the order they first appear.

    Both have one number a cluster. ValueError where there is not one label a value.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values in {len(clusters)} clusters' labels")
    members = codes(clusters)
    sums = np.bincount(members, weights=values).astype(np.float64)
    return sums, np.bincount(members).astype(np.float64)


def codes(labels: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    """A number for each label, 0 for the first seen, 1 for the next; as many as labels."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)


def cluster_bootstrap(
    values: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    statistic: Statistic | None = None,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a statistic (None: the mean, without a loop) when whole clusters are drawn
    again.

    One cluster says nothing about the next one: the interval is then the range of the values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("no values to draw from")
    sums, counts = by_cluster(array, clusters)
    if len(counts) == 1:
        return float(array.min()), float(array.max())
    draws = draws_of(len(counts), seed, resamples)
    if statistic is None:
        found = (draws @ sums) / (draws @ counts)
    else:
        members = codes(clusters)
        found = np.array([statistic(np.repeat(array, weights[members])) for weights in draws.astype(np.int64)])
    return middle(found, confidence)


def draws_of(groups: int, seed: int, resamples: int) -> Floats:
    """How often each cluster is drawn, resamples × groups; each row sums to groups."""
    random = np.random.default_rng(seed)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)


def middle(found: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """The middle part of what was found: between its quantiles (1 - confidence)/2 and (1 + confidence)/2."""
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
