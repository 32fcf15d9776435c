"""What may not be compared, unless told."""

from dataclasses import replace
from typing import Any

import pytest

from harness.errors import UsageError
from harness.gate import Terms, compare
from harness.gate.comparable import parse_across, require_comparable
from harness.record import Run
from tests.harness.gate.made import elsewhere, run

A, B = run(1), run(2)
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "device": (
        {"device": {**A.environment["device"], "name": "NVIDIA A100"}},  # type: ignore[dict-item]
        "device.name: NVIDIA H200 and NVIDIA A100",
    ),
    "driver": (
        {"device": {**A.environment["device"], "driver": "580.2"}},  # type: ignore[dict-item]
        "driver: 575.1 and 580.2",
    ),
    "cpu": ({"cpu": "Intel Xeon"}, "cpu: AMD EPYC and Intel Xeon"),
    "image": ({"image": "sha"}, "image: none and sha"),
    "threads": ({"threads": 8}, "threads: 2 and 8"),
    "python": ({"python": "3.12.1"}, "python: 3.11.2 and 3.12.1"),
    "torch": (
        {"versions": {**A.environment["versions"], "torch": "2.14.0"}},  # type: ignore[dict-item]
        "torch: 2.13.0 and 2.14.0",
    ),
    "pair": ({"pair": {**A.pair, "name": "tiny"}}, "pair: made and tiny"),
    "data": ({"data": {"dataset": "scenes", "seed": 0, "frames": 8}}, "data.frames: 4 and 8"),
    "weights": ({"weights": "random"}, "weights: as the pair says and random"),
}


@pytest.mark.parametrize("field", OTHERS)
def test_another_field_is_refused_by_name_with_both_values(field: str) -> None:
    change, said = OTHERS[field]
    other = elsewhere(B, **change)
    with pytest.raises(UsageError) as refused:
        compare(A, other)
    assert str(refused.value) == f"A and B differ in {said}; --across {field} compares them all the same"
    compared = compare(A, other, Terms(across=parse_across(field)))
    assert compared.notes == (f"compared across {said}",)


def by_threads(base: Run, count: int) -> Run:
    """The run, its variants timed by so many threads."""
    return replace(base, records=tuple(replace(r, details={"rounds": {"threads": count}}) for r in base.records))


def test_times_of_other_numbers_of_threads_are_refused() -> None:
    """pytest's own threads are the same: those of the processes that time are the pair file's."""
    with pytest.raises(UsageError) as refused:
        compare(by_threads(A, 1), by_threads(B, 4))
    assert str(refused.value).startswith("A and B differ in threads of latency: 1 and 4; --across threads compares")
    compared = compare(by_threads(A, 1), by_threads(B, 4), Terms(across=parse_across("threads")))
    assert compared.notes == ("compared across threads of latency: 1 and 4",)
    assert not require_comparable(by_threads(A, 4), by_threads(B, 4))
    assert not require_comparable(A, by_threads(B, 4)), "a record of before says nothing of them"


def test_all_allows_everything() -> None:
    other = elsewhere(B, cpu="Intel Xeon", threads=8)
    assert len(require_comparable(A, other, parse_across("all"))) == 2
    with pytest.raises(UsageError, match="--across cpu,threads compares"):
        require_comparable(A, other)


def test_another_workload_is_refused_and_matched_when_told() -> None:
    longer = replace(B, records=tuple(replace(r, workload={**r.workload, "new_tokens": 32}) for r in B.records))
    with pytest.raises(UsageError, match=r"workload of latency: 4 frames, batch 1, 8 tokens and .* 32 tokens"):
        compare(A, longer)
    assert len(compare(A, longer, Terms(across=parse_across("workload"))).rows) == 18


def test_commit_date_and_command_may_differ() -> None:
    later = elsewhere(run(2, commit="ffffff", day=9), command="pytest suites -k int8")
    assert require_comparable(A, later) == ()


def test_other_weights_are_told_and_compared() -> None:
    trained = tuple(replace(r, artifacts={"teacher": "b" * 64}) if r.variant == "int8" else r for r in B.records)
    assert compare(A, replace(B, records=trained)).notes == ("other weights in B: int8",)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="--across gpu: no such field; there are device, clock, cpu"):
        parse_across("driver,gpu")


def on_a_card(base: Run, clock: float, watts: float = 700) -> Run:
    """The run, on a card of that SM clock and power limit."""
    machine: Any = {"sm_mhz": [clock - 15, clock, clock + 15], "power_limit_w": watts}
    rounds: Any = {"rounds": {"processes": [{"machine": machine}] * 7}}
    return replace(base, records=tuple(replace(r, details=rounds) for r in base.records))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (on_a_card(B, 1200), "the SM clock: 1980 MHz and 1200 MHz"),
        (on_a_card(B, 1980, 350), "the card's power limit: 700 W and 350 W"),
    ],
)
def test_a_card_that_was_slowed_is_another_card(other: Run, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compare(on_a_card(A, 1980), other)
    assert compare(on_a_card(A, 1980), other, Terms(across=parse_across("clock"))).notes == (f"compared across {said}",)
    assert compare(on_a_card(A, 1980), on_a_card(B, 1965)).notes == ()
    assert compare(A, other).notes == (), "a run of before does not say"


def test_cores_are_the_machine_only_where_they_do_the_work() -> None:
    assert require_comparable(elsewhere(A, cores=16), elsewhere(B, cores=64)) == ()
    a, b = (elsewhere(one, cores=cores, device={"kind": "cpu"}) for one, cores in ((A, 2), (B, 64)))
    with pytest.raises(UsageError, match="cores: 2 and 64; --across cores"):
        require_comparable(a, b)


def asking(base: Run, gold: str) -> Run:
    """The run with one question, of that gold answer."""
    items: Any = [{"id": "q1", "clip": "c1", "question": "What colour?", "gold": gold, "agrees": True, "correct": True}]
    record = replace(base.records[0], suite="agreement", details={"items": items}, workload={"seed": 0})
    return replace(base, records=(*base.records, record))


def test_one_question_with_two_gold_answers_is_other_data() -> None:
    """Folders of one name, the second with corrected answers: no change of accuracy is the code's."""
    assert require_comparable(asking(A, "red"), asking(B, "red")) == ()
    with pytest.raises(UsageError, match=r"question q1\.gold: red and blue; --across data"):
        require_comparable(asking(A, "red"), asking(B, "blue"))
