"""A student's lessons, and the recipe that a test starts from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.distill.lessons import Lesson, teacher_lessons
from harness.distill.targets import Targets, load_targets, make_targets
from harness.pair import Recipe
from harness.qa.items import by_clip
from models.interface import Architecture, architecture


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    """recipe(epochs=2): AdamW, four clips a step, without warm-up, and what a test changes."""
    usual = {"split": "pool", "learning_rate": 2e-3, "batch_clips": 4, "micro_clips": 4, "warmup": 0.0, "epochs": 1}
    return lambda **changes: Recipe(**{**usual, **changes})


@pytest.fixture
def pupil(build: Any, one_thread: None) -> Architecture:
    """A student of one's own to train, from the usual initial weights."""
    return build("student", scale={})  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def knowing(lineage: Any, micro: Any) -> Architecture:
    """The teacher after its few steps, which answers in words that both tokenizers have."""
    return architecture(micro.teacher.architecture).load(lineage.teacher.folder)


@pytest.fixture(scope="session")
def targets_folder(lineage: Any, knowing: Any, items: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    make_targets(knowing, items, lineage.shared_vocabulary, folder, max_new_tokens=4, batch_clips=5)
    return folder


@pytest.fixture(scope="session")
def targets(targets_folder: Path) -> Targets:
    return load_targets(targets_folder, torch.device("cpu"))


@pytest.fixture(scope="session")
def gold(items: Any, student: Any) -> list[Lesson]:
    """Twelve lessons with answers of one to five tokens, so that weighting by tokens can be told from any other."""
    said = [student.answer_ids(text) for text in ("cup", "back left", "B", "left hand red cup", "two")]
    return [
        Lesson(clip, tuple(item.prompt for item in asked), tuple(said[(at + k) % 5] for k in range(len(asked))))
        for at, (clip, asked) in enumerate(by_clip(items))
    ]


@pytest.fixture(scope="session")
def taught(items: Any, targets: Targets, student: Any, lineage: Any) -> list[Lesson]:
    """The same twelve clips with the teacher's answers."""
    return teacher_lessons(items, targets, student, lineage.shared_vocabulary)
