"""How many independent questions clustered ones are worth: by what their clips say, between two limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import effective_items, wilson_clustered
from harness.stats.design import ASSUMED_ICC

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=80)


@given(rows)
def test_never_more_than_there_are_and_never_fewer_than_one_a_clip(answers: list[tuple[bool, int]]) -> None:
    hits, clips = [float(hit) for hit, _ in answers], [clip for _, clip in answers]
    sizes = np.unique(clips, return_counts=True)[1]
    worth = effective_items(hits, clips)
    assert len(hits) ** 2 / np.sum(sizes**2) <= worth * (1 + 1e-9)
    assert worth <= len(hits) * (1 + 1e-9)


def test_clips_that_answer_as_one_count_as_one_each() -> None:
    assert effective_items([1.0] * 40 + [0.0] * 40, [i // 4 for i in range(80)]) == pytest.approx(20)


def test_one_question_a_clip_counts_in_full_and_one_clip_as_one() -> None:
    assert effective_items([1.0, 0.0, 1.0], ["a", "b", "c"]) == pytest.approx(3)
    assert effective_items([1.0, 0.0, 1.0], ["a"] * 3) == 1.0


def test_answers_all_alike_are_taken_to_go_together_a_little() -> None:
    assert effective_items([1.0] * 100, [i // 5 for i in range(100)]) == pytest.approx(100 / (1 + 4 * ASSUMED_ICC))
    low, high = wilson_clustered([True] * 100, [i // 5 for i in range(100)])
    assert 0.93 < low < 0.96
    assert high == 1.0


def test_few_clips_are_worth_less_than_the_same_questions_on_many() -> None:
    """The design effect of six clips is itself a guess, which Student's t pays for."""
    random = np.random.default_rng(2)
    hits = (random.random(240) < 0.7).astype(float)
    assert effective_items(hits, [i // 40 for i in range(240)]) < effective_items(hits, [i // 4 for i in range(240)])


def test_nothing_is_worth_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        effective_items([], [])
