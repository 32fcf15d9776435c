"""VidEgoThink: cut clips, the authors' frames, or Ego4D's own videos."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.media import Sampling
from harness.qa.videgothink import read
from tests.harness.qa.extracts import lay
from tests.harness.qa.film import film, numbers, photo

FOUR = Sampling(4)
GIVEN = (1, 15, 30, 45, 60, 74, 89, 104)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    lay("videgothink_final_vqa_action_count.json", tmp_path / "data" / "final_vqa_action_count.json")
    return tmp_path


def test_the_extract_is_read(root: Path) -> None:
    items = read(root, None, FOUR)
    assert [item.id for item in items] == [f"videgothink/action_count/{at}" for at in range(4)]
    assert (items[0].gold, items[0].type) == ("One time.", "action_count")
    assert len({item.clip.id for item in items}) == 2
    assert items[0].clip.recording == "a13a145f-920a-44ec-8aef-b489c097f4a7"
    with pytest.raises(DataError, match=r"^151.mp4: no such file"):
        items[0].clip.frames()


def test_a_cut_clip_is_shown_whole(root: Path) -> None:
    (root / "clips").mkdir()
    film(root / "clips" / "151.mp4", frames=100, rate=10)
    assert numbers(read(root, None, FOUR)[0].clip.frames()) == [0, 33, 66, 99]


def test_without_it_the_frames_that_the_authors_chose(root: Path) -> None:
    for at in GIVEN:
        photo(root / "frames" / "151" / f"frame_{at:04d}.png", at)
    clip = read(root, None, Sampling(8))[0].clip
    assert numbers(clip.frames()) == [*GIVEN]
    assert not clip.still
    assert numbers(read(root, None, FOUR)[0].clip.frames()) == [1, 30, 60, 104]


def test_without_these_ego4ds_video_from_start_to_end(root: Path) -> None:
    film(root / "a13a145f-920a-44ec-8aef-b489c097f4a7.mp4", frames=700, rate=2)
    assert numbers(read(root, None, FOUR)[0].clip.frames()) == [588, 619, 650, 682], "294.2 s to 341.2 s"


def test_parts_are_files(root: Path, tmp_path: Path) -> None:
    assert len(read(root, "action_count", FOUR)) == 4
    with pytest.raises(DataError, match="videgothink: no part 'count'; there are action_count"):
        read(root, "count", FOUR)
    with pytest.raises(DataError, match=r"videgothink: no final_vqa_<kind>.json in "):
        read(tmp_path / "data" / "nothing", None, FOUR)
