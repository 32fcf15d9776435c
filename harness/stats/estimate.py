"""A value with its interval: what every function of this room gives."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value and its interval; a bound that the sample is too small to give is None."""

    value: float
    low: float | None
    high: float | None
