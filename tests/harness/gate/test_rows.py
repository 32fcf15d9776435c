"""A row that is missing or renamed stops the comparison; it does not pass it."""

from dataclasses import replace

import pytest

from harness.errors import RecordError
from harness.gate import Terms, compare
from harness.gate.gated import kind_of
from harness.gate.rows import matched, sides
from harness.record import Measurement, Run
from tests.harness.gate.made import memory, run

A, B = run(1), run(2)


def renamed(base: Run, old: str, new: str) -> Run:
    return replace(
        base,
        records=tuple(
            replace(r, measurements=tuple(replace(m, metric=new) if m.metric == old else m for m in r.measurements))
            for r in base.records
        ),
    )


def without(base: Run, *variants: str) -> Run:
    return replace(base, records=tuple(r for r in base.records if r.variant not in variants))


def test_a_renamed_metric_is_named_with_what_it_is_likely_to_be_now() -> None:
    with pytest.raises(RecordError) as refused:
        matched(A, renamed(B, "itl", "itl_ms"))
    said = str(refused.value)
    assert "B lacks 6 rows that A has: baseline itl at 4 frames, batch 1, 8 tokens" in said
    assert "(there is baseline itl_ms at 4 frames, batch 1, 8 tokens: renamed?)" in said
    assert "and 3 more" in said
    assert "--only-common compares the 12 gated rows" in said


def test_a_renamed_variant_is_missing_in_both() -> None:
    other = replace(B, records=tuple(replace(r, variant="int8-v2") if r.variant == "int8" else r for r in B.records))
    with pytest.raises(RecordError, match=r"B lacks 3 rows .* A lacks 3 rows"):
        matched(A, other)


def test_a_new_row_is_an_error_as_well_as_a_lost_one() -> None:
    with pytest.raises(RecordError, match="A lacks 1 row that B has: int8 memory_peak at batch 1"):
        matched(A, replace(B, records=(*B.records, memory("int8"))))


def test_only_common_compares_what_both_have_and_tells_the_rest() -> None:
    found = compare(A, without(B, "int8"), Terms(only_common=True))
    assert len(found.rows) == 15
    assert any(note.startswith("B lacks 3 rows that A has: int8 ttft") for note in found.notes)


def test_nothing_in_common_is_an_error_even_then() -> None:
    with pytest.raises(RecordError, match="no gated row in common"):
        matched(without(A, "int8"), replace(B, records=B.records[1:2]), only_common=True)


def test_a_row_that_is_not_gated_may_be_missing_and_is_told_with_all() -> None:
    tailless = replace(B, records=tuple(replace(r, measurements=r.measurements[:3]) for r in B.records))
    assert len(compare(A, tailless).rows) == 18
    with pytest.raises(RecordError, match="ttft_p90"):
        compare(A, tailless, Terms(all_rows=True))
    assert len(compare(A, B, Terms(all_rows=True)).told) == 18


def test_a_row_that_is_measured_twice_is_an_error() -> None:
    with pytest.raises(RecordError, match=r"baseline ttft .* is measured twice"):
        sides(replace(A, records=(*A.records, A.records[0])))


GATED = {
    ("latency", "itl", "ms"): "time",
    ("latency", "itl_p99", "ms"): None,
    ("latency", "floor_decode", "ms"): None,
    ("latency", "joules_per_token", "J"): None,
    ("vram", "memory_vision", "MB"): "memory",
    ("vram", "memory_planned", "MB"): None,
    ("vram", "waterfall_slack", "MB"): None,
    ("vram", "cold_load", "s"): None,
    ("agreement", "agreement", "1"): "share",
    ("agreement", "kappa", "1"): None,
    ("distillation", "joules_per_token", "J/token"): None,
    ("latency", "answer", "tokens/s"): None,
}


@pytest.mark.parametrize(("suite", "metric", "unit"), GATED)
def test_what_is_gated_and_how(suite: str, metric: str, unit: str) -> None:
    found = Measurement(metric, 1.0, unit, 1, None, None, False, "made up")
    assert kind_of(suite, found) == GATED[suite, metric, unit]
