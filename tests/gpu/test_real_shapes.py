"""The real shapes on a CUDA device, with random weights: load in every format, bytes against the plan, stages against
the library's own generate. Figures go to $OUT/real_shapes.json where OUT is set.

    OUT=/tmp/out containers/gpu_check.sh          # runs this and the suites

Written for a GPU; without one every test here is skipped, and says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.measure.memory import weight_bytes
from harness.pair import load_pair
from harness.plan.shapes import shapes_of
from harness.plan.weights import weight_bytes as planned_bytes
from models.interface import Architecture, architecture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no CUDA device: containers/gpu_check.sh runs this on one"
    ),
]

FRAMES = np.random.default_rng(0).integers(0, 256, (8, 432, 768, 3), dtype=np.uint8)
QUESTIONS = ["What am I holding in my left hand?", "Where did I put the cup?"]
FORMS = [(side, format) for side in ("teacher", "student") for format in ("bf16", "int8", "nf4")]
EXTRA = ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]


def write(name: str, figures: dict[str, Any]) -> None:
    if folder := os.environ.get("OUT"):
        file = Path(folder) / "real_shapes.json"
        held = json.loads(file.read_text()) if file.is_file() else {"device": torch.cuda.get_device_name()}
        file.write_text(json.dumps({**held, name: figures}, indent=1))


def used() -> int:
    """Bytes in use on the device, by NVML: the context, the allocator's segments, and whoever else is there."""
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
    return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[type[Architecture], Path]]:
    pair = load_pair("egogpt-qwen2vl")
    found = {}
    for side in ("teacher", "student"):
        spec = getattr(pair, side)
        folder = tmp_path_factory.mktemp(side)
        kind = architecture(spec.architecture)
        kind.write_random(folder, config=spec.sizes, words=" ".join(QUESTIONS).split(), tokenizer_extra=EXTRA)
        found[side] = (kind, folder)
    return found


@pytest.fixture(params=FORMS, ids="-".join)
def form(request: pytest.FixtureRequest, shells: Any) -> Iterator[tuple[str, str, Architecture, dict[str, float]]]:
    side, format = request.param
    kind, folder = shells[side]
    torch.cuda.empty_cache()
    torch.zeros(1, device="cuda")
    torch.cuda.synchronize()
    before, began = used(), time.perf_counter()
    torch.cuda.reset_peak_memory_stats()
    model = kind.load(folder, format=format, device="cuda:0")
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.empty_cache()
    figures = {"load_s": time.perf_counter() - began, "nvml_bytes": used() - before, "load_peak_bytes": peak}
    yield side, format, model, figures
    del model
    torch.cuda.empty_cache()


def test_bytes_are_those_of_the_plan_and_the_stages_say_what_generate_says(form: Any) -> None:
    side, format, model, figures = form
    planned = planned_bytes(shapes_of(getattr(load_pair("egogpt-qwen2vl"), side)), format).total
    held = weight_bytes(model.model)
    figures |= {"planned_bytes": planned, "weight_bytes": held, "nvml_over_plan": figures["nvml_bytes"] / planned}
    write(f"{side}-{format}", figures)
    assert held == planned
    assert abs(figures["nvml_over_plan"] - 1) < 0.03, figures
    assert figures["load_peak_bytes"] < 1.15 * planned, "a wider copy was made on the way"
    with torch.inference_mode():
        (one,) = model.embed([model.prepare(FRAMES, QUESTIONS[:1])])
        staged = model.generate([one], 8)[0][0]
        inputs = torch.cat([one.prefix, model.embed_ids(torch.tensor(one.questions[0], device="cuda"))])[None]
        options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": model.ending_id, "pad_token_id": 0}
        if model.position_axes == 1:
            mask = torch.ones(inputs.shape[:2], dtype=torch.long, device="cuda")
            plain = model.model.generate(inputs_embeds=inputs, attention_mask=mask, **options)[0].tolist()
        else:
            prepared = model.prepare(FRAMES, QUESTIONS[:1])
            ids = torch.tensor([[*prepared.prefix_ids.tolist(), *prepared.questions[0]]], device="cuda")
            plain = model.model.generate(
                input_ids=ids,
                pixel_values_videos=prepared.pixels.to("cuda"),
                video_grid_thw=torch.tensor(prepared.grids, device="cuda"),
                mm_token_type_ids=(ids == model.model.config.video_token_id).int() * 2,
                **options,
            )[0, ids.shape[1] :].tolist()
    same = sum(a == b for a, b in zip(staged, plain, strict=False)) / max(len(staged), len(plain))
    write(f"{side}-{format}", {**figures, "staged_agrees_with_generate": same})
    if format == "bf16":
        assert staged == plain
