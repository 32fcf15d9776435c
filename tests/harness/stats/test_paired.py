"""Two answerers on the same questions: McNemar against scipy and by clip, the difference and its interval."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2

from harness.stats import Estimate, difference_interval, mcnemar_clustered, mcnemar_exact

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


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
