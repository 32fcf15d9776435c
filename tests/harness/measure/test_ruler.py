"""A fixed piece of work, to hold times of different minutes against."""

from __future__ import annotations

import torch

from harness.measure.latency import latency
from harness.measure.ruler import EVERY_S, Readings, Ruler, ruler_of
from harness.stats import replicate_ratio


def test_a_reading_is_short_and_about_the_same_again() -> None:
    ruler = Ruler()
    readings = sorted(ruler.read() for _ in range(15))
    assert 1e-6 < readings[7] < 0.1
    assert readings[7] < 3 * readings[2]


def test_a_card_has_none() -> None:
    assert ruler_of(torch.device("cuda")) is None
    assert isinstance(ruler_of(torch.device("cpu")), Ruler)


class Told(Ruler):
    """Reads what it is told to, one after another."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = iter(seconds)

    def read(self) -> float:
        return next(self._seconds)


def around(rounds_s: float, rounds: int, *seconds: float) -> list[float | None]:
    """Of so many rounds of one length; the first reading of a ruler is not used."""
    now = 0.0
    readings = Readings(Told(9.0, *seconds), lambda: now)
    for _ in range(rounds):
        now += rounds_s
        readings.after_round()
    return readings.around()


def test_a_long_round_lies_between_two_readings_of_its_own() -> None:
    assert around(2 * EVERY_S, 3, 1.0, 4.0, 9.0, 16.0) == [2.0, 6.0, 12.0]


def test_short_rounds_share_the_readings_around_them() -> None:
    assert around(0.4 * EVERY_S, 4, 1.0, 4.0, 9.0) == [2.0, 2.0, 2.0, 6.0]
    assert around(0.4 * EVERY_S, 3, 1.0, 4.0) == [2.0, 2.0, 2.0], "the last was read after them already"
    assert around(0.4 * EVERY_S, 1, 1.0, 4.0) == [2.0]


def test_without_a_ruler_nothing_is_told() -> None:
    readings = Readings(None)
    readings.after_round()
    assert readings.around() == [None]


def test_a_slow_minute_leaves_the_ratio_alone_and_slow_code_does_not() -> None:
    """The second run is of a minute in which everything takes 8 % more."""
    quick = [[0.050, 0.051, 0.050], [0.052, 0.051, 0.051]]
    slow_minute = [[second * 1.08 for second in group] for group in quick]
    ruler = [[0.001] * 3, [0.001] * 3]
    slow_ruler = [[0.00108] * 3, [0.00108] * 3]
    before = latency("answer", quick, "timed", ruler)[0]
    after = latency("answer", slow_minute, "timed", slow_ruler)[0]
    slower_code = latency("answer", [[s * 1.05 for s in group] for group in slow_minute], "timed", slow_ruler)[0]
    assert abs(replicate_ratio(after.by_process(), before.by_process(), paired=False).value - 1.08) < 1e-9
    assert abs(replicate_ratio(after.by_process_ruled(), before.by_process_ruled(), paired=False).value - 1) < 1e-9
    found = replicate_ratio(slower_code.by_process_ruled(), before.by_process_ruled(), paired=False)
    assert abs(found.value - 1.05) < 1e-9
