"""A quantile of timings and its interval between two order statistics, without a law assumed."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special  # scipy.stats would take a second of every process that times

from harness.stats.estimate import Estimate


def percentile(samples: Sequence[float], q: float, confidence: float = 0.95) -> Estimate:
    """The q-quantile and its distribution-free interval between two order statistics (binomial).

    A bound that so few samples cannot give (the upper bound of p99 from 30 rounds) is None.
    """
    if not samples or not 0 < q < 1:
        raise ValueError(f"quantile {q} of {len(samples)} samples")
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    n = len(ordered)
    tail = (1 - confidence) / 2
    below = binomial_quantile(tail, n, q)
    above = binomial_quantile(1 - tail, n, q) + 1
    value = float(np.quantile(ordered, q))
    # Between two rounds the quantile is interpolated, so with few rounds it may lie outside: never narrower.
    low = min(value, float(ordered[below - 1])) if below >= 1 else None
    high = max(value, float(ordered[above - 1])) if above <= n else None
    return Estimate(value, low, high)


def binomial_quantile(p: float, n: int, q: float) -> int:
    """The least k that at most k of n trials succeed with probability p or more; each succeeds with probability q."""
    k = min(max(math.ceil(float(special.bdtrik(p, n, q))), 0), n)
    return k - 1 if k and float(special.bdtr(k - 1, n, q)) >= p else k
