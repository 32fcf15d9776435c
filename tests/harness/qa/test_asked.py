"""DATASET:PATH[:PART], as --qa and `firstsight data check` take it."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.asked import parse_qa


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("egothink:/data/EgoThink", ("egothink", "/data/EgoThink", None)),
        ("egothink:/data/EgoThink:Reasoning/counting", ("egothink", "/data/EgoThink", "Reasoning/counting")),
        ("hd-epic:rel/ative", ("hd-epic", "rel/ative", None)),
        ("egotempo:~/data:action-specific object", ("egotempo", "~/data", "action-specific object")),
    ],
)
def test_dataset_path_and_part(text: str, parsed: tuple[str, str, str | None]) -> None:
    assert parse_qa(text) == parsed


def test_a_path_may_hold_colons_where_it_exists_so(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    assert parse_qa(f"jsonl:{folder}") == ("jsonl", str(folder), None)
    assert parse_qa(f"jsonl:{folder}:part") == ("jsonl", str(folder), "part")
    assert parse_qa(f"jsonl:{tmp_path}:b:c") == ("jsonl", str(tmp_path), "b:c")
    assert parse_qa(f"jsonl:{tmp_path}/gone:b") == ("jsonl", f"{tmp_path}/gone", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unknown dataset ''"),
        ("/data/EgoThink", "unknown dataset '/data/EgoThink'"),
        ("egothinks:/x", "unknown dataset 'egothinks': .* one of egoschema, egotempo, .*videgothink"),
        ("scenes:/x", "unknown dataset 'scenes'"),
        ("hd_epic:/x", "unknown dataset 'hd_epic'"),
        ("egothink", "names no path: write egothink:/path/to/it"),
        ("egothink:", "names no path"),
        ("egothink:::", "names no path"),
        ("egothink:/data:", "names no part after the last colon"),
        ("egothink::part", "names no path before the last colon"),
    ],
)
def test_what_is_missing_is_said(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_qa(text)
