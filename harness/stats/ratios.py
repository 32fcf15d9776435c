"""How many times as fast: the ratio of two medians of rounds, within one process."""

from collections.abc import Sequence

import numpy as np

from harness.stats.clusters import middle
from harness.stats.estimate import Estimate


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
    low, high = middle(tops / bottoms, confidence)
    return Estimate(float(np.median(above) / np.median(below)), low, high)
