"""How many questions tell a difference: the formula, its inverse, and a test that sees as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import detectable_difference, items_for, mcnemar_clustered, more_items, power_sentence


def test_what_a_set_of_questions_can_see_is_one_sentence() -> None:
    assert power_sentence(500, 100) == (
        "500 questions on 100 clips see a difference of 4.3 points "
        "(paired, 10 % discordant, ICC 0.05, power 80 %, two-sided 5 %)"
    )
    assert power_sentence(5, 1).startswith("5 questions on 1 clip see no difference (")
    with pytest.raises(ValueError, match="3 questions on 5 clips"):
        power_sentence(3, 5)


def test_independent_questions_need_what_connor_says() -> None:
    psi, delta = 0.3, 0.1
    n = (1.959964 * math.sqrt(psi) + 0.841621 * math.sqrt(psi - delta**2)) ** 2 / delta**2
    assert items_for(delta, 1, 0, psi) == math.ceil(n) == 234


@given(
    st.floats(0.02, 0.5),
    st.floats(0.05, 1),
    st.floats(1, 10),
    st.floats(0, 1),
    st.floats(0.5, 0.99),
    st.floats(0.01, 0.2),
)
def test_the_two_are_inverses(
    fraction: float, discordant: float, per_cluster: float, icc: float, power: float, alpha: float
) -> None:
    difference = fraction * discordant
    items = items_for(difference, per_cluster, icc, discordant, power, alpha)
    assert detectable_difference(items, per_cluster, icc, discordant, power, alpha) <= difference * (1 + 1e-9)
    assert detectable_difference(items * 0.98 - 1, per_cluster, icc, discordant, power, alpha) > difference


def test_more_questions_a_clip_see_less_than_as_many_on_more_clips() -> None:
    assert detectable_difference(500, 5, 0.1, 0.1) > detectable_difference(500, 1, 0.1, 0.1)
    assert detectable_difference(500, 5, 0.1, 0.1) == pytest.approx(detectable_difference(500 / 1.4, 1, 0, 0.1))


def test_no_difference_is_larger_than_the_share_that_differs() -> None:
    assert detectable_difference(30, 1, 0, 0.02) == math.inf
    assert detectable_difference(1, 1, 0, 1) == math.inf
    with pytest.raises(ValueError, match=r"difference of 0\.2"):
        items_for(0.2, 1, 0, 0.1)
    for wrong in ((0, 1, 0, 0.1), (9, 0.5, 0, 0.1), (9, 1, 2, 0.1), (9, 1, 0, 0)):
        with pytest.raises(ValueError, match=r"questions|discordant"):
            detectable_difference(*wrong)
    with pytest.raises(ValueError, match="power"):
        detectable_difference(9, 1, 0, 0.1, power=0.2)


@pytest.mark.parametrize(("icc", "discordant"), [(0.0, 0.1), (0.1, 0.2), (0.3, 0.2)])
def test_the_clustered_test_sees_the_difference_as_often_as_its_power(icc: float, discordant: float) -> None:
    random = np.random.default_rng(8)
    clips, per_clip, draws = 100, 5, 600
    difference = detectable_difference(clips * per_clip, per_clip, icc, discordant)
    shares = np.array([(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant])
    chances = random.dirichlet(shares * (1 / icc - 1), (draws, clips)) if icc else np.tile(shares, (draws, clips, 1))
    outcome = (random.random((draws, clips, per_clip, 1)) > np.cumsum(chances, axis=2)[:, :, None, :2]).sum(axis=3)
    labels = np.repeat(np.arange(clips), per_clip).tolist()
    p = [mcnemar_clustered((one == 0).ravel().tolist(), (one == 1).ravel().tolist(), labels) for one in outcome]
    assert 0.75 <= np.mean(np.array(p) < 0.05) <= 0.85


def test_items_that_would_settle_it() -> None:
    assert more_items(0.81, 0.79, 0.83, 1000, 0.80) == 3000  # half the width: four times as many
    assert more_items(0.79, 0.77, 0.81, 1000, 0.80) == 3000
    assert more_items(0.9, 0.88, 0.92, 1000, 0.80) == 0
    assert more_items(0.8, 0.7, 0.9, 1000, 0.8) is None
