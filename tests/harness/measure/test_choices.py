"""Other ways to grade: likelihood of letters, words, meaning; and whether the place of an option sways a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import ModelError
from harness.measure import choices
from harness.measure.answers import Answers, answer
from harness.measure.similarity import SentenceSimilarity
from harness.qa.items import Clip, QAItem
from harness.record import Measurement


def clip(number: int) -> Clip:
    return Clip(f"c{number}", "black", lambda: np.zeros((4, 96, 96, 3), np.uint8))


def lettered(number: int, gold: str = "B", options: tuple[str, ...] = ("cup", "bowl", "fork")) -> QAItem:
    return QAItem(f"{number}/mc", clip(number), "which?", gold, "t", "t", options)


def told(items: Sequence[QAItem], texts: Sequence[str], options_p: Sequence[Any] | None = None) -> Answers:
    return Answers(
        tuple(items), ((1,),) * len(items), tuple(texts), (1.0,) * len(items), tuple(options_p or [None] * len(items))
    )


def found(answers: Answers, **kwargs: Any) -> dict[str, Measurement]:
    return {one.metric: one for one in choices.measurements(answers, **kwargs)}


def test_a_letter_and_the_likeliest_letter_are_graded_apart() -> None:
    """The model says A, but of the letters it holds B likeliest: only the second is right."""
    graded = found(told([lettered(0), lettered(1)], ["A", "B"], [(0.2, 0.5, 0.3), (0.1, 0.8, 0.1)]))
    assert graded["accuracy_letter"].value == 0.5
    assert graded["accuracy_likelihood"].value == 1.0
    assert graded["accuracy_letter"].n == 2


def test_open_answers_are_graded_by_match_and_by_words() -> None:
    items = [QAItem(f"{n}/o", clip(n), "what?", "red cup", "t", "t") for n in range(2)]
    graded = found(told(items, ["red cup", "cup"]))
    assert graded["exact_match"].value == 0.5
    assert graded["token_f1"].value == pytest.approx((1 + 2 / 3) / 2)
    assert graded["accuracy_letter"].absent == "no such question among them"
    assert "--similarity" in (graded["similarity"].absent or "")


def test_rotations_move_every_option_through_every_place() -> None:
    asked = choices.rotations([lettered(0)], most=9)
    assert [item.id for item in asked] == ["0/mc", "0/mc~1", "0/mc~2"]
    assert [item.gold for item in asked] == ["B", "A", "C"]
    assert {item.options[ord(item.gold) - ord("A")] for item in asked} == {"bowl"}


def test_who_always_says_the_first_letter_is_found_out() -> None:
    asked = choices.rotations([lettered(n) for n in range(6)], most=3)
    graded = found(told(asked, ["A"] * len(asked)))
    assert graded["position_bias"].value == pytest.approx(2 / 3)  # all on one of three places
    assert graded["option_consistency"].value == 0.0
    assert graded["accuracy_letter"].value == pytest.approx(1 / 3)


def test_who_knows_the_answer_is_not_swayed_by_places() -> None:
    asked = choices.rotations([lettered(n) for n in range(6)], most=3)
    graded = found(told(asked, [item.gold for item in asked]))
    assert graded["position_bias"].value == pytest.approx(0.0)
    assert graded["option_consistency"].value == 1.0


def test_without_rotations_there_is_no_figure_of_places() -> None:
    graded = found(told([lettered(0)], ["A"]))
    assert "evaluation.rotations" in (graded["position_bias"].absent or "")
    assert "evaluation.rotations" in (graded["option_consistency"].absent or "")


def test_some_questions_are_asked_again_in_their_other_orders(model: Any, items: Any) -> None:
    """Where a run asks in one order only: figures of places are of these alone, all others of the run's answers."""
    asked = [
        QAItem(f"{at}/mc", item.clip, "which hand?", "A", "t", "t", ("left", "right", "none")[: 2 + at % 2])
        for at, item in enumerate(items[:6])
    ]
    said = answer(model, [*asked, *items[6:9]], batch_clips=5, max_new_tokens=2)
    again = choices.turned(model, said, batch_clips=5, max_new_tokens=2, most=4)
    first = [item for item in again.items if choices.ROTATED not in item.id]
    assert len(first) == 4
    assert len(again.items) == sum(len(item.options) for item in first)
    assert again.texts[:4] == tuple(said.texts[said.items.index(item)] for item in first)
    whole, alone = found(said, in_orders=again), found(said)
    assert whole["option_consistency"].n == 4
    assert "evaluation.rotations" in (alone["option_consistency"].absent or "")
    assert whole["accuracy_letter"] == alone["accuracy_letter"]


def test_open_questions_have_no_orders(model: Any, items: Any) -> None:
    open_ones = [item for item in items if not item.options][:4]
    again = choices.turned(
        model, answer(model, open_ones, batch_clips=5, max_new_tokens=2), batch_clips=5, max_new_tokens=2
    )
    assert again.items == ()
    assert found(told(open_ones, ["x"] * 4), in_orders=again)["position_bias"].absent


def test_a_real_model_gives_every_letter_a_chance(model: Any, items: Any) -> None:
    asked = [QAItem("mc", items[0].clip, "which hand?", "A", "t", "t", ("left", "right")), items[0]]
    said = answer(model, asked, batch_clips=2, max_new_tokens=2)
    assert said.options_p[1] is None or items[0].options
    assert said.options_p[0] is not None
    assert sum(said.options_p[0]) == pytest.approx(1, abs=1e-5)
    # the same figures from a plain forward pass
    with torch.inference_mode():
        state = model.prefill(model.embed([model.prepare(items[0].clip.frames(), [asked[0].prompt])]))
        logits = model.logits(state.hidden[0, 0]).float()
    letters = torch.tensor([model.answer_ids(one)[0] for one in "AB"])
    assert said.options_p[0] == pytest.approx(logits[letters].softmax(-1).tolist(), abs=1e-5)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory, student: Any) -> Path:
    """A sentence-embedding model in small: a BERT with random weights, and the micro pair's tokenizer."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("embedder")
    torch.manual_seed(0)
    rows = len(student.tokenizer)
    BertModel(
        BertConfig(vocab_size=rows, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    ).save_pretrained(folder)
    student.tokenizer.save_pretrained(folder)
    return folder


def test_meaning_is_graded_by_the_model_that_was_named(embedder: Path) -> None:
    near = SentenceSimilarity(embedder)
    same, other = near(["red cup", "left hand"], ["red cup", "two people"])
    assert same == pytest.approx(1.0, abs=1e-5)
    assert -1 <= other < 1 - 1e-3
    assert near(["red cup"], ["bowl"]) == pytest.approx(
        near(["red cup", "x"], ["bowl", "a long text of many words"])[:1], abs=1e-5
    )
    items = [QAItem("0/o", clip(0), "what?", "red cup", "t", "t")]
    assert found(told(items, ["red cup"]), similarity=near)["similarity"].value == pytest.approx(1.0, abs=1e-5)


def test_a_folder_that_is_no_such_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"--similarity .*nowhere: no such folder"):
        SentenceSimilarity(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"--similarity .*: cannot be loaded"):
        SentenceSimilarity(tmp_path)
