"""The dataset `scenes`: what the issue promises of it, whatever its templates are called."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.pair import DataSpec, SplitSpec
from harness.qa import scenes
from harness.qa.blind import blind_accuracy
from harness.qa.datasets import DESCRIPTIONS, load_items, load_lexicon
from harness.qa.items import QAItem, by_clip
from harness.qa.render import CELL, RGB, render
from harness.qa.templates import asked_of
from harness.qa.world import HANDS, PLACES, make_scene

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def lessons() -> list[QAItem]:
    return scenes.load_split("lessons", 400, 8)


@pytest.fixture(scope="module")
def asked() -> list[QAItem]:
    return scenes.load_split("test", 200, 8)


def plain(items: list[QAItem]) -> list[tuple[Any, ...]]:
    return [(i.id, i.clip.id, i.clip.source, i.question, i.gold, i.type, i.template, i.options) for i in items]


# --- what is asked


def test_there_are_at_least_forty_templates_over_nine_types(lessons: list[QAItem]) -> None:
    assert len({item.template for item in lessons if not item.options}) >= 40
    assert len({item.type for item in lessons}) >= 9


def test_every_split_asks_of_every_type(asked: list[QAItem], lessons: list[QAItem]) -> None:
    assert {item.type for item in asked} == {item.type for item in lessons}


def test_a_blind_guess_stays_under_forty_five_percent(lessons: list[QAItem], asked: list[QAItem]) -> None:
    assert 0.1 < blind_accuracy(lessons, asked) < 0.45


def test_no_clip_is_asked_the_same_twice(asked: list[QAItem]) -> None:
    for _, group in by_clip(asked):
        assert len(group) == 8
        assert len({item.prompt for item in group}) == 8
    assert len({item.id for item in asked}) == len(asked)


def test_some_questions_have_options_and_the_right_letter(lessons: list[QAItem]) -> None:
    lettered = [item for item in lessons if item.options]
    assert len(lettered) > 0.02 * len(lessons)
    for item in lettered:
        assert len(set(item.options)) == len(item.options) >= 2
        assert item.gold in "ABCDEF"[: len(item.options)]
        for letter, option in zip("ABCDEF", item.options, strict=False):
            assert f" {letter} {option}" in item.prompt


def test_the_right_letter_is_each_letter_about_as_often(lessons: list[QAItem]) -> None:
    letters = Counter(item.gold for item in lessons if item.options)
    shares = [count / letters.total() for count in letters.values()]
    assert max(shares) < 1.25 / len(letters) + 0.1


def test_gold_is_what_the_world_says(lessons: list[QAItem]) -> None:
    """Lettered or open, whatever balancing chose: the answer is one that the scene gives to this question."""
    for clip, group in by_clip(lessons)[:100]:
        truth = {(one.question, one.answer) for one in asked_of(make_scene(int(clip.source.split(":")[1])))}
        for item in group:
            answer = item.options[ord(item.gold) - ord("A")] if item.options else item.gold
            assert (item.question, answer) in truth


def test_the_lexicon_holds_every_word(lessons: list[QAItem], micro: Any) -> None:
    words = set(load_lexicon(micro.data))
    for item in [*lessons, *load_items(micro.data, "pool", DESCRIPTIONS)]:
        said = f"{item.prompt} {item.gold}".replace("?", " ? ").replace(":", " : ").split()
        assert set(said) <= words, item.prompt


# --- the same for everyone


def test_a_split_is_a_function_of_its_name_and_seed(asked: list[QAItem]) -> None:
    again = scenes.load_split("test", 200, 8)
    assert plain(again) == plain(asked)
    assert plain(
        scenes.load_split(
            "test",
            200,
            8,
            data=DataSpec(dataset="scenes", seed=1, splits={"test": SplitSpec(clips=200, questions_per_clip=8)}),
        )
    ) != plain(asked)
    frames = [item.clip.frames() for item in (asked[0], again[0])]
    assert np.array_equal(*frames)


def test_another_process_asks_and_draws_the_same() -> None:
    script = (
        "import hashlib; from harness.qa.scenes import load_split\n"
        "items = load_split('val', 20, 8)\n"
        "told = ''.join(i.prompt + i.gold for i in items).encode() + items[-1].clip.frames().tobytes()\n"
        "print(hashlib.sha256(told).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "11"},
        capture_output=True,
        text=True,
        check=True,
    )
    items = scenes.load_split("val", 20, 8)
    told = "".join(i.prompt + i.gold for i in items).encode() + items[-1].clip.frames().tobytes()
    assert run.stdout.strip() == hashlib.sha256(told).hexdigest()


def test_a_longer_split_begins_with_the_shorter_one(asked: list[QAItem]) -> None:
    assert plain(scenes.load_split("test", 50, 8)) == plain(asked)[: 50 * 8]


def test_splits_share_no_clip() -> None:
    names = ("lessons", "pool", "gold", "val", "test")
    sources = [{item.clip.source for item in scenes.load_split(name, 300, 1)} for name in names]
    assert len(set.union(*sources)) == sum(map(len, sources)) == 300 * len(names)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_splits_as_large_as_a_range_would_still_not_meet(seed: int) -> None:
    """Each split numbers its clips from a start of its own; the starts are far apart."""
    starts = sorted(scenes._first_seed(name, seed) for name in ("train", "lessons", "pool", "gold", "val", "test"))
    assert min(b - a for a, b in pairwise(starts)) >= 1_000_000


def test_a_clip_can_be_told_in_words_beside_the_same_questions(micro: Any) -> None:
    told = load_items(micro.data, "pool", DESCRIPTIONS)
    assert {item.clip.id for item in told} == {item.clip.id for item in load_items(micro.data, "pool")}
    assert {item.type for item in told} == set(DESCRIPTIONS)


# --- what is seen


def test_a_clip_is_four_small_frames(asked: list[QAItem]) -> None:
    for item in asked[::200]:
        frames = item.clip.frames()
        assert frames.shape == (4, 96, 96, 3)
        assert frames.dtype == np.uint8
        assert 20 < frames.mean() < 230


def test_something_happens_in_every_clip(asked: list[QAItem]) -> None:
    for clip, _ in by_clip(asked)[:40]:
        frames = clip.frames().astype(int)
        assert (abs(np.diff(frames, axis=0)).max((1, 2, 3)) > 60).any()


def has_colour(cell: Any, colour: str) -> bool:
    """At least a dozen pixels of that colour, give or take the sensor's noise."""
    return int((abs(cell.astype(int) - RGB[colour]).max(-1) <= 6).sum()) >= 12


@pytest.mark.parametrize("seed", range(12))
def test_what_lies_on_the_table_is_drawn_there_in_its_colour(seed: int) -> None:
    scene = make_scene(seed)
    for frame, keyframe in zip(render(scene), scene.keyframes, strict=True):
        for place in PLACES:
            column, row = place
            cell = frame[row * 2 * CELL :, column * 2 * CELL :][:CELL, :CELL]
            thing = keyframe.on_table.get(place)
            if thing is not None:
                assert has_colour(cell, thing.colour), (place, thing)
            elif place not in keyframe.reach.values() and not keyframe.others_hand:
                assert not any(has_colour(cell, colour) for colour in RGB), place


@pytest.mark.parametrize("seed", range(12))
def test_the_world_is_consistent(seed: int) -> None:
    """A thing is on the table, in a hand or with the other person: in one place at a time."""
    scene = make_scene(seed)
    for keyframe in scene.keyframes:
        present = [*keyframe.on_table.values(), *(t for t in keyframe.held.values() if t)]
        present += [keyframe.others_thing] if keyframe.others_thing else []
        assert len(set(present)) == len(present)
        assert set(present) <= set(scene.things)
        assert set(keyframe.held) == set(HANDS)
    assert len({thing.kind for thing in scene.things}) == len(scene.things)


def test_a_colour_that_is_an_answer_can_be_seen(lessons: list[QAItem]) -> None:
    """From the answer and the pixels alone: somewhere in the clip it is drawn."""
    asked = [item for item in lessons if item.type == "colour" and item.gold in RGB]
    assert len(asked) > 20
    for item in asked[:80]:
        assert has_colour(item.clip.frames(), item.gold), item.question


def test_frames_can_be_asked_for_again_without_being_changed(asked: list[QAItem]) -> None:
    first = asked[0].clip.frames().copy()
    assert np.array_equal(asked[0].clip.frames(), first)


def test_fewer_questions_than_asked_for_is_never_given(asked: list[QAItem]) -> None:
    assert len(asked) == 200 * 8


def test_a_split_of_any_size_can_be_asked_for() -> None:
    data = DataSpec(dataset="scenes", splits={"one": SplitSpec(clips=1, questions_per_clip=1)})
    assert len(load_items(data, "one")) == 1
