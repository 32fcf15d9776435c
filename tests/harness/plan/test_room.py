"""Room for a model is asked for before anything is loaded, and its lack is told with the arithmetic."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from harness.distill.origins import VISION_TOKENS
from harness.errors import ResourceError, UsageError
from harness.pair import load_pair
from harness.plan.room import require_room, require_room_to_train
from models.interface import ModelFault, architecture

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders at the released shapes, without a weight in them."""
    pair, found = load_pair("egogpt-qwen2vl"), {}
    for side in ("teacher", "student"):
        spec = getattr(pair, side)
        found[side] = tmp_path_factory.mktemp(side)
        architecture(spec.architecture).write_random(
            found[side], config=spec.sizes, words=["a"], tokenizer_extra=VISION_TOKENS
        )
    return found


def ask(side: str, format: str, device: torch.device, folders: dict[str, Path], **data: int) -> None:
    pair = load_pair("egogpt-qwen2vl")
    pair = pair.model_copy(update={"data": pair.data.model_copy(update=data)})
    require_room(pair, getattr(pair, side), folders[side], format, device)


def test_a_tiny_model_has_room_on_this_machine(micro: Any, saved: Path, model: Any) -> None:
    require_room(micro, micro.teacher if model.position_axes == 1 else micro.student, saved, "native", CPU)


def test_a_folder_of_another_architecture_is_a_fault(micro: Any, saved: Path, model: Any) -> None:
    other = micro.student if model.position_axes == 1 else micro.teacher
    with pytest.raises(ModelFault, match="is another architecture"):
        require_room(micro, other, saved, "native", CPU)


def test_a_machine_too_small_is_told_the_sum(released: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_000_000_000))
    said = (
        r"^lmms-lab/\S+ as int8 does not fit: int8 weights 9\.80 GB \+ KV cache 0\.11 GB \+ activations 0\.\d\d GB = "
        r"10\.\d\d GB, but this machine has 8\.00 GB free"
    )
    with pytest.raises(ResourceError, match=said):
        ask("teacher", "int8", CPU, released)
    ask("student", "int8", CPU, released)


def test_a_card_too_small_is_told_the_sum_with_its_context(released: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4_000_000_000, 8_000_000_000))
    with pytest.raises(ResourceError, match=r"CUDA context 0\.50 GB = \d+\.\d\d GB, but the card has 4\.00 GB free"):
        ask("student", "native", torch.device("cuda:0"), released)


def test_more_frames_need_more_room(released: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5_000_000_000))
    ask("student", "native", CPU, released)
    with pytest.raises(ResourceError, match=r"give fewer frames \(data.frames\)"):
        ask("student", "native", CPU, released, frames=150)


def test_a_card_too_small_to_train_on_is_told_the_sum(released: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the teacher has answered anything: a 24 GB card answers with this student, but cannot train all of it."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (24_000_000_000, 24_000_000_000))
    card = torch.device("cuda:0")
    ask("student", "fp32", card, released)
    said = (
        r"training Qwen/\S+ does not fit: weights 8\.84 GB \+ gradients 8\.84 GB \+ optimizer 17\.67 GB .* the card has"
    )
    pair = load_pair("egogpt-qwen2vl")
    whole = pair.model_copy(update={"recipe": pair.recipe.model_copy(update={"optimizer": "adamw", "master": "fp32"})})
    with pytest.raises(ResourceError, match=said):
        require_room_to_train(whole, released["student"], card)


def test_room_to_train_is_that_of_the_recipes_mode(released: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that cannot hold fp32 weights and moments holds bf16 ones with 8-bit moments (as the pair says), and
    adapters.
    """
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (24_000_000_000, 24_000_000_000))
    pair = load_pair("egogpt-qwen2vl")
    for changes in ({}, {"parameters": "lora", "master": "fp32"}):
        smaller = pair.model_copy(update={"recipe": pair.recipe.model_copy(update=changes)})
        require_room_to_train(smaller, released["student"], torch.device("cuda:0"))


def test_more_frames_than_the_context_holds_are_told_before_anything_is_loaded(released: Any) -> None:
    with pytest.raises(UsageError, match=r"--frames 500: .* context holds 32,768: at most 160 frames of 432x768"):
        ask("student", "native", CPU, released, frames=500)
