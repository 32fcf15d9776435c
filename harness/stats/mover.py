"""The difference of two independent estimates that each have an interval of their own."""

import math

from harness.stats.estimate import Estimate


def independent_difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b, its interval recovered from the two (MOVER; Zou & Donner 2008, Statistics in Medicine 27:1693):

        low  = a - b - √((a - low_a)² + (high_b - b)²)
        high = a - b + √((high_a - a)² + (b - low_b)²)

    Both in one unit, both intervals at one level, which is then that of the difference. Of paired samples that rise and
    fall together it is wider than need be. Without all four bounds there is no interval.
    """
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value, None, None)
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, value - below, value + above)
