"""A quantile lies between its order statistics, and says where there are too few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from harness.stats import Estimate, percentile
from harness.stats.quantiles import binomial_quantile

times = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60)


@given(times, st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_lies_in_its_interval(samples: list[float], q: float) -> None:
    value, low, high = percentile(samples, q)
    assert min(samples) <= value <= max(samples)
    assert low is None or low <= value * (1 + 1e-12)
    assert high is None or value <= high * (1 + 1e-12)


def test_a_percentile_says_where_the_sample_is_too_small() -> None:
    thirty = [float(i) for i in range(1, 31)]
    assert percentile(thirty, 0.5) == Estimate(15.5, 10.0, 21.0)  # the 10th and 21st, as tables of the sign test say
    assert percentile(thirty, 0.99).high is None
    assert percentile([1.0], 0.5) == Estimate(1.0, None, None)
    with pytest.raises(ValueError, match="0 samples"):
        percentile([], 0.5)


@given(st.integers(1, 2000), st.sampled_from([0.5, 0.9, 0.99, 0.999]), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_order_statistics_are_those_of_scipys_binomial(n: int, q: float, confidence: float) -> None:
    for p in ((1 - confidence) / 2, 1 - (1 - confidence) / 2):
        assert binomial_quantile(p, n, q) == int(binom.ppf(p, n, q))
