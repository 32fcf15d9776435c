"""What a recipe trains moves, nothing else does, plan counts the same, and adapters leave no trace when folded."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from harness.distill.optimizer import Optimizers
from harness.distill.train import checkpoint_activations
from harness.distill.trained import choose, fold, is_frozen_tower, load_format
from harness.errors import ModelError
from harness.pair import Recipe, load_pair
from harness.plan.shapes import INITIAL_BYTES, Shapes, shapes_of
from harness.plan.training import MODES, _trained
from models.interface import Architecture

Recipes = Callable[..., Recipe]
Weights = dict[str, Tensor]


def copy_of(model: Architecture) -> Architecture:
    return type(model)(deepcopy(model.model), model.tokenizer)


@pytest.fixture
def own(model: Architecture) -> Architecture:
    """A model of one's own, of each architecture in turn."""
    return copy_of(model)


@pytest.fixture(scope="session")
def few(items: Any) -> Any:
    """Two clips with their questions."""
    from harness.qa.items import by_clip

    return by_clip(items)[:2]


def weights(model: Architecture) -> Weights:
    return {name: p.detach().clone() for name, p in model.model.named_parameters()}


def logits(model: Architecture, few: Any) -> tuple[Tensor, Tensor]:
    """At every answer token, and the answers' ids."""
    said = [model.answer_ids(text) for text in ("cup", "back left", "B", "two")]
    prepared = [model.prepare(clip.frames(), [item.prompt for item in asked]) for clip, asked in few]
    answers = [[said[k % 4] for k in range(len(asked))] for _, asked in few]
    found = model.logits(model.answer_states(model.embed(prepared), answers))
    return found, torch.tensor([token for row in answers for answer in row for token in answer])


def loss_of(model: Architecture, few: Any) -> Tensor:
    return torch.nn.functional.cross_entropy(*logits(model, few))


def trained(model: Architecture) -> set[str]:
    return {name for name, p in model.model.named_parameters() if p.requires_grad}


def train(model: Architecture, few: Any, recipe: Recipe, steps: int = 3) -> list[float]:
    optimizers, losses = Optimizers(model.model, model.head, recipe, steps), []
    for step in range(steps):
        loss = loss_of(model, few)
        loss.backward()
        optimizers.step(step)
        optimizers.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def told(recipe: Recipes, parameters: str, **changes: Any) -> Recipe:
    usual = {"lora_rank": 4, "lora_alpha": 8.0, "schedule": "wsd", "learning_rate": 5e-3}
    return recipe(**{**usual, "parameters": parameters, **changes})


# --- which parameters


def test_the_student_is_loaded_in_what_it_is_trained_in(recipe: Recipes) -> None:
    found = {
        (parameters, master): load_format(recipe(parameters=parameters, master=master))
        for parameters in ("full", "lm")
        for master in ("fp32", "stochastic", "kahan")
    }
    assert found == {(p, m): "fp32" if m == "fp32" else "bf16" for p, m in found}
    assert load_format(recipe(parameters="lora")) == "native"


def test_the_tower_is_frozen_unless_all_is_trained(recipe: Recipes) -> None:
    found = {mode: is_frozen_tower(recipe(parameters=mode)) for mode in ("full", "lm", "lora")}
    assert found == {"full": False, "lm": True, "lora": True}


def test_as_many_parameters_are_trained_as_plan_says(model: Architecture, own: Architecture, recipe: Recipes) -> None:
    shapes = Shapes(type(model), model.model, model.model.config, INITIAL_BYTES)
    for mode in ("full", "lm", "lora"):
        choose(own, recipe(parameters=mode, lora_rank=MODES[mode].rank or 1))
        counted = [one[0] for one in _trained(shapes, MODES[mode])]
        assert sorted(counted) == sorted(p.numel() for p in own.model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("side", "mode"), [("teacher", "lm"), ("student", "lm"), ("student", "lora")])
def test_so_it_is_at_the_sizes_of_the_real_pair(recipe: Recipes, side: str, mode: str) -> None:
    """On shapes without memory; the teacher has ears there, which stay as they are."""
    shapes = shapes_of(getattr(load_pair("egogpt-qwen2vl"), side))
    counted = [one[0] for one in _trained(shapes, MODES[mode])]
    bare = cast(Architecture, SimpleNamespace(model=shapes.network, PARTS=shapes.kind.PARTS))
    choose(bare, recipe(parameters=mode, lora_rank=MODES[mode].rank or 1))
    found = {name: p.numel() for name, p in shapes.network.named_parameters() if p.requires_grad}
    assert sorted(counted) == sorted(found.values())
    assert not any("speech" in name or "vision_tower" in name or ".visual.blocks" in name for name in found)
    assert any("merger" in name or "projector" in name for name in found) is (mode == "lm")


def test_choosing_does_not_mind_what_was_chosen_before(own: Architecture, recipe: Recipes) -> None:
    """Random weights of a real size come without any gradient; others with all."""
    every = trained(own)
    own.model.requires_grad_(False)
    choose(own, recipe(parameters="lm"))
    language = trained(own)
    choose(own, recipe(parameters="full"))
    assert trained(own) == every > language > set()
    choose(own, recipe(parameters="lm"))
    assert trained(own) == language


def test_quantised_weights_are_refused(student: Architecture, recipe: Recipes) -> None:
    model = copy_of(student)
    model.language_model.layers[0].mlp.up_proj.weight = torch.nn.Parameter(torch.ones(4, 4, dtype=torch.int8), False)
    with pytest.raises(ModelError, match=r"up_proj\.weight is int8: quantised weights cannot be trained; give the"):
        choose(model, recipe())


# --- what moves


def test_the_tower_stays_when_the_language_model_learns(own: Architecture, few: Any, recipe: Recipes) -> None:
    """Embedding, head, projector or merger move with it."""
    lm = told(recipe, "lm")
    choose(own, lm)
    before = weights(own)
    train(own, few, lm)
    moved = {name for name, p in own.model.named_parameters() if not torch.equal(p, before[name])}
    tower = {name for name in before if name.startswith(own.PARTS["vision"]) and ".merger." not in name}
    assert tower
    assert moved == before.keys() - tower


def test_only_adapters_move_and_the_loss_falls(own: Architecture, few: Any, recipe: Recipes) -> None:
    whole = weights(own)
    lora = told(recipe, "lora", learning_rate=2e-2)
    choose(own, lora)
    before = weights(own)
    losses = train(own, few, lora, steps=8)
    assert losses[-1] < 0.9 * losses[0]  # embedding and head stay random
    moved = {name for name, p in own.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if ".lora_" in name} == trained(own)
    kept = {name.replace(".base_layer", ""): p for name, p in own.model.named_parameters() if name not in moved}
    assert kept.keys() == whole.keys()
    assert all(torch.equal(kept[name], whole[name]) for name in whole)


def test_adapters_begin_as_nothing_at_all(own: Architecture, few: Any, recipe: Recipes) -> None:
    with torch.no_grad():
        before, _ = logits(own, few)
        choose(own, told(recipe, "lora"))
        assert torch.equal(before, logits(own, few)[0])


@pytest.mark.parametrize("mode", ["lm", "lora"])
def test_checkpointing_of_activations_gives_the_same_gradients(
    own: Architecture, few: Any, recipe: Recipes, mode: str
) -> None:
    """Also where nothing before the first adapter asks for one."""
    choose(own, told(recipe, mode))
    own.model.train()
    found = []
    for switch in (False, True):
        checkpoint_activations(own, switch)
        loss_of(own, few).backward()
        found.append({name: p.grad for name, p in own.model.named_parameters() if p.grad is not None})
        own.model.zero_grad()
    assert found[0].keys() == found[1].keys() == trained(own)
    assert any(float(grad.abs().max()) > 0 for grad in found[0].values())
    for name, grad in found[0].items():
        torch.testing.assert_close(grad, found[1][name], rtol=1e-5, atol=1e-7, msg=name)


def test_adapters_depend_on_the_recipes_seed_alone(student: Architecture, recipe: Recipes) -> None:
    def drawn(seed: int, stir: int) -> Weights:
        model = copy_of(student)
        torch.manual_seed(stir)
        before = torch.get_rng_state()
        choose(model, told(recipe, "lora", seed=seed))
        assert torch.equal(before, torch.get_rng_state())
        return {name: p for name, p in weights(model).items() if ".lora_A." in name}

    one, same, other = drawn(0, 1), drawn(0, 2), drawn(1, 1)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


# --- folding


def disturb(model: Architecture) -> None:
    """Adapters as after a training: B is not zero any more."""
    chance = torch.Generator().manual_seed(0)
    for name, p in model.model.named_parameters():
        if ".lora_B." in name:
            p.data.copy_(torch.randn(p.shape, generator=chance) * 0.1)


def test_folded_adapters_leave_the_same_answers_and_no_trace(
    own: Architecture, few: Any, recipe: Recipes, tmp_path: Path
) -> None:
    network, plain = own.model, own.model.state_dict()
    modules, attributes = [name for name, _ in own.model.named_modules()], vars(own.model).keys()
    shapes = {name: (value.shape, value.dtype) for name, value in plain.items()}
    with torch.no_grad():
        untouched, _ = logits(own, few)
        choose(own, told(recipe, "lora"))
        disturb(own)
        before, _ = logits(own, few)
        fold(own)
        after, _ = logits(own, few)
    assert float((before - untouched).abs().max()) > 0.01
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    assert own.model is network
    folded = own.model.state_dict()
    assert list(folded) == list(shapes)
    assert {name: (value.shape, value.dtype) for name, value in folded.items()} == shapes
    assert [name for name, _ in own.model.named_modules()] == modules
    assert vars(own.model).keys() == attributes
    assert trained(own) == set(weights(own))
    own.save(tmp_path)
    again = type(own).load(tmp_path)
    with torch.no_grad():
        assert torch.equal(logits(again, few)[0], after)


def test_a_folded_weight_is_rounded_once(own: Architecture, few: Any, recipe: Recipes) -> None:
    """bf16 weights: the sum is made in fp32."""
    own.model.to(torch.bfloat16)
    choose(own, told(recipe, "lora"))
    assert {p.dtype for p in own.model.parameters() if p.requires_grad} == {torch.float32}
    disturb(own)
    with torch.no_grad():
        assert logits(own, few)[0].dtype == torch.bfloat16
    layer = own.language_model.layers[0].mlp.up_proj  # type: ignore[index, union-attr]
    a, b = layer.lora_A.default.weight, layer.lora_B.default.weight
    wanted = (layer.base_layer.weight.double() + 2 * b.double() @ a.double()).bfloat16()
    fold(own)
    found = own.language_model.layers[0].mlp.up_proj.weight  # type: ignore[index, union-attr]
    assert found.dtype == torch.bfloat16
    assert float((found == wanted).double().mean()) > 0.999


@pytest.mark.parametrize("mode", ["full", "lm"])
def test_without_adapters_there_is_nothing_to_fold(student: Architecture, recipe: Recipes, mode: str) -> None:
    model = copy_of(student)
    choose(model, recipe(parameters=mode))
    before, chosen = weights(model), trained(model)
    fold(model)
    assert trained(model) == chosen
    assert all(torch.equal(p, before[name]) for name, p in model.model.named_parameters())
