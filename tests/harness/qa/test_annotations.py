"""Annotation files: their faults are named by file and key."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.qa.annotations import Entry, clock_seconds, entries_of, parts_asked, read_json


@pytest.mark.parametrize(
    ("told", "seconds"), [("00:00:03.720", 3.72), ("01:02:03", 3723.0), ("2:05", 125.0), ("7.5", 7.5)]
)
def test_times_as_people_write_them(told: str, seconds: float) -> None:
    assert clock_seconds(told) == seconds
    assert Entry("f[0]", {"at": told}).seconds("at") == seconds


@pytest.mark.parametrize("told", ["", "a", "1:2:3:4", "-1:00", "nan", "1:nan"])
def test_what_is_no_time(told: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        clock_seconds(told)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, r"f\[0\].key: missing"),
        ({"key": []}, r"f\[0\].key: missing"),
        ({"key": ["a", 1]}, r"f\[0\].key: must be text, not 1"),
        ({"key": "  "}, r"f\[0\].key: must be text"),
        ({"key": "\ud800"}, r"f\[0\].key: .* holds half a character"),
    ],
)
def test_a_text_says_something(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Entry("f[0]", fields).text("key")


@pytest.mark.parametrize("value", [None, True, -1, [], {}, 1e12])
def test_a_time_is_a_number(value: Any) -> None:
    with pytest.raises(DataError, match=r"f\[0\].at: must be seconds"):
        Entry("f[0]", {"at": value}).seconds("at")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"\xff\xfe[", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[NaN]", "NaN is not a JSON number"),
    ],
)
def test_a_file_that_is_not_json_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"a.json: .*{said}"):
        read_json(tmp_path / "a.json", "a.json")
    with pytest.raises(DataError, match=r"b.json: cannot be read \(No such file or directory\)"):
        read_json(tmp_path / "b.json", "b.json")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf[{"a": 1}]')
    assert entries_of(read_json(tmp_path / "a.json", "a.json"), "a.json")[0].fields == {"a": 1}


def test_parts() -> None:
    there = ["b/x", "a", "b/y", "ab"]
    assert parts_asked("set", None, there) == ["a", "ab", "b/x", "b/y"]
    assert parts_asked("set", "b", there) == ["b/x", "b/y"]
    assert parts_asked("set", "a", there) == ["a"]
    with pytest.raises(DataError, match=r"set: no part 'c'; there are a, ab, b/x, b/y"):
        parts_asked("set", "c", there)
