"""Intervals and paired tests, for answers that come in clusters (the questions of one clip share its frames).

Pure functions of arrays: the same input and seed give the same output. No torch, so a report renders
anywhere. Tried in tests/harness/test_stats.py.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats as distributions

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], float]


class Estimate(NamedTuple):
    """A value and its interval; a bound that the sample is too small to give is None."""

    value: float
    low: float | None
    high: float | None


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of k successes in n independent trials; nothing tried tells nothing: (0, 1)."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} successes in {n} trials")
    return _wilson(k / n, float(n), confidence) if n else (0.0, 1.0)


def wilson_clustered(
    successes: Sequence[bool], clusters: Sequence[Hashable], confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson's interval at the effective sample size n / design effect.

    The design effect is the cluster-robust variance of the share over its binomial variance, never below one
    (Rao & Scott 1992, Biometrics 48:577). Unlike a bootstrap it keeps a width when every answer is the same.
    """
    hits = np.asarray(successes, dtype=np.float64)
    sums, counts = _by_cluster(hits, clusters)
    n = len(hits)
    if n == 0:
        return 0.0, 1.0
    share = float(hits.mean())
    plain = share * (1 - share) / n
    groups = len(counts)
    design = 1.0
    if groups > 1 and plain > 0:
        robust = groups / (groups - 1) * float(np.sum((sums - counts * share) ** 2)) / n**2
        design = max(1.0, robust / plain)
    elif groups == 1:
        design = float(n)  # one clip is one observation, however many questions are asked about it
    return _wilson(share, n / design, confidence)


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
    sums, counts = _by_cluster(array, clusters)
    if len(counts) == 1:
        return float(array.min()), float(array.max())
    draws = _draws(len(counts), seed, resamples)
    if statistic is None:
        found = (draws @ sums) / (draws @ counts)
    else:
        members = _codes(clusters)
        found = np.array([statistic(np.repeat(array, weights[members])) for weights in draws.astype(np.int64)])
    return _middle(found, confidence)


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact p that b and c discordant answers are equally likely; no discordance is p = 1."""
    if b < 0 or c < 0:
        raise ValueError(f"discordant counts {b} and {c}")
    if b + c == 0:
        return 1.0
    return min(1.0, 2 * float(distributions.binom.cdf(min(b, c), b + c, 0.5)))


def mcnemar_clustered(a: Sequence[bool], b: Sequence[bool], clusters: Sequence[Hashable]) -> float:
    """p that two paired shares are equal, when the pairs come in clusters.

    Obuchowski 1998 (Statistics in Medicine 17:1495): with d_k the difference of the two successes in cluster
    k of m, X² = (m-1)/m · (Σ d_k)² / Σ d_k², χ² with one degree of freedom. Durkalski et al. 2003 (Statistics
    in Medicine 22:2417) is the same for clusters of equal size, up to (m-1)/m. One pair a cluster: McNemar's
    χ², uncorrected.
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    sums, counts = _by_cluster(difference, clusters)
    spread = float(np.sum(sums**2))
    groups = len(counts)
    if groups < 2 or spread == 0:
        return 1.0
    statistic = (groups - 1) / groups * float(sums.sum()) ** 2 / spread
    return float(distributions.chi2.sf(statistic, 1))


def difference_interval(
    a: Sequence[bool] | Floats,
    b: Sequence[bool] | Floats,
    clusters: Sequence[Hashable],
    seed: int = 0,
    resamples: int = 2000,
) -> Estimate:
    """mean(a) - mean(b) of paired answers, its interval from drawing clusters again."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    low, high = cluster_bootstrap(difference, clusters, seed=seed, resamples=resamples)
    return Estimate(float(difference.mean()), low, high)


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
    members = _codes(clusters)
    groups = int(members.max()) + 1
    if groups == 1:
        return -1.0, 1.0
    draws = _draws(groups, seed, resamples)
    same = np.bincount(members, weights=(first == second).astype(np.float64), minlength=groups)
    rows, columns = np.zeros((groups, labels)), np.zeros((groups, labels))
    np.add.at(rows, (members, first), 1.0)
    np.add.at(columns, (members, second), 1.0)
    return _middle(_kappa(draws @ same, draws @ rows, draws @ columns))


def percentile(samples: Sequence[float], q: float, confidence: float = 0.95) -> Estimate:
    """The q-quantile and its distribution-free interval between two order statistics (binomial).

    A bound that so few samples cannot give (the upper bound of p99 from 30 rounds) is None.
    """
    if not samples or not 0 < q < 1:
        raise ValueError(f"quantile {q} of {len(samples)} samples")
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    n = len(ordered)
    tail = (1 - confidence) / 2
    below = int(distributions.binom.ppf(tail, n, q))
    above = int(distributions.binom.ppf(1 - tail, n, q)) + 1
    value = float(np.quantile(ordered, q))
    # Between two rounds the quantile is interpolated, so with few rounds it may lie outside: never narrower.
    low = min(value, float(ordered[below - 1])) if below >= 1 else None
    high = max(value, float(ordered[above - 1])) if above <= n else None
    return Estimate(value, low, high)


def ratio_interval(
    a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = 2000, confidence: float = 0.95
) -> Estimate:
    """median(a) / median(b), its interval from drawing the rounds of each again.

    Rounds of one process are correlated, so the interval is as wide as this process shows, not as the next
    one would.
    """
    if not len(a) or not len(b):
        raise ValueError("no samples to compare")
    above, below = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if np.any(below <= 0):
        raise ValueError("a ratio needs positive samples")
    random = np.random.default_rng(seed)
    tops = np.median(above[random.integers(0, len(above), (resamples, len(above)))], axis=1)
    bottoms = np.median(below[random.integers(0, len(below), (resamples, len(below)))], axis=1)
    low, high = _middle(tops / bottoms, confidence)
    return Estimate(float(np.median(above) / np.median(below)), low, high)


def more_items(value: float, low: float, high: float, n: int, threshold: float) -> int | None:
    """How many further items would move the interval off the threshold, if the value stays and the width
    falls as 1/√n.

    None where the value lies on the threshold: no number settles that.
    """
    gap = abs(value - threshold)
    half = value - low if value > threshold else high - value
    if gap == 0 or n <= 0:
        return None
    needed = n * (max(half, 0.0) / gap) ** 2
    return max(0, math.ceil(needed) - n) if needed < 1e12 else None


def _wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    z = float(distributions.norm.ppf((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def _codes(labels: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)


def _by_cluster(values: Floats, clusters: Sequence[Hashable]) -> tuple[Floats, Floats]:
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values in {len(clusters)} clusters' labels")
    members = _codes(clusters)
    sums = np.bincount(members, weights=values).astype(np.float64)
    return sums, np.bincount(members).astype(np.float64)


def _draws(groups: int, seed: int, resamples: int) -> Floats:
    """How often each cluster is drawn, a row a resample."""
    random = np.random.default_rng(seed)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)


def _middle(found: Floats, confidence: float = 0.95) -> tuple[float, float]:
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _paired_codes(
    a: Sequence[Hashable], b: Sequence[Hashable]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    if len(a) != len(b) or not len(a):
        raise ValueError(f"{len(a)} and {len(b)} answers cannot be paired")
    both = _codes([*a, *b])
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
