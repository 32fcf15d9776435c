"""Which frames of a clip are looked at, from presentation timestamps alone.

The clip [start, end) consists of the frames on display in it: the one shown at `start`, and all that begin before
`end`.
As EgoGPT's authors sample, one frame a second is taken: every round(rate)-th. Where that gives more than `most`, `most`
of all the clip's frames are taken instead, np.linspace over their order, first and last among them.

A rate is constant where no timestamp lies half a frame or more off the even line from first to last. Otherwise the
clock decides and not the count: the frame on display at start, start + 1 s, … before end; a frame that stays for three
seconds is then taken three times.

Another view of the same clip looks between the frames that were chosen (`between`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from harness.errors import DataError


def exact(seconds: float) -> Fraction:
    """Seconds as they were written: 10.1 is 101/10, and not the binary number just below it."""
    return Fraction(repr(float(seconds)))


def check_times(start: float | None, end: float | None, name: str) -> None:
    """DataError unless 0 ≤ start < end, each as far as it is given."""
    for what, time in (("starts", start), ("ends", end)):
        if time is not None and not 0 <= time < float("inf"):
            raise DataError(f"{name}: the clip {what} at {time:g} s: give seconds from the video's beginning")
    if end is not None and end <= (start or 0.0):
        raise DataError(
            f"{name}: the clip starts at {start or 0:g} s and ends at {end:g} s: it must end after its start"
        )


def on_display(ticks: Sequence[int], start: Fraction, end: Fraction) -> list[int]:
    """Of sorted timestamps, those of the clip's frames. `start` and `end` in ticks."""
    first = max(0, bisect_right(ticks, start) - 1)
    return [tick for tick in ticks[first:] if tick < end]


def is_even(ticks: Sequence[int]) -> bool:
    """Is the frame rate constant? In whole numbers, so that an hour of video is no burden."""
    span, gaps = ticks[-1] - ticks[0], len(ticks) - 1
    return all(2 * abs((tick - ticks[0]) * gaps - at * span) < span for at, tick in enumerate(ticks))


def chosen(ticks: Sequence[int], second: Fraction, start: Fraction, end: Fraction, most: int) -> list[int]:
    """Indices into the clip's sorted timestamps. `second`, `start` and `end` in ticks."""
    total = len(ticks)
    if total == 1:
        return [0]
    if is_even(ticks):
        rate = second * (total - 1) / (ticks[-1] - ticks[0])
        picked = list(range(0, total, max(1, round(rate))))
    else:
        moments = int(-((end - start) // -second))  # rounded up: as many begin before the end
        picked = [max(0, bisect_right(ticks, start + at * second) - 1) for at in range(moments)]
    if len(picked) > most:
        return spread(total, most)
    return picked


def spread(total: int, most: int) -> list[int]:
    """`most` indices into `total` frames, evenly: first and last among them, repeated where there are fewer."""
    return [int(at) for at in np.linspace(0, total - 1, most, dtype=int)]


def between(ticks: Sequence[int], picked: Sequence[int], shift: Fraction) -> list[int]:
    """Indices of the frames on display `shift` of the way from each chosen frame to the next; 0 ≤ shift < 1.

    The last moves on by the gap before it, to the clip's last frame at most. A frame chosen alone has no neighbour and
    stays: it may be the very moment that is asked about.
    """
    if len(picked) == 1:
        return list(picked)
    times = [ticks[at] for at in picked]
    gaps = [after - before for before, after in pairwise(times)]
    return [bisect_right(ticks, time + shift * gap) - 1 for time, gap in zip(times, [*gaps, gaps[-1]], strict=True)]
