"""Runs of one pair against each other: by the gate's rules, refused in one line where they may not be."""

from dataclasses import replace

import pytest

from harness.record import Run
from harness.report.between import Between, Ratio, between
from harness.report.summary import summarise
from harness.stats import Estimate
from tests.harness.gate.made import answers, elsewhere, latency, memory, run

GPU = {"kind": "cuda", "name": "NVIDIA H100", "driver": "575.1", "memory_mb": 80000}


def held(*runs: Run, across: frozenset[str] = frozenset()) -> tuple[Between, ...]:
    return between(tuple(map(summarise, runs)), across)


def test_a_slower_commit_has_its_ratio_and_interval() -> None:
    (told,) = held(run(1), run(2, slower={"itl": 1.3}, commit="ffff", day=2))
    row = told.of("int8", "itl")
    assert row is not None
    assert row.estimate is not None
    assert row.estimate.low is not None
    assert row.estimate.low < 1.3 < (row.estimate.high or 0)
    assert (row.verdict, row.words) == ("regressed", "slower")
    assert row.value.startswith("×1.")
    assert "–" in row.interval
    assert any("noise floor" in note for note in told.notes)


def test_a_share_is_a_difference_and_memory_has_no_interval() -> None:
    was, now = [True] * 320, [True] * 240 + [False] * 80
    before = run(1, extra=(answers("int8", was), memory("int8", 900.0)))
    after = run(2, commit="ffff", day=2, extra=(answers("int8", now), memory("int8", 450.0)))
    (told,) = held(before, after)
    share, peak = told.of("int8", "agreement"), told.of("int8", "memory_peak")
    assert share is not None
    assert peak is not None
    assert (share.value, share.words) == ("−25.0 pt", "lower")
    assert share.interval.endswith(" pt")
    assert (peak.value, peak.interval, peak.words) == ("×0.500", "", "less")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": GPU}, "they differ in device.name (NVIDIA H200; NVIDIA H100)"),
        ({"threads": 4}, "they differ in threads (2; 4); --across threads compares them all the same"),
        ({"weights": "random"}, "weights"),
    ],
)
def test_what_differs_is_said_instead_of_a_ratio(change: dict[str, object], said: str) -> None:
    (told,) = held(run(1), elsewhere(run(2, day=2), **change))
    assert told.rows == ()
    assert said in told.refused


def test_it_is_compared_all_the_same_when_asked_and_says_so() -> None:
    (told,) = held(run(1), elsewhere(run(2, day=2), device=GPU), across=frozenset({"device"}))
    assert told.of("int8", "ttft") is not None
    assert any("compared across device.name" in note for note in told.notes)


def test_each_is_held_against_the_first_that_it_may_be() -> None:
    """Two devices, two commits: the second commit on the second device has a partner there."""
    first, other = run(1), elsewhere(run(2, day=2), device=GPU)
    told = held(first, other, elsewhere(run(3, day=3), device=GPU))
    assert [(one.earlier, one.later, bool(one.refused)) for one in told] == [(0, 1, True), (1, 2, False)]


def test_runs_of_two_pairs_are_not_held_against_each_other() -> None:
    other = replace(run(2), environment={**run(2).environment, "pair": {"name": "another"}})
    assert held(run(1), other) == ()


def test_runs_without_a_row_in_common_are_refused() -> None:
    other = replace(run(2, day=2), records=tuple(latency(f"{name}x", _dice()) for name in ("a", "b")))
    (told,) = held(run(1), other)
    assert "no gated row in common" in told.refused


def _dice():  # type: ignore[no-untyped-def]
    import numpy as np

    return np.random.default_rng(0)


def test_why_a_row_cannot_be_told_is_said_once() -> None:
    (told,) = held(run(1, processes=1), run(2, processes=1, day=2))
    assert {row.words for row in told.rows} == {"cannot be told"}
    assert len(told.doubts) == 1
    assert "1 process in A and 1 process in B" in told.doubts[0]


@pytest.mark.parametrize(
    ("metric", "estimate", "words"),
    [
        ("itl", (0.99, 0.96, 1.04), "the same"),
        ("itl", (0.94, 0.88, 1.01), "no worse"),  # the gate asks only that the worse end is near
        ("memory_peak", (1.001, None, None), "the same"),
        ("agreement", (0.0, 0.0, 0.0), "the same"),
        ("agreement", (0.02, -0.01, 0.05), "no worse"),
    ],
)
def test_the_same_is_said_only_where_both_ends_are_near(
    metric: str, estimate: tuple[float, float | None, float | None], words: str
) -> None:
    assert Ratio("int8", metric, Estimate(*estimate), "same", "").words == words
