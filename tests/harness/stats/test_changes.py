"""A level that shifts for good is found where it shifts; noise and single outliers are no shift."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import change_points


def history(seed: int, *levels: tuple[float, int], noise: float = 0.01, outliers: float = 0.0) -> list[float]:
    """(level, runs) after one another; an outlier takes a third longer."""
    random = np.random.default_rng(seed)
    values = np.concatenate([np.full(runs, level) for level, runs in levels])
    values = values * np.exp(noise * random.standard_normal(len(values)))
    return list(values * np.where(random.random(len(values)) < outliers, 1.35, 1.0))


def test_a_shift_is_the_index_of_the_first_value_of_the_new_level() -> None:
    assert change_points([10.0, 10.1, 9.9, 10.0, 10.1, 10.0, 9.9, 10.0, 12.0, 12.1, 11.9, 12.0, 12.1, 12.0]) == [8]
    assert change_points([1.0] * 10 + [1.1] * 10) == [10]
    assert change_points([0.0] * 10 + [1.0] * 10) == [10]  # no logarithm of nothing: the values themselves


def test_a_history_that_stays_or_is_short_has_none() -> None:
    assert change_points([]) == []
    assert change_points([1.0, 9.0, 1.0]) == []
    assert change_points([3.0] * 40) == []


def test_one_outlier_or_two_are_no_level() -> None:
    steady = history(1, (5.0, 30))
    for at in (0, 7, 15, 29):
        assert change_points([*steady[:at], 9.0, *steady[at + 1 :]]) == []
    assert change_points([*steady[:28], 9.0, 9.0]) == []


@pytest.mark.parametrize("outliers", [0.0, 0.03])
def test_pure_noise_is_flagged_in_less_than_5_percent_of_histories(outliers: float) -> None:
    flagged = [bool(change_points(history(seed, (2.0, 50), outliers=outliers))) for seed in range(150)]
    assert np.mean(flagged) < 0.05


@pytest.mark.parametrize("at", [10, 25, 46])
@pytest.mark.parametrize("outliers", [0.0, 0.02])
def test_a_lasting_shift_of_5_percent_is_found_within_one_run(at: int, outliers: float) -> None:
    found = [change_points(history(seed, (2.0, at), (2.1, 50 - at), outliers=outliers)) for seed in range(60)]
    assert np.mean([any(abs(one - at) <= 1 for one in indices) for indices in found]) > 0.95
    assert np.mean([len(indices) == 1 for indices in found]) > 0.9


def test_a_level_that_is_left_again_is_two_changes() -> None:
    found = [change_points(history(seed, (2.0, 20), (2.1, 10), (2.0, 30))) for seed in range(40)]
    close = [len(at) == 2 and abs(at[0] - 20) <= 1 and abs(at[1] - 30) <= 1 for at in found]
    assert np.mean(close) > 0.95


def test_noise_inside_the_runs_is_noise_of_the_history() -> None:
    values = history(3, (2.0, 20), (2.1, 20))
    assert len(change_points(values, within=[0.02] * 40)) == 1
    assert change_points(values, within=[0.2] * 40) == []  # each run alone is known to 10 %


@given(st.lists(st.floats(0.1, 100), max_size=60), st.floats(0.01, 100))
def test_the_unit_does_not_matter_and_every_level_has_three_values(values: list[float], unit: float) -> None:
    found = change_points(values)
    edges = [0, *found, len(values)]
    assert all(later - earlier >= 3 for earlier, later in pairwise(edges)) or not found
    scaled = change_points([unit * value for value in [1.0] * 9 + [1.5] * 9])
    assert scaled == [9]


def test_a_history_is_finite_and_has_an_error_a_value() -> None:
    with pytest.raises(ValueError, match="finite"):
        change_points([1.0, float("nan")])
    with pytest.raises(ValueError, match="1 standard errors of 2"):
        change_points([1.0, 2.0], within=[0.1])
    with pytest.raises(ValueError, match="alpha"):
        change_points([1.0, 2.0], alpha=0)
