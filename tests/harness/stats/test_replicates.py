"""Speed over processes: intervals that hold the next process too, and what is said when there is only one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind, ttest_rel

from harness.stats import Estimate, percentile, ratio_interval, replicate_interval, replicate_ratio, replicate_ratio_p

process = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=9)
processes = st.lists(process, min_size=2, max_size=6)

A = [[10.0, 10.2, 10.1], [10.6, 10.4, 10.5], [9.9, 10.0, 30.0]]  # medians 10.1, 10.5, 10.0
B = [[5.0, 5.1, 5.2], [5.3, 5.2, 5.3], [4.9, 5.0, 5.1]]  # medians 5.1, 5.3, 5.0


def logs(groups: list[list[float]]) -> list[float]:
    return [math.log(float(np.median(group))) for group in groups]


def drawn(random: np.random.Generator, count: int, level: float, between: float = 0.03) -> list[list[float]]:
    """Processes whose level differs by 3 %, seven rounds each that differ by 2 % more."""
    levels = level * np.exp(between * random.standard_normal(count))
    return [list(one * np.exp(0.02 * random.standard_normal(7))) for one in levels]


def test_a_process_is_one_observation_its_median() -> None:
    value, low, high = replicate_interval(A)
    theirs = ttest_1samp(logs(A), 0).confidence_interval(0.95)
    assert value == pytest.approx((10.1 * 10.5 * 10.0) ** (1 / 3))
    assert (low, high) == pytest.approx((math.exp(theirs.low), math.exp(theirs.high)))


def test_one_process_is_known_by_its_own_rounds_only() -> None:
    rounds = [float(i) for i in range(1, 31)]
    assert replicate_interval([rounds]) == percentile(rounds, 0.5)
    assert replicate_interval([[3.0]]) == Estimate(3.0, None, None)
    assert replicate_ratio([rounds], [rounds], paired=True) == ratio_interval(rounds, rounds)
    assert replicate_ratio_p([rounds], [[2.0]], paired=False) == (1.0, 1.0)


def test_paired_is_students_t_and_unpaired_is_welchs() -> None:
    paired, apart = replicate_ratio(A, B, paired=True), replicate_ratio(A, B, paired=False)
    for found, theirs in ((paired, ttest_rel(logs(A), logs(B))), (apart, ttest_ind(logs(A), logs(B), equal_var=False))):
        bounds = theirs.confidence_interval(0.95)
        assert found[1:] == pytest.approx((math.exp(bounds.low), math.exp(bounds.high)))
        assert found.value == pytest.approx(paired.value)
    assert replicate_ratio_p(A, B, paired=True).equal == pytest.approx(ttest_rel(logs(A), logs(B)).pvalue)
    assert replicate_ratio_p(A, B, paired=False).equal == pytest.approx(
        ttest_ind(logs(A), logs(B), equal_var=False).pvalue
    )
    shifted = [x - math.log(1.05) for x in logs(A)]
    less = ttest_rel(shifted, logs(B), alternative="less").pvalue
    assert replicate_ratio_p(A, B, paired=True, margin=0.05).non_inferior == pytest.approx(less)


def test_pairing_takes_out_what_slows_both() -> None:
    slow = [1.0, 1.3, 0.8, 1.1]
    a, b = [[2 * s * x for x in (0.99, 1.0, 1.02)] for s in slow], [[s * x for x in (0.99, 1.01, 1.02)] for s in slow]
    paired, apart = replicate_ratio(a, b, paired=True), replicate_ratio(a, b, paired=False)
    assert paired.high is not None
    assert apart.high is not None
    assert paired.high - paired.value < 0.1 * (apart.high - apart.value)


@given(processes, st.booleans(), st.floats(0.05, 20))
def test_the_ratio_turned_over_has_the_interval_turned_over(
    groups: list[list[float]], paired: bool, factor: float
) -> None:
    other = [[factor * x for x in reversed(rounds)] for rounds in reversed(groups)]
    there, back = replicate_ratio(groups, other, paired=paired), replicate_ratio(other, groups, paired=paired)
    assert there.low is not None
    assert there.high is not None
    assert there.low <= there.value * (1 + 1e-9)
    assert there.value <= there.high * (1 + 1e-9)
    assert (1 / back.value, 1 / back.high, 1 / back.low) == pytest.approx(tuple(there), rel=1e-6)  # type: ignore[operator]
    p = replicate_ratio_p(groups, other, paired=paired)
    assert 0 <= p.equal <= 1
    assert 0 <= p.non_inferior <= 1


def test_processes_without_spread_are_decided_by_their_value() -> None:
    same = [[2.0, 2.0]] * 3
    assert replicate_interval(same) == pytest.approx((2.0, 2.0, 2.0))
    for paired in (True, False):
        assert replicate_ratio(same, same, paired=paired) == pytest.approx((1.0, 1.0, 1.0))
        assert replicate_ratio_p(same, same, paired=paired) == (1.0, 0.0)
        assert replicate_ratio_p([[3.0]] * 3, same, paired=paired) == (0.0, 1.0)
        assert replicate_ratio_p([[1.0]] * 3, same, paired=paired) == (0.0, 0.0)


def test_a_single_process_is_taken_to_vary_as_the_others_do() -> None:
    value, low, high = replicate_ratio([[10.2]], B, paired=False)
    theirs = ttest_ind([math.log(10.2)], logs(B)).confidence_interval(0.95)  # pooled: of one process no variance adds
    assert (low, high) == pytest.approx((math.exp(theirs.low), math.exp(theirs.high)))
    assert value == pytest.approx(replicate_ratio([[10.2]], B, paired=False).value)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="no processes"):
        replicate_interval([])
    with pytest.raises(ValueError, match="without rounds"):
        replicate_interval([[1.0], []])
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive"):
            replicate_ratio([[1.0]], [[wrong]], paired=True)
    with pytest.raises(ValueError, match="cannot be paired"):
        replicate_ratio(A, B[:2], paired=True)
    with pytest.raises(ValueError, match="margin"):
        replicate_ratio_p(A, B, paired=True, margin=-0.1)
    with pytest.raises(ValueError, match="confidence"):
        replicate_interval(A, 1.0)


def test_three_to_five_processes_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    held = {"one": 0, "paired": 0, "apart": 0}
    times = 700
    for _ in range(times):
        a, b = drawn(random, 5, 3.0), drawn(random, 5, 2.0)
        for kind, truth, (_, low, high) in (
            ("one", 3.0, replicate_interval(a)),
            ("paired", 1.5, replicate_ratio(a, b, paired=True)),
            ("apart", 1.5, replicate_ratio(a, b[:3], paired=False)),
        ):
            assert low is not None
            assert high is not None
            held[kind] += low <= truth <= high
    for kind, count in held.items():
        assert 0.93 <= count / times <= 0.97, kind


def test_the_rounds_of_one_process_do_not_know_the_next() -> None:
    """Why processes count and not rounds: pooled rounds claim to be surer than they are."""
    random = np.random.default_rng(6)
    pooled = 0
    for _ in range(400):
        a = drawn(random, 5, 3.0)
        _, low, high = percentile([x for rounds in a for x in rounds], 0.5)
        assert low is not None
        assert high is not None
        pooled += low <= 3.0 <= high
    assert pooled / 400 < 0.75
