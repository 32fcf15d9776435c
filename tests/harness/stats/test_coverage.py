"""How often the 95 % intervals of shares and of paired differences hold the truth: counted exactly where answers are
independent, simulated where they come in clips.

A clip has 2 to 8 questions; how right it is is drawn from a beta law (two answerers: a Dirichlet law) whose spread
makes the correlation (ICC) of two answers of a clip. 30 questions are about 6 clips, 100 are 21, 500 are 105.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from harness.stats import difference_interval, wilson, wilson_clustered

RATES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
SIZES = (30, 100, 500)

# The cells of independent answers outside 93 to 97 %. Neighbouring counts are whole answers apart: at 0.99 and n = 100
# leaving out 3 wrong answers gives 92.06 %, letting them in 98.16 %, and no set of neighbouring counts lies between. At
# n = 30 the next counts would give 95.29 % at 0.7 and 93.18 % at 0.9, but an interval that takes those loses others.
OUTSIDE = {(30, 0.7): 0.9298, (30, 0.9): 0.9742, (100, 0.99): 0.9206}


@cache
def covered(n: int, rate: float) -> float:
    """The exact chance that Wilson's interval of n independent answers holds their rate."""
    return float(sum(binom.pmf(k, n, rate) for k, (low, high) in bounds(n).items() if low <= rate <= high))


@cache
def bounds(n: int) -> dict[int, tuple[float, float]]:
    return {k: wilson(k, n) for k in range(n + 1)}


def attainable(n: int, rate: float) -> bool:
    """Is there any set of neighbouring counts that has 93 to 97 % of the chance?"""
    below = np.concatenate([[0.0], binom.cdf(np.arange(n + 1), n, rate)])
    chance = below[None, :] - below[:, None]
    return bool(np.any((chance >= 0.93) & (chance <= 0.97)))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rate", RATES)
def test_independent_answers_are_covered_by_enumeration(n: int, rate: float) -> None:
    found = covered(n, rate)
    if (n, rate) in OUTSIDE:
        assert found == pytest.approx(OUTSIDE[n, rate], abs=5e-5)
    else:
        assert 0.93 <= found <= 0.97


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rate", RATES)
def test_around_every_rate_the_mean_coverage_is_as_said(n: int, rate: float) -> None:
    """A rate is never known to be 0.900 and not 0.905: over the rates around it the counts' steps even out."""
    around = min(0.05, 0.8 * (1 - rate))
    nearby = np.linspace(rate - around, rate + around, 51)
    held = np.array([[low <= r <= high for r in nearby] for low, high in bounds(n).values()])
    chance = binom.pmf(np.arange(n + 1)[:, None], n, nearby[None, :])
    assert 0.93 <= float((held * chance).sum(axis=0).mean()) <= 0.97


def test_at_one_cell_no_interval_can_do_it() -> None:
    assert [(n, rate) for n in SIZES for rate in RATES if not attainable(n, rate)] == [(100, 0.99)]


@pytest.mark.parametrize("n", SIZES)
def test_one_question_a_clip_is_wilsons_interval(n: int) -> None:
    for k in {0, 1, n // 3, n - 1, n}:
        assert wilson_clustered([i < k for i in range(n)], list(range(n))) == pytest.approx(bounds(n)[k], abs=1e-12)


def clips_of(random: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """The clip of each of n questions."""
    return np.repeat(np.arange(n), random.integers(2, 9, size=n))[:n]


def shares_of(
    random: np.random.Generator, shares: tuple[float, ...], icc: float, count: int
) -> npt.NDArray[np.float64]:
    """Chances of each outcome in each of `count` clips."""
    if icc == 0:
        return np.tile(shares, (count, 1))
    return random.dirichlet(np.array(shares) * (1 / icc - 1), size=count)


@pytest.mark.parametrize("icc", [0, 0.1, 0.3])
@pytest.mark.parametrize(("n", "least", "most"), [(30, 0.95, 0.99), (100, 0.93, 0.975), (500, 0.93, 0.975)])
def test_a_share_of_clustered_questions_is_covered(n: int, least: float, most: float, icc: float) -> None:
    """All rates together between the bounds that the docstring says, each within three errors of 200 draws of it."""
    random = np.random.default_rng(n)
    held = np.zeros((len(RATES), 200))
    for row, rate in enumerate(RATES):
        for draw in range(held.shape[1]):
            clips = clips_of(random, n)
            chances = shares_of(random, (rate, 1 - rate), icc, n)[:, 0]
            low, high = wilson_clustered((random.random(n) < chances[clips]).tolist(), clips.tolist())
            held[row, draw] = low <= rate <= high
    assert least <= held.mean() <= most
    assert np.all(held.mean(axis=1) > 0.93 - 3 * np.sqrt(0.93 * 0.07 / held.shape[1]))


# The shares of questions that only the first, and only the second, has right.
DISCORDANT = ((0.05, 0.05), (0.1, 0.1), (0.2, 0.1), (0.12, 0.04), (0.3, 0.2))


@pytest.mark.parametrize("icc", [0, 0.1, 0.3])
@pytest.mark.parametrize(("n", "least", "most"), [(30, 0.95, 1.0), (100, 0.945, 0.985), (500, 0.935, 0.97)])
def test_a_difference_of_clustered_pairs_is_covered(n: int, least: float, most: float, icc: float) -> None:
    random = np.random.default_rng(n)
    held = np.zeros((len(DISCORDANT), 120))
    for row, (first, second) in enumerate(DISCORDANT):
        for draw in range(held.shape[1]):
            clips = clips_of(random, n)
            chances = shares_of(random, (first, second, 1 - first - second), icc, n)[clips]
            outcome = (random.random(n)[:, None] > np.cumsum(chances, axis=1)[:, :2]).sum(axis=1)
            _, low, high = difference_interval((outcome == 0).tolist(), (outcome == 1).tolist(), clips.tolist())
            assert low is not None
            assert high is not None
            held[row, draw] = low <= first - second <= high
    assert least <= held.mean() <= most
    assert np.all(held.mean(axis=1) > 0.93 - 3 * np.sqrt(0.93 * 0.07 / held.shape[1]))
