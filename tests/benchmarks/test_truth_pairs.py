"""How benchmarks/truth.py compares pairs of rounds: on numbers made up, so that no machine decides."""

from __future__ import annotations

import sys

import pytest

from benchmarks.truth_pairs import LEAST_PAIRS, WARMUP, Taken, compared, in_pairs, table


def pairs(ratio: float, spread: float = 0.001, seconds: float = 0.01, count: int = 60) -> list[tuple[Taken, Taken]]:
    """Rounds whose ratios lie evenly around `ratio`."""
    offsets = [(2 * at / (count - 1) - 1) * spread for at in range(count)]
    return [
        ({"answer": seconds * (ratio + offset), "waited": 0.0}, {"answer": seconds, "waited": 0.0})
        for offset in offsets
    ]


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (pairs(1.0), "true"),
        (pairs(0.995), "true"),
        (pairs(1.02), "off"),
        (pairs(0.98), "off"),
        (pairs(1.01), "cannot tell"),  # the interval lies across the limit
        (pairs(1.0, spread=0.1), "cannot tell"),
        (pairs(1.0, count=2), "cannot tell"),  # too few for an interval
        (pairs(1.02, seconds=0.0009), "under 1 ms"),
    ],
)
def test_a_row_is_true_when_all_of_its_interval_is_and_off_when_none_is(made, verdict) -> None:
    found = compared(made, 0.01)
    assert found["rows"]["answer"]["verdict"] == verdict
    assert verdict in table("title", found, ("ours", "theirs"))


def test_a_pair_is_left_out_when_either_of_its_rounds_waited_for_a_cpu() -> None:
    calm, busy = pairs(1.0), pairs(1.5, count=40)
    for at, pair in enumerate(busy):
        pair[at % 2]["waited"] = 0.3
    found = compared(calm + busy, 0.01)
    assert (found["pairs"], found["undisturbed"], found["rows"]["answer"]["verdict"]) == (100, 60, "true")
    few = compared(calm[: LEAST_PAIRS - 1] + busy, 0.01)
    assert few["used"] == few["pairs"]
    assert "too few, so all are taken" in table("title", few, ("ours", "theirs"))


def test_either_goes_first_as_often() -> None:
    order = []
    found = in_pairs(lambda: order.append("a") or {"x": 1.0}, lambda: order.append("b") or {"x": 2.0}, rounds=4)
    assert "".join(order[2 * WARMUP :]) == "abbaabba"
    assert [(one["x"], other["x"]) for one, other in found] == [(1.0, 2.0)] * 4


def test_without_optimum_benchmark_its_part_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from benchmarks.truth_optimum import against_optimum

    monkeypatch.setitem(sys.modules, "optimum_benchmark", None)
    found = against_optimum(None, {}, None, torch.device("cpu"), 1)  # type: ignore[arg-type]
    told = table("optimum-benchmark", found, ("ours", "theirs"))
    assert "give --optimum FOLDER" in told
    assert "\n" not in told
