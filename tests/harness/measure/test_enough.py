"""A process times rounds until their median is known, on a calm machine at once, on a noisy one for two seconds."""

import math
from itertools import count

import numpy as np
import pytest

from harness.measure.enough import ANY, LEAST_SECONDS, MOST_SECONDS, Enough
from harness.measure.timing import Round


def rounds_until_enough(enough: Enough, noise: float, seconds: float = 0.01, seed: int = 0) -> list[Round]:
    """Rounds of so many seconds with so much noise, until there are enough of them."""
    dice = np.random.default_rng(seed)
    taken: list[Round] = []
    for _ in count():
        if enough(taken):
            return taken
        took = seconds * math.exp(noise * dice.standard_normal())
        taken.append(Round(0.1 * took, 0.1 * took, 0.1 * took, 0.1 * took, (0.2 * took,) * 3, 0.4 * took, 0.9 * took))
    raise AssertionError


def lasted(taken: list[Round]) -> float:
    return sum(one.media + one.answer for one in taken)


def test_on_a_calm_machine_a_quarter_of_a_second_is_enough() -> None:
    enough = Enough(12, LEAST_SECONDS, 0.01)
    taken = rounds_until_enough(enough, noise=0.005)
    assert lasted(taken) == pytest.approx(LEAST_SECONDS, abs=0.011)
    assert enough.error <= 0.01


def test_a_noisy_one_takes_more() -> None:
    counts = [len(rounds_until_enough(Enough(12, LEAST_SECONDS, 0.01), noise=0.06, seed=seed)) for seed in range(20)]
    assert 20 < np.median(counts) < 70  # (1.25 · 6 % / 1 %)² = 56 rounds, less where eight batches agree by chance


def test_and_ends_where_it_cannot_be_told() -> None:
    enough = Enough(12, LEAST_SECONDS, 0.01)
    taken = rounds_until_enough(enough, noise=1.0)
    assert lasted(taken[:-1]) < MOST_SECONDS <= lasted(taken)
    assert enough.error > 0.01


def test_rounds_that_last_longer_than_that_are_as_many_as_asked_for() -> None:
    """A real model on a card: twelve rounds of a second each, whatever they say."""
    assert len(rounds_until_enough(Enough(12, LEAST_SECONDS, 0.01), noise=0.5, seconds=1.0)) == 12


def test_without_a_precision_they_are_as_many_as_asked_for_or_a_quarter_of_a_second() -> None:
    assert len(rounds_until_enough(Enough(12, 0.0, ANY), noise=1.0)) == 12
    assert lasted(rounds_until_enough(Enough(2, LEAST_SECONDS, ANY), noise=0.0)) == pytest.approx(0.25, abs=0.011)
