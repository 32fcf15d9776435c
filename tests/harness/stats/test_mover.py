"""The difference of two independent estimates: by hand, and by how often its interval holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as distributions

from harness.stats import Estimate, independent_difference

numbers = st.floats(-1e6, 1e6)
estimates = st.tuples(numbers, numbers, numbers).map(sorted).map(lambda three: Estimate(three[1], three[0], three[2]))


def test_of_symmetric_intervals_the_halves_add_as_squares() -> None:
    found = independent_difference(Estimate(10.0, 7.0, 13.0), Estimate(6.0, 2.0, 10.0))
    assert found == (4.0, -1.0, 9.0)  # √(3² + 4²) = 5


def test_each_end_takes_the_ends_that_face_it() -> None:
    value, low, high = independent_difference(Estimate(10.0, 9.0, 16.0), Estimate(6.0, 4.0, 6.5))
    assert value == 4.0
    assert low == pytest.approx(4.0 - (1.0 + 0.25) ** 0.5)
    assert high == pytest.approx(4.0 + (36.0 + 4.0) ** 0.5)


@pytest.mark.parametrize("lacking", [Estimate(1.0, None, None), Estimate(1.0, 0.5, None), Estimate(1.0, None, 2.0)])
def test_without_all_bounds_there_is_no_interval(lacking: Estimate) -> None:
    assert independent_difference(lacking, Estimate(0.5, 0.4, 0.6)) == (0.5, None, None)
    assert independent_difference(Estimate(0.5, 0.4, 0.6), lacking) == (-0.5, None, None)


@given(estimates, estimates)
def test_turned_round_it_is_the_same_turned_round(a: Estimate, b: Estimate) -> None:
    value, low, high = independent_difference(a, b)
    assert low is not None
    assert high is not None
    assert low <= value <= high
    assert independent_difference(b, a) == pytest.approx((-value, -high, -low))


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    """Means of 3 and of 7 draws with intervals by Student's t, as energy and time have: 95 % of 4 000, or more."""
    dice, held, tries = np.random.default_rng(0), 0, 4000

    def mean(centre: float, spread: float, n: int) -> Estimate:
        seen = dice.normal(centre, spread, n)
        half = float(distributions.t.ppf(0.975, n - 1)) * float(seen.std(ddof=1)) / n**0.5
        return Estimate(float(seen.mean()), float(seen.mean()) - half, float(seen.mean()) + half)

    for _ in range(tries):
        _, low, high = independent_difference(mean(5.0, 1.0, 3), mean(3.0, 0.5, 7))
        held += low is not None and high is not None and low <= 2.0 <= high
    assert 0.94 <= held / tries <= 0.98
