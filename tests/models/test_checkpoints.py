"""Folders: what is saved is what is loaded, in either format; what is not whole is said in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.interface import Architecture, ModelFault, architecture


def states(model: Architecture, items: Any) -> torch.Tensor:
    with torch.inference_mode():
        embedded = model.embed([model.prepare(items[0].clip.frames(), [i.prompt for i in items[:4]])])
        return model.prefill(embedded).hidden[0]


def test_what_is_saved_is_what_is_loaded(model: Any, saved: Path, items: Any) -> None:
    again = type(model).load(saved)
    mine, theirs = model.model.state_dict(), again.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert again.tokenizer.get_vocab() == model.tokenizer.get_vocab()
    assert torch.equal(states(again, items), states(model, items))


def test_a_saved_folder_saved_again_is_the_same_bytes(model: Any, saved: Path, tmp_path: Path) -> None:
    type(model).load(saved).save(tmp_path)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes(), name


def test_the_same_seed_gives_the_same_weights(build: Any, model: Any) -> None:
    side = "teacher" if model.position_axes == 1 else "student"
    again, other = build(side), build(side, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(model.model.parameters(), again.model.parameters(), strict=True))
    assert not torch.equal(model.head.weight, other.head.weight)


def test_int8_answers_nearly_as_the_native_model(model: Any, saved: Path, items: Any) -> None:
    quantised = type(model).load(saved, format="int8")
    inside = {type(m).__name__ for m in quantised.language_model.modules()}
    assert "Linear8bitLt" in inside
    assert type(quantised.head) is torch.nn.Linear, "the head stays native"
    close = torch.cosine_similarity(states(model, items), states(quantised, items), dim=-1)
    assert 0.9 < float(close.min()) < 1 - 1e-7


def test_int8_is_the_same_every_time_it_is_loaded(model: Any, saved: Path, items: Any) -> None:
    one, two = (states(type(model).load(saved, format="int8"), items) for _ in range(2))
    assert torch.equal(one, two)


def test_an_unknown_format_is_refused(model: Any, saved: Path) -> None:
    with pytest.raises(ValueError, match="unknown format 'int3'; there are native, bf16, fp32, int8, nf4"):
        type(model).load(saved, format="int3")


def test_an_architecture_is_found_by_the_name_of_its_module(model: Any) -> None:
    name = type(model).__module__.removeprefix("models.")
    assert architecture(name) is type(model)


# --- folders that are not whole


def truncate(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def narrow(weights: dict[str, torch.Tensor]) -> None:
    name = next(name for name in weights if "layers.0" in name)
    weights[name] = weights[name][:3].clone()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated weights": (lambda folder: truncate(folder, "model.safetensors"), "model.safetensors is truncated: "),
    "empty weights": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "header too small"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
    "a tensor is missing": (
        lambda folder: change_weights(folder, lambda weights: weights.popitem()),
        "1 missing weights: model",
    ),
    "a tensor too many": (
        lambda folder: change_weights(folder, lambda weights: weights.update(extra=torch.ones(2))),
        "1 unexpected weights: extra",
    ),
    "a tensor of another shape": (lambda folder: change_weights(folder, narrow), "1 mismatched weights"),
    "truncated config": (lambda folder: truncate(folder, "config.json"), "not a valid JSON file"),
    "truncated tokenizer": (lambda folder: truncate(folder, "tokenizer.json"), "cannot be loaded: "),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    "no folder": (lambda folder: shutil.rmtree(folder), "cannot be loaded: "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_is_not_whole_is_a_fault_in_one_line(model: Any, saved: Path, tmp_path: Path, case: str) -> None:
    spoil, said = BROKEN[case]
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    spoil(folder)
    with pytest.raises(ModelFault) as caught:
        type(model).load(folder)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_parameter_in_scale_is_a_fault(build: Any) -> None:
    with pytest.raises(ModelFault, match=r"initial.scale: no parameter's name ends in 'positon.weight'"):
        build("teacher", scale={"positon.weight": 4.0})


def test_the_saved_config_names_ids_of_its_own_vocabulary(saved: Path) -> None:
    """The defaults of Qwen2's config are those of the released vocabulary."""
    text = json.loads((saved / "config.json").read_text())["text_config"]
    ids = [text.get("eos_token_id"), text.get("bos_token_id")]
    assert all(one is None or one < text["vocab_size"] for one in ids)
