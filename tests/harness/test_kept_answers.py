"""Answers kept while they are made: those of a session that was stopped are not asked again, and are the very same."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.kept_answers as module
from harness.distill.stopping import Requeue
from harness.kept_answers import answered, answers_key, load_answers
from harness.measure.answers import Answers, answer, force

BATCH, TOKENS, SHARED = 3, 4, 20  # twelve clips are four batches
ASKED: Any = {"shared": SHARED, "batch_clips": BATCH, "max_new_tokens": TOKENS}


@pytest.fixture(scope="module")
def own(student: Any, items: Any) -> Answers:
    """As they are answered in memory."""
    return answer(student, items, batch_clips=BATCH, max_new_tokens=TOKENS)


def same(folder: Path, items: Any, answers: Answers, states: torch.Tensor) -> None:
    found, forced = load_answers(folder, items)
    assert found == answers
    assert torch.equal(forced.states, states)


def test_kept_answers_are_those_of_memory(student: Any, items: Any, own: Answers, tmp_path: Path) -> None:
    assert answered(student, items, tmp_path, **ASKED) == 0
    forced = force(student, own, SHARED, batch_clips=BATCH)
    same(tmp_path, items, own, forced.states)
    assert torch.equal(load_answers(tmp_path, items)[1].head, forced.head)


def test_another_model_is_forced_along_the_references_answers(
    build: Any, student: Any, items: Any, own: Answers, tmp_path: Path
) -> None:
    along = answer(build("student", seed=1), items, batch_clips=BATCH, max_new_tokens=TOKENS)
    assert along.ids != own.ids
    answered(student, items, tmp_path, along=along, **ASKED)
    same(tmp_path, items, own, force(student, along, SHARED, batch_clips=BATCH).states)


def test_a_session_that_is_stopped_goes_on_with_the_next_clip(
    student: Any, items: Any, own: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by a signal in the middle of the second batch: that one is finished and kept."""
    monkeypatch.setattr(module, "SECONDS", 0.0)  # a batch at a time
    asked: list[int] = []

    def counting(model: Any, chunk: Any, **how: Any) -> Answers:
        asked.append(len(chunk))
        if len(asked) == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return answer(model, chunk, **how)

    monkeypatch.setattr(module, "answer", counting)
    with pytest.raises(Requeue):
        answered(student, items, tmp_path, **ASKED)
    assert asked == [12, 12], "four questions on each of three clips"
    assert answered(student, items, tmp_path, **ASKED) == 24
    assert asked == [12, 12, 12, 12], "the other two batches"
    same(tmp_path, items, own, force(student, own, SHARED, batch_clips=BATCH).states)
    assert answered(student, items, tmp_path, **ASKED) == 48
    assert len(asked) == 4, "nothing is left to ask"


def test_the_key_is_of_all_that_has_a_say(items: Any, one_thread: None) -> None:
    cpu = torch.device("cpu")
    key = answers_key("a" * 64, {"loader": "x"}, items, "scenes", cpu, **ASKED)
    assert key == answers_key("a" * 64, {"loader": "x"}, list(items), "scenes", cpu, **ASKED)
    others = [
        answers_key("b" * 64, {"loader": "x"}, items, "scenes", cpu, **ASKED),
        answers_key("a" * 64, {"loader": "y"}, items, "scenes", cpu, **ASKED),
        answers_key("a" * 64, {"loader": "x"}, items[1:], "scenes", cpu, **ASKED),
        answers_key("a" * 64, {"loader": "x"}, items, "scenes", cpu, **{**ASKED, "batch_clips": 4}),
    ]
    torch.set_num_threads(2)
    try:
        others.append(answers_key("a" * 64, {"loader": "x"}, items, "scenes", cpu, **ASKED))
    finally:
        torch.set_num_threads(1)
    assert all(other != key for other in others)
