"""A budget held against a figure, and budgets against a run: their edges as two tables."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecordError
from harness.record import Measurement
from harness.report.budgets import BUDGETS, check, unit_of
from harness.report.figures import METRICS
from harness.report.verdict import decide
from tests.harness.report.plain import Figure, measured, plain_run
from tests.harness.report.sample import sample_run


@pytest.mark.parametrize(
    ("budget", "limit", "figure", "status", "margin"),
    [
        # A share is met by its lower bound.
        ("agreement", 0.80, (0.83, 0.81, 0.86), "met", "1.0 points to spare"),
        ("agreement", 0.80, (0.83, 0.80, 0.86), "met", "0.0 points to spare"),  # it reaches the limit exactly
        ("agreement", 0.80, (0.83, 0.7999, 0.86), "cannot tell", "3.0 points to spare"),
        ("agreement", 0.80, (0.80, 0.78, 0.82), "cannot tell", "0.0 points to spare"),
        ("agreement", 0.80, (0.78, 0.75, 0.80), "cannot tell", "2.0 points short"),  # it just touches from below
        ("agreement", 0.80, (0.77, 0.75, 0.7999), "missed", "3.0 points short"),
        ("agreement", 1.00, (1.0, 1.0, 1.0), "met", "0.0 points to spare"),
        ("agreement", 0.00, (0.0, 0.0, 0.01), "met", "0.0 points to spare"),  # nothing is asked, so anything will do
        ("agreement", 0.80, 0.99, "cannot tell", "19.0 points to spare"),  # no interval, no lower bound
        ("agreement", 0.80, (0.9, None, 0.95), "cannot tell", "10.0 points to spare"),
        ("agreement", 0.80, (0.9, 0.85, None), "met", "5.0 points to spare"),
        ("agreement", 0.80, (0.7, None, 0.75), "missed", "10.0 points short"),
        ("agreement", 0.80, "not asked", "not measured", ""),
        ("accuracy", 0.50, (0.6, 0.55, 0.65), "met", "5.0 points to spare"),
        # A time is met by its upper bound, and by its value where there is no interval at all.
        ("ttft_ms", 40.0, (39.0, 38.0, 39.5), "met", "0.500 ms to spare"),
        ("ttft_ms", 40.0, (39.0, 38.0, 40.0), "met", "0.000 ms to spare"),
        ("ttft_ms", 40.0, (39.0, 38.0, 40.1), "cannot tell", "1.00 ms to spare"),
        ("ttft_ms", 40.0, (41.0, 40.0, 42.0), "cannot tell", "1.00 ms over"),
        ("ttft_ms", 40.0, (41.0, 40.1, 42.0), "missed", "1.00 ms over"),
        ("ttft_ms", 40.0, (39.0, 38.0, None), "cannot tell", "1.00 ms to spare"),  # too few rounds for that end
        ("ttft_ms", 40.0, (42.0, 41.0, None), "missed", "2.00 ms over"),
        ("ttft_ms", 40.0, (39.0, None, 39.9), "met", "0.100 ms to spare"),
        ("ttft_ms", 40.0, 40.0, "met", "0.000 ms to spare"),
        ("ttft_ms", 40.0, 40.1, "missed", "0.100 ms over"),
        ("itl_ms", 0.0, (0.1, 0.05, 0.2), "missed", "0.100 ms over"),  # a limit of 0 is one that nothing keeps
        ("answer_ms", 250.0, "the clock was throttled", "not measured", ""),
        # Bytes have no interval; joules have one of few blocks.
        ("memory_mb", 900.0, 900.0, "met", "0.000 MB to spare"),
        ("memory_mb", 12000.0, 20000.0, "missed", "8 000 MB over"),
        ("size_mb", 0.5, 0.577, "missed", "0.077 MB over"),
        ("size_mb", 0.0, 0.0, "met", "0.000 MB to spare"),
        ("answer_j", 5.0, (4.0, 3.5, 4.5), "met", "0.500 J to spare"),
        ("answer_j", 5.0, (4.0, 2.0, 6.0), "cannot tell", "1.00 J to spare"),
        ("answer_j", 5.0, (7.0, 6.0, 8.0), "missed", "2.00 J over"),
        ("answer_j", 5.0, "no GPU: NVML counts none of a CPU", "not measured", ""),
    ],
)
def test_a_budget_is_held_by_the_interval(budget: str, limit: float, figure: Figure, status: str, margin: str) -> None:
    found = check(budget, limit, measured(budget, figure))
    assert (found.status, found.margin_words) == (status, margin)
    assert (found.settled_by == "") == (status != "cannot tell")
    reached = found.bound is not None and (found.bound >= limit if found.at_least else found.bound <= limit)
    assert reached == (status == "met")


@pytest.mark.parametrize(
    ("budget", "limit", "figure", "said"),
    [
        ("agreement", 0.83, (0.813, 0.778, 0.844), "about 1 400 more questions would settle it"),
        ("agreement", 0.80, (0.78, 0.75, 0.80), "about 1 more question would settle it"),
        ("agreement", 0.80, (0.80, 0.78, 0.82), "no feasible number of further questions would settle it"),
        ("agreement", 0.80, 0.99, "it has no interval, so how many more questions would settle it is not known"),
        ("ttft_ms", 40, (39.0, 38.0, None), "it has no upper bound, so how many more rounds would settle it is not"),
        ("answer_j", 5.0, (4.0, 2.0, 6.0), "about 9 more blocks would settle it"),
    ],
)
def test_what_would_settle_a_doubt_is_said(budget: str, limit: float, figure: Figure, said: str) -> None:
    assert check(budget, limit, measured(budget, figure)).settled_by.startswith(said)


def test_rounds_of_processes_settle_a_doubt_by_further_processes() -> None:
    found = replace(measured("ttft_ms", (39.0, 38.0, 41.0)), n=84, samples=(39.0,) * 84, groups=(12,) * 7)
    assert check("ttft_ms", 40.0, found).settled_by == "about 260 more rounds, in 21 more processes, would settle it"


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_figure_in_another_unit_is_as_good_as_absent(budget: str) -> None:
    found = check(budget, 0.5, replace(measured(budget, (0.4, 0.3, 0.6)), unit="furlongs"))
    assert found.status == "not measured"
    assert found.measurement.absent == f"recorded in furlongs, where the budget is in {unit_of(budget)}"


def test_every_budget_of_a_pair_file_can_be_held_and_is_said_in_words() -> None:
    from harness.pair import Budgets

    assert set(Budgets.model_fields) - {"objective"} == set(BUDGETS)
    assert set(BUDGETS.values()) <= set(METRICS)
    told = Path("docs/verdict.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in told for name in BUDGETS)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(RecordError, match="must be a finite number"):
        measured("ttft_ms", value)
    with pytest.raises(RecordError, match="must be a finite number"):
        Measurement("ttft", 1.0, "ms", 3, 0.5, value, False, "by hand")


@pytest.mark.parametrize("limit", [math.nan, math.inf, True, "40", [40], 10**400])
def test_a_limit_that_is_no_number_is_refused(limit: Any) -> None:
    with pytest.raises(RecordError, match="budget ttft_ms"):
        decide(sample_run(budgets={"ttft_ms": limit}))


GOOD: dict[str, Figure] = {"agreement": (0.9, 0.88, 0.92), "ttft_ms": (10.0, 9.0, 11.0), "size_mb": 0.4}
NO_GPU = "no GPU: NVML counts the energy of NVIDIA's cards, not of a CPU"


@pytest.mark.parametrize(
    ("figures", "budgets", "more", "said"),
    [
        ({"int8": GOOD}, {"agreement": 0.88, "size_mb": 0.4}, {}, "Ship int8: "),
        ({"int8": GOOD}, {}, {}, "No verdict: the pair states no budget."),
        ({}, {"agreement": 0.5}, {}, "Ship none: no variant that could be shipped was measured."),
        ({"finetuned": GOOD}, {"agreement": 0.5}, {}, "Ship none: no variant that could be shipped was measured."),
        ({"int8": GOOD}, {"memory_mb": 9}, {}, "Ship none: no variant that could be shipped was measured."),
        (
            {"int8": GOOD, "hard-labels": {**GOOD, "size_mb": 0.1}},
            {"agreement": 0.8},
            {},
            "Ship int8: ",
        ),
        (
            {"int8": GOOD},
            {"agreement": 0.95, "ttft_ms": 5, "size_mb": 0.3},
            {},
            "Ship none: the nearest, int8, misses agreement with the teacher by 5.0 points (90.0 %, asked at least 95 "
            "%), time to the first token by 5.00 ms (10.0 ms, asked at most 5 ms) and size by 0.100 MB (0.400 MB, "
            "asked at most 0.3 MB).",
        ),
        (
            {"int8": GOOD},
            {"agreement": 0.88, "size_mb": 1},
            {"weights": "random"},
            "No verdict: the weights are random",
        ),
        (
            {"int8": {**GOOD, "answer_j": NO_GPU}},
            {"agreement": 0.88, "answer_j": 5},
            {},
            f"Ship none yet: int8 misses no budget, but this was not measured: energy of an answer ({NO_GPU}).",
        ),
        (
            {"int8": {**GOOD, "answer_j": NO_GPU}},
            {"size_mb": 0.3, "answer_j": 5},
            {},
            "Ship none: the nearest, int8, misses size by 0.100 MB (0.400 MB, asked at most 0.3 MB); not measured: "
            f"energy of an answer ({NO_GPU}).",
        ),
        (
            {"int8": {**GOOD, "answer_j": NO_GPU}},
            {"agreement": 0.89, "answer_j": 5},
            {},
            "Ship none yet: int8 misses no budget, but it cannot be told whether it meets agreement with the teacher "
            "at least 89 % (90.0 %, interval 88.0–92.0; about 1 800 more questions would settle it); not measured: "
            f"energy of an answer ({NO_GPU}).",
        ),
        (
            {"int8": GOOD},
            {"agreement": 0.88, "ttft_ms": 20},
            {"invalid": (("int8", "latency"),)},
            "Ship none yet: int8 misses no budget, but this was not measured: time to the first token (not valid: the "
            "clock was throttled).",
        ),
    ],
)
def test_a_run_is_held_against_budgets(
    figures: dict[str, dict[str, Figure]], budgets: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    assert decide(plain_run(figures, budgets, **more)).sentence.startswith(said)
