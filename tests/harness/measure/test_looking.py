"""Without frames and with shuffled ones: what is altered, what is asked, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.measure import looking
from harness.measure.answers import Answers, answer
from harness.qa.items import Clip, QAItem
from harness.record import Measurement

METRICS = [
    f"{name.format(way)}" for way in looking.WAYS for name in ("accuracy_{}", "accuracy_{}_change", "unchanged_{}")
]


def film(frames: int = 4, id: str = "c") -> Clip:
    """Each frame of one brightness: 0, 1, 2, …"""
    return Clip(
        id, "film", lambda: np.arange(frames, dtype=np.uint8)[:, None, None, None] + np.zeros((6, 8, 3), np.uint8)
    )


def by_name(found: Sequence[Measurement]) -> dict[str, Measurement]:
    return {one.metric: one for one in found}


def test_a_blind_clip_has_grey_frames_of_the_same_sizes_and_its_sound() -> None:
    clip = replace(film(), load_sound=lambda: np.ones(3, np.float32))
    other = looking.blind(clip)
    assert other is not None
    frames = other.frames()
    assert isinstance(frames, np.ndarray)
    assert frames.shape == (4, 6, 8, 3)
    assert frames.dtype == np.uint8
    assert (frames == looking.GREY).all()
    assert other.sound() is not None
    assert (other.id, other.source) == (clip.id, "film blind")


def test_blind_photos_keep_their_own_sizes() -> None:
    photos = Clip("p", "photos", lambda: (np.zeros((2, 3, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)), still=True)
    other = looking.blind(photos)
    assert other is not None
    assert [frame.shape for frame in other.frames()] == [(2, 3, 3), (5, 4, 3)]


@pytest.mark.parametrize("frames", [2, 3, 4, 9])
def test_shuffled_frames_are_the_same_in_another_order_each_time_the_same(frames: int) -> None:
    for number in range(20):
        other = looking.shuffled(film(frames, f"clip {number}"))
        assert other is not None
        order = [int(frame[0, 0, 0]) for frame in other.frames()]
        assert sorted(order) == list(range(frames))
        assert order != list(range(frames)), "never the order it had"
        assert order == [int(frame[0, 0, 0]) for frame in other.frames()]


def test_stills_and_single_frames_have_no_order() -> None:
    assert looking.shuffled(film(1)) is None
    assert looking.shuffled(replace(film(), still=True)) is None


def test_the_same_questions_are_drawn_whatever_their_order(items: Any) -> None:
    chosen = looking.sampled(items, 12)
    assert len(chosen) == 12
    assert len({item.clip.id for item in chosen}) == 3, "four of a clip"
    again = looking.sampled(list(items)[::-1], 12)
    assert [item.id for item in again] == [item.id for item in chosen]
    assert [item.id for item in looking.sampled(items, 20)][:12] == [item.id for item in chosen], "more begin alike"
    assert len(looking.sampled(items, 10)) == 10


def test_a_clip_with_many_questions_is_not_all_that_is_asked(items: Any) -> None:
    many = [*items, *(replace(items[0], id=f"more {at}") for at in range(50))]
    asked = looking.sampled(many, 48)
    assert sum(item.clip.id == items[0].clip.id for item in asked) == looking.PER_CLIP
    assert len(asked) == 48


def test_rotated_options_are_not_asked_again(items: Any) -> None:
    rotated = [*items, *(replace(item, id=f"{item.id}~1") for item in items)]
    assert {item.id for item in looking.sampled(rotated, 999)} == {item.id for item in items}


def test_the_figures_are_of_the_answers_to_the_altered_clips(model: Any, items: Any, answers: Answers) -> None:
    found = by_name(looking.measurements(model, answers, batch_clips=5, max_new_tokens=3, most=20))
    assert list(found) == METRICS
    assert all(one.n == 20 and one.absent is None for one in found.values())
    asked = looking.sampled(items, 20)
    grey = [replace(item, clip=looking.blind(item.clip)) for item in asked]
    said = answer(model, grey, batch_clips=5, max_new_tokens=3)
    before = dict(zip((item.id for item in answers.items), answers.texts, strict=True))
    same = sum(before[item.id] == text for item, text in zip(said.items, said.texts, strict=True))
    assert found["unchanged_blind_frames"].value == pytest.approx(same / 20)
    for one in found.values():
        assert one.low is not None
        assert one.high is not None
        assert one.value is not None
        assert one.low <= one.value <= one.high
    assert "20 questions of 5 clips" in found["accuracy_blind_frames"].how


def test_who_was_shown_grey_all_along_is_not_told_apart_without_frames(model: Any, items: Any) -> None:
    grey = [
        replace(item, clip=replace(item.clip, load=lambda: np.full((4, 96, 96, 3), 128, np.uint8))) for item in items
    ]
    seen = answer(model, grey, batch_clips=5, max_new_tokens=3)
    found = by_name(looking.measurements(model, seen, batch_clips=5, max_new_tokens=3))
    for way in looking.WAYS:
        change = found[f"accuracy_{way}_change"]
        assert change.value == 0
        assert change.low is not None
        assert change.high is not None
        assert change.low < 0 < change.high, "so few questions prove no more than that"
        assert found[f"unchanged_{way}"].value == 1


def test_where_no_frames_have_an_order_the_figure_is_absent_with_its_reason(model: Any, items: Any) -> None:
    photos = [
        QAItem(f"{at}", replace(item.clip, still=True), item.question, item.gold, item.type, item.template)
        for at, item in enumerate(items[:4])
    ]
    seen = answer(model, photos, batch_clips=5, max_new_tokens=3)
    found = by_name(looking.measurements(model, seen, batch_clips=5, max_new_tokens=3))
    assert found["accuracy_blind_frames"].value is not None
    assert found["accuracy_shuffled_frames"].value is None
    assert found["accuracy_shuffled_frames_change"].absent == looking.UNORDERED
