"""Whose price the distillation suite records: every training of what may be shipped, once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.doorway import Doorway
from harness.variants import VARIANTS


def door(micro: Any, names: list[str], seeds: int = 1, random: bool = False) -> Doorway:
    lineage: Any = SimpleNamespace(device=torch.device("cpu"), random=random)
    return Doorway(micro, [VARIANTS[name] for name in names], seeds, lineage, Path("nowhere"))


@pytest.mark.parametrize(
    ("names", "seeds", "ids"),
    [
        (["baseline", "int8", "distilled", "distilled-int8", "finetuned", "undistilled"], 1, ["distilled"]),
        (["baseline", "distilled-int8", "distilled"], 2, ["distilled", "distilled-seed1"]),
        (["baseline", "distilled-int8", "distilled-nf4"], 1, ["distilled-int8"]),
        (["baseline", "int8"], 3, []),
    ],
)
def test_students_are_trainings(micro: Any, names: list[str], seeds: int, ids: list[str]) -> None:
    assert [case.id for case in door(micro, names, seeds).students()] == ids


def test_random_weights_were_never_trained(micro: Any) -> None:
    assert door(micro, ["baseline", "distilled"], random=True).students() == []
