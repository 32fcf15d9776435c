"""Warm-up is over where the rounds themselves say so: decaying curves with noise and spikes."""

import numpy as np
import pytest

from harness.stats import steady_after

ROUNDS = 300


def curve(seed: int, decay: float, above: float, noise: float, spikes: float = 0.05) -> list[float]:
    """Rounds that start `above` their level of 1 and lose it by 1/e every `decay` rounds; a spike takes three times."""
    random = np.random.default_rng(seed)
    rounds = (1 + above * np.exp(-np.arange(ROUNDS) / decay)) * np.exp(noise * random.standard_normal(ROUNDS))
    return list(rounds * np.where(random.random(ROUNDS) < spikes, 3.0, 1.0))


def asked_after_each_round(rounds: list[float]) -> tuple[int, int] | None:
    """First round of the steady state and how many rounds were run when it was known."""
    for run in range(len(rounds)):
        if (first := steady_after(rounds[:run])) is not None:
            return first, run
    return None


def test_the_first_rounds_of_a_process_are_slow() -> None:
    rounds = [9.0, 3.1, 1.4, 1.01, 1.0, 0.99, 1.0, 1.02, 1.0, 0.98, 1.01, 1.0, 1.0]
    assert steady_after(rounds[:9]) is None
    assert steady_after(rounds) == 3


def test_rounds_alike_are_steady_from_the_first() -> None:
    assert steady_after([2.0] * 9) is None
    assert steady_after([2.0] * 10) == 0
    assert steady_after([2.0] * 6, window=3) == 0


def test_a_spike_is_not_the_end_of_the_steady_state() -> None:
    rounds = [5.0, 1.0, 1.0, 1.01, 0.99, 1.0, 8.0, 1.0, 1.01, 1.0, 0.99, 9.0]
    assert steady_after(rounds) == 1


def test_what_gets_slower_or_faster_without_end_is_never_steady() -> None:
    assert asked_after_each_round([1.02**i for i in range(100)]) is None
    assert asked_after_each_round([0.98**i for i in range(100)]) is None
    throttled = [1.0] * 20 + [1.3] * 8
    assert steady_after(throttled) is None
    assert steady_after(throttled + [1.3] * 12) == 20


@pytest.mark.parametrize(("decay", "above"), [(1, 0.5), (1, 2), (3, 0.5), (3, 2), (10, 2), (20, 2)])
def test_what_is_called_steady_is_within_twice_the_tolerance_of_the_level(decay: float, above: float) -> None:
    found = [asked_after_each_round(curve(seed, decay, above, noise=0.01)) for seed in range(40)]
    known = [x for x in found if x is not None]
    assert len(known) >= 39
    still_above = np.array([above * np.exp(-first / decay) for first, _ in known])
    assert np.median(still_above) < 0.08
    assert np.mean(still_above < 0.15) >= 0.95
    warmup = decay * np.log(above / 0.05)
    assert np.median([run for _, run in known]) <= 2 * warmup + 12


@pytest.mark.parametrize(("noise", "rounds"), [(0.001, 12), (0.01, 12), (0.03, 20), (0.1, 80)])
def test_noise_without_warm_up_is_called_steady_before_long(noise: float, rounds: int) -> None:
    found = [asked_after_each_round(curve(seed, decay=1, above=0, noise=noise)) for seed in range(40)]
    known = [x for x in found if x is not None]
    assert len(known) == 40
    assert np.median([run for _, run in known]) <= rounds
    assert np.median([first for first, _ in known]) <= 1


def test_samples_are_positive_times() -> None:
    with pytest.raises(ValueError, match="positive"):
        steady_after([1.0, 0.0])
    with pytest.raises(ValueError, match="window"):
        steady_after([1.0], window=0)
    with pytest.raises(ValueError, match="within 0"):
        steady_after([1.0], tolerance=0)
