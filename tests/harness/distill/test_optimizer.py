"""The schedule's shape, who is moved by Muon and who by AdamW, and which AdamW a recipe takes."""

from __future__ import annotations

import io
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from harness.distill.adamw import LeanAdamW
from harness.distill.optimizer import Optimizers, schedule
from harness.distill.parallel import ALONE, clip_gradients
from harness.errors import ModelError
from harness.pair import Recipe
from harness.plan.training import moment_bytes

MASTERS = {"fp32": torch.float32, "stochastic": torch.bfloat16, "kahan": torch.bfloat16}
KINDS = [
    ("muon", "fp32"),
    *((optimizer, master) for optimizer in ("adamw", "adamw-8bit") for master in MASTERS),
]


def recipe(**changes: Any) -> Recipe:
    return Recipe(**{"split": "pool", "warmup": 0.1, "learning_rate": 0.01, **changes})


def shares(total: int, **changes: Any) -> list[float]:
    return [schedule(step, total, recipe(**changes)) for step in range(total)]


def test_the_rate_rises_linearly_then_falls_as_a_cosine() -> None:
    found = shares(100)
    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert found[10] == 1.0
    assert found[55] == pytest.approx(0.5)
    assert 0 < found[99] < 0.001
    assert all(a > b for a, b in pairwise(found[10:]))


def test_wsd_stays_up_then_falls_straight() -> None:
    found = shares(100, schedule="wsd", cooldown=0.2)
    assert found[10:81] == [1.0] * 71
    assert found[81:] == pytest.approx([share / 20 for share in range(19, 0, -1)])


@pytest.mark.parametrize("kind", ["cosine", "wsd"])
def test_the_rate_never_falls_below_its_final_share(kind: str) -> None:
    found = shares(50, schedule=kind, warmup=0.0, final_lr_ratio=0.1)
    assert min(found) >= 0.1
    assert found[49] == pytest.approx(0.1, abs=0.1)
    assert shares(50, schedule=kind, warmup=0.0, final_lr_ratio=1.0) == [1.0] * 50


@pytest.mark.parametrize("kind", ["cosine", "wsd"])
@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
def test_a_training_of_a_few_steps_has_a_rate_at_each(kind: str, total: int, warmup: float) -> None:
    assert all(0 < share <= 1 for share in shares(total, schedule=kind, warmup=warmup))


class Tiny(nn.Module):
    """One of everything: a table, a matrix with its bias, a norm, a patch convolution, a head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.linear, self.norm = nn.Embedding(5, width), nn.Linear(width, width), nn.LayerNorm(width)
        self.conv, self.head = nn.Conv2d(3, width, 2), nn.Linear(width, 5, bias=False)

    def push(self) -> None:
        """A gradient of ones everywhere."""
        for parameter in self.parameters():
            parameter.grad = torch.ones_like(parameter)


def moved(model: Tiny, optimizers: Optimizers) -> dict[str, torch.Tensor]:
    """How far step 20 moves each parameter."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.push()
    optimizers.step(20)
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


def by_adamw(step: torch.Tensor) -> bool:
    """AdamW's first step under a gradient of ones is the learning rate, everywhere."""
    rate = 0.01 * schedule(20, 100, recipe())
    return torch.allclose(step, torch.full_like(step, -rate), rtol=1e-3)


def test_adamw_moves_everything() -> None:
    model = Tiny()
    assert all(by_adamw(step) for step in moved(model, Optimizers(model, model.head, recipe(), 100)).values())


def test_muon_moves_hidden_matrices_and_adamw_the_rest() -> None:
    model = Tiny()
    muon = recipe(optimizer="muon", muon_learning_rate=0.5)
    steps = moved(model, Optimizers(model, model.head, muon, 100))
    assert {name for name, step in steps.items() if not by_adamw(step)} == {"linear.weight", "conv.weight"}


def test_a_convolution_is_moved_as_a_flat_matrix() -> None:
    """Muon takes matrices only: the convolution's own weight moves as torch.optim.Muon moves a flattened copy."""
    model = Tiny()
    alone = nn.Parameter(model.conv.weight.detach().flatten(1).clone())
    alone.grad = torch.ones_like(alone)
    before = model.conv.weight.detach().clone()
    muon = recipe(optimizer="muon", muon_learning_rate=0.5)
    optimizers = Optimizers(model, model.head, muon, 100)
    model.push()
    optimizers.step(20)
    torch.optim.Muon([alone], lr=0.5 * schedule(20, 100, recipe()), weight_decay=0.0).step()
    assert not torch.equal(model.conv.weight, before)
    torch.testing.assert_close(model.conv.weight.flatten(1), alone)
    optimizers.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_real_models_are_split_alike(model: Any) -> None:
    """Patch convolution and hidden matrices go to Muon; embeddings, a tied head, norms and biases to AdamW."""
    optimizers = Optimizers(model.model, model.head, recipe(optimizer="muon"), 10)
    adamw, muon = ({id(p) for group in one.param_groups for p in group["params"]} for one in optimizers._optimizers)
    flat = {id(source): id(view) for view, source in optimizers._views}
    for name, p in model.model.named_parameters():
        table = any(part in name for part in ("embed_tokens", "lm_head", "position_embedding"))
        hidden = p.ndim >= 2 and not table
        assert (flat.get(id(p), id(p)) in muon) is hidden, name
        assert (id(p) in adamw) is not hidden, name
    assert len(flat) == 1, "the patch convolution"


def test_weight_decay_spares_norms_and_biases() -> None:
    model = Tiny()
    optimizers = Optimizers(model, model.head, recipe(weight_decay=0.5), 100)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizers.step(20)
    decayed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert decayed == {name for name, p in model.named_parameters() if p.ndim >= 2}


@pytest.mark.parametrize(("optimizer", "master"), KINDS)
def test_optimizers_continue_from_their_state(optimizer: str, master: str) -> None:
    """Through a file, as a checkpoint holds it."""
    wanted = recipe(optimizer=optimizer, master=master)

    def after_four_steps(resumed: bool) -> list[torch.Tensor]:
        model = Tiny(width=72).to(MASTERS[master])
        optimizers = Optimizers(model, model.head, wanted, 10)
        for step in range(4):
            if resumed and step == 2:
                held = io.BytesIO()
                torch.save(optimizers.state_dict(), held)
                held.seek(0)
                optimizers = Optimizers(model, model.head, wanted, 10)
                optimizers.load_state_dict(torch.load(held, weights_only=True))
            torch.manual_seed(step)
            model.push()
            optimizers.step(step)
            optimizers.zero_grad()
        return [p.detach() for p in model.parameters()]

    assert all(map(torch.equal, after_four_steps(False), after_four_steps(True)))


@pytest.mark.parametrize(("optimizer", "master"), KINDS)
def test_every_kind_moves_what_is_trained_and_nothing_else(optimizer: str, master: str) -> None:
    model = Tiny(width=72).to(MASTERS[master])
    model.embed.requires_grad_(False)
    optimizers = Optimizers(model, model.head, recipe(optimizer=optimizer, master=master), 100)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(2):
        model.push()
        model.norm.bias.grad = None
        optimizers.step(20)
    stayed = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert stayed == {"embed.weight", "norm.bias"}


def test_a_recipe_takes_torchs_adamw_for_fp32_and_ours_for_less() -> None:
    for optimizer, master in KINDS[1:]:
        model = Tiny().to(MASTERS[master])
        (found,) = Optimizers(model, model.head, recipe(optimizer=optimizer, master=master), 10)._optimizers
        assert type(found) is (torch.optim.AdamW if (optimizer, master) == ("adamw", "fp32") else LeanAdamW)


@pytest.mark.parametrize(
    ("master", "dtype", "told"),
    [
        ("fp32", torch.bfloat16, "fp32 trains fp32 weights, the student's are bf16: load it as fp32"),
        ("kahan", torch.float16, "kahan trains bf16 weights, the student's are fp16: load it as bf16"),
    ],
)
def test_weights_in_which_updates_would_be_lost_are_refused(master: str, dtype: torch.dtype, told: str) -> None:
    model = Tiny().to(dtype)
    with pytest.raises(ModelError, match=told):
        Optimizers(model, model.head, recipe(master=master), 10)
    model.requires_grad_(False)
    model.linear.float().requires_grad_(True)
    Optimizers(model, model.head, recipe(), 10)  # frozen weights are of any type: adapters' are


@pytest.mark.parametrize(("optimizer", "master"), [("adamw", "fp32"), ("adamw-8bit", "stochastic")])
def test_the_state_of_real_models_is_as_large_as_plan_says(model: Any, optimizer: str, master: str) -> None:
    network = deepcopy(model.model).to(MASTERS[master])
    optimizers = Optimizers(network, network.lm_head, recipe(optimizer=optimizer, master=master), 10)
    for p in network.parameters():
        p.grad = torch.ones_like(p)
    optimizers.step(0)
    states = optimizers._optimizers[0].state.values()
    held = sum(value.nbytes for state in states for name, value in state.items() if name != "step")
    sizes = [p.numel() for p in network.parameters()]
    assert held == sum(moment_bytes(size, eight_bit=optimizer == "adamw-8bit") for size in sizes)


def test_gradients_are_clipped_by_their_joint_norm() -> None:
    model = Tiny()
    model.push()
    count = sum(p.numel() for p in model.parameters())
    assert clip_gradients(list(model.parameters()), 1.0, ALONE) == pytest.approx(count**0.5, rel=1e-5)
    norm = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None) ** 0.5
    assert norm == pytest.approx(1.0, rel=1e-4)
