"""What is called, what is the same, and what cannot be told, a row each."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RecordError, UsageError
from harness.gate import Terms, compare
from harness.gate.comparison import margins
from harness.gate.judge import Judged
from harness.gate.text import as_json
from harness.record import Measurement, Record, Run
from tests.harness.gate.made import answers, beside_a_neighbour, in_a_minute, memory, run

BEFORE, AFTER = run(1), run(2)


def with_extra(base: Run, *records: Record) -> Run:
    return replace(base, records=(*base.records, *records))


def judged(a: Run, b: Run, metric: str, variant: str = "int8", **terms: Any) -> Judged:
    found = compare(a, b, Terms(**terms)).rows
    return next(row for row in found if (row.key.metric, row.key.variant) == (metric, variant))


def test_a_slower_decode_is_a_regression_and_a_faster_one_an_improvement() -> None:
    slow = compare(BEFORE, run(2, slower={"itl": 1.1}))
    assert {row.key.metric for row in slow.having("regressed")} == {"itl"}
    assert slow.exit_code == 1
    fast = compare(BEFORE, run(2, slower={"itl": 0.9}))
    assert {row.key.metric for row in fast.having("improved")} == {"itl"}
    assert not fast.having("regressed")


def test_equals_are_the_same() -> None:
    """Few processes of such noise leave one or the other row to more processes, and none is called."""
    quiet = {"between": 0.002, "within": 0.01}
    compared = compare(run(1, **quiet), run(2, **quiet))
    assert {row.verdict for row in compared.rows} == {"same"}
    assert compared.exit_code == 0


def test_a_noisy_row_cannot_be_told_and_how_to_mend_it_is_said() -> None:
    compared = compare(run(1, between=0.08), run(2, between=0.08))
    assert compared.exit_code == 3
    row = compared.having("cannot tell")[0]
    assert "may be worse by more than" in row.why
    assert "more processes" in row.why


def test_a_wider_margin_calls_more_rows_the_same() -> None:
    noisy, other = run(1, between=0.08), run(2, between=0.08)
    wide = compare(noisy, other, Terms(margins=margins(100, 2)))
    assert {row.verdict for row in wide.rows} == {"same"}


@pytest.mark.parametrize(("percent", "points"), [(0, 2), (-1, 2), (101, 2), (float("nan"), 2), (5, 0), (5, 200)])
def test_a_margin_that_is_none_is_refused(percent: float, points: float) -> None:
    with pytest.raises(UsageError, match="--margin"):
        margins(percent, points)


def test_what_is_not_valid_is_not_judged() -> None:
    reason = "GPU throttled in 9 of 12 rounds"
    spoilt = tuple(
        replace(r, valid=False, invalid_reasons=(reason,)) if r.variant == "int8" else r for r in AFTER.records
    )
    row = judged(BEFORE, replace(AFTER, records=spoilt), "itl")
    assert (row.verdict, row.estimate) == ("cannot tell", None)
    assert row.why == f"not valid in B: {reason}"


def test_one_process_says_nothing_of_the_next() -> None:
    row = judged(run(1, processes=1), AFTER, "itl")
    assert row.verdict == "cannot tell"
    assert "1 process in A and 7 processes in B" in row.why
    assert "more processes" in row.why


def having_lost(base: Run, *places: int) -> Run:
    """The run, in which the processes at these places have no valid round."""

    def without(m: Measurement) -> Measurement:
        taken = [() if place in places else group for place, group in enumerate(m.by_process())]
        samples = tuple(sample for group in taken for sample in group)
        return replace(m, samples=samples, groups=tuple(map(len, taken)))

    records = (
        replace(r, measurements=tuple(without(m) if m.groups else m for m in r.measurements)) for r in base.records
    )
    return replace(base, records=tuple(records))


def test_a_process_without_a_valid_round_is_not_counted() -> None:
    lame = judged(BEFORE, having_lost(AFTER, 0, 1, 3, 4, 5, 6), "itl")
    assert "7 processes in A and 1 process in B" in lame.why
    compared = compare(having_lost(BEFORE, 2), having_lost(run(2, slower={"itl": 1.1}), 0, 6))
    assert {row.key.metric for row in compared.having("regressed")} == {"itl"}
    assert {tuple(row["processes"]) for row in as_json(compared)["rows"]} == {(6, 5)}
    assert not compared.floor.pairs
    assert compared.floor.of("itl") == pytest.approx(0.02, abs=0.02)


def test_a_value_that_is_gone_cannot_be_told() -> None:
    gone = tuple(
        replace(
            r,
            measurements=tuple(
                replace(m, value=None, low=None, high=None, samples=(), groups=(), absent="no counter")
                if m.metric == "itl"
                else m
                for m in r.measurements
            ),
        )
        for r in AFTER.records
    )
    assert judged(BEFORE, replace(AFTER, records=gone), "itl").why == "absent in B: no counter"
    both = compare(
        replace(BEFORE, records=gone), replace(AFTER, records=gone)
    )  # absent in both is a gap that was there before
    assert {row.key.metric for row in both.rows} == {"ttft", "answer"}
    assert any("6 rows without a value in either run" in note for note in both.notes)


@pytest.mark.parametrize(
    ("megabytes", "verdict"), [(900, "same"), (915, "same"), (930, "regressed"), (870, "improved")]
)
def test_memory_is_one_value_and_called_beyond_two_percent(megabytes: float, verdict: str) -> None:
    row = judged(with_extra(BEFORE, memory("int8")), with_extra(AFTER, memory("int8", megabytes)), "memory_peak")
    assert row.verdict == verdict
    assert row.why == "no interval"


HITS = [i % 5 > 0 for i in range(400)]


def shares(hits: list[bool]) -> Judged:
    return judged(with_extra(BEFORE, answers("int8", HITS)), with_extra(AFTER, answers("int8", hits)), "agreement")


def test_the_same_answers_are_the_same_exactly() -> None:
    row = shares(HITS)
    assert (row.verdict, row.estimate) == ("same", (0.0, 0.0, 0.0))


def test_answers_that_got_worse_are_a_regression() -> None:
    row = shares([hit and i % 8 > 0 for i, hit in enumerate(HITS)])
    assert row.verdict == "regressed"
    assert row.estimate is not None
    assert row.estimate.value < -0.08


def test_answers_that_got_better_are_an_improvement() -> None:
    assert shares([hit or i % 10 == 0 for i, hit in enumerate(HITS)]).verdict == "improved"


def test_a_few_flips_within_two_points_are_the_same_and_more_cannot_be_told() -> None:
    assert shares([hit != (i in (3, 200)) for i, hit in enumerate(HITS)]).verdict == "same"
    flipped = [hit != (i % 40 in (1, 30)) for i, hit in enumerate(HITS)]
    assert shares(flipped).verdict == "cannot tell"


def test_questions_that_only_one_run_asked_are_left_out_and_told() -> None:
    row = shares(HITS[:300])
    assert row.verdict == "same"
    assert row.why == "300 of 400 questions are in both runs"


def test_answers_without_items_cannot_be_told() -> None:
    bare = replace(answers("int8", HITS), details={})
    row = judged(with_extra(BEFORE, bare), with_extra(AFTER, answers("int8", HITS)), "agreement")
    assert (row.verdict, row.why) == ("cannot tell", "no item-by-item answers in A; measure again")


def test_an_item_that_is_none_is_named() -> None:
    broken: Any = replace(answers("int8", HITS), details={"items": [{"id": "q0", "clip": "c0", "agrees": "yes"}]})
    with pytest.raises(RecordError, match=r"B: items\[0\] of int8: must have id, clip and agrees"):
        compare(with_extra(BEFORE, answers("int8", HITS)), with_extra(AFTER, broken))


def test_other_units_are_not_divided() -> None:
    seconds = tuple(replace(r, measurements=tuple(replace(m, unit="s") for m in r.measurements)) for r in AFTER.records)
    assert judged(BEFORE, replace(AFTER, records=seconds), "itl").why.startswith("in ms in A and in s in B")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.8, 1.25))
def test_a_row_is_judged_alike_from_both_ends(seed: int, factor: float) -> None:
    """What B is to A, A is to B: the ratio inverse, the call the opposite."""
    shape: dict[str, Any] = {"variants": ("baseline",), "processes": 5, "rounds": 3}
    a, b = run(seed, **shape), run(seed + 1, slower={"itl": factor}, **shape)
    opposite = {"regressed": "improved", "improved": "regressed"}
    for there, back in zip(compare(a, b).rows, compare(b, a).rows, strict=True):
        assert there.estimate is not None
        assert back.estimate is not None
        assert there.estimate.value * back.estimate.value == pytest.approx(1)
        assert opposite.get(there.verdict, "") == (back.verdict if there.verdict in opposite else "")


# --- what a row's rounds are held against ---------------------------------------------------------


def test_a_slower_minute_of_the_machine_is_no_regression() -> None:
    compared = compare(in_a_minute(BEFORE, 1.0), in_a_minute(AFTER, 1.2))
    assert not compared.having("regressed")
    assert any("fixed work beside them, which took 20% longer in B" in note for note in compared.notes)
    assert compare(BEFORE, in_a_minute(AFTER, 1.2)).having("regressed"), "without a ruler it is"


def test_slower_code_is_one_in_any_minute() -> None:
    compared = compare(in_a_minute(BEFORE, 1.08), in_a_minute(run(2, slower={"itl": 1.1}), 1.0))
    assert {row.key.metric for row in compared.having("regressed")} == {"itl"}


def test_at_a_very_different_pace_only_what_no_power_of_the_ruler_explains_is_called() -> None:
    """Half as slow again: a row that follows the ruler by the power 1.3 looks a tenth slower, and nobody changed it."""
    now = run(2, slower={"itl": 1.5**0.3, "answer": 3.0})
    verdicts = {row.key.metric: row for row in compare(in_a_minute(BEFORE, 1.0), in_a_minute(now, 1.5)).rows}
    assert {name: row.verdict for name, row in verdicts.items()} == {
        "ttft": "cannot tell",
        "itl": "cannot tell",
        "answer": "regressed",
    }
    assert verdicts["itl"].why.startswith("fixed work beside it took 50% longer in B: machine or code")


def test_rulers_of_two_versions_are_not_compared() -> None:
    compared = compare(in_a_minute(BEFORE, 1.0), in_a_minute(AFTER, 1.2, ruler="2"))
    assert compared.having("regressed")
    assert any("or against two" in note for note in compared.notes)


def test_across_devices_times_are_raw() -> None:
    """The other card's ruler is slower too: over it, every card would be the same."""
    there = in_a_minute(AFTER, 1.5)
    there = replace(there, environment={**there.environment, "threads": 99})
    compared = compare(in_a_minute(BEFORE, 1.0), there, Terms(across=frozenset({"threads"})))
    assert {row.verdict for row in compared.rows} == {"regressed"}
    assert any("times are raw" in note for note in compared.notes)


def test_a_sweep_is_told_and_stops_nobody() -> None:
    def swept(base: Run) -> Run:
        records = (replace(r, details={"sweep": True}) if r.suite == "latency" else r for r in base.records)
        return replace(base, records=tuple(records))

    def gated(base: Run) -> Run:
        return with_extra(swept(base), memory("int8"))

    compared = compare(gated(BEFORE), gated(run(2, slower={"itl": 1.5})), Terms(all_rows=True))
    assert compared.exit_code == 0
    assert "itl" in {one.key.metric for one in compared.told}


def broken(base: Run, variant: str) -> Run:
    """The run, with every round of a variant left out."""

    def emptied(record: Record) -> Record:
        if (record.suite, record.variant) != ("latency", variant):
            return record
        nothing: dict[str, Any] = {"value": None, "low": None, "high": None, "samples": (), "groups": (), "ruler": ()}
        left = tuple(replace(m, **nothing, absent="no valid round") for m in record.measurements)
        return replace(record, measurements=left, valid=False, invalid_reasons=("others held the CPU",))

    return replace(base, records=tuple(map(emptied, base.records)))


def test_rows_that_are_broken_in_both_runs_cannot_be_told() -> None:
    """Nothing is known of them: that is no pass."""
    compared = compare(broken(BEFORE, "int8"), broken(AFTER, "int8"))
    assert compared.exit_code == 3
    assert "int8" in {row.key.variant for row in compared.having("cannot tell")}


@pytest.mark.parametrize("ruled", [False, True])
def test_a_run_without_any_valid_time_is_told_beside_one_that_has(ruled: bool) -> None:
    a, b = (in_a_minute(BEFORE, 1.0), in_a_minute(AFTER, 1.0)) if ruled else (BEFORE, AFTER)
    for name in {record.variant for record in b.records}:
        b = broken(b, name)
    compared = compare(a, b)
    assert compared.exit_code == 3
    assert {row.verdict for row in compared.rows} == {"cannot tell"}


def test_memory_that_grew_within_a_noisy_floor_is_neither_called_nor_passed() -> None:
    """A neighbour on the card made 900 and 990 MB of the same commit: 985 may be its doing, and may be ours."""
    noisy = (with_extra(run(3), memory("int8", 900)), with_extra(run(4), memory("int8", 990)))
    for megabytes, verdict in ((985, "cannot tell"), (930, "same"), (850, "same"), (1100, "regressed")):
        compared = compare(with_extra(BEFORE, memory("int8")), with_extra(AFTER, memory("int8", megabytes)), aa=noisy)
        assert [row.verdict for row in compared.rows if row.key.metric == "memory_peak"] == [verdict]


def test_what_slows_model_and_ruler_alike_is_not_passed_as_the_same() -> None:
    """A thread left spinning slows the whole process, the fixed work in it too: that is for nobody to divide away."""
    rows = compare(in_a_minute(BEFORE, 1.0), in_a_minute(AFTER, 1.1)).rows
    assert {row.verdict for row in rows} == {"cannot tell"}
    assert "as was fixed work beside it by 10%" in rows[0].why
    assert "same" in {row.verdict for row in compare(in_a_minute(BEFORE, 1.1), in_a_minute(AFTER, 1.0)).rows}


def test_a_noisy_floor_does_not_make_a_slower_row_the_same() -> None:
    """One bad afternoon among the A/A pairs: what is worse than the margin is then neither called nor passed."""
    afternoon = (run(3), run(4, slower={"itl": 1.2}))
    compared = compare(BEFORE, run(2, slower={"itl": 1.1}), aa=afternoon)
    assert {row.verdict for row in compared.rows if row.key.metric == "itl"} == {"cannot tell"}
    assert compared.exit_code == 3


# --- beside a neighbour, who slows some rounds and not others ---------------------------------------

MANY: dict[str, Any] = {"processes": 9, "rounds": 80, "within": 0.02}


def test_beside_a_neighbour_a_change_is_seen_in_what_undisturbed_rounds_take() -> None:
    before = beside_a_neighbour(run(1, **MANY), 1)
    rows = compare(before, beside_a_neighbour(run(2, slower={"itl": 1.05}, **MANY), 2)).rows
    assert {row.key.metric for row in rows if row.verdict == "regressed"} == {"itl"}
    for row in rows:
        if row.key.metric == "itl":
            assert row.estimate is not None
            assert row.estimate.value == pytest.approx(1.05, abs=0.03)
            assert row.of == "undisturbed rounds"


def paused(base: Run, share: float, by: float, seed: int = 0) -> Run:
    """The run, in which so many tokens take `by` times as long and the machine has nothing to do with it."""
    dice = np.random.default_rng(seed)

    def held(m: Measurement) -> Measurement:
        if m.metric != "itl" or not m.samples:
            return m
        longer = np.where(dice.random(len(m.samples)) < share, by, 1.0)
        return replace(m, samples=tuple((np.asarray(m.samples) * longer).tolist()))

    records = tuple(replace(r, measurements=tuple(map(held, r.measurements))) for r in base.records)
    return replace(base, records=records)


def test_what_slows_most_rounds_and_not_the_fastest_is_a_regression_of_medians() -> None:
    before, after = (in_a_minute(run(seed, **MANY), 1.0) for seed in (1, 2))
    row = judged(before, paused(after, share=0.7, by=1.3), "itl")
    assert row.verdict == "regressed"
    assert row.why.startswith("of medians; undisturbed rounds: ")
    assert row.estimate is not None
    assert row.estimate.value > 1.2
    assert row.of == "medians"
    assert judged(before, paused(after, share=0.05, by=1.3), "itl").verdict == "same"
