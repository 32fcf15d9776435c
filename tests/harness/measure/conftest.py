"""A model's answers to the micro pair's questions, and what it thinks of them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.measure.answers import Answers, answer


@pytest.fixture(scope="session")
def answers(model: Any, items: Any) -> Answers:
    return answer(model, items, batch_clips=5, max_new_tokens=3)
