"""Two runs of different minutes: the machine's pace is taken out, and the interval says how well that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.adjusted import adjusted_ratio, adjusted_ratio_p
from harness.stats.replicates import replicate_ratio, replicate_ratio_p

Floats = list[list[float]]


def run(
    dice: np.random.Generator, pace: float, *, exponent: float, slower: float = 1.0, count: int = 7
) -> tuple[Floats, Floats]:
    """Times and rulers of processes that each meet a machine 3 % about `pace`; a row follows it by `exponent`."""
    paces = pace + 0.03 * dice.standard_normal(count)
    own = 0.01 * dice.standard_normal(count)
    times = slower * np.exp(exponent * paces + own)
    return [[float(t)] * 3 for t in times], [[float(r)] * 3 for r in 1e-4 * np.exp(paces)]


def pair(seed: int, drift: float, exponent: float, slower: float = 1.0) -> tuple[Floats, Floats, Floats, Floats]:
    dice = np.random.default_rng(seed)
    b = run(dice, drift * dice.standard_normal(), exponent=exponent, slower=slower)
    a = run(dice, drift * dice.standard_normal(), exponent=exponent)
    return (*b, *a)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_equals_are_told_apart_once_in_twenty_whatever_follows_the_machine_and_however(exponent: float) -> None:
    called = sum(adjusted_ratio_p(*pair(seed, 0.05, exponent)).equal < 0.05 for seed in range(1000))
    assert 0.035 <= called / 1000 <= 0.065


def test_an_exponent_that_is_taken_to_be_one_calls_a_slow_minute_slow_code() -> None:
    """What was done before: a row that lies in a cache which others use follows the machine by its square."""

    def ruled(times: Floats, rulers: Floats) -> Floats:
        return [[t / r for t, r in zip(a, b, strict=True)] for a, b in zip(times, rulers, strict=True)]

    called = 0
    for seed in range(300):
        b, b_rulers, a, a_rulers = pair(seed, 0.05, 2.0)
        called += replicate_ratio_p(ruled(b, b_rulers), ruled(a, a_rulers), paired=False).equal < 0.05
    assert called / 300 > 0.25


def test_slower_code_is_found_in_a_machine_that_drifts() -> None:
    found = [adjusted_ratio(*pair(seed, 0.03, 1.5, slower=1.05)) for seed in range(400)]
    assert np.median([one.value for one in found]) == pytest.approx(1.05, abs=0.003)
    held = sum(low <= 1.05 <= high for _, low, high in found if low is not None and high is not None)
    assert 0.93 <= held / 400 <= 0.97
    assert sum(low is not None and low > 1 for _, low, _ in found) / 400 > 0.95


def test_the_further_apart_the_machines_the_wider_the_interval() -> None:
    dice = np.random.default_rng(0)
    a, a_rulers = run(dice, 0.0, exponent=2.0)
    widths = []
    for pace in (0.0, 0.1, 0.4):
        b, b_rulers = run(np.random.default_rng(1), pace, exponent=2.0)
        _, low, high = adjusted_ratio(b, b_rulers, a, a_rulers)
        assert low is not None
        assert high is not None
        widths.append(math.log(high / low))
    assert widths[0] < widths[1] < widths[2] / 2


def test_rulers_that_never_move_leave_the_ratio_as_it_is() -> None:
    a, b = [[1.0], [1.1], [1.2], [1.05]], [[2.0], [2.1], [2.3], [2.2]]
    still = [[1e-4]] * 4
    assert adjusted_ratio(b, still, a, still).value == pytest.approx(replicate_ratio(b, a, paired=False).value)
    slower = [[1.1e-4]] * 4
    assert adjusted_ratio(b, slower, a, still).value == pytest.approx(replicate_ratio(b, a, paired=False).value / 1.1)


def test_of_few_processes_no_exponent_is_estimated() -> None:
    a, b, at_a, at_b = [[1.0], [1.1]], [[2.0], [2.1]], [[1.0], [1.3]], [[1.0], [1.2]]
    assert adjusted_ratio(b, at_b, a, at_a).value == pytest.approx(
        replicate_ratio([[2.0], [2.1 / 1.2]], [[1.0], [1.1 / 1.3]], paired=False).value
    )


several = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.5, 2)), min_size=3, max_size=8)


@given(several, several, st.floats(0.1, 10))
def test_a_ratio_and_its_inverse_are_inverses_in_any_unit_of_the_ruler(one, other, unit: float) -> None:
    a, at_a = [[t] for t, _ in one], [[r] for _, r in one]
    b, at_b = [[t] for t, _ in other], [[r] for _, r in other]
    there = adjusted_ratio(a, at_a, b, at_b)
    back = adjusted_ratio(b, [[unit * r for r in g] for g in at_b], a, [[unit * r for r in g] for g in at_a])
    assert there.value * back.value == pytest.approx(1)
    assert there.low is not None
    assert back.high is not None
    assert math.log(there.low) + math.log(back.high) == pytest.approx(0, abs=1e-6 * (1 + abs(math.log(there.low))))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="each process needs its rulers"):
        adjusted_ratio([[1.0], [2.0]], [[1.0]], [[1.0], [2.0]], [[1.0], [1.0]])
    with pytest.raises(ValueError, match="nothing of the next"):
        adjusted_ratio([[1.0]], [[1.0]], [[1.0], [2.0]], [[1.0], [1.0]])
