"""Intervals and paired tests: their laws over many inputs, spot checks against scipy and textbook numbers."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2

from harness.stats import (
    Estimate,
    cluster_bootstrap,
    cohens_kappa,
    difference_interval,
    kappa_interval,
    mcnemar_clustered,
    mcnemar_exact,
    more_items,
    percentile,
    ratio_interval,
    wilson,
    wilson_clustered,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
answers = st.lists(st.sampled_from(["cup", "bowl", "yes", "no"]), min_size=1, max_size=40)
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
times = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60)


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


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 6)), min_size=1, max_size=40), st.integers(0, 9))
def test_bootstrap_is_decided_by_its_seed(rows: list[tuple[float, int]], seed: int) -> None:
    values, clusters = [v for v, _ in rows], [c for _, c in rows]
    once = cluster_bootstrap(values, clusters, seed=seed, resamples=100)
    assert once == cluster_bootstrap(values, clusters, seed=seed, resamples=100)
    assert min(values) - 1e-9 <= once[0] <= once[1] <= max(values) + 1e-9


def test_bootstrap_by_a_statistic_is_the_loopless_mean() -> None:
    values, clusters = np.arange(30.0), [i // 3 for i in range(30)]
    mean = cluster_bootstrap(values, clusters, resamples=200)
    assert cluster_bootstrap(values, clusters, lambda x: float(x.mean()), resamples=200) == pytest.approx(mean)


def test_bootstrap_widens_when_questions_of_a_clip_go_together() -> None:
    values = [float(i // 10 % 2) for i in range(400)]
    apart = cluster_bootstrap(values, list(range(400)))
    together = cluster_bootstrap(values, [i // 10 for i in range(400)])
    assert together[1] - together[0] > 2.5 * (apart[1] - apart[0])


def test_bootstrap_of_one_cluster_is_the_range_and_of_nothing_an_error() -> None:
    assert cluster_bootstrap([1.0, 4.0, 2.0], ["c"] * 3) == (1.0, 4.0)
    assert cluster_bootstrap([0.5] * 9, list(range(9))) == (0.5, 0.5)
    with pytest.raises(ValueError, match="no values"):
        cluster_bootstrap([], [])
    with pytest.raises(ValueError, match="2 values"):
        cluster_bootstrap([1.0, 2.0], ["c"])


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_discordant(b: int, c: int) -> None:
    expected = binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, abs=1e-9)


@given(pairs)
def test_mcnemar_by_clips_of_one_question_is_the_plain_one(rows: list[tuple[bool, bool]]) -> None:
    a, b = [x for x, _ in rows], [y for _, y in rows]
    first, second = sum(x and not y for x, y in rows), sum(y and not x for x, y in rows)
    assume(len(rows) > 1 and first + second > 0)
    m = len(rows)
    plain = (first - second) ** 2 / (first + second)
    assert mcnemar_clustered(a, b, list(range(m))) == pytest.approx(chi2.sf(plain * (m - 1) / m, 1))


def test_mcnemar_by_clips_does_not_count_a_clip_ten_times() -> None:
    a = [i // 10 < 12 for i in range(200)]  # 12 of 20 clips won outright, 8 lost
    b = [not x for x in a]
    clips = [i // 10 for i in range(200)]
    assert mcnemar_exact(sum(a), sum(b)) < 0.01
    assert mcnemar_clustered(a, b, clips) > 0.3


def test_mcnemar_without_evidence_is_one() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_clustered([True, False], [True, False], [0, 1]) == 1.0
    assert mcnemar_clustered([True, True], [False, False], ["one", "one"]) == 1.0


@given(pairs, st.integers(1, 9))
def test_the_difference_turns_with_its_arguments(rows: list[tuple[bool, bool]], size: int) -> None:
    a, b = [x for x, _ in rows], [y for _, y in rows]
    clips = [i // size for i in range(len(rows))]
    ours = difference_interval(a, b, clips, resamples=200)
    theirs = difference_interval(b, a, clips, resamples=200)
    assert ours.value == pytest.approx(-theirs.value)
    assert ours.low is not None
    assert theirs.high is not None
    assert ours.low == pytest.approx(-theirs.high)
    assert difference_interval(a, a, clips, resamples=200) == Estimate(0.0, 0.0, 0.0)


@given(answers)
def test_kappa_of_identical_answers_is_one(given_answers: list[str]) -> None:
    assert cohens_kappa(given_answers, given_answers) == 1.0


@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 2), min_size=1, max_size=40))
def test_kappa_is_symmetric_and_at_most_one(rows: list[tuple[str, str]]) -> None:
    a, b = [x for x, _ in rows], [y for _, y in rows]
    assert cohens_kappa(a, b) == pytest.approx(cohens_kappa(b, a))
    assert cohens_kappa(a, b) <= 1 + 1e-12


def test_kappa_of_the_textbook() -> None:
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(a, b) == pytest.approx(0.4)
    low, high = kappa_interval(a, b, list(range(50)))
    assert low < 0.4 < high
    assert kappa_interval(a, b, ["one"] * 50) == (-1.0, 1.0)
    with pytest.raises(ValueError, match="cannot be paired"):
        cohens_kappa([], [])


@given(times, st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_lies_in_its_interval(samples: list[float], q: float) -> None:
    value, low, high = percentile(samples, q)
    assert min(samples) <= value <= max(samples)
    assert low is None or low <= value * (1 + 1e-12)
    assert high is None or value <= high * (1 + 1e-12)


def test_a_percentile_says_where_the_sample_is_too_small() -> None:
    thirty = [float(i) for i in range(1, 31)]
    assert percentile(thirty, 0.5) == Estimate(15.5, 10.0, 21.0)  # the 10th and 21st, as tables of the sign test say
    assert percentile(thirty, 0.99).high is None
    assert percentile([1.0], 0.5) == Estimate(1.0, None, None)
    with pytest.raises(ValueError, match="0 samples"):
        percentile([], 0.5)


@given(times, st.floats(0.1, 10))
def test_a_ratio_of_a_multiple_is_the_multiple(samples: list[float], factor: float) -> None:
    value, low, high = ratio_interval([factor * x for x in samples], samples, resamples=200)
    assert value == pytest.approx(factor)
    assert low is not None
    assert high is not None
    assert low <= high
    again = ratio_interval([factor * x for x in samples], samples, resamples=200)
    assert (value, low, high) == again


def test_a_ratio_needs_positive_samples() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([1.0], [0.0])
    with pytest.raises(ValueError, match="no samples"):
        ratio_interval([], [1.0])


def test_items_that_would_settle_it() -> None:
    assert more_items(0.81, 0.79, 0.83, 1000, 0.80) == 3000  # half the width: four times as many
    assert more_items(0.79, 0.77, 0.81, 1000, 0.80) == 3000
    assert more_items(0.9, 0.88, 0.92, 1000, 0.80) == 0
    assert more_items(0.8, 0.7, 0.9, 1000, 0.8) is None
