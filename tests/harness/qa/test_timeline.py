"""Which frames are looked at, by timestamps alone."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.qa.timeline import check_times, chosen, exact, is_even, on_display


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
