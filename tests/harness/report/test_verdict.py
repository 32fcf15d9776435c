"""Who is shipped and why: ties, doubts, gaps; the edges of budgets are in test_budgets.py."""

from dataclasses import replace
from typing import Any

import pytest

from harness.errors import RecordError
from harness.record import Run
from harness.report import sections
from harness.report.verdict import decide
from harness.report.view import variants
from tests.harness.report.plain import plain_run
from tests.harness.report.sample import mapped, sample_run, without


def test_the_smallest_that_meets_every_budget_is_shipped(sample: Run) -> None:
    verdict = decide(sample)
    assert verdict.ship == "distilled-int8"
    assert verdict.tie == ()
    assert verdict.sentence == (
        "Ship distilled-int8: it answers like the teacher on 81.3 % of 600 questions (at least 77.8 %), "
        "is 4.4× smaller than baseline, and meets every budget."
    )
    assert "baseline: misses size by 0.564 MB (1.06 MB, asked at most 0.5 MB)." in verdict.reasons
    assert "int8: meets every budget too, but 0.421 MB of size against 0.243 MB." in verdict.reasons


@pytest.mark.parametrize(
    ("budgets", "objective", "sentence"),
    [
        ({"agreement": 0.75, "ttft_ms": 6}, "ttft", "Ship distilled: it answers like the teacher on 85.0 %"),
        ({"agreement": 0.95, "size_mb": 0.5}, "size", "Ship int8: it answers like the teacher on 99.7 %"),
        ({"ttft_ms": 40}, "agreement", "Ship baseline: it meets every budget – a tie with int8 on agreement"),
        ({"agreement": 0.75, "size_mb": 0.3}, "size", "is the only one that meets every budget"),
        (
            {"agreement": 0.95, "size_mb": 0.3},
            "size",
            "Ship none: the nearest, distilled-int8, misses agreement",
        ),
        ({"agreement": 0.95, "size_mb": 0.3}, "size", "by 13.7 points (81.3 %, asked at least 95 %)"),
        (
            {"agreement": 0.83, "size_mb": 0.3},
            "size",
            "Ship none yet: distilled-int8 misses no budget, but it cannot",
        ),
        ({"agreement": 0.83, "size_mb": 0.3}, "size", "about 1 500 more questions would settle it"),
        ({}, "size", "No verdict: the pair states no budget."),
    ],
)
def test_what_the_budgets_ask_decides(budgets: dict[str, float], objective: str, sentence: str) -> None:
    assert sentence in decide(sample_run(budgets=budgets, objective=objective)).sentence


def test_a_tie_goes_to_the_higher_agreement_and_is_said(sample: Run) -> None:
    rounds = variants(sample)[0].get("ttft").samples
    as_quick = mapped(sample, "distilled", "ttft", value=5.11, low=5.0, high=5.3, samples=rounds)
    asked: Any = dict(as_quick.pair, budgets={"agreement": 0.5}, objective="ttft")
    verdict = decide(replace(as_quick, environment={**as_quick.environment, "pair": asked}))
    assert verdict.ship == "baseline"
    assert verdict.tie == ("distilled",)
    assert "a tie with distilled on time to the first token, decided by agreement" in verdict.sentence


def test_controls_are_judged_and_never_shipped() -> None:
    run = sample_run(budgets={"agreement": 0.01})
    verdict = decide(run)
    assert [j.variant for j in verdict.table if j.control] == ["undistilled", "finetuned", "hard-labels"]
    assert verdict.ship in {"baseline", "int8", "distilled", "distilled-int8"}
    stated = sample_run(budgets={"agreement": 0.01}, controls=["distilled-int8"])
    assert decide(stated).ship == "int8"


def test_what_was_not_measured_meets_no_budget(sample: Run) -> None:
    run = without(without(sample, "int8", "latency"), "distilled-int8", "latency")
    verdict = decide(run)
    assert verdict.ship is None
    assert verdict.sentence.startswith("Ship none")
    alone = replace(run, records=tuple(r for r in run.records if r.variant == "int8"))
    assert decide(alone).sentence == (
        "Ship none yet: int8 misses no budget, but this was not measured: time to the first token "
        "(the latency suite has no record of it in this run) and inter-token latency "
        "(the latency suite has no record of it in this run)."
    )
    nothing = replace(run, records=tuple(r for r in run.records if r.variant == "finetuned"))
    assert decide(nothing).sentence == "Ship none: no variant that could be shipped was measured."


def test_a_record_that_is_not_valid_is_as_good_as_absent(sample: Run) -> None:
    records = tuple(
        replace(r, valid=False, invalid_reasons=("the clock was throttled",))
        if (r.variant, r.suite) == ("distilled-int8", "latency")
        else r
        for r in sample.records
    )
    verdict = decide(replace(sample, records=records))
    assert verdict.ship == "int8"
    judged = next(j for j in verdict.table if j.variant == "distilled-int8")
    assert judged.having("not measured")[0].measurement.absent == "not valid: the clock was throttled"


@pytest.mark.parametrize(
    "pair", [{"budgets": {"energy_j": 3}}, {"budgets": {"size_mb": "small"}}, {"objective": "beauty"}]
)
def test_a_budget_that_is_not_known_is_an_error_not_passed_over(pair: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match=r"energy_j|size_mb|beauty"):
        decide(sample_run(**pair))


def test_a_tie_says_what_would_tell_it_apart() -> None:
    by_answers = decide(sample_run(budgets={"ttft_ms": 40}, objective="agreement")).sentence
    assert by_answers.endswith(
        "a tie with int8 on agreement with the teacher, decided by the value alone "
        "(about 4 700 more questions would tell the two apart)."
    )
    good: dict[str, Any] = {"agreement": (0.9, 0.88, 0.92), "memory_mb": 100.0}
    figures: dict[str, dict[str, Any]] = {
        "int8": {**good, "ttft_ms": (10.0, 9.0, 11.0)},
        "distilled": {**good, "agreement": (0.91, 0.89, 0.93), "ttft_ms": (10.5, 9.5, 11.5)},
    }
    timed = decide(plain_run(figures, {"agreement": 0.8}, "ttft"))
    assert (timed.ship, timed.tie) == ("distilled", ("int8",))
    # Apart by 0.5 ms, and 1 ms of interval on either side: 4² times as many rounds.
    assert timed.sentence.endswith("decided by agreement (about 1 300 more rounds of each would tell the two apart).")
    alike = {name: {**told, "ttft_ms": (10.0, 9.0, 11.0)} for name, told in figures.items()}
    assert decide(plain_run(alike, {"agreement": 0.8}, "ttft")).sentence.endswith(
        "(no feasible number of further rounds of each would tell the two apart)."
    )
    assert decide(plain_run(alike, {"agreement": 0.8}, "memory")).sentence.endswith(
        "a tie with int8 on peak memory, decided by agreement (the two are equal)."
    )


def test_a_tie_of_many_says_the_largest_number_and_whom_none_tells_apart() -> None:
    rounds = {"int8": (10.0, 9.0, 11.0), "nf4": (10.4, 9.4, 11.4), "distilled": (10.2, 9.2, 11.2)}
    agreed = {"int8": 0.9, "nf4": 0.9, "distilled": 0.91}
    figures: dict[str, dict[str, Any]] = {
        name: {"agreement": (agreed[name], 0.88, 0.93), "ttft_ms": figure} for name, figure in rounds.items()
    }
    said = decide(plain_run(figures, {"agreement": 0.8}, "ttft")).sentence
    assert "a tie with int8 and nf4 on" in said
    assert said.endswith("(about 8 400 more rounds of each would tell them apart).")
    figures["nf4"]["ttft_ms"] = rounds["distilled"]
    assert decide(plain_run(figures, {"agreement": 0.8}, "ttft")).sentence.endswith(
        "(about 8 400 more rounds of each would tell int8 apart; "
        "no feasible number of further rounds of each would tell nf4 apart)."
    )


def test_who_was_held_is_told_with_the_margins(sample: Run) -> None:
    who, rows = sections.held(decide(sample))
    assert who == "distilled-int8 meets"
    assert rows[0] == ("met", "✓", "Agreement", "by 2.8 points")
    who, rows = sections.held(decide(sample_run(budgets={"agreement": 0.95, "size_mb": 0.3, "answer_j": 2})))
    assert who == "distilled-int8, the nearest"
    assert [row[3] for row in rows] == ["short by 13.7 points", "not measured", "by 0.057 MB"]
    assert sections.held(decide(sample_run(budgets={}))) == ("", ())
