"""Bytes of weights as loaded, and peaks by phase in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import ModelError
from harness.measure.memory import (
    PHASES,
    MemorySpec,
    in_fresh_process,
    measurements,
    read_clip,
    weight_bytes,
    write_clip,
)
from harness.qa.items import Clip, QAItem
from harness.variants import VARIANTS


class Tied(nn.Module):
    """A table of 10×4 that is its own head, a matrix in bf16, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.half = nn.Linear(4, 4, bias=False, dtype=torch.bfloat16)
        self.register_buffer("seen", torch.zeros(3, dtype=torch.int64))


def test_a_tied_weight_counts_once_and_each_type_by_its_width() -> None:
    assert weight_bytes(Tied()) == 10 * 4 * 4 + 4 * 4 * 2 + 3 * 8


def test_the_students_tied_head_counts_once(student: Any) -> None:
    assert student.head.weight is student.model.get_input_embeddings().weight
    parameters = sum(p.numel() for p in student.model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in student.model.buffers())
    assert weight_bytes(student.model) == 4 * parameters + buffers


def test_int8_counts_a_byte_a_weight_and_its_scales(model: Any, saved: Path) -> None:
    quantised = type(model).load(saved, format="int8")
    expected = weight_bytes(model.model)
    for module in quantised.model.modules():
        if type(module).__name__ == "Linear8bitLt":
            rows, columns = module.weight.shape
            expected += rows * columns * (1 - 4) + rows * 4  # a byte for four, and a float32 scale a row
    assert weight_bytes(quantised.model) == expected


def test_the_scales_still_count_after_an_answer(model: Any, saved: Path, items: Any) -> None:
    """bitsandbytes moves them from the weight to the layer at the first forward pass."""
    quantised = type(model).load(saved, format="int8")
    before = weight_bytes(quantised.model)
    with torch.inference_mode():
        quantised.generate(quantised.embed([quantised.prepare(items[0].clip.frames(), ["?"])]), 2)
    assert weight_bytes(quantised.model) == before


def spec(saved: Path, tmp_path: Path, item: QAItem | None = None, **changes: Any) -> MemorySpec:
    frames = np.zeros((4, 96, 96, 3), np.uint8)
    write_clip(item.clip if item else Clip("black", "black", lambda: frames), tmp_path / "clip.npz")
    usual = {
        "variant": "int8",
        "architecture": "egogpt",
        "loader": VARIANTS["int8"].loader,
        "folder": str(saved),
        "device": "cpu",
        "told": {},
        "clip": str(tmp_path / "clip.npz"),
        "question": "is there a cup?",
        "new_tokens": 3,
    }
    return MemorySpec(**{**usual, **changes})


@pytest.mark.slow
def test_a_fresh_process_tells_the_peak_of_every_phase(teacher: Any, items: Any, tmp_path: Path) -> None:
    folder = tmp_path / "teacher"
    teacher.save(folder)
    peaks = in_fresh_process(spec(folder, tmp_path, items[0]))
    assert tuple(peaks["phases"]) == PHASES
    assert peaks["weights"] == weight_bytes(type(teacher).load(folder, format="int8").model)
    assert all(100e6 < peak < 20e9 for peak in peaks["phases"].values()), "an interpreter with torch"
    found = {one.metric: one for one in measurements(peaks)}
    assert set(found) == {*(f"memory_{phase}" for phase in PHASES), "memory_peak", "weights"}
    assert {one.unit for one in found.values()} == {"MB"}
    assert found["memory_peak"].value == max(peaks["phases"].values()) / 1e6
    assert "resident memory of a fresh process" in found["memory_peak"].how
    assert not found["memory_peak"].higher_is_better


def test_a_process_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^measuring the memory of int8 failed: .*cannot be loaded") as caught:
        in_fresh_process(spec(tmp_path / "nowhere", tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("heard", [False, True])
def test_a_clip_reaches_the_fresh_process_whole(tmp_path: Path, still: bool, heard: bool) -> None:
    shown = (
        (np.full((4, 6, 3), 7, np.uint8), np.full((8, 2, 3), 9, np.uint8)) if still else np.ones((3, 4, 6, 3), np.uint8)
    )
    sound = np.linspace(-1, 1, 50, dtype=np.float32) if heard else None
    write_clip(Clip("c", "made", lambda: shown, still=still, load_sound=lambda: sound), tmp_path / "clip.npz")
    again = read_clip(tmp_path / "clip.npz")
    assert again.still is still
    assert all(np.array_equal(one, two) for one, two in zip(again.frames(), shown, strict=True))
    assert (again.sound() is None) if sound is None else np.array_equal(again.sound(), sound)
