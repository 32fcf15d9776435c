"""A fixed piece of work, to hold times of different minutes against."""

from __future__ import annotations

import torch

from harness.measure.latency import latency
from harness.measure.ruler import Ruler, ruler_of
from harness.stats import replicate_ratio


def test_a_reading_is_short_and_about_the_same_again() -> None:
    ruler = Ruler()
    readings = sorted(ruler.read() for _ in range(15))
    assert 1e-6 < readings[7] < 0.1
    assert readings[7] < 3 * readings[2]


def test_a_card_has_none() -> None:
    assert ruler_of(torch.device("cuda")) is None
    assert isinstance(ruler_of(torch.device("cpu")), Ruler)


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
