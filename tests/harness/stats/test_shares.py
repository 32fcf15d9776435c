"""A share and its interval: laws over many inputs, spot checks against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats import non_inferior, wilson, wilson_clustered

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_holds_the_share_and_stays_a_share(count: tuple[int, int]) -> None:
    k, n = count
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high


@given(counts)
def test_wilson_is_the_one_of_scipy(count: tuple[int, int]) -> None:
    k, n = count
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(counts, st.integers(2, 20))
def test_wilson_narrows_with_more_trials(count: tuple[int, int], more: int) -> None:
    k, n = count
    few, many = wilson(k, n), wilson(k * more, n * more)
    assert many[1] - many[0] < few[1] - few[0]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_wilson_covers_about_as_often_as_it_says(share: float) -> None:
    drawn = np.random.default_rng(1).binomial(200, share, size=1000)
    covered = [low <= share <= high for low, high in (wilson(int(k), 200) for k in drawn)]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_nothing_tried_tells_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson_clustered([], []) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes in 2"):
        wilson(3, 2)


@given(st.lists(st.booleans(), min_size=2, max_size=80))
def test_clustered_wilson_is_never_narrower_than_wilson(hits: list[bool]) -> None:
    low, high = wilson(sum(hits), len(hits))
    by_pairs = wilson_clustered(hits, [i // 2 for i in range(len(hits))])
    assert by_pairs[0] <= low + 1e-12
    assert by_pairs[1] >= high - 1e-12


def test_clips_that_answer_as_one_count_as_one() -> None:
    hits = [i % 2 == 0 for i in range(40) for _ in range(10)]  # 40 clips, all ten questions alike
    low, high = wilson_clustered(hits, [i // 10 for i in range(400)])
    alone = wilson(20, 40)
    assert high - low == pytest.approx(alone[1] - alone[0], rel=0.05)


def test_clustered_wilson_keeps_a_width_when_all_agree_or_there_is_one_clip() -> None:
    assert wilson_clustered([True] * 100, list(range(100)))[0] < 0.97
    assert wilson_clustered([True, False] * 50, ["one clip"] * 100) == wilson_clustered([True, False], ["one"] * 2)


def test_good_enough_is_said_by_the_lower_bound_not_by_the_share() -> None:
    clips = [i // 5 for i in range(500)]
    assert non_inferior([i % 50 > 0 for i in range(500)], clips)  # 98 % of 500: at least 96 %
    assert not non_inferior([i % 25 > 0 for i in range(500)], clips)  # 96 %: perhaps 94 %
    assert not non_inferior([True] * 10, clips[:10])  # all ten right: perhaps only 70 % would be
    assert non_inferior([i % 25 > 0 for i in range(500)], clips, share_of=0.95, reference=0.9)
    assert not non_inferior([], [])
    with pytest.raises(ValueError, match="reference of 2"):
        non_inferior([True], [1], reference=2)


def test_a_share_just_below_the_margin_passes_in_one_sample_of_forty_or_so() -> None:
    random = np.random.default_rng(4)
    clips = [i // 5 for i in range(500)]
    chances = random.beta(0.9 * 9, 0.1 * 9, (800, 100)).repeat(5, axis=1)
    hits = random.random((800, 500)) < chances
    passed = [non_inferior(one.tolist(), clips, share_of=0.9) for one in hits]
    assert 0.01 <= np.mean(passed) <= 0.05
