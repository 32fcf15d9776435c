"""How well is the median of rounds known that came one after another, and are not independent?

    median_error([9.1, 9.0, 9.4, …])      # 0.006: a standard error of 0.6 %

A neighbour who stays for half a second slows fifty rounds alike; an error that takes them for fifty witnesses is far
too small. So rounds are dealt into a few batches in their order, and it is the batches' medians that are taken to be
independent (batch means: Law & Kelton 2000, "Simulation Modeling and Analysis", §9.5.3; here of logarithms of medians).
"""

import math
from collections.abc import Sequence

import numpy as np

BATCHES = 8


def median_error(samples: Sequence[float], batches: int = BATCHES) -> float:
    """The standard error of the median as a share of it; infinite for fewer samples than batches.

    ValueError for fewer than two batches, and for samples that are not positive and finite.
    """
    if batches < 2:
        raise ValueError(f"{batches} batches tell nothing of each other")
    values = np.asarray(samples, dtype=np.float64)
    if not np.all((values > 0) & np.isfinite(values)):
        raise ValueError("rounds take a positive time")
    if len(values) < batches:
        return math.inf
    medians = [float(np.median(batch)) for batch in np.array_split(values, batches)]
    return float(np.log(medians).std(ddof=1)) / math.sqrt(batches)
