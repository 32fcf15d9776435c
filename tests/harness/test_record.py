"""Records survive JSON unchanged; what JSON cannot hold is refused; foreign files are told in one line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.record import (
    KEY,
    Measurement,
    Record,
    from_extra_info,
    latest_run,
    load_run,
    load_runs,
    rounded,
    to_extra_info,
)

words = st.text(min_size=1, max_size=12).filter(str.strip)
numbers = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    """Any measurement: present with its interval, or absent with its reason."""
    present = draw(st.booleans())
    low, high = sorted(draw(st.tuples(numbers, numbers)))
    return Measurement(
        metric=draw(words),
        value=draw(numbers) if present else None,
        unit=draw(words),
        n=draw(st.integers(0, 10**6)),
        low=low if present and draw(st.booleans()) else None,
        high=high if present and draw(st.booleans()) else None,
        higher_is_better=draw(st.booleans()),
        how=draw(words),
        samples=tuple(draw(st.lists(numbers.map(rounded), max_size=4))),
        absent=None if present else draw(words),
    )


records = st.builds(
    lambda reasons, **kept: Record(valid=not reasons, invalid_reasons=tuple(reasons), **kept),
    reasons=st.lists(words, max_size=2),
    pair=words,
    variant=words,
    suite=st.sampled_from(["latency", "vram", "agreement"]),
    workload=st.dictionaries(st.text(max_size=6), plain, max_size=3),
    measurements=st.lists(measurements(), max_size=3, unique_by=lambda m: m.metric).map(tuple),
    artifacts=st.dictionaries(words, words, max_size=2),
    details=st.dictionaries(st.text(max_size=6), plain, max_size=3),
)


def measurement(**change: Any) -> Measurement:
    """A plain measurement with some fields changed."""
    fields: dict[str, Any] = {
        "metric": "ttft", "value": 4.9, "unit": "ms", "n": 30, "low": 4.8, "high": 5.0,
        "higher_is_better": False, "how": "wall clock",
    }  # fmt: skip
    return Measurement(**{**fields, **change})


def record(**change: Any) -> Record:
    """A plain record with some fields changed."""
    fields: dict[str, Any] = {
        "pair": "tiny", "variant": "baseline", "suite": "latency", "workload": {"batch": 1},
        "measurements": (measurement(),), "valid": True, "invalid_reasons": (),
        "artifacts": {"weights": "ab"},
        "details": {},
    }  # fmt: skip
    return Record(**{**fields, **change})


def run_file(path: Path, when: str = "2026-01-01T00:00:00+00:00", **change: Any) -> Path:
    """A small file as pytest-benchmark saves it."""
    whole: dict[str, Any] = {
        "machine_info": {KEY: {"schema": 1, "pair": {"name": "tiny"}}},
        "commit_info": {"id": "abc", "dirty": False},
        "benchmarks": [{"name": "test", "extra_info": {KEY: to_extra_info(record())}}],
        "datetime": when,
        **change,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole))
    return path


@given(records)
def test_a_record_comes_back_from_json_as_it_was(made: Record) -> None:
    through_json = json.loads(json.dumps(to_extra_info(made), allow_nan=False))
    assert from_extra_info(through_json) == made


# --- how it is written: short ------------------------------------------------------------------------


def test_samples_keep_six_digits() -> None:
    """What a row is about keeps all of them."""
    made = record(measurements=(measurement(value=4.912345678, samples=(4.912345678, 1234567.8, 1e-9)),))
    back = from_extra_info(to_extra_info(made)).measurements[0]
    assert back.value == 4.912345678
    assert back.samples == (4.91235, 1234570.0, 1e-9)


def test_a_ruler_is_written_once_for_all_tokens_of_an_answer() -> None:
    """Four answers of three tokens; the ruler of the last happens to be as that of the one before."""
    rounds = {"samples": (1.0,) * 12, "groups": (6, 6)}
    made = record(measurements=(measurement(**rounds, ruler=(0.5,) * 3 + (0.25,) * 3 + (0.75,) * 6),))
    written: Any = to_extra_info(made)["measurements"]
    assert (written[0]["ruler"], written[0]["ruler_each"]) == ([0.5, 0.25, 0.75, 0.75], 3)
    assert from_extra_info(to_extra_info(made)) == made
    uneven = record(measurements=(measurement(**rounds, ruler=(0.5,) * 5 + (0.25,) * 7),))
    assert "ruler_each" not in to_extra_info(uneven)["measurements"][0]  # type: ignore[index, operator]
    assert from_extra_info(to_extra_info(uneven)) == uneven


@pytest.mark.parametrize("each", [0, -1, 1.5, True, "2", 10**9])
def test_a_ruler_for_no_number_of_samples_is_refused(each: Any) -> None:
    extra: Any = to_extra_info(record(measurements=(measurement(samples=(1.0, 2.0), ruler=(0.5, 0.25)),)))
    extra["measurements"][0]["ruler_each"] = each
    with pytest.raises(RecordError, match="ruler_each must be how many samples a round has"):
        from_extra_info(extra)


def test_items_are_written_by_column_and_read_either_way() -> None:
    rows: Any = [{"id": f"q{i}", "clip": "c", "agrees": i > 1} for i in range(4)]
    made = record(suite="agreement", details={"items": rows})
    written: Any = to_extra_info(made)
    assert written["details"]["items"]["agrees"] == [False, False, True, True]
    assert from_extra_info(written) == made
    assert from_extra_info({**written, "details": {"items": rows}}) == made, "a record of before"
    uneven = record(suite="agreement", details={"items": [*rows, {"id": "q4"}]})
    assert from_extra_info(to_extra_info(uneven)) == uneven
    written["details"]["items"]["agrees"].pop()
    with pytest.raises(RecordError, match=r"details\.items: columns of 3 and 4 rows"):
        from_extra_info(written)


@pytest.mark.parametrize("field", ["value", "low", "high"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "4.9", True, 10**400])
def test_what_is_not_a_finite_number_is_refused(field: str, number: Any) -> None:
    with pytest.raises(RecordError, match=f"ttft: {field} must be a finite number"):
        measurement(**{field: number})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": (1.0, math.nan)}, "samples must be a finite number"),
        ({"value": None}, "either a value or the reason"),
        ({"absent": "why"}, "either a value or the reason"),
        ({"value": None, "absent": " "}, "must say why"),
        ({"value": None, "absent": "no GPU"}, "an interval without a value"),
        ({"low": 6.0}, "interval from 6.0 to 5.0"),
        ({"unit": ""}, "unit must be text"),
        ({"how": ""}, "how must be text"),
        ({"n": -1}, "n must be a count"),
        ({"n": 2.5}, "n must be a count"),
        ({"samples": (1.0, 2.0), "groups": (3, -1)}, "do not share out 2 samples"),
        ({"samples": (1.0, 2.0), "groups": (1, 0)}, "do not share out 2 samples"),
        ({"samples": (1.0, 2.0), "ruler": (1.0,)}, "ruler must say of each of 2 samples"),
    ],
)
def test_a_measurement_that_makes_no_sense_says_what(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        measurement(**change)


def test_a_process_without_a_valid_round_keeps_its_place() -> None:
    found = measurement(samples=(1.0, 2.0, 3.0), groups=(2, 0, 1), ruler=(0.5, 0.5, 2.0))
    assert found.by_process() == ((1.0, 2.0), (), (3.0,))
    assert found.by_process_ruled() == ((2.0, 4.0), (), (1.5,))
    assert found.processes(ruled=False) == ((1.0, 2.0), (3.0,))
    assert measurement(samples=(1.0, 2.0)).by_process() == ((1.0, 2.0),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"suite": "speed"}, "unknown suite 'speed'; there are latency, vram, agreement"),
        ({"valid": False}, "invalid exactly when a reason"),
        ({"invalid_reasons": ("throttled",)}, "invalid exactly when a reason"),
        ({"measurements": (measurement(), measurement())}, "measured twice"),
        ({"details": {"x": [1, {"y": math.nan}]}}, r"details\.x\[1\]\.y: nan"),
        ({"details": {"x": (1, 2)}}, "tuple is not JSON"),
        ({"details": {"x": Path("a")}}, "PosixPath is not JSON"),
        ({"workload": {1: 2}}, "key 1 must be text"),
        ({"artifacts": {"weights": 3}}, "role to a digest"),
        ({"variant": ""}, "variant must be text"),
    ],
)
def test_a_record_that_json_cannot_carry_says_what(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        record(**change)


@given(plain)
def test_whatever_stands_in_the_extra_info_is_a_record_error(foreign: Any) -> None:
    with pytest.raises(RecordError):
        from_extra_info(foreign)


def test_unknown_and_missing_fields_are_named() -> None:
    extra = to_extra_info(record())
    with pytest.raises(RecordError, match="missing workload; unknown wrkload"):
        from_extra_info({("wrkload" if k == "workload" else k): v for k, v in extra.items()})


def test_a_run_is_loaded_with_its_surroundings_and_foreign_rows_are_passed_over(tmp_path: Path) -> None:
    rows = [
        {"name": "other", "extra_info": {}},
        {"name": "ours", "extra_info": {KEY: to_extra_info(record())}},
        {"name": "no extra"},
    ]
    run = load_run(run_file(tmp_path / "run.json", benchmarks=rows))
    assert run.records == (record(),)
    assert run.pair == {"name": "tiny"}
    assert run.commit["id"] == "abc"
    assert run.path == tmp_path / "run.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machine_info": {}}, "measured by something else"),
        ({"machine_info": {KEY: {"schema": 2}}}, "schema 2; this version reads 1"),
        ({"machine_info": [], "benchmarks": []}, "not pytest-benchmark JSON"),
        ({"benchmarks": []}, "no FirstSight record"),
        ({"benchmarks": [{"extra_info": {KEY: {"schema": 1}}}]}, r"benchmarks\[0\]: record: missing pair"),
        ({"benchmarks": [{"extra_info": {KEY: {**to_extra_info(record()), "schema": 9}}}]}, "schema 9"),
    ],
)
def test_a_foreign_run_says_what_is_wrong(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        load_run(run_file(tmp_path / "run.json", **change))


def test_a_truncated_or_missing_file_is_one_line(tmp_path: Path) -> None:
    whole = run_file(tmp_path / "run.json").read_text()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.json").write_text(whole[:cut])
        with pytest.raises(RecordError, match="not JSON, or cut short"):
            load_run(tmp_path / "cut.json")
    (tmp_path / "nan.json").write_text(whole.replace("4.9", "NaN"))
    with pytest.raises(RecordError, match="NaN is not JSON"):
        load_run(tmp_path / "nan.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(RecordError, match="not JSON"):
        load_run(tmp_path / "bytes.json")
    with pytest.raises(RecordError, match="no such file; run `pytest suites"):
        load_run(tmp_path / "absent.json")


def test_a_folder_gives_its_newest_run(tmp_path: Path) -> None:
    first = run_file(tmp_path / "tiny/cpu/Linux-a/0001_abc.json", "2026-01-01T00:00:00")
    tenth = run_file(tmp_path / "tiny/cpu/Linux-a/0010_abc.json", "2026-01-03T00:00:00")
    run_file(tmp_path / "tiny/cpu/Linux-a/0009_abc.json", "2026-01-09T00:00:00")  # a clock that was wrong
    assert latest_run(tmp_path / "tiny") == tenth
    other = run_file(tmp_path / "tiny/cpu/Linux-b/0002_abc.json", "2026-01-04T00:00:00")
    run_file(tmp_path / "tiny/cpu/notes.json", "2027-01-01T00:00:00")
    assert latest_run(tmp_path) == other
    assert load_run(tmp_path).path == other
    assert [run.path for run in load_runs(tmp_path)][:1] == [first]
    assert len(load_runs(tmp_path)) == 4


def test_a_folder_without_runs_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no run in it; run `pytest suites"):
        load_run(tmp_path)
