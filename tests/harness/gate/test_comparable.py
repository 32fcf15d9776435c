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
    with pytest.raises(UsageError, match="--across gpu: no such field; there are device, cpu"):
        parse_across("driver,gpu")
