"""How well is the median of rounds known that came one after another, and are not independent?

    median_error([9.1, 9.0, 9.4, …])      # 0.006: a standard error of 0.6 %

A neighbour who stays for half a second slows fifty rounds alike; an error that takes them for fifty witnesses is far
too small. So rounds are dealt into a few batches in their order, and it is the batches' medians that are taken to be
independent (batch means: Law & Kelton 2000, "Simulation Modeling and Analysis", §9.5.3; here of logarithms of medians).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median, stdev

BATCHES = 8


def median_error(samples: Sequence[float], batches: int = BATCHES) -> float:
    """The standard error of the median as a share of it; infinite for fewer samples than batches.

    ValueError for fewer than two batches, and for samples that are not positive and finite.
    """
    if batches < 2:
        raise ValueError(f"{batches} batches tell nothing of each other")
    if not all(0 < sample < math.inf for sample in samples):
        raise ValueError("rounds take a positive time")
    if len(samples) < batches:
        return math.inf
    ends = [len(samples) * at // batches for at in range(batches + 1)]
    logs = [math.log(median(samples[start:end])) for start, end in pairwise(ends)]
    return stdev(logs) / math.sqrt(batches)
