"""The same clips in several ways: view 0 is what it always was, the others see more of it, and gold stays true."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.pair import DataSpec, SplitSpec
from harness.qa import clips, scenes, synthetic
from harness.qa.clips import frames_clip, photos_clip, video_clip
from harness.qa.datasets import items_digest, load_items
from harness.qa.items import Clip, QAItem, by_clip
from harness.qa.media import Sampling
from harness.qa.templates import asked_of
from harness.qa.views import views
from harness.qa.world import make_scene
from tests.harness.qa.film import cut_short, film, numbers, photo

FOUR, EIGHT = Sampling(4), Sampling(8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


def asked(clip: Clip, *options: str) -> QAItem:
    return QAItem("1", clip, "what?", "A" if options else "cup", "type", "type", options)


def told(item: QAItem) -> str:
    """The right answer in words."""
    return item.options[ord(item.gold) - ord("A")] if item.options else item.gold


def seen(item: QAItem, count: int) -> list[list[int]]:
    """What the frames of each view say their numbers are."""
    return [numbers(view.clip.frames()) for view in views([item], count)]


# --- view 0


def test_view_0_is_the_very_same_objects(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    items = [asked(video_clip("ours", tmp_path, "a.mp4", FOUR, where="here"), "x", "y"), *scenes.load_split("a", 3, 4)]
    for count in (1, 2, 3):
        shown = views(items, count)
        assert all(one is other for one, other in zip(shown, items, strict=False))
    assert len(views(items, 1)) == len(items)
    assert views([], 3) == []


def test_view_0_is_known_by_what_it_was_known_by_before_there_were_views(tmp_path: Path) -> None:
    """Artifacts are found by these: digests of ids, sources, questions and answers as of the commit before."""
    assert items_digest(scenes.load_split("pool", 20, 8)).startswith("34bade534c3ce388")
    assert items_digest(synthetic.load_split("pool", 3, 4)).startswith("79ad8b5322d791e6")
    film(tmp_path / "a.mp4", frames=100, rate=10)
    clip = video_clip("ours", tmp_path, "a.mp4", FOUR, where="here", start=1.3, end=4.7)
    assert clip.source.endswith(" 1.300000–4.700000 s frames=4 max_side=None")
    assert numbers(clip.frames()) == [13, 23, 33, 43]


# --- videos


def test_views_of_a_video_lie_between_its_frames(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=50, rate=10)
    spread, every = (asked(video_clip("ours", tmp_path, "a.mp4", Sampling(n), where="here")) for n in (4, 8))
    assert seen(every, 2) == [[0, 10, 20, 30, 40], [5, 15, 25, 35, 45]]
    assert seen(every, 3) == [[0, 10, 20, 30, 40], [3, 13, 23, 33, 43], [6, 16, 26, 36, 46]]
    assert seen(spread, 2) == [[0, 16, 32, 49], [8, 24, 40, 49]], "the last frame of the clip has none after it"
    part = asked(video_clip("ours", tmp_path, "a.mp4", EIGHT, where="here", start=1.5, end=3.6))
    assert seen(part, 2) == [[15, 25, 35], [20, 30, 35]]


def test_views_of_a_variable_rate_go_by_presentation_time(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", at=[*np.arange(0, 1, 0.1), 1.0, *np.arange(4, 5, 0.1)])
    item = asked(video_clip("ours", tmp_path, "a.mp4", EIGHT, where="here", start=0, end=5))
    assert seen(item, 2) == [[0, 10, 10, 10, 11], [5, 10, 10, 10, 20]]


def test_each_view_is_decoded_once_and_only_when_it_is_looked_at(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "a.mp4", frames=50, rate=10)
    shown = views([asked(video_clip("ours", tmp_path, "a.mp4", FOUR, where="here"))], 3)
    assert not cache.exists()
    first = [item.clip.frames().copy() for item in shown]  # type: ignore[union-attr]
    assert len(list(cache.rglob("*.npy"))) == 3
    monkeypatch.setattr(clips, "Video", None)  # nothing can be decoded any more
    for item, frames in zip(shown, first, strict=True):
        assert np.array_equal(item.clip.frames(), frames)
    assert len({frames.tobytes() for frames in first}) == 3


def test_a_view_has_names_of_its_own_and_the_recording_and_sound_of_its_clip(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", tone=np.sin(np.arange(80_000) / 20))
    clip = video_clip("ours", tmp_path, "a.mp4", FOUR, where="here")
    shown = views([asked(clip)], 3)
    assert [item.id for item in shown] == ["1", "1~v1", "1~v2"]
    assert [item.clip.id for item in shown] == ["ours/a.mp4", "ours/a.mp4~v1", "ours/a.mp4~v2"]
    assert shown[1].clip.source == f"{clip.source} shift=1/3 view 1/3"
    assert len({item.clip.source for item in [*shown, *views([asked(clip)], 2)[1:]]}) == 4
    assert {item.clip.recording for item in shown} == {"a.mp4"}
    sounds = [item.clip.sound() for item in shown]
    assert sounds[0] is not None
    assert all(np.array_equal(sounds[0], sound) for sound in sounds if sound is not None)
    alone = replace(clip, recording="")
    assert views([asked(alone)], 2)[1].clip.recording == alone.id


def test_a_view_can_be_handed_to_another_process(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    for clip in (video_clip("ours", tmp_path, "a.mp4", FOUR, where="here"), synthetic.load_split("a", 1, 1)[0].clip):
        (_, view) = views([asked(clip)], 2)
        there = pickle.loads(pickle.dumps(view))
        assert there == view
        assert np.array_equal(there.clip.frames(), view.clip.frames())


def test_a_moment_is_never_looked_at_beside_it(tmp_path: Path) -> None:
    """Where one looks now may be elsewhere half a second later: only the options change places."""
    film(tmp_path / "a.mp4", frames=50, rate=10)
    for start, sampling in ((2.37, EIGHT), (None, Sampling(1))):
        end = None if start is None else start + 1.0
        clip = video_clip("ours", tmp_path, "a.mp4", sampling, where="here", start=start, end=end)
        assert [item.id for item in views([asked(clip)], 3)] == ["1"]
        frames = seen(asked(clip, "left", "right"), 2)
        assert frames[0] == frames[1]


def test_where_a_cut_file_can_be_shown_so_can_its_views(tmp_path: Path) -> None:
    film(tmp_path / "cut.mp4", frames=600, rate=10, options={"movflags": "faststart"})
    cut_short(tmp_path / "cut.mp4", 0.6)
    for end in np.arange(20.5, 40.0, 0.1).round(1).tolist():
        clip = video_clip("ours", tmp_path, "cut.mp4", Sampling(60), where="here", start=end - 5, end=end)
        try:
            clip.frames()
        except clips.DataError:
            break
        assert len(seen(asked(clip), 2)) == 2
    else:
        raise AssertionError("the file was not cut")


# --- photos and frames


def test_photos_are_as_they_are_and_only_options_move(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 5)
    clip = photos_clip("ours", tmp_path, ["a.png"], where="here")
    assert [item.id for item in views([asked(clip)], 4)] == ["1"], "nothing new can be asked"
    shown = views([asked(clip, "x", "y"), replace(asked(clip), id="2")], 4)
    assert [item.id for item in shown] == ["1", "2", "1~v1", "1~v3"], "two options have two orders"
    assert all(item.clip.still and numbers(item.clip.frames()) == [5] for item in shown)
    assert {item.clip.recording for item in shown} == {clip.recording}


def test_a_folder_of_frames_is_seen_between_those_that_were_chosen(tmp_path: Path) -> None:
    for place in range(13):
        photo(tmp_path / "walk" / f"{place}.png", place)
    listed = [f"walk/{place}.png" for place in range(13)]
    for entries in ("walk/", listed):
        item = asked(frames_clip("ours", tmp_path, entries, FOUR, where="here"))
        assert seen(item, 2) == [[0, 4, 8, 12], [2, 6, 10, 12]]
        assert len(views([asked(frames_clip("ours", tmp_path, entries, Sampling(13), where="here"))], 2)) == 1
        assert len(views([asked(frames_clip("ours", tmp_path, entries, Sampling(1), where="here"))], 2)) == 1


def test_a_file_that_only_a_view_looks_at_is_in_the_digest_of_views(tmp_path: Path) -> None:
    for place in range(13):
        photo(tmp_path / "walk" / f"{place}.png", place)

    def digests() -> tuple[str, str]:
        items = [asked(frames_clip("ours", tmp_path, "walk", FOUR, where="here"))]
        return items_digest(items), items_digest(views(items, 2))

    before = digests()
    photo(tmp_path / "walk" / "6.png", 99)
    assert digests()[0] == before[0]
    assert digests()[1] != before[1]


# --- options


def test_gold_follows_its_option_through_every_place(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    clip = video_clip("ours", tmp_path, "a.mp4", FOUR, where="here")
    shown = views([replace(asked(clip, "cup", "bowl", "knife"), gold="C")], 4)
    assert [item.gold for item in shown] == ["C", "B", "A", "C"]
    assert {told(item) for item in shown} == {"knife"}
    assert len({item.options for item in shown}) == 3
    assert len({item.prompt for item in shown}) == 3


# --- drawn datasets


def test_scenes_keep_their_moments_and_gold_is_what_the_world_says() -> None:
    items = scenes.load_split("pool", 150, 8)
    by_id = {item.id: item for item in items}
    more = views(items, 3)[len(items) :]
    assert {item.id.partition("~")[0] for item in more} == {item.id for item in items if item.options}
    for view in more:
        before = by_id[view.id.partition("~")[0]]
        assert np.array_equal(view.clip.frames(), before.clip.frames())
        assert view.prompt != before.prompt
        world = asked_of(make_scene(int(before.clip.source.split(":")[1])))
        assert (view.question, told(view)) in {(one.question, one.answer) for one in world}
    clip = views(items, 2)[-1].clip
    assert clip.source.endswith(" view 1/2")
    assert clip.source.startswith("scenes:")


def test_a_moment_beside_its_own_would_make_the_gold_of_scenes_false() -> None:
    """Why scenes are not shifted: were each moment shown as the next, most worlds would answer some question anew."""
    changed = 0
    for seed in range(100):
        scene = make_scene(seed)
        beside = replace(scene, keyframes=(*scene.keyframes[1:], scene.keyframes[-1]))
        answers: dict[str, set[str]] = {}
        for one in asked_of(scene):
            answers.setdefault(one.question, set()).add(one.answer)
        changed += any(one.answer not in answers.get(one.question, {one.answer}) for one in asked_of(beside))
    assert changed > 80


def test_synthetic_clips_cost_in_each_view_what_a_video_costs() -> None:
    items = synthetic.load_split("pool", 2, 3)
    shown = views(items, 3)
    assert len(shown) == 3 * len(items)
    frames: list[Any] = [clip.frames() for clip, _ in by_clip(shown)]
    assert len({array.tobytes() for array in frames}) == 6
    assert len({array.shape for array in frames}) == 1


# --- dealt data


def test_no_view_is_of_a_recording_of_another_split(tmp_path: Path) -> None:
    lines = []
    for number in range(6):
        film(tmp_path / f"{number}.mp4", frames=20 + number)
        for part in range(2):
            lines.append({"id": f"{number}-{part}", "media": f"{number}.mp4", "question": "what?", "answers": ["cup"]})
    (tmp_path / "ours.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    data = DataSpec(
        dataset="jsonl",
        path=str(tmp_path / "ours.jsonl"),
        splits={"pool": SplitSpec(clips=4), "test": SplitSpec(clips=2)},
    )
    pool, test = (load_items(data, split) for split in ("pool", "test"))
    shown = views(pool, 3)
    assert len(shown) == 3 * len(pool)
    assert len(by_clip(shown)) == 3 * len(by_clip(pool)), "questions on one clip stay on one clip"
    assert not {item.clip.recording for item in shown} & {item.clip.recording for item in test}
    assert len({item.id for item in shown}) == len(shown)
