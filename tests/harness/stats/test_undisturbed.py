"""What a program takes while nobody disturbs it: the same on a busy core and on a calm one, which medians are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.undisturbed import LEAST_PROCESSES, LEAST_ROUNDS, undisturbed

Seconds = list[list[float]]


def on_a_core(seed: int, busy: float, processes: int = 9, rounds: int = 100) -> tuple[Seconds, Seconds]:
    """Rounds of 10 ms, 2 % apart; `busy`: the share of them that a neighbour slows by 15 to 50 %, and the ruler with
    them by 10 to 35 %.
    """
    dice = np.random.default_rng(seed)
    by = np.where(dice.random((processes, rounds)) < busy, dice.uniform(0.3, 1.0, (processes, rounds)), 0.0)
    took = 0.010 * (1 + 0.5 * by) * np.exp(0.02 * dice.standard_normal((processes, rounds)))
    ruler = 2e-4 * (1 + 0.35 * by) * np.exp(0.01 * dice.standard_normal((processes, rounds)))
    return took.tolist(), ruler.tolist()


def level(found: object) -> float:
    assert isinstance(found, tuple)
    return float(np.exp(np.mean(np.log(found[0]))))


@pytest.mark.parametrize("busy", [0.0, 0.3, 0.6])
def test_it_is_the_same_whatever_a_neighbour_does(busy: float) -> None:
    took, ruler = on_a_core(1, busy)
    calm, _ = on_a_core(2, 0.0)
    assert level(undisturbed(took, ruler)) == pytest.approx(level(undisturbed(*on_a_core(3, 0.0))), rel=0.01)
    if busy == 0.6:
        assert np.median(took) > 1.1 * np.median(calm)


def test_processes_that_hardly_ever_were_calm_are_left_out() -> None:
    took, ruler = on_a_core(1, 0.1)
    for process in (0, 4):
        took[process], ruler[process] = ([2 * one for one in group] for group in (took[process], ruler[process]))
    found = undisturbed(took, ruler)
    assert found is not None
    assert len(found[0]) == len(found[1]) == 7


def test_where_too_few_were_calm_nothing_is_said() -> None:
    took, ruler = on_a_core(1, 0.0, processes=LEAST_PROCESSES - 1)
    assert undisturbed(took, ruler) is None
    assert undisturbed(*on_a_core(1, 0.0, rounds=LEAST_ROUNDS - 1)) is None
    assert undisturbed([[], []], [[], []]) is None
    assert undisturbed([], []) is None


def test_each_sample_needs_its_ruler() -> None:
    with pytest.raises(ValueError, match="its ruler"):
        undisturbed([[1.0, 2.0]], [[1.0]])


@given(st.integers(0, 2**16), st.floats(0, 0.7), st.floats(0.1, 10))
def test_a_program_that_takes_twice_as_long_takes_twice_as_long(seed: int, busy: float, times: float) -> None:
    took, ruler = on_a_core(seed, busy, processes=4, rounds=40)
    plain, longer = undisturbed(took, ruler), undisturbed([[times * one for one in group] for group in took], ruler)
    assert (plain is None) == (longer is None)
    if plain is not None:
        assert level(longer) == pytest.approx(times * level(plain))
