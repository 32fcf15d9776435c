"""A share of right answers and its interval, of independent trials and of questions clustered by clip."""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import stats as distributions

from harness.stats.clusters import by_cluster


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
    sums, counts = by_cluster(hits, clusters)
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


def _wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    z = float(distributions.norm.ppf((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
