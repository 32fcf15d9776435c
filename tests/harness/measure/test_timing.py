"""One pass gives every stage of an answer; each round does the same work on the next clips, with nothing remembered."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest

from harness.measure.timing import HOW, ROWS, Stages, Workload, spread
from harness.qa.items import by_clip


def stages(model: Any, items: Any, batch: int = 1, new_tokens: int = 4, frames: int = 4) -> Stages:
    return Stages(model, items, Workload(frames, batch, new_tokens))


def test_each_round_takes_the_next_clips_and_begins_again_after_the_last(model: Any, items: Any) -> None:
    clips = [clip.id for clip, _ in by_clip(items)]
    rounds = stages(model, items[:20], batch=2)  # five clips
    picked = [[clip.id for clip, _ in rounds.next_requests()] for _ in range(5)]
    assert list(chain(*picked)) == [*clips[:5], *clips[:5]]


def test_a_batch_may_be_larger_than_the_data(model: Any, items: Any) -> None:
    rounds = stages(model, items[:8], batch=5)
    assert len(rounds.next_requests()) == 5
    rounds.round()


def test_a_request_is_a_clip_with_one_question(model: Any, items: Any) -> None:
    assert all(len(asked) == 1 for _, asked in stages(model, items, batch=3).next_requests())


def test_the_stages_of_a_round_are_the_answer(model: Any, items: Any) -> None:
    """None is timed twice, and little is left between them."""
    rounds = stages(model, items, new_tokens=6)
    taken = min((rounds.round() for _ in range(8)), key=lambda one: one.answer)
    parts = taken.prepare + taken.vision + taken.prefill
    assert parts <= taken.ttft <= taken.answer
    assert parts + sum(taken.tokens) <= taken.answer
    assert parts + sum(taken.tokens) >= 0.5 * taken.answer, (
        "models this small leave more between stages than large ones"
    )
    assert min(taken.media, taken.prepare, taken.vision, taken.prefill, *taken.tokens) > 0


@pytest.mark.parametrize("new_tokens", [2, 6])
def test_answers_are_forced_to_one_length(model: Any, items: Any, new_tokens: int, monkeypatch) -> None:
    """Also when the model would rather stop: here every token that it says is its ending token."""
    monkeypatch.setattr(model, "ending_id", said_first(model, items))
    assert len(stages(model, items, new_tokens=new_tokens).round().tokens) == new_tokens - 1


def said_first(model: Any, items: Any) -> int:
    clip, asked = by_clip(items)[0]
    return model.generate(model.embed([model.prepare(clip.frames(), [asked[0].prompt])]), 1)[0][0][0]


def test_the_tokens_that_are_timed_are_the_models_own(model: Any, items: Any, monkeypatch) -> None:
    said = []
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda hidden: said.append(logits(hidden)) or said[-1])
    stages(model, items, new_tokens=3).round()
    clip, asked = by_clip(items)[0]
    monkeypatch.undo()
    expected = model.generate(model.embed([model.prepare(clip.frames(), [asked[0].prompt])]), 3)[0][0]
    assert [int(one.argmax(-1)) for one in said][: len(expected)] == expected


def test_media_are_decoded_and_questions_tokenised_in_every_round(model: Any, items: Any, monkeypatch) -> None:
    from harness.qa.frame_cache import is_decoded_anew

    clip = items[0].clip
    loaded: list[bool] = []
    watched = replace(clip, load=lambda: loaded.append(is_decoded_anew()) or clip.frames())
    asked: list[str] = []
    text_ids = model._text_ids
    monkeypatch.setattr(model, "_text_ids", lambda text, special: asked.append(text) or text_ids(text, special))
    rounds = stages(model, [replace(items[0], clip=watched)])
    for _ in range(3):
        rounds.round()
    assert loaded == [True, True, True]
    assert sum(items[0].prompt in text for text in asked) == 3


@pytest.mark.parametrize(("count", "places"), [(4, [0, 1, 2, 3]), (2, [0, 3]), (1, [0]), (6, [0, 1, 1, 2, 2, 3])])
def test_frames_are_spread_evenly_whatever_their_number(count: int, places: list[int]) -> None:
    frames = np.arange(4, dtype=np.uint8).repeat(3).reshape(4, 1, 1, 3)
    assert np.asarray(spread(frames, count, still=False))[:, 0, 0, 0].tolist() == places
    assert len(spread(frames, count, still=True)) == 4, "photos are looked at one by one, all of them"


def test_the_prompt_grows_with_the_frames(model: Any, items: Any) -> None:
    few, many = stages(model, items, frames=2), stages(model, items, frames=8)
    few.round()
    many.round()
    assert few.prompt_tokens < many.prompt_tokens
    assert few.frame_size == many.frame_size == items[0].clip.frames().shape[1:3]


def test_every_row_says_what_it_holds() -> None:
    assert set(HOW) == set(ROWS)
