"""OpenEQA: questions on folders of frames."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.media import Sampling
from harness.qa.open_eqa import read
from tests.harness.qa.extracts import lay, write
from tests.harness.qa.film import numbers, photo

FOUR = Sampling(4)
EPISODE = "hm3d-v0/000-hm3d-BFRyYbPCCPE"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay("open-eqa-v0.json", tmp_path / "data" / "open-eqa-v0.json")
    return tmp_path


def test_the_extract_is_read(root: Path) -> None:
    items = read(root, None, FOUR)
    assert len(items) == 6
    assert items[0].id == "open-eqa/f2e82760-5c3c-41b1-88b6-85921b9e7b32"
    assert (items[0].gold, items[0].type) == ("Air conditioning unit", "object recognition")
    assert {item.clip.recording for item in items} == {EPISODE}
    with pytest.raises(DataError, match=r"^frames/hm3d-v0/000-hm3d-BFRyYbPCCPE: no such folder of frames"):
        items[0].clip.frames()


@pytest.mark.parametrize("folder", ["", "frames", "data/frames"])
def test_an_episode_is_a_folder_of_frames_evenly_seen(folder: str, root: Path) -> None:
    for at in range(12):
        photo(root / folder / EPISODE / f"{at:05d}-rgb.png", at)
        photo(root / folder / EPISODE / f"{at:05d}-depth.png", 4095)
    first, *_ = read(root, None, FOUR)
    assert numbers(first.clip.frames()) == [0, 3, 7, 11]
    assert not first.clip.still
    assert len(read(root, None, Sampling(32))[0].clip.frames()) == 12
    photo(root / folder / EPISODE / "00003-rgb.png", 77)
    assert read(root, None, FOUR)[0].clip.source != first.clip.source


def test_parts_are_categories(root: Path) -> None:
    assert len(read(root, "attribute recognition", FOUR)) == 2
    with pytest.raises(DataError, match="open-eqa: no part 'attributes'; there are attribute recognition, object"):
        read(root, "attributes", FOUR)


def test_extra_answers_count_as_well(tmp_path: Path) -> None:
    entry = {"question": "q", "answer": "TV", "category": "c", "question_id": "1", "episode_history": "e"}
    write(tmp_path / "open-eqa-v0.json", [{**entry, "extra_answers": ["the TV", "TV"]}, {**entry, "question_id": "2"}])
    first, second = read(tmp_path, None, FOUR)
    assert (first.gold, first.also, second.also) == ("TV", ("the TV",), ())


def test_an_episode_outside_of_the_data_and_an_id_twice_are_named(tmp_path: Path) -> None:
    entry = {"question": "q", "answer": "TV", "category": "c", "question_id": "1", "episode_history": "e"}
    write(tmp_path / "open-eqa-v0.json", [entry, entry])
    with pytest.raises(DataError, match="the id 'open-eqa/1' is there twice"):
        read(tmp_path, None, FOUR)
    write(tmp_path / "open-eqa-v0.json", [{**entry, "episode_history": "../../etc"}])
    with pytest.raises(DataError, match=r"open-eqa-v0.json\[0\].episode_history: .* leaves the data's folder"):
        read(tmp_path, None, FOUR)
