"""Many comparisons at once: Holm's steps and the level at which all rows hold together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import holm, simultaneous_confidence

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_the_smallest_is_multiplied_by_all_the_next_by_one_less() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


@given(p_lists)
def test_holm_is_between_the_p_itself_and_bonferronis(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p) + 1e-12


@given(p_lists)
def test_holm_does_not_care_about_the_order(p_values: list[float]) -> None:
    backwards = holm(p_values[::-1])[::-1]
    assert holm(p_values) == pytest.approx(backwards)
    ranked = sorted(zip(p_values, holm(p_values), strict=True))
    assert [adjusted for _, adjusted in ranked] == sorted(adjusted for _, adjusted in ranked)


def test_a_p_lies_in_0_to_1() -> None:
    for wrong in (1.2, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"outside 0\.\.1"):
            holm([0.5, wrong])


def test_more_rows_ask_for_wider_intervals() -> None:
    assert simultaneous_confidence(1) == 0.95
    assert simultaneous_confidence(5) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="0 rows"):
        simultaneous_confidence(0)
    with pytest.raises(ValueError, match="confidence of 1"):
        simultaneous_confidence(2, 1.0)
