"""EgoTempo: open questions on parts of Ego4D's videos."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.egotempo import read
from harness.qa.media import Sampling
from tests.harness.qa.extracts import lay, write
from tests.harness.qa.film import film, numbers

FOUR = Sampling(4)
UID = "0d270946-95c5-4e71-ae49-b9e802548147"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    lay("egotempo_openQA.json", tmp_path / "egotempo_openQA.json")
    return tmp_path


def test_the_extract_is_read(root: Path) -> None:
    items = read(root, None, FOUR)
    assert len(items) == 8
    assert len({item.clip.id for item in items}) == 7, "two questions are on one clip"
    assert items[6].gold == "A plastic cage.", "without the space at its end"
    assert {item.type for item in items} == {"action-specific object"}
    assert items[1].clip.recording == items[5].clip.recording == "27470817-f803-45b4-b9d4-e754cb3196bc"


def test_of_the_whole_video_the_clip_is_shown(root: Path) -> None:
    film(root / f"{UID}.mp4", frames=400, rate=2)
    clip = read(root, None, FOUR)[0].clip
    assert numbers(clip.frames()) == [240, 279, 319, 359], "120 s to 180 s at two frames a second"


def test_a_clip_that_was_cut_out_is_shown_whole(root: Path) -> None:
    (root / "clips").mkdir()
    film(root / "clips" / f"{UID}_120.0_180.0.mp4", frames=20, rate=10)
    assert numbers(read(root, None, FOUR)[0].clip.frames()) == [0, 10]


def test_parts_are_question_types(root: Path) -> None:
    assert len(read(root, "action-specific object", FOUR)) == 8
    with pytest.raises(DataError, match="egotempo: no part 'counting'; there are action-specific object"):
        read(root, "counting", FOUR)


@pytest.mark.parametrize("clip_id", ["abc", "abc_1", "abc_x_y"])
def test_a_clip_without_times_is_named(clip_id: str, tmp_path: Path) -> None:
    entry = {"clip_id": clip_id, "question_type": "t", "question": "q", "answer": "a"}
    write(tmp_path / "egotempo_openQA.json", {"annotations": [entry]})
    with pytest.raises(DataError, match=r"egotempo_openQA.json.annotations\[0\].clip_id: must be <video uid>_<start>"):
        read(tmp_path, None, FOUR)
    write(tmp_path / "egotempo_openQA.json", {"annotations": [{**entry, "clip_id": "abc_9_3"}]})
    with pytest.raises(DataError, match="starts at 9 s and ends at 3 s"):
        read(tmp_path, None, FOUR)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    for held, said in [([], "must be an object with 'annotations'"), ({}, "annotations: must be a list of entries")]:
        write(tmp_path / "egotempo_openQA.json", held)
        with pytest.raises(DataError, match=said):
            read(tmp_path, None, FOUR)
