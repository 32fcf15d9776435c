"""Agreement: exact with oneself, and every disagreement shown with its frames."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.measure import agreement
from harness.measure.answers import Answers, answer, force
from harness.measure.divergence import token_kl
from harness.qa.items import Clip
from harness.record import Measurement


def by_name(found: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {one.metric: one for one in found}


def altered(answers: Answers, *changes: tuple[int, str, float]) -> Answers:
    """Other texts, and how sure of them, at some places."""
    texts, sure = list(answers.texts), list(answers.sure)
    for index, text, certainty in changes:
        texts[index], sure[index] = text, certainty
    return replace(answers, texts=tuple(texts), sure=tuple(sure))


def test_a_model_agrees_with_itself_exactly(model: Any, items: Any, answers: Answers) -> None:
    """Answered twice, forced twice: every run proves this of its baseline."""
    again = answer(model, items, batch_clips=5, max_new_tokens=3)
    forced, forced_again = (force(model, answers, 500, batch_clips=5) for _ in range(2))
    found = by_name(agreement.measurements(again, answers, forced_again, forced))
    assert {name: found[name].value for name in ("agreement", "top1", "kappa", "kl", "flips")} == {
        "agreement": 1.0,
        "top1": 1.0,
        "kappa": 1.0,
        "kl": 0.0,
        "flips": 0.0,
    }
    assert found["agreement"].n == len(items)
    assert found["top1"].n == sum(map(len, answers.ids))
    assert found["agreement"].low is not None
    assert found["agreement"].low < 1, "so many questions prove no more than that"


def test_answers_do_not_depend_on_the_batch(model: Any, items: Any, answers: Answers) -> None:
    alone = answer(model, items, batch_clips=1, max_new_tokens=3)
    assert alone.ids == answers.ids
    assert alone.sure == pytest.approx(answers.sure, abs=1e-4)
    assert [item.id for item in answers.items] == [item.id for item in items]


def test_how_sure_is_the_probability_of_the_whole_answer(model: Any, items: Any, answers: Answers) -> None:
    item, ids = items[5], answers.ids[5]
    chance = 1.0
    with torch.inference_mode():
        embedded = model.embed([model.prepare(item.clip.frames(), [item.prompt])])
        logits = model.logits(model.answer_states(embedded, [[ids]])).double()
    for row, token in zip(logits, ids, strict=True):
        chance *= float(torch.softmax(row, -1)[token])
    assert answers.sure[5] == pytest.approx(chance, rel=1e-3)


def test_flips_are_counted_and_accuracy_is_against_gold(model: Any, items: Any, answers: Answers) -> None:
    right = altered(answers, *((n, item.gold, 0.5) for n, item in enumerate(items[:12])))
    forced = force(model, answers, 500, batch_clips=5)
    found = by_name(agreement.measurements(right, answers, forced, forced))
    assert found["flips"].value == 12
    assert found["agreement"].value == pytest.approx(1 - 12 / len(items))
    assert found["accuracy"].value >= 12 / len(items)
    assert found["accuracy"].low is not None


def test_another_model_is_further_away_the_more_it_differs(model: Any, answers: Answers) -> None:
    forced = force(model, answers, 500, batch_clips=5)
    torch.manual_seed(0)
    noise = torch.randn_like(forced.states)
    kl = []
    for much in (0.01, 0.1, 1.0):
        found = agreement.measurements(answers, answers, replace(forced, states=forced.states + much * noise), forced)
        kl.append(by_name(found)["kl"].value)
    assert 0 < kl[0] < kl[1] < kl[2]


def test_answers_to_other_questions_are_not_compared(answers: Answers) -> None:
    turned = replace(answers, items=answers.items[::-1])
    with pytest.raises(AssertionError, match="different questions"):
        agreement.agreeing(answers, turned)


# --- flips with their frames


def test_the_surest_flip_of_a_clip_is_kept_with_its_frames(answers: Answers) -> None:
    base = altered(answers, *((n, "cup", 1.0) for n in range(len(answers.items))))
    other = altered(base, (0, "bowl", 0.2), (1, "book", 0.9), (4, "ball", 0.5), (8, "A cup", 0.99))
    flips = agreement.flips_in_detail(other, base)
    assert [(flip["answer"], flip["teacher"]) for flip in flips] == [("book", "cup"), ("ball", "cup")]
    frames = answers.items[1].clip.frames()
    assert len(flips[0]["frames"]) == len(frames)
    for uri, frame in zip(flips[0]["frames"], frames, strict=True):
        head, _, content = uri.partition(",")
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert head == f"data:image/{str(image.format).lower()};base64"
            shown = np.asarray(image.convert("RGB")).astype(int)
        assert shown.shape == frame.shape
        assert abs(shown - frame).mean() < 12, "good enough to see by"


def test_long_clips_of_large_frames_are_shown_small() -> None:
    frames = np.zeros((40, 300, 600, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(40)
    uris = agreement.frame_uris(Clip("c", "", lambda: frames))
    assert len(uris) == 4
    with Image.open(io.BytesIO(base64.b64decode(uris[0].partition(",")[2]))) as image:
        assert image.size == (160, 80)
    square = agreement.frame_uris(Clip("s", "", lambda: np.zeros((1, 500, 500, 3), np.uint8)))
    with Image.open(io.BytesIO(base64.b64decode(square[0].partition(",")[2]))) as image:
        assert image.size == (120, 120), "no more pixels than a wide one"


def test_details_are_enough_for_paired_tests(answers: Answers) -> None:
    rows = agreement.items_in_detail(answers, altered(answers, (3, "something else", 1.0)))
    assert [row["agrees"] for row in rows].count(False) == 1
    assert not rows[3]["agrees"]
    assert [row["id"] for row in rows] == [item.id for item in answers.items]


def test_details_say_how_sure_in_four_digits(answers: Answers) -> None:
    """Of every variant its own; the teacher's once a run, where the questions are."""
    rows = agreement.items_in_detail(altered(answers, (3, "red", 0.123456)), answers)
    assert [row["sure"] for row in rows[:3]] == pytest.approx(list(answers.sure[:3]), rel=1e-3)
    assert rows[3]["sure"] == 0.1235
    assert rows[3]["teacher_sure"] == pytest.approx(answers.sure[3], rel=1e-3)
    assert all(0 <= row["sure"] <= 1 for row in rows)
    later = agreement.items_in_detail(answers, answers, asked=False)
    assert "teacher_sure" not in later[0]


# --- token_kl


def test_token_kl_is_teacher_to_student_in_nats() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 9) * 3, torch.randn(5, 9) * 3
    expected = []
    for q_row, p_row in zip(student.double().tolist(), teacher.double().tolist(), strict=True):
        q, p = ([math.exp(x) / sum(map(math.exp, row)) for x in row] for row in (q_row, p_row))
        expected.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert token_kl(student, teacher).tolist() == pytest.approx(expected, rel=1e-5)
    assert token_kl(student, student).abs().max() < 1e-6


def test_token_kl_bears_impossible_tokens_of_large_logits() -> None:
    teacher = torch.tensor([[100.0, 0.0, -100.0]])
    student = torch.tensor([[0.0, 100.0, 0.0]])
    assert float(token_kl(student, teacher)) == pytest.approx(100.0, rel=1e-5)
