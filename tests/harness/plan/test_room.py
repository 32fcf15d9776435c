"""Room for a model is asked for before anything is loaded, and its lack is told with the arithmetic."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from harness.errors import ResourceError
from harness.pair import load_pair
from harness.plan.room import require_room


def test_a_tiny_model_has_room_on_this_machine(micro: Any) -> None:
    require_room(micro, "teacher", "native", torch.device("cpu"))


def test_a_machine_too_small_is_told_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_000_000_000))
    said = (
        r"^teacher as int8 does not fit: int8 weights 9\.80 GB \+ KV cache 0\.11 GB \+ activations 0\.\d\d GB = "
        r"10\.\d\d GB, but this machine has 8\.00 GB free"
    )
    with pytest.raises(ResourceError, match=said):
        require_room(load_pair("egogpt-qwen2vl"), "teacher", "int8", torch.device("cpu"))
    require_room(load_pair("egogpt-qwen2vl"), "student", "int8", torch.device("cpu"))


def test_a_card_too_small_is_told_the_sum_with_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4_000_000_000, 8_000_000_000))
    with pytest.raises(ResourceError, match=r"CUDA context 0\.50 GB = \d+\.\d\d GB, but the card has 4\.00 GB free"):
        require_room(load_pair("egogpt-qwen2vl"), "student", "native", torch.device("cuda:0"))


def test_more_frames_need_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = load_pair("egogpt-qwen2vl")
    many = pair.model_copy(update={"data": pair.data.model_copy(update={"frames": 150})})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5_000_000_000))
    require_room(pair, "student", "native", torch.device("cpu"))
    with pytest.raises(ResourceError, match=r"give fewer frames \(data.frames\)"):
        require_room(many, "student", "native", torch.device("cpu"))
