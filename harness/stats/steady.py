"""When warming up is over, decided by the rounds themselves and not by a number fixed beforehand."""

import math
from collections.abc import Sequence

import numpy as np

from harness.stats.clusters import Floats

# The standard error of the median of n normal rounds is this times σ/√n.
MEDIAN_ERROR = 1.2533


def steady_after(samples: Sequence[float], window: int = 5, tolerance: float = 0.05) -> int | None:
    """Index of the first round of the steady state, or None while it is not reached; asked again after each round.

    Steady from round i, when from there on
    - every window of rounds has a median within the tolerance (a share of the level: 0.05 is 5 %) of the level, the
      median of the second half of all rounds: the windows of Georges, Buytaert & Eeckhout 2007 (OOPSLA),
      with medians for their coefficient of variation, so that up to (window - 1) / 2 spikes in a row are passed over;
    - the line through the rounds (Sen 1968, JASA 63:1379: the median of all slopes) moves by no more than the
      tolerance from end to end: many small steps in one direction are warming up too;
    - two windows fit, and as many rounds as came before i: an end of warm-up that is found in the second half is not
      believed (MSER: White 1997, Simulation 69:323). So there is no answer before 10 rounds.

    Noise above the tolerance makes the windows longer, until two of them can be told apart at the tolerance, and what
    two standard errors of noise explain is no warm-up: a noisy machine is asked for more rounds, not without end.
    The answer may come late or be None again after a round more; it is cheap to ask (below 1 ms for 100 rounds).
    ValueError for samples that are not positive and finite, a window below 1, a tolerance not above 0.
    """
    values = np.asarray(samples, dtype=np.float64)
    if window < 1 or not tolerance > 0:
        raise ValueError(f"a window of {window} rounds within {tolerance}")
    if not np.all((values > 0) & np.isfinite(values)):
        raise ValueError("rounds take a positive time")
    n = len(values)
    if n < 2 * window:
        return None
    noise = _noise(values) / float(np.median(values[n // 2 :]))
    width = max(window, math.ceil(2 * (MEDIAN_ERROR * noise / tolerance) ** 2))
    if n < 2 * width:
        return None
    tail = values[min(n // 2, n - width) :]
    level = float(np.median(tail))
    band = level * max(tolerance, 2 * MEDIAN_ERROR * noise * math.sqrt(1 / width + 1 / len(tail)))
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    outside = np.flatnonzero(np.abs(medians - level) > band)
    first = int(outside[-1]) + 1 if outside.size else 0
    # A window forgives its first rounds: they are warm-up all the same, as long as each is away from the level.
    alone = level * max(tolerance, 3 * noise)
    while first < n and abs(values[first] - level) > alone:
        first += 1
    rest = n - first
    if rest < max(2 * width, first):
        return None
    # The least squares line through n rounds moves by sqrt(12/n) σ from end to end by chance; Sen's is hardly worse.
    moved = abs(_slope(values[first:])) * rest
    return first if moved <= level * max(tolerance, 2 * noise * math.sqrt(12 / rest)) else None


def _noise(values: Floats) -> float:
    """Standard deviation from round to round by the median of the steps, which neither a trend nor a spike moves.

    1.4826 makes the median absolute deviation that of a normal law; a step has the variance of two rounds.
    """
    steps = np.diff(values)
    return 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2) if steps.size else 0.0


def _slope(values: Floats) -> float:
    """The median slope of all pairs of rounds; of at most 200, spread evenly, as pairs grow as the square."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), 200)).astype(np.int64))
    earlier, later = np.triu_indices(len(places), 1)
    chosen = values[places]
    return float(np.median((chosen[later] - chosen[earlier]) / (places[later] - places[earlier])))
