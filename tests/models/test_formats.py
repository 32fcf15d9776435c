"""bf16, INT8 and NF4 of both families: which modules are quantised, what is saved again, and random weights in each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.measure.memory import weight_bytes
from models.formats import FORMATS, is_quantised
from models.interface import Architecture, ModelFault

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
QUANTISED = ("Linear8bitLt", "Linear4bit")


def states(model: Architecture) -> torch.Tensor:
    with torch.inference_mode():
        prepared = model.prepare(FRAMES, ["which hand holds the cup?", "which cup?"])
        return model.prefill(model.embed([prepared])).hidden[0].float()


@pytest.fixture(scope="module")
def folder(twin_side: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("native")
    twin_side.save(made)
    return made


@pytest.mark.parametrize("format", ["int8", "nf4"])
def test_just_the_modules_that_the_format_names_are_quantised(twin_side: Any, folder: Path, format: str) -> None:
    kind = type(twin_side)
    model = kind.load(folder, format=format)
    linear = {name for name, module in twin_side.model.named_modules() if type(module) is nn.Linear}
    wanted = {name for name in linear if is_quantised(name, kind.PARTS, FORMATS[format])}
    found = {name for name, module in model.model.named_modules() if type(module).__name__ in QUANTISED}
    assert found == wanted
    assert found, "nothing was quantised"
    assert not any("lm_head" in name for name in found)
    if format == "nf4":
        assert not any("visual" in name or "vision" in name or "multi_modal" in name for name in found)


@pytest.mark.parametrize(("format", "least"), [("bf16", 0.9), ("int8", 0.9), ("nf4", 0.5)])
def test_a_format_answers_nearly_as_the_native_model(twin_side: Any, folder: Path, format: str, least: float) -> None:
    """The bounds are wide: weights scaled up, so that questions get answers of their own, scale rounding up too."""
    close = torch.cosine_similarity(states(twin_side), states(type(twin_side).load(folder, format=format)), dim=-1)
    assert least < float(close.min()) < 1 - 1e-7


@pytest.mark.parametrize("format", ["bf16", "int8", "nf4"])
def test_what_is_saved_in_a_format_reloads_exactly(twin_side: Any, folder: Path, tmp_path: Path, format: str) -> None:
    kind = type(twin_side)
    kind.load(folder, format=format).save(tmp_path)
    again = kind.load(tmp_path)
    first = kind.load(folder, format=format)
    assert weight_bytes(again.model) == weight_bytes(first.model)
    assert torch.equal(states(again), states(first))


def test_a_quantised_folder_is_not_quantised_again(twin_side: Any, folder: Path, tmp_path: Path) -> None:
    type(twin_side).load(folder, format="int8").save(tmp_path)
    with pytest.raises(ModelFault, match="is quantised already; load it as native, not as nf4"):
        type(twin_side).load(tmp_path, format="nf4")


def test_nf4_that_a_cpu_has_repacked_is_not_saved_as_something_else(
    twin_side: Any, folder: Path, tmp_path: Path
) -> None:
    """bitsandbytes may repack 4-bit weights at their first use on a CPU. Then saving is refused; else it is exact."""
    kind = type(twin_side)
    used = kind.load(folder, format="nf4")
    states(used)
    states_of_weights = [getattr(p, "quant_state", None) for p in used.model.parameters()]
    if any(getattr(state, "packing_format_for_cpu", False) for state in states_of_weights):
        with pytest.raises(ModelFault, match="save before the first use"):
            used.save(tmp_path)
        assert not list(tmp_path.glob("*.safetensors"))
    else:
        used.save(tmp_path)
        assert torch.equal(states(kind.load(tmp_path)), states(kind.load(folder, format="nf4")))


# --- random weights at real shapes


@pytest.fixture(scope="module")
def shell(twin_side: Any, twin: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind = type(twin_side)
    spec = twin.teacher if twin_side.position_axes == 1 else twin.student
    rows = twin_side.head.weight.shape[0]
    config = {**spec.initial.config, "text_config": {**spec.initial.config["text_config"], "vocab_size": rows}}
    folder = tmp_path_factory.mktemp("shell")
    kind.write_random(
        folder,
        config=config,
        words=["which", "hand"],
        tokenizer_extra=spec.initial.tokenizer_extra,
        dtype=torch.float32,
    )
    return folder


@pytest.mark.parametrize("format", ["native", "int8", "nf4"])
def test_random_weights_weigh_and_run_as_loaded_ones(twin_side: Any, folder: Path, shell: Path, format: str) -> None:
    kind = type(twin_side)
    loaded, random = kind.load(folder, format=format), kind.load(shell, format=format)
    shapes = {name: (tuple(p.shape), p.dtype) for name, p in loaded.model.named_parameters()}
    assert {name: (tuple(p.shape), p.dtype) for name, p in random.model.named_parameters()} == shapes
    buffers = {name: tuple(b.shape) for name, b in loaded.model.named_buffers()}
    assert {name: tuple(b.shape) for name, b in random.model.named_buffers()} == buffers
    assert weight_bytes(random.model) == weight_bytes(loaded.model)
    assert bool(torch.isfinite(states(random)).all())
    assert torch.equal(states(random), states(kind.load(shell, format=format))), "the same seed, the same numbers"


def test_rotary_frequencies_are_real_where_weights_are_random(twin_side: Any, folder: Path, shell: Path) -> None:
    """Buffers are no weights: zeros there would make every position the same."""
    kind = type(twin_side)
    wanted = dict(kind.load(folder).model.named_buffers())
    for name, buffer in kind.load(shell).model.named_buffers():
        assert torch.equal(buffer, wanted[name]), name


def test_a_vocabulary_too_small_for_the_stand_in_tokenizer_is_said(twin_side: Any, twin: Any, tmp_path: Path) -> None:
    spec = twin.teacher if twin_side.position_axes == 1 else twin.student
    config = {**spec.initial.config, "text_config": {**spec.initial.config["text_config"], "vocab_size": 100}}
    with pytest.raises(ModelFault, match="100 embedding rows are too few for a tokenizer of"):
        type(twin_side).write_random(tmp_path, config=config, words=["a"], tokenizer_extra=spec.initial.tokenizer_extra)
