"""The error of a median of rounds that are not independent: batches in their order say it, single rounds do not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.batch_means import BATCHES, median_error


def wandering(seed: int, rounds: int, stays: float) -> list[float]:
    """Rounds on a machine whose pace is 4 % off for `stays` rounds or so, and 2 % from round to round."""
    dice = np.random.default_rng(seed)
    pace, keep, paces = 0.0, math.exp(-1 / stays), []
    for _ in range(rounds):
        pace = keep * pace + math.sqrt(1 - keep**2) * 0.04 * dice.standard_normal()
        paces.append(pace)
    return list(np.exp(np.array(paces) + 0.02 * dice.standard_normal(rounds)))


def test_fewer_rounds_than_batches_tell_nothing() -> None:
    assert median_error([1.0] * (BATCHES - 1)) == math.inf
    assert median_error([1.0] * BATCHES) == 0


def test_the_error_is_that_which_medians_have_of_runs_told_anew() -> None:
    """400 rounds that a neighbour slows twenty at a time: the error is what medians really differ by, within a fifth;
    taken for independent, rounds would give less than half of that.
    """
    runs = [wandering(seed, 400, stays=20) for seed in range(200)]
    real = float(np.std([np.log(np.median(run)) for run in runs], ddof=1))
    told = math.sqrt(float(np.mean([median_error(run) ** 2 for run in runs])))
    alone = float(np.mean([1.2533 * np.std(np.log(run)) / 20 for run in runs]))
    assert told == pytest.approx(real, rel=0.2)
    assert alone < real / 2


def test_a_spike_does_not_move_it() -> None:
    calm = [1.0, 1.01, 0.99, 1.0] * 20
    assert median_error([*calm[:40], 50.0, *calm[40:]]) == pytest.approx(median_error(calm), abs=1e-3)


@given(st.lists(st.floats(0.1, 10), min_size=8, max_size=60), st.floats(0.01, 100))
def test_it_is_a_share_and_so_the_same_in_any_unit(samples: list[float], unit: float) -> None:
    assert median_error([unit * one for one in samples]) == pytest.approx(median_error(samples), abs=1e-9)


@pytest.mark.parametrize("samples", [[0.0] * 9, [-1.0] * 9, [math.nan] * 9, [math.inf] * 9])
def test_rounds_take_a_positive_time(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        median_error(samples)
