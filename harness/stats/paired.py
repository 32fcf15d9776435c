"""Two answerers, the same questions: is one right more often (McNemar), and by how much."""

from collections.abc import Hashable, Sequence

import numpy as np
from scipy import stats as distributions

from harness.stats.clusters import Floats, by_cluster, cluster_bootstrap
from harness.stats.estimate import Estimate


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
    sums, counts = by_cluster(difference, clusters)
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
