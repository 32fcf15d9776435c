"""Speed over processes started anew: how long one takes, and how many times as long as the other.

Rounds of one process share its memory layout, its clocks and its allocator, so they agree with one another more
than with the next process. A process is therefore one observation, the median of its rounds (a spike does not move
it), and the spread that counts is the spread from process to process (Kalibera & Jones 2013, "Rigorous benchmarking
in reasonable time", ISMM; Georges, Buytaert & Eeckhout 2007, OOPSLA). Logarithms, because
times are positive and faults multiply: a ratio and its inverse get intervals that are inverses.

A group is the rounds of one process, in any one unit, the same in both of a ratio.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from harness.stats.clusters import Floats
from harness.stats.estimate import Estimate
from harness.stats.quantiles import percentile
from harness.stats.ratios import ratio_interval

Groups = Sequence[Sequence[float]]


class RatioP(NamedTuple):
    """equal: two-sided p that the ratio is 1; small: they differ. non_inferior: one-sided p that the ratio is
    1 + margin or more; small: it is less, whatever it gains."""

    equal: float
    non_inferior: float


class LogRatio(NamedTuple):
    """log(a/b), its standard error over processes, and the degrees of freedom of that error (0: not known)."""

    value: float
    error: float
    freedom: float


def replicate_interval(groups: Groups, confidence: float = 0.95) -> Estimate:
    """The geometric mean of the processes' medians, its interval by Student's t on their logarithms (processes - 1
    degrees of freedom), in the unit of the samples.

    One process: its median between two order statistics of its rounds (`percentile`), which says how well this
    process is known and nothing of the next one; a bound that too few rounds cannot give is None. Processes that
    agree to the last digit give an interval without width. ValueError for no processes, a process without rounds,
    a sample that is not positive and finite.
    """
    logs = log_medians(groups)
    _check(confidence)
    if len(logs) == 1:
        return percentile([float(x) for x in groups[0]], 0.5, confidence)
    error = math.sqrt(float(logs.var(ddof=1)) / len(logs))
    return interval_of(LogRatio(float(logs.mean()), error, len(logs) - 1), confidence)


def replicate_ratio(a_groups: Groups, b_groups: Groups, *, paired: bool, confidence: float = 0.95) -> Estimate:
    """a / b of the geometric means of the processes' medians: above 1, a takes longer.

    paired: process i ran the rounds of a and of b interleaved, so what slows the process slows both; Student's t on
    the differences of log medians, processes - 1 degrees of freedom. Unpaired: Welch's t with Satterthwaite's degrees
    of freedom (Welch 1947, Biometrika 34:28). Of one process against several the single one is taken to vary as the
    several do. One process of each: the rounds are drawn again (`ratio_interval`), which says nothing of the next
    process. ValueError as for `replicate_interval`, and where paired lists differ in length.
    """
    found = _log_ratio(a_groups, b_groups, paired)
    _check(confidence)
    if found.freedom == 0:
        return ratio_interval(list(a_groups[0]), list(b_groups[0]), confidence=confidence)
    return interval_of(found, confidence)


def replicate_ratio_p(a_groups: Groups, b_groups: Groups, *, paired: bool, margin: float = 0.05) -> RatioP:
    """p that a / b is 1, and p that it is 1 + margin or more, by the t of `replicate_ratio`.

    Both agree with its interval: `equal` is below 0.05 when the 95 % interval leaves out 1, `non_inferior` below
    0.025 when all of it lies below 1 + margin. One process of each tells nothing of the next one: both are 1.
    Processes without any spread: 0 or 1, by the value alone. ValueError as for `replicate_ratio`, and for a margin
    below zero.
    """
    if not 0 <= margin < math.inf:
        raise ValueError(f"a margin of {margin}")
    return p_of(_log_ratio(a_groups, b_groups, paired), margin)


def p_of(found: LogRatio, margin: float) -> RatioP:
    """Both p of a log ratio by its t."""
    if found.freedom == 0:
        return RatioP(1.0, 1.0)
    beyond = found.value - math.log1p(margin)
    if found.error == 0:
        return RatioP(float(found.value == 0), float(beyond >= 0))
    equal = 2 * float(special.stdtr(found.freedom, -abs(found.value) / found.error))
    return RatioP(equal, float(special.stdtr(found.freedom, beyond / found.error)))


def _log_ratio(a_groups: Groups, b_groups: Groups, paired: bool) -> LogRatio:
    a, b = log_medians(a_groups), log_medians(b_groups)
    if paired:
        if len(a) != len(b):
            raise ValueError(f"{len(a)} and {len(b)} processes cannot be paired")
        difference = a - b
        if len(difference) == 1:
            return LogRatio(float(difference[0]), 0.0, 0)
        error = math.sqrt(float(difference.var(ddof=1)) / len(difference))
        return LogRatio(float(difference.mean()), without_dust(error), len(difference) - 1)
    value = float(a.mean() - b.mean())
    if len(a) == 1 and len(b) == 1:
        return LogRatio(value, 0.0, 0)
    if len(a) == 1 or len(b) == 1:
        several = b if len(a) == 1 else a
        error = math.sqrt(float(several.var(ddof=1)) * (1 + 1 / len(several)))
        return LogRatio(value, without_dust(error), len(several) - 1)
    spread_a, spread_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    error = without_dust(math.sqrt(spread_a + spread_b))
    if error == 0:
        return LogRatio(value, 0.0, len(a) + len(b) - 2)
    # Shares of the sum, as squares of spreads of nearly equal processes fall below the smallest number.
    share = spread_a / (spread_a + spread_b)
    freedom = 1 / (share**2 / (len(a) - 1) + (1 - share) ** 2 / (len(b) - 1))
    return LogRatio(value, error, freedom)


def without_dust(error: float) -> float:
    """Zero where only rounding of the logarithms differs: equal processes have no spread."""
    return error if error > 1e-14 else 0.0


def log_medians(groups: Groups) -> Floats:
    """One observation a process. ValueError for no processes, one without rounds, samples that are not positive."""
    if not len(groups):
        raise ValueError("no processes")
    medians = []
    for rounds in groups:
        samples = np.asarray(rounds, dtype=np.float64)
        if samples.size == 0:
            raise ValueError("a process without rounds")
        if not np.all((samples > 0) & np.isfinite(samples)):
            raise ValueError("a ratio needs positive samples")
        medians.append(float(np.median(samples)))
    return np.log(np.asarray(medians, dtype=np.float64))


def interval_of(found: LogRatio, confidence: float) -> Estimate:
    """The ratio with its interval by Student's t."""
    half = found.error * float(special.stdtrit(found.freedom, (1 + confidence) / 2))
    return Estimate(math.exp(found.value), math.exp(found.value - half), math.exp(found.value + half))


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}")
