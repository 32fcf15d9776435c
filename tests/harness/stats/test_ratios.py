"""A ratio of medians within one process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import ratio_interval

times = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60)


@given(times, st.floats(0.1, 10))
def test_a_ratio_of_a_multiple_is_the_multiple(samples: list[float], factor: float) -> None:
    value, low, high = ratio_interval([factor * x for x in samples], samples, resamples=200)
    assert value == pytest.approx(factor)
    assert low is not None
    assert high is not None
    assert low <= high
    again = ratio_interval([factor * x for x in samples], samples, resamples=200)
    assert (value, low, high) == again


def test_a_ratio_needs_positive_samples() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([1.0], [0.0])
    with pytest.raises(ValueError, match="no samples"):
        ratio_interval([], [1.0])
