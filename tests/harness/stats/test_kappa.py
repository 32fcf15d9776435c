"""Agreement beyond chance: its laws, and the number of the textbook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import cohens_kappa, kappa_interval

answers = st.lists(st.sampled_from(["cup", "bowl", "yes", "no"]), min_size=1, max_size=40)


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
