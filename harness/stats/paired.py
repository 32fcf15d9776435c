"""Two answerers, the same questions: is one right more often (McNemar), and by how much."""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import special

from harness.stats.clusters import Floats, by_cluster
from harness.stats.design import effective_items
from harness.stats.estimate import Estimate


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact p that b and c discordant answers are equally likely; no discordance is p = 1."""
    if b < 0 or c < 0:
        raise ValueError(f"discordant counts {b} and {c}")
    if b + c == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))


def mcnemar_clustered(a: Sequence[bool], b: Sequence[bool], clusters: Sequence[Hashable]) -> float:
    """p that two paired shares are equal, when the pairs come in clusters.

    Obuchowski 1998 (Statistics in Medicine 17:1495): with d_k the difference of the two successes in cluster
    k of m, X² = (m-1)/m · (Σ d_k)² / Σ d_k², χ² with one degree of freedom. Durkalski et al. 2003 (Statistics
    in Medicine 22:2417) is the same for clusters of equal size, up to (m-1)/m. One pair a cluster: McNemar's
    χ², uncorrected.
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    sums, counts = by_cluster(difference, clusters)
    spread = float(np.sum(sums**2))
    groups = len(counts)
    if groups < 2 or spread == 0:
        return 1.0
    statistic = (groups - 1) / groups * float(sums.sum()) ** 2 / spread
    return float(special.chdtrc(1, statistic))


def difference_interval(
    a: Sequence[bool] | Floats,
    b: Sequence[bool] | Floats,
    clusters: Sequence[Hashable],
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """mean(a) - mean(b) of paired answers and its interval, the pairs in clusters (a label each).

    Right or wrong: Tango's score interval (1998, Statistics in Medicine 17:891) at the effective number of questions
    (`effective_items`), so it keeps a width where no answer differs. Of other numbers: Student's t at the clustered
    variance, and the range of the differences where the clusters are worth fewer than two equal ones. seed and
    resamples are taken as before, and nothing is drawn.

    In simulation (clips of 2 to 8 questions, ICC 0 to 0.3, 3 to 50 % of answers discordant) the 95 % interval covered
    94 to 97 % at 500 questions, 95 to 99 % at 100 and 95 to 100 % at 30 (6 clips), the most where a handful of
    answers differs. The percentile bootstrap that it replaces covered 84 to 98 % at 30 questions, and at 30 and 100
    of which 3 % are discordant 34 to 86 %, as it has no width where it drew none of those.
    ValueError for no pairs, or lists of different lengths.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if len(first) != len(second) or not len(first):
        raise ValueError(f"{len(first)} and {len(second)} answers cannot be paired")
    difference = first - second
    value = float(difference.mean())
    if np.all(np.isin(first, (0, 1))) and np.all(np.isin(second, (0, 1))):
        items = effective_items(difference, clusters, confidence)
        z = float(special.ndtri((1 + confidence) / 2))
        wins, losses = float(np.mean(difference > 0)), float(np.mean(difference < 0))
        return Estimate(value, -_tango_upper(losses, wins, items, z), _tango_upper(wins, losses, items, z))
    return Estimate(value, *_t_interval(difference, clusters, confidence))


def _t_interval(difference: Floats, clusters: Sequence[Hashable], confidence: float) -> tuple[float, float]:
    sums, counts = by_cluster(difference, clusters)
    n, mean = len(difference), float(difference.mean())
    groups = n**2 / float(np.sum(counts**2))
    if (
        groups < 2 - 1e-9
    ):  # one cluster, or one with nearly all pairs: t of less than one degree has no bounds to speak of
        return float(difference.min()), float(difference.max())
    error = math.sqrt(groups / (groups - 1) * float(np.sum((sums - counts * mean) ** 2))) / n
    half = error * float(special.stdtrit(groups - 1, (1 + confidence) / 2))
    return mean - half, mean + half


def _tango_upper(wins: float, losses: float, n: float, z: float) -> float:
    """The largest difference δ whose score (wins - losses - δ) √n / √(2 q + δ (1 - δ)) is not below -z.

    q is the most likely share of losses if the difference is δ; wins and losses are shares of n pairs. The score
    falls with δ, so δ is found by halving.
    """

    def score(delta: float) -> float:
        b = -wins - losses + (2 - wins + losses) * delta
        c = -losses * delta * (1 - delta)
        q = (math.sqrt(max(b * b - 8 * c, 0.0)) - b) / 4
        variance = 2 * q + delta * (1 - delta)
        return (wins - losses - delta) * math.sqrt(n / variance) if variance > 0 else -math.inf

    low, high = wins - losses, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if score(middle) < -z else (middle, high)
    return high
