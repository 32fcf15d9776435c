"""HD-EPIC VQA: five options, times in the text, and questions that one clip cannot answer."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.qa.hd_epic import read
from harness.qa.media import Sampling
from tests.harness.qa.extracts import write
from tests.harness.qa.film import film, numbers

FOUR = Sampling(4)
ID = "P01-20240202-110250"


def asked(inputs: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "inputs": inputs or {"video 1": {"id": ID}},
        "question": "What happens?",
        "choices": ["cut", "pour", "stir", "wash", "open"],
        "correct_idx": 1,
        **changes,
    }


def one(root: Path, entry: dict[str, Any]) -> Any:
    write(root / "vqa-benchmark" / "kind_one.json", {"kind_one_0": entry})
    (item,) = read(root, None, FOUR)
    return item


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))


def test_a_question_on_a_whole_video(tmp_path: Path) -> None:
    (tmp_path / "Videos" / "P01").mkdir(parents=True)
    film(tmp_path / "Videos" / "P01" / f"{ID}.mp4", frames=100, rate=10)
    item = one(tmp_path, asked())
    assert (item.id, item.gold, item.type) == ("hd-epic/kind_one/kind_one_0", "B", "kind_one")
    assert item.prompt.startswith("What happens?\nA. cut\nB. pour\n")
    assert item.clip.recording == ID
    assert numbers(item.clip.frames()) == [0, 33, 66, 99]


def test_a_part_of_a_video_and_times_relative_to_it(tmp_path: Path) -> None:
    film(tmp_path / f"{ID}.mp4", frames=900, rate=5)
    shown = {"video 1": {"id": ID, "start_time": "00:02:00.000", "end_time": "00:02:04.000"}}
    item = one(tmp_path, asked(shown, question="What happens at <TIME 00:02:03.720 video 1>?"))
    assert item.question == "What happens at 00:03.720?"
    assert numbers(item.clip.frames()) == [600, 605, 610, 615]


def test_times_and_boxes_in_question_and_options(tmp_path: Path) -> None:
    item = one(
        tmp_path,
        asked(
            question="When is <BBOX 704 0 1408 352.0> moved? From <TIME 01:00:03.5 video 1>?",
            choices=["<TIME 00:00:01.000 video 1> to <TIME 00:00:02.000 video 1>", 2, 3.5, "d", "e"],
        ),
    )
    assert item.question == "When is (500, 0, 1000, 250) moved? From 01:00:03.500?"
    assert item.options == ("00:01.000 to 00:02.000", "2", "3.5", "d", "e")


def test_a_moment_is_one_second(tmp_path: Path) -> None:
    film(tmp_path / f"{ID}.mp4", frames=100, rate=10)
    shown = {"video 1": {"id": ID, "start_time": "00:00:03.000", "end_time": "00:00:03.000"}}
    assert numbers(one(tmp_path, asked(shown)).clip.frames()) == [30]


def test_what_one_clip_cannot_answer_is_left_out_and_counted(tmp_path: Path) -> None:
    late = {"video 1": {"id": ID, "start_time": "00:02:00", "end_time": "00:03:00"}}
    entries = {
        "a": asked(),
        "b": asked({"video 1": {"id": ID}, "video 2": {"id": "P02-1"}}),
        "c": asked({"video 1": {"id": ID}, "image 1": {"id": ID, "time": "00:00:01.000"}}),
        "d": asked(late, question="What came before <TIME 00:01:00.000 video 1>?"),
    }
    write(tmp_path / "kind_one.json", entries)
    items = read(tmp_path, "kind_one", FOUR)
    assert [item.id for item in items] == ["hd-epic/kind_one/a"]
    assert items.left_out == {
        "asks about several videos": 1,
        "asks about an image": 1,
        "names a time before the clip that is shown": 1,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"correct_idx": 5}, r"kind_one.json\[kind_one_0\].correct_idx: must be an index from 0 to 4"),
        ({"correct_idx": True}, "correct_idx: must be an index"),
        ({"choices": "abc"}, "choices: must be a list of 2 to 26 texts"),
        ({"choices": ["a", None]}, "choices: must be text, not null"),
        ({"inputs": {"video 1": "a"}}, "inputs: must map names"),
        ({"inputs": {"video 1": {}}}, r"inputs.video 1.id: missing"),
        ({"inputs": {"video 1": {"id": "../a"}}}, r"inputs.video 1.id: .* leaves the data's folder"),
        ({"question": "At <TIME 00:00:03.720 video 2>?"}, "question: names 'video 2', which is not among its inputs"),
        ({"question": "At <TIME 1:2:3:4 video 1>?"}, "question: '1:2:3:4' is no time"),
    ],
)
def test_bad_entries_are_named(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        one(tmp_path, asked(**changes) if "inputs" not in changes else {**asked(), **changes})


def test_a_folder_without_questions_and_an_unknown_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hd-epic: no <kind>.json in "):
        read(tmp_path, None, FOUR)
    write(tmp_path / "kind_one.json", {"a": asked()})
    with pytest.raises(DataError, match="hd-epic: no part 'kind'; there are kind_one"):
        read(tmp_path, "kind", FOUR)
    write(tmp_path / "kind_one.json", [asked()])
    with pytest.raises(DataError, match=r"kind_one.json: must map each question's id to an object"):
        read(tmp_path, None, FOUR)
