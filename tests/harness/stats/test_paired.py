"""Two answerers on the same questions: McNemar against scipy and by clip, the difference and its interval."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, ttest_rel

from harness.stats import difference_interval, mcnemar_clustered, mcnemar_exact

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
    assert ours.low <= ours.value <= ours.high  # type: ignore[operator]
    value, low, high = difference_interval(a, a, clips)
    assert value == 0
    assert low is not None
    assert high is not None
    assert low == -high < 0  # no answer differs, yet so few of them do not show that none would


def test_the_difference_of_pairs_that_never_differ_is_known_as_well_as_their_number_says() -> None:
    right = [True] * 50
    value, low, high = difference_interval(right, right, list(range(50)))
    z2 = 1.959964**2
    assert (value, low, high) == pytest.approx((0, -z2 / (50 + z2), z2 / (50 + z2)), abs=1e-6)
    by_clip = difference_interval(right, right, [i // 5 for i in range(50)])
    assert by_clip.high is not None
    assert by_clip.high > 1.3 * z2 / (50 + z2)
    assert difference_interval([True], [True], ["one"]).high == pytest.approx(z2 / (1 + z2), abs=1e-6)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60))
def test_at_its_bounds_the_score_of_the_most_likely_table_is_z(wins: int, losses: int, ties: int) -> None:
    """Tango 1998: the bound is where the difference, over its error at the most likely table, is just z."""
    n = wins + losses + ties
    a, b = [True] * wins + [False] * losses + [True] * ties, [False] * wins + [True] * losses + [True] * ties
    value, low, high = difference_interval(a, b, list(range(n)))
    for bound, sign in ((low, 1), (high, -1)):
        assert bound is not None
        chances = np.linspace(max(0.0, -bound), (1 - bound) / 2, 20001)[1:-1]  # of the second alone being right
        table = [wins * np.log(bound + chances), losses * np.log(chances), ties * np.log(1 - bound - 2 * chances)]
        q = chances[np.argmax(sum(part for count, part in zip((wins, losses, ties), table, strict=True) if count))]
        error = np.sqrt((2 * q + bound - bound**2) / n)
        assert (value - bound) / error == pytest.approx(sign * 1.96, abs=0.02)


def test_numbers_that_are_no_shares_get_students_t_over_clips() -> None:
    scores, others = [0.2, 0.9, 0.4, 0.7], [0.1, 0.7, 0.1, 0.6]
    theirs = ttest_rel(scores, others).confidence_interval(0.95)
    assert difference_interval(scores, others, [1, 2, 3, 4])[1:] == pytest.approx((theirs.low, theirs.high))
    assert difference_interval(scores, others, ["one"] * 4)[1:] == pytest.approx((0.1, 0.3))
    lopsided = difference_interval([0.5] * 100 + [0.1], [0.4] * 100 + [0.3], ["big"] * 100 + ["small"])
    assert lopsided[1:] == pytest.approx((-0.2, 0.1))  # nearly one clip: no t of 0.02 degrees of freedom
    with pytest.raises(ValueError, match="cannot be paired"):
        difference_interval([True], [], [1])
