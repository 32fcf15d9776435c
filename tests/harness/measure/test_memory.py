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
    planned,
    read_clip,
    weight_bytes,
    write_clip,
)
from harness.measure.waterfall import STEPS
from harness.plan.inference import CONTEXT_BYTES
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
def test_a_fresh_process_tells_the_peak_of_every_phase_and_its_cold_start(
    teacher: Any, items: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "teacher"
    teacher.save(folder)
    peaks = in_fresh_process(spec(folder, tmp_path, items[0]))
    assert tuple(peaks["peaks"]) == tuple(PHASES)
    assert peaks["weights"] == weight_bytes(type(teacher).load(folder, format="int8").model)
    assert all(100e6 < peak < 20e9 for peak in peaks["peaks"].values()), "an interpreter with torch"
    config = teacher.model.config.get_text_config()
    width = config.num_key_value_heads * config.hidden_size // config.num_attention_heads
    assert peaks["kv_cache"] == 2 * config.num_hidden_layers * width * 4 * peaks["cached_tokens"]
    found = {one.metric: one for one in measurements(peaks)}
    assert found["memory_peak"].value == max(peaks["peaks"].values()) / 1e6
    assert "resident memory of a fresh process" in found["memory_peak"].how
    assert not found["memory_peak"].higher_is_better
    assert 0 < (found["cold_load"].value or 0) < 120
    assert (found["cold_load"].unit, found["cold_first_answer"].unit) == ("s", "ms")
    assert 0 < (found["memory_planned"].value or 0) < 100


def peaks_of(**changes: Any) -> dict[str, Any]:
    """What a fresh process on a GPU tells."""
    usual = {
        "how": "NVML, memory of this process on the device",
        "peaks": {"libraries": 5e8, "load": 15e9, "vision": 18e9, "prefill": 19e9, "decode": 19e9},
        "base": 400_000_000,
        "above": {"libraries": 0, "load": 14e9, "vision": 16e9, "prefill": 17e9, "decode": 17.5e9},
        "allocator": 17_500_000_000,
        "absent": None,
        "weights": 14_000_000_000,
        "kv_cache": 500_000_000,
        "cached_tokens": 4000,
        "cache_dtype": "bfloat16",
        "new_tokens": 32,
        "seconds": {"load": 9.5, "answer": 1.25},
        "planned": {"bytes": 16_000_000_000, "how": "plan", "absent": None},
    }
    return {**usual, **changes}


def test_a_gpus_peak_is_taken_apart_exactly() -> None:
    found = {one.metric: one for one in measurements(peaks_of())}
    assert set(found) == {
        *(f"memory_{phase}" for phase in PHASES),
        *("memory_peak", "memory_allocator", "memory_planned", "weights", "kv_cache"),
        *(f"waterfall_{step}" for step in STEPS),
        *("cold_load", "cold_first_answer"),
    }
    steps = [found[f"waterfall_{step}"].value or 0 for step in STEPS]
    assert steps == [400, 14_000, 2_000, 500, 1_000, 1_100]
    assert sum(steps) == found["memory_peak"].value
    assert found["kv_cache"].value == 500
    assert "4,000 tokens in bfloat16" in found["kv_cache"].how
    assert (found["cold_load"].value, found["cold_first_answer"].value) == (9.5, 1250)


def test_on_a_cpu_there_is_no_allocator_and_its_slack_is_absent_with_the_reason() -> None:
    above = {"libraries": 0, "load": 3e8, "vision": 3e8, "prefill": 4e8, "decode": 4e8}
    peaks = {"libraries": 4e8, "load": 7e8, "vision": 6e8, "prefill": 8e8, "decode": 8e8}
    given = peaks_of(allocator=None, base=4e8, above=above, peaks=peaks, kv_cache=10_000_000)
    found = {one.metric: one for one in measurements(given)}
    assert "memory_allocator" not in found
    assert found["waterfall_slack"].absent == "resident memory does not tell what is in use from what is only held"
    steps = [found[f"waterfall_{step}"].value or 0 for step in STEPS]
    assert steps == [400, 300, 0, 10, 90, 0]
    assert sum(steps) == found["memory_peak"].value


def test_a_card_that_nvml_does_not_know_leaves_the_allocators_peak_and_the_reason() -> None:
    reason = "NVML does not know GPU-1: Not Found"
    given = peaks_of(peaks=dict.fromkeys(PHASES), base=None, above={}, absent=reason)
    found = {one.metric: one for one in measurements(given)}
    assert {found[name].absent for name in ("memory_peak", "memory_load", "waterfall_weights")} == {reason}
    assert found["memory_allocator"].value == 17_500


def test_plan_is_asked_for_the_same_clip_and_tokens(saved: Path, tmp_path: Path, model: Any) -> None:
    kind = type(model).__module__.rsplit(".", 1)[1]
    on_cpu = planned(spec(saved, tmp_path, architecture=kind, format="native"))
    assert on_cpu["absent"] is None
    assert on_cpu["bytes"] > weight_bytes(model.model)
    on_gpu = planned(spec(saved, tmp_path, architecture=kind, format="native", device="cuda:0"))
    assert on_gpu["bytes"] - on_cpu["bytes"] == CONTEXT_BYTES
    assert "CUDA context (assumed) 500.000 MB" in on_gpu["how"]


def test_plan_says_that_it_does_not_know_stills(saved: Path, tmp_path: Path) -> None:
    asked = spec(saved, tmp_path)
    shown = (np.zeros((40, 60, 3), np.uint8), np.zeros((80, 20, 3), np.uint8))
    write_clip(Clip("c", "made", lambda: shown, still=True), tmp_path / "clip.npz")
    assert planned(asked)["absent"] == "plan counts videos: this clip is 2 stills"


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
