"""Which frames are looked at, by timestamps alone."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.qa.timeline import between, check_times, chosen, exact, is_even, on_display


def of_clip(ticks: list[int], second: int, start: float, end: float, most: int) -> list[int]:
    begin, until = exact(start) * second, exact(end) * second
    shown = on_display(ticks, begin, until)
    return [shown[at] for at in chosen(shown, Fraction(second), begin, until, most)]


def test_one_frame_a_second() -> None:
    assert of_clip(list(range(50)), 10, 0, 5, 8) == [0, 10, 20, 30, 40]


def test_a_broken_rate_steps_by_whole_frames_as_the_authors_do() -> None:
    """29.97 frames a second: every 30th."""
    ticks = [at * 1001 for at in range(300)]
    assert of_clip(ticks, 30_000, 0, 10.01, 32) == [at * 1001 for at in range(0, 300, 30)]


def test_where_that_is_too_many_they_are_spread_over_all_frames_of_the_clip() -> None:
    assert of_clip(list(range(200)), 10, 0, 20, 4) == list(np.linspace(0, 199, 4, dtype=int))


def test_a_clip_begins_with_the_frame_on_display_at_its_start() -> None:
    assert of_clip([0, 10, 20, 30], 10, 1.5, 3, 8) == [10, 20]
    assert of_clip([0, 10, 20, 30], 10, 2, 3, 8) == [20], "the frame that begins with the end is not in the clip"


def test_a_variable_rate_goes_by_the_clock() -> None:
    """A frame that stays for three seconds is seen three times."""
    assert of_clip([0, 1, 2, 3, 40, 41, 42], 10, 0, 6, 8) == [0, 3, 3, 3, 40, 42]


def test_a_second_means_what_was_written() -> None:
    assert exact(10.1) == Fraction(101, 10)
    assert of_clip([0, 101, 202], 10, 10.1, 20, 8) == [101]


def test_a_slow_film_gives_each_frame_once() -> None:
    assert of_clip([0, 40, 80], 10, 0, 12, 8) == [0, 40, 80]


@given(
    st.lists(st.integers(1, 50), min_size=0, max_size=60),
    st.integers(1, 30),
    st.integers(1, 12),
    st.integers(0, 100),
    st.integers(1, 300),
)
def test_whatever_the_timestamps(gaps: list[int], second: int, most: int, start: int, length: int) -> None:
    """At most `most` frames, at least one, in order, all of them on display in the clip."""
    ticks = [0, *np.cumsum(gaps, dtype=int).tolist()]
    begin, until = Fraction(start), Fraction(start + length)
    shown = on_display(ticks, begin, until)
    assert shown
    assert all(tick < until for tick in shown)
    picked = chosen(shown, Fraction(second), begin, until, most)
    assert 1 <= len(picked) <= most
    assert picked == sorted(picked)
    assert 0 <= picked[0] <= picked[-1] < len(shown)


# --- between the frames that were chosen


def test_a_view_looks_between_the_chosen_frames() -> None:
    even = list(range(50))
    assert between(even, [0, 10, 20, 30, 40], Fraction(1, 2)) == [5, 15, 25, 35, 45]
    assert between(even, [0, 10, 20, 30, 40], Fraction(2, 3)) == [6, 16, 26, 36, 46]
    assert between(even, [0, 24, 49], Fraction(1, 2)) == [12, 36, 49], "no later than the clip's last frame"
    assert between(even, [7], Fraction(1, 2)) == [7], "a frame chosen alone is a moment"


def test_a_frame_that_stays_is_still_on_display_between() -> None:
    ticks = [0, 1, 2, 3, 40, 41, 42]
    assert between(ticks, [0, 3, 3, 3, 4, 6], Fraction(1, 2)) == [1, 3, 3, 3, 5, 6]


@given(
    st.lists(st.integers(1, 50), min_size=0, max_size=60),
    st.integers(1, 30),
    st.integers(1, 12),
    st.integers(0, 100),
    st.integers(1, 300),
    st.integers(2, 6),
)
def test_a_view_of_whatever_timestamps(
    gaps: list[int], second: int, most: int, start: int, length: int, count: int
) -> None:
    """Inside the clip, in order, as distinct as the frames of view 0, each from its frame up to the next; a later view
    no earlier."""
    ticks = [0, *np.cumsum(gaps, dtype=int).tolist()]
    begin, until = Fraction(start), Fraction(start + length)
    shown = on_display(ticks, begin, until)
    picked = chosen(shown, Fraction(second), begin, until, most)
    assert between(shown, picked, Fraction(0)) == picked
    before = picked
    for view in range(1, count):
        seen = between(shown, picked, Fraction(view, count))
        assert len(seen) == len(picked)
        assert all(0 <= at < len(shown) for at in seen)
        assert seen == sorted(seen)
        assert len(set(seen)) >= len(set(picked))
        for at, own, following in zip(seen, picked, [*picked[1:], len(shown)], strict=True):
            assert own <= at < following or own == following == at
        assert all(after >= at for after, at in zip(seen, before, strict=True))
        before = seen


def test_jitter_below_half_a_frame_is_still_a_constant_rate() -> None:
    assert is_even([0, 33, 67, 100, 133])
    assert not is_even([0, 33, 67, 200, 233])


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (3.0, 3.0, "starts at 3 s and ends at 3 s: it must end after its start"),
        (None, 0.0, "starts at 0 s and ends at 0 s"),
        (-1.0, 3.0, "the clip starts at -1 s"),
        (0.0, float("nan"), "the clip ends at nan s"),
        (float("inf"), None, "the clip starts at inf s"),
    ],
)
def test_times_that_make_no_clip(start: float | None, end: float | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_times(start, end, "a.mp4")
