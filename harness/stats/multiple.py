"""Many comparisons at once: p-values and confidence levels that hold for all rows of a table together."""

import math
from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of each p, in the order given: below α means rejected while any true null is with chance ≤ α.

    Holm 1979 (Scandinavian Journal of Statistics 6:65): the j-th smallest of m is multiplied by m - j + 1 and is no
    smaller than the one before. It holds whatever the dependence, and never rejects less than Bonferroni. No p gives
    an empty list; ValueError where one is not in 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p-values outside 0..1: {[x for x in p_values if not 0 <= x <= 1]}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, stepped)
    return [float(x) for x in adjusted]


def simultaneous_confidence(rows: int, confidence: float = 0.95) -> float:
    """The level of each of m intervals at which all m hold their value together with this confidence.

    1 - (1 - confidence) / m: Bonferroni, by Dunn 1961 (JASA 56:52). It holds whatever the dependence; of independent
    rows it is a little wide. ValueError for no rows or a confidence outside 0..1.
    """
    if rows < 1 or not 0 < confidence < 1 or not math.isfinite(confidence):
        raise ValueError(f"a confidence of {confidence} for {rows} rows")
    return 1 - (1 - confidence) / rows
