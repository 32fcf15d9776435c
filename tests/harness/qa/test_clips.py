"""What becomes of a dataset's media: ids, sources and recordings, and frames when they are asked for."""

import pickle
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.clips import frames_clip, photos_clip, video_clip
from harness.qa.media import Sampling
from tests.harness.qa.film import film, numbers, photo

FOUR = Sampling(4)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


def test_a_source_tells_medium_digest_times_and_sampling(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    clip = video_clip("ours", tmp_path, "a.mp4", Sampling(4, 384), where="here", start=1.5, end=3.0)
    assert clip.id == "ours/a.mp4@1.5-3"
    name, entry, digest, times, seconds, frames, side = clip.source.split()
    assert (name, entry, times, seconds) == ("ours", "a.mp4", "1.500000–3.000000", "s")
    assert (frames, side) == ("frames=4", "max_side=384")
    assert len(digest) > 32


def test_a_video_is_decoded_once(tmp_path: Path, cache: Path) -> None:
    film(tmp_path / "a.mp4")
    clip = video_clip("ours", tmp_path, "a.mp4", FOUR, where="here")
    first = clip.frames()
    (kept,) = cache.rglob("*.npy")
    written = kept.stat().st_mtime_ns
    assert numbers(clip.frames()) == numbers(first)
    assert kept.stat().st_mtime_ns == written


def test_a_video_that_comes_later_or_changes_is_seen_as_it_is(tmp_path: Path) -> None:
    clip = video_clip("ours", tmp_path, "a.mp4", FOUR, where="here")
    with pytest.raises(DataError, match=r"^a.mp4: no such file"):
        clip.frames()
    film(tmp_path / "a.mp4", frames=20)
    assert numbers(clip.frames()) == [0, 10]
    film(tmp_path / "a.mp4", frames=30)
    assert numbers(clip.frames()) == [0, 10, 20]


def test_a_clip_can_be_handed_to_another_process(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    photo(tmp_path / "a.png", 5)
    for clip in (
        video_clip("ours", tmp_path, "a.mp4", FOUR, where="here"),
        photos_clip("ours", tmp_path, ["a.png"], where="here"),
        frames_clip("ours", tmp_path, ["a.png"], FOUR, where="here"),
    ):
        there = pickle.loads(pickle.dumps(clip))
        assert numbers(there.frames()) == numbers(clip.frames())
        assert there == clip


def test_clips_of_several_images_are_told_apart(tmp_path: Path) -> None:
    lists = (["1.png", "2.png"], ["1.png", "3.png"], ["1.png"], ["2.png", "1.png"])
    assert len({photos_clip("ours", tmp_path, names, where="here").id for names in lists}) == 4
    assert len({frames_clip("ours", tmp_path, names, FOUR, where="here").id for names in lists}) == 4
    for make in (
        lambda: photos_clip("ours", tmp_path, [], where="x[0]"),
        lambda: frames_clip("o", tmp_path, [], FOUR, where="x[0]"),
    ):
        with pytest.raises(DataError, match=r"x\[0\]: names no"):
            make()


def test_of_many_frames_in_a_folder_or_a_list_as_many_as_asked_for_are_seen(tmp_path: Path) -> None:
    for place in range(12):
        photo(tmp_path / "walk" / f"{place}.png", place)
    listed = [f"walk/{place}.png" for place in range(12)]
    for entries in ("walk/", listed):
        assert numbers(frames_clip("ours", tmp_path, entries, FOUR, where="here").frames()) == [0, 3, 7, 11]


def test_a_frame_that_is_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "elsewhere.png")
    (tmp_path / "data" / "walk").mkdir(parents=True)
    (tmp_path / "data" / "walk" / "0.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(DataError, match="is a link that leaves the data's folder"):
        frames_clip("ours", tmp_path / "data", "walk/", FOUR, where="here")


def test_times_that_make_no_clip_are_named_when_the_dataset_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"questions.json\[3\]: a.mp4: the clip starts at 3 s and ends at 2 s"):
        video_clip("ours", tmp_path, "a.mp4", FOUR, where="questions.json[3]", start=3, end=2)


def test_a_clip_is_absent_by_its_file_and_not_by_its_name(tmp_path: Path) -> None:
    film(tmp_path / "an absent minded cook.mp4", frames=10)
    made = [
        video_clip("mine", tmp_path, name, Sampling(4), where="line 1")
        for name in ("an absent minded cook.mp4", "nobody.mp4")
    ]
    assert [clip.absent for clip in made] == [False, True]
