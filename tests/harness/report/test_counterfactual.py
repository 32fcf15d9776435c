"""What would change the answer is exactly what `decide` says of the run with the moved limit; nothing less would."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.record import Run
from harness.report import table
from harness.report.budgets import budgets_of, unit_of
from harness.report.change import Change
from harness.report.counterfactual import what_would_change
from harness.report.verdict import decide
from harness.report.wording import OBJECTIVES
from tests.harness.report.plain import plain_run
from tests.harness.report.sample import sample_run

# Few figures, so that they coincide with each other and with limits; some of many digits, some next to each other.
NEXT = math.nextafter(0.75, 1)
SHARES = st.sampled_from([0.0, 0.5, 0.749999, 0.75, NEXT, 0.8, 0.8876146788990825, 0.9, 0.99999, 1.0])
AMOUNTS = st.sampled_from([0.0, 1e-7, 0.243, 0.456217, 0.75, NEXT, 1.0, 1.197664, 12000.0, 12000.4, 20000.0])


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Some variants, held against some budgets; figures with intervals, without, with one end, absent."""

    def figure(budget: str) -> Any:
        low, value, high = sorted(draw(st.tuples(*[SHARES if unit_of(budget) == "1" else AMOUNTS] * 3)))
        ends = draw(st.sampled_from([(low, high), (low, high), (None, high), (low, None), (None, None), None]))
        return "not asked" if ends is None else (value, *ends)

    names = draw(st.lists(st.sampled_from(["agreement", "ttft_ms", "answer_j", "size_mb"]), min_size=1, unique=True))
    variants = draw(st.lists(st.sampled_from(["baseline", "int8", "distilled", "finetuned"]), min_size=1, unique=True))
    made = {variant: {name: figure(name) for name in {*names, "agreement", "size_mb"}} for variant in variants}
    budgets = {name: draw(SHARES if unit_of(name) == "1" else AMOUNTS) for name in names}
    return plain_run(made, budgets, draw(st.sampled_from(sorted(OBJECTIVES))))


def shipped_at(run: Run, budget: str, limit: float | None) -> str | None:
    """What `decide` ships with one limit moved, or dropped."""
    budgets: dict[str, Any] = {**budgets_of(run), budget: limit}
    pair: Any = {**run.pair, "budgets": budgets}
    return decide(replace(run, environment={**run.environment, "pair": pair})).ship


def short_of(change: Change) -> list[float]:
    """Limits between what is stated and where the answer changes, the last one before it among them."""
    assert change.threshold is not None
    ends = change.stated, change.threshold
    last = math.nextafter(change.threshold, change.stated) if change.looser else change.threshold
    between = [ends[0] + share * (ends[1] - ends[0]) for share in (0.001, 0.3, 0.6, 0.9, 0.999)]
    found = [limit for limit in (*between, last) if min(ends) <= limit <= max(ends)]
    return [limit for limit in found if not (change.looser and limit == change.threshold)]


@settings(max_examples=150, deadline=None)
@given(runs())
def test_a_change_is_what_decide_says_and_no_smaller_move_is_one(run: Run) -> None:
    ship = decide(run).ship
    for change in what_would_change(run).changes:
        assert change.to != ship
        assert shipped_at(run, change.budget, change.limit) == change.to
        if change.limit is None or change.threshold is None:
            continue
        far = change.limit - change.threshold
        assert all(
            shipped_at(run, change.budget, change.threshold + share * far) == change.to for share in (0.3, 0.9) if far
        )
        for limit in short_of(change):
            assert shipped_at(run, change.budget, limit) == ship, (change, limit)


@settings(max_examples=100, deadline=None)
@given(runs(), st.lists(st.one_of(SHARES, AMOUNTS, st.floats(1e-9, 1e5)), min_size=4, max_size=8))
def test_what_is_said_to_change_nothing_changes_nothing(run: Run, limits: list[float]) -> None:
    found, ship = what_would_change(run), decide(run).ship
    moved = {(change.budget, change.looser): change for change in found.changes}
    for one in found.budgets:
        for limit in limits:
            looser = (limit < one.limit) == one.at_least
            outside = limit > 1 if one.at_least else limit <= 0  # what no pair file may state
            change = moved.get((one.budget, looser))
            if not outside and (change is None or change.limit is None):
                assert shipped_at(run, one.budget, limit) == ship
    dropped = {change.budget: change.to for change in found.changes if change.limit is None}
    loosened = {change.budget for change in found.changes if change.looser and change.limit is not None}
    for one in found.budgets:
        if len(found.budgets) > 1 and one.budget not in loosened:
            assert shipped_at(run, one.budget, None) == dropped.get(one.budget, ship)


@settings(max_examples=100, deadline=None)
@given(runs())
def test_a_sentence_is_true_as_it_is_printed(run: Run) -> None:
    for change in what_would_change(run).changes:
        if change.limit is not None:
            said = re.search(r" of ([\d., e+-]+) (%|ms|MB|J) \(", change.sentence)
            assert said is not None, change.sentence
            printed = float(said[1].replace(" ", "")) / (100 if said[2] == "%" else 1)
            assert shipped_at(run, change.budget, printed) == change.to, change.sentence


@settings(max_examples=100, deadline=None)
@given(runs())
def test_another_objective_ships_what_decide_says(run: Run) -> None:
    found, ship = what_would_change(run), decide(run).ship
    for objective in OBJECTIVES:
        pair: Any = {**run.pair, "objective": objective}
        other = decide(replace(run, environment={**run.environment, "pair": pair})).ship
        assert other == dict(found.objectives).get(objective, ship)


@pytest.mark.parametrize(
    ("budgets", "says"),
    [
        (
            {"agreement": 0.83, "size_mb": 0.3},
            (
                "With an agreement floor of 77.8 % (5.2 points lower), distilled-int8 would ship.",
                "With a size budget of 0.421 MB (0.121 MB more), int8 would ship.",
            ),
        ),
        (
            {"agreement": 0.83, "size_mb": 0.8},
            (
                "With an agreement floor of 77.8 % (5.2 points lower), distilled-int8 would ship.",
                "With an agreement floor of 98.9 % (15.9 points higher), nothing would ship.",
                "With a size budget of 0.42 MB (0.38 MB less), nothing would ship.",
                "If more measuring shows that distilled-int8 meets agreement with the teacher at least 83 %, it would "
                "ship: about 1 500 more questions would settle it.",
            ),
        ),
        ({"agreement": 0.75, "answer_j": 5}, ("Without an energy budget, distilled-int8 would ship.",)),
        (
            {"agreement": 0.75, "answer_j": 5, "size_mb": 0.1},
            ("No budget moved alone, however far, changes what is shipped.",),
        ),
        ({}, ()),
    ],
)
def test_what_the_first_screen_says(budgets: dict[str, float], says: tuple[str, ...]) -> None:
    assert what_would_change(sample_run(budgets=budgets)).says == says


def test_by_what_something_ships_is_said_before_by_what_nothing_does() -> None:
    """However near the latter: it is the former that one can act upon."""
    found = what_would_change(sample_run(budgets={"agreement": 0.83, "size_mb": 0.8}))
    *nothing, something = reversed(found.changes)
    assert something.to == "distilled-int8"
    many = replace(found, changes=(*nothing, *nothing, something))
    assert many.says[0] == something.sentence
    assert all("nothing would ship" in line for line in many.says[1:3])


@pytest.mark.parametrize(
    "budgets", [{"agreement": 0.75, "ttft_ms": 40.0, "size_mb": 0.5}, {"agreement": 0.83, "size_mb": 0.8}]
)
@pytest.mark.parametrize("objective", ["ttft", "agreement"])
def test_ties_of_rounds_and_answers_are_what_decide_says_too(budgets: dict[str, float], objective: str) -> None:
    run = sample_run(budgets=budgets, objective=objective)
    found = what_would_change(run)
    assert found.changes
    for change in found.changes:
        assert change.threshold is not None
        assert shipped_at(run, change.budget, change.limit) == change.to != decide(run).ship
        last = math.nextafter(change.threshold, change.stated) if change.looser else change.threshold
        assert shipped_at(run, change.budget, last) == decide(run).ship


def test_more_memory_is_said_in_the_words_of_a_meeting() -> None:
    run = plain_run(
        {
            "baseline": {"agreement": (1.0, 0.99, 1.0), "memory_mb": 19876.5},
            "distilled": {"agreement": (0.9, 0.88, 0.92), "memory_mb": 7000.0},
        },
        {"agreement": 0.8, "memory_mb": 12000},
        objective="agreement",
    )
    assert decide(run).ship == "distilled"
    said = what_would_change(run)
    assert "With a memory budget of 19 900 MB (7 900 MB more), baseline would ship." in said.says
    assert ("Peak memory", "at most 12 000 MB", "19 900 MB (7 900 MB more): baseline ships") in [
        row[:3] for row in said.rows
    ]
    assert said.by_objective == ""


def test_a_limit_is_not_printed_as_the_figure_that_it_excludes(sample: Run) -> None:
    run = plain_run({"int8": {"size_mb": 0.45617}}, {"size_mb": 1.0})
    assert what_would_change(run).says == ("With a size budget of 0.455 MB (0.545 MB less), nothing would ship.",)


@pytest.mark.parametrize("more", [{"budgets": {}}, {"weights": "random"}])
def test_without_a_verdict_nothing_would_change_it(sample: Run, more: dict[str, Any]) -> None:
    pair: Any = {**sample.pair, **more}
    found = what_would_change(replace(sample, environment={**sample.environment, **more, "pair": pair}))
    assert (found.says, found.rows, found.by_objective) == ((), (), "")


def test_the_terminal_says_the_nearest(sample: Run) -> None:
    lines = table.render(sample).splitlines()
    assert "What would change it: with an agreement floor of 77.9 % (2.9 points higher), int8 would ship." in lines


def test_a_rival_that_was_not_measured_is_named_with_the_reason() -> None:
    """int8 is smaller and would ship; no round of it was valid, and the headline must not say that it fails."""
    size = {"agreement": (1.0, 0.99, 1.0), "answer_ms": (7.0, 6.8, 7.3), "size_mb": 0.8}
    run = plain_run(
        {
            "baseline": {**size, "size_mb": 1.2},
            "int8": {**size, "answer_ms": "not valid: others held the CPU", "size_mb": 0.7},
            "distilled": size,
        },
        {"agreement": 0.75, "answer_ms": 250, "size_mb": 1},
    )
    assert decide(run).ship == "distilled"
    assert "is the only one shown to meet every budget" in decide(run).sentence
    assert what_would_change(run).says[-1] == (
        "If more measuring shows that int8 meets time of a whole answer at most 250 ms, it would ship: "
        "time of a whole answer was not measured (not valid: others held the CPU)."
    )
    missing = plain_run({"int8": {**size, "size_mb": 1.2}, "distilled": size}, {"size_mb": 1})
    assert "is the only one that meets every budget" in decide(missing).sentence
    assert what_would_change(missing).doubts == ()


def test_where_no_budget_alone_does_those_that_do_together_are_said() -> None:
    run = plain_run(
        {
            "baseline": {"agreement": (1.0, 0.99, 1.0), "memory_mb": 19080, "size_mb": 15950},
            "distilled": {"agreement": (0.85, 0.815, 0.88), "memory_mb": 7554.2, "size_mb": 4420},
        },
        {"agreement": 0.8, "memory_mb": 6000, "size_mb": 4000},
    )
    found = what_would_change(run)
    assert found.says == (
        "No budget moved alone, however far, changes what is shipped: with a memory budget of 7 560 MB (1 560 MB more) "
        "and a size budget of 4 420 MB (420 MB more) at once, distilled would ship.",
    )


@settings(max_examples=100, deadline=None)
@given(runs())
def test_budgets_moved_together_ship_what_decide_says(run: Run) -> None:
    found = what_would_change(run).together
    if found is not None:
        budgets: dict[str, Any] = {**budgets_of(run), **{one.budget: one.limit for one in found.moved}}
        pair: Any = {**run.pair, "budgets": budgets}
        assert decide(run).ship is None
        assert decide(replace(run, environment={**run.environment, "pair": pair})).ship == found.to
