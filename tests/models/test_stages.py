"""The stages prepare → embed → prefill → decode_one_token against transformers' own way, for both architectures."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from harness.qa.items import by_clip
from models.interface import Architecture, ModelFault

TOLERANCE = 1e-5


def embed(model: Architecture, clip: Any, *questions: str) -> list[Any]:
    return model.embed([model.prepare(clip.frames(), questions)])


def by_hand(model: Architecture, clip: Any, question: str, answer: tuple[int, ...]) -> torch.Tensor:
    """Post-norm states of one plain, causal forward pass over prefix, question and answer: nothing packed."""
    (one,) = embed(model, clip, question)
    tokens = torch.tensor([*one.questions[0], *answer])
    following = (one.next_position + torch.arange(len(tokens))).expand(len(one.positions), -1)
    positions = torch.cat([one.positions, following], dim=1)
    return model.language_model(
        inputs_embeds=torch.cat([one.prefix, model.embed_ids(tokens)])[None],
        position_ids=positions[:, None] if model.position_axes > 1 else positions,
        use_cache=False,
    ).last_hidden_state[0]


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.inference_mode():
        yield


def test_greedy_tokens_are_those_of_plain_forward_passes(model: Any, items: Any) -> None:
    said = []
    for item in items[:6]:
        (answers,) = model.generate(embed(model, item.clip, item.prompt), 5)
        expected: tuple[int, ...] = ()
        while len(expected) < 5 and model.ending_id not in expected:
            last = by_hand(model, item.clip, item.prompt, expected)[-1]
            expected += (int(model.logits(last).argmax()),)
        assert tuple(answers[0]) == expected
        said.append(expected)
    assert len(set(said)) > 3, "these models say the same to everything, which proves nothing"


def test_greedy_tokens_are_those_of_the_librarys_generate(teacher: Any, items: Any) -> None:
    for item in items[:4]:
        (one,) = embed(teacher, item.clip, item.prompt)
        inputs = torch.cat([one.prefix, teacher.embed_ids(torch.tensor(one.questions[0]))])[None]
        theirs = teacher.model.generate(
            inputs_embeds=inputs,
            attention_mask=torch.ones(inputs.shape[:2], dtype=torch.long),
            max_new_tokens=5,
            do_sample=False,
            eos_token_id=teacher.ending_id,
            pad_token_id=0,
        )
        assert teacher.generate([one], 5)[0][0] == theirs[0].tolist()


def test_states_are_those_of_the_librarys_own_qwen2_vl_with_a_video(student: Any, items: Any) -> None:
    """Ids and pixels go in, so that the library splices the video and counts the positions itself."""
    for item in items[:3]:
        prepared = student.prepare(item.clip.frames(), [item.prompt])
        ids = torch.tensor([[*prepared.prefix_ids.tolist(), *prepared.questions[0]]])
        theirs = student.model(
            input_ids=ids,
            pixel_values_videos=prepared.pixels,
            video_grid_thw=torch.tensor(prepared.grids),
            mm_token_type_ids=(ids == student.model.config.video_token_id).int() * 2,
        )
        mine = student.logits(student.prefill(student.embed([prepared])).hidden[0, 0])
        torch.testing.assert_close(mine, theirs.logits[0, -1], atol=TOLERANCE, rtol=TOLERANCE)


def test_questions_that_share_a_clip_get_the_states_and_answers_of_one_prompt_each(model: Any, items: Any) -> None:
    clip, asked = by_clip(items)[0]
    packed = embed(model, clip, *(item.prompt for item in asked))
    states = model.prefill(packed).hidden[0]
    answers = model.generate(packed, 5)[0]
    for item, state, answer in zip(asked, states, answers, strict=True):
        alone = embed(model, clip, item.prompt)
        torch.testing.assert_close(state, model.prefill(alone).hidden[0, 0], atol=TOLERANCE, rtol=TOLERANCE)
        assert answer == model.generate(alone, 5)[0][0]


def uneven(items: Any) -> list[tuple[Any, tuple[str, ...]]]:
    """Clips with 4, 1 and 2 questions, one of them very long: every kind of padding in one batch."""
    groups = [(clip, [item.prompt for item in asked]) for clip, asked in by_clip(items)[:3]]
    return [
        (groups[0][0], tuple(groups[0][1])),
        (groups[1][0], (groups[1][1][0] + " please look closely at the left hand" * 5,)),
        (groups[2][0], tuple(groups[2][1][:2])),
    ]


def test_padding_in_a_batch_changes_nothing(model: Any, items: Any) -> None:
    batch = uneven(items)
    together = model.embed([model.prepare(clip.frames(), questions) for clip, questions in batch])
    state = model.prefill(together)
    answers = model.generate(together, 5)
    assert [len(one) for one in answers] == [4, 1, 2]
    for row, (clip, questions) in enumerate(batch):
        for slot, question in enumerate(questions):
            alone = embed(model, clip, question)
            expected = model.prefill(alone).hidden[0, 0]
            torch.testing.assert_close(state.hidden[row, slot], expected, atol=TOLERANCE, rtol=TOLERANCE)
            assert answers[row][slot] == model.generate(alone, 5)[0][0]


def test_an_answer_ends_with_its_ending_token_while_others_go_on(model: Any, items: Any) -> None:
    batch = uneven(items)
    together = model.embed([model.prepare(clip.frames(), questions) for clip, questions in batch])
    unending = model.generate(together, 6)
    ending, model.ending_id = model.ending_id, unending[0][1][2]  # what one of them says third
    try:
        ended = model.generate(together, 6)
    finally:
        stop, model.ending_id = model.ending_id, ending
    for before, after in zip(chain(*unending), chain(*ended), strict=True):
        assert after == (before[: before.index(stop) + 1] if stop in before else before)
    assert len({len(answer) for answer in chain(*ended)}) > 1


def test_the_cache_gives_what_no_cache_gives(model: Any, items: Any) -> None:
    """Token after token through the cache, then all of them at once: the same states."""
    batch = uneven(items)
    together = model.embed([model.prepare(clip.frames(), questions) for clip, questions in batch])
    state = model.prefill(together)
    tokens = [torch.full(state.live.shape, 40 + step) for step in range(3)]
    decoded = [state.hidden]
    for one in tokens[:-1]:
        state = model.decode_one_token(state, one)
        decoded.append(state.hidden)
    forced = model.answer_states(together, [[[40, 41, 42]] * len(questions) for _, questions in batch])
    expected = torch.cat([torch.stack(decoded, 2)[row, : len(q)].flatten(0, 1) for row, (_, q) in enumerate(batch)])
    torch.testing.assert_close(forced, expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_one_question_a_row_without_padding_is_plain_causal_attention(model: Any, items: Any) -> None:
    """What is timed is what a deployment would run: no mask."""
    clips = [clip for clip, _ in by_clip(items)[:2]]
    same = model.embed([model.prepare(clip.frames(), ["is there a cup?"]) for clip in clips])
    assert model.prefill(same).segments is None
    assert model.prefill(embed(model, clips[0], "is there a cup?", "is there a bowl?")).segments is not None


# --- answer_states


def test_state_k_predicts_answer_token_k_with_the_ending_token(model: Any, items: Any) -> None:
    item = items[0]
    answer = model.answer_ids("left middle")
    assert answer[-1] == model.ending_id
    states = model.answer_states(embed(model, item.clip, item.prompt), [[answer]])
    alone = by_hand(model, item.clip, item.prompt, answer[:-1])[-len(answer) :]
    assert len(states) == len(answer)
    torch.testing.assert_close(states, alone, atol=TOLERANCE, rtol=TOLERANCE)


def test_a_state_knows_the_answer_tokens_before_its_own_and_none_after(model: Any, items: Any) -> None:
    item = items[0]
    embedded = embed(model, item.clip, item.prompt)
    one = model.answer_states(embedded, [[(40, 41, 42, 43)]])
    other = model.answer_states(embedded, [[(40, 41, 99, 43)]])
    same = (one - other).abs().amax(-1) < TOLERANCE
    assert same.tolist() == [True, True, True, False]


def test_states_come_by_clip_then_question_then_token(model: Any, items: Any) -> None:
    batch = uneven(items)
    together = model.embed([model.prepare(clip.frames(), questions) for clip, questions in batch])
    answers = [[tuple(range(30 + row, 31 + row + slot)) for slot in range(len(q))] for row, (_, q) in enumerate(batch)]
    states = model.answer_states(together, answers)
    expected = [
        model.answer_states(embed(model, clip, question), [[answers[row][slot]]])
        for row, (clip, questions) in enumerate(batch)
        for slot, question in enumerate(questions)
    ]
    assert len(states) == 1 + 2 + 3 + 4 + 1 + 1 + 2
    torch.testing.assert_close(states, torch.cat(expected), atol=TOLERANCE, rtol=TOLERANCE)


def test_blank_frames_change_what_the_model_knows(model: Any, items: Any) -> None:
    item = items[0]
    answer = [[model.answer_ids("cup")]]
    seen = model.answer_states(embed(model, item.clip, item.prompt), answer)
    blank = model.prepare(np.zeros_like(item.clip.frames()), [item.prompt])
    unseen = model.answer_states(model.embed([blank]), answer)
    assert (seen - unseen).abs().amax(-1).min() > 0.01


def test_features_that_do_not_fill_the_placeholders_are_a_fault(model: Any, items: Any) -> None:
    whole = model.prepare(items[0].clip.frames(), ["is there a cup?"])
    half = model.prepare(items[0].clip.frames()[:2], ["is there a cup?"])
    mixed = replace(whole, pixels=half.pixels, grids=half.grids)
    with pytest.raises(ModelFault, match=r"\d+ placeholders but \d+ features"):
        model.embed([mixed])


@pytest.mark.parametrize("new_tokens", [1, 3, 40])
def test_states_kept_while_decoding_are_those_along_the_answers(model: Any, items: Any, new_tokens: int) -> None:
    """Also where an answer did not end and is closed, and where rows have different numbers of questions."""
    clips = [(items[0].clip, [item.prompt for item in items[:3]]), (items[4].clip, [items[4].prompt])]
    with torch.inference_mode():
        embedded = model.embed([model.prepare(clip.frames(), prompts) for clip, prompts in clips])
        said, states = model.generate_with_states(embedded, new_tokens)
        assert said == model.generate(embedded, new_tokens)
        closed = [[ids if ids[-1] == model.ending_id else [*ids, model.ending_id] for ids in row] for row in said]
        torch.testing.assert_close(states, model.answer_states(embedded, closed), rtol=1e-4, atol=2e-5)
