"""Timed rounds become a median with an interval over processes, and tails."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.latency import latency


def test_percentiles_come_in_milliseconds_with_their_intervals() -> None:
    p50, p90, p99 = latency("ttft", [[second / 1000 for second in range(1, 101)]], "measured so")
    assert [one.metric for one in (p50, p90, p99)] == ["ttft", "ttft_p90", "ttft_p99"]
    assert [one.unit for one in (p50, p90, p99)] == ["ms"] * 3
    assert p50.value == pytest.approx(50.5, abs=0.6)
    assert p90.value == pytest.approx(90, abs=1)
    assert p99.value == pytest.approx(99, abs=1)
    assert p50.low is not None
    assert p50.high is not None
    assert 38 < p50.low < p50.value < p50.high < 63
    assert (p50.n, len(p50.samples), p90.samples) == (100, 100, ())
    assert "of it alone" in p50.how, "one process says nothing of the next"


def test_the_interval_of_the_median_is_over_processes() -> None:
    """Rounds of a process are alike: many of them do not make up for few processes."""
    random = np.random.default_rng(0)
    groups = [(0.1 * factor * random.normal(1, 0.001, 200)).tolist() for factor in (0.95, 1.0, 1.05, 0.98, 1.02)]
    p50 = latency("itl", groups, "measured so")[0]
    assert p50.low is not None
    assert p50.high is not None
    assert 94 < p50.low < 97
    assert 103 < p50.high < 106
    assert p50.by_process() == tuple(tuple(round(s * 1e3, 6) for s in group) for group in groups)  # to a nanosecond
    assert "5 processes" in p50.how


def test_no_rounds_are_an_absent_figure_with_its_reason() -> None:
    (found,) = latency("ttft", [], "preprocessing to the first token")
    assert (found.value, found.n) == (None, 0)
    assert found.absent
