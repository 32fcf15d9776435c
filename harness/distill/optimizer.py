"""Optimizers and the learning-rate schedule of a recipe.

`adamw` is the default; with 8-bit moments, or for bf16 weights, it is that of `adamw.py`. `muon` (Jordan et al., 2024,
torch.optim.Muon) orthogonalises the updates of hidden weight matrices, with AdamW for embeddings, heads, norms and
biases: at toy sizes it learns in a tenth of AdamW's steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.distill.adamw import LeanAdamW
from harness.errors import ModelError

if TYPE_CHECKING:
    from harness.pair import Recipe


class Optimizers:
    """One or two torch optimizers stepped as one, with their schedule; `state_dict` covers all of it."""

    def __init__(self, model: nn.Module, head: nn.Module, recipe: Recipe, total_steps: int) -> None:
        matrices, rest, views = _split(model, head) if recipe.optimizer == "muon" else ([], _trained(model), [])
        self._views = views
        self._recipe = recipe
        self._total = total_steps
        decay = [p for p in rest if p.ndim >= 2]
        no_decay = [p for p in rest if p.ndim < 2]
        self._optimizers: list[torch.optim.Optimizer] = [
            _adamw(
                [
                    {"params": decay, "weight_decay": recipe.weight_decay},
                    {"params": no_decay, "weight_decay": 0.0},
                ],
                recipe,
            )
        ]
        self._rates = [recipe.learning_rate]
        if matrices:
            self._optimizers.append(
                torch.optim.Muon(matrices, lr=recipe.muon_learning_rate, weight_decay=recipe.weight_decay)
            )
            self._rates.append(recipe.muon_learning_rate)

    def step(self, step: int) -> float:
        """Apply the gradients at step number `step` (from 0); the AdamW learning rate that was used."""
        share = schedule(step, self._total, self._recipe)
        for flat, source in self._views:
            flat.grad = None if source.grad is None else source.grad.view_as(flat)
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()
        return self._rates[0] * share

    def zero_grad(self) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        for _, source in self._views:
            source.grad = None

    def state_dict(self) -> list[dict[str, object]]:
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states: list[dict[str, object]]) -> None:
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def schedule(step: int, total: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then down to `final_lr_ratio` as the recipe says.

    `cosine` falls all the way; `wsd` (warm-up, stable, decay: Hu et al. 2024, MiniCPM) stays, then falls straight
    over the last `cooldown` of the steps.
    """
    rising, final = max(1, round(recipe.warmup * total)), recipe.final_lr_ratio
    if step < rising:
        return (step + 1) / rising
    if recipe.schedule == "wsd":
        falling = max(1, round(recipe.cooldown * total))
        return final + (1 - final) * min(1.0, (total - step) / falling)
    progress = (step - rising) / max(1, total - rising)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _adamw(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    """torch's own where weights and moments are fp32; else ours. ModelError for bf16 weights that the recipe does not
    know of: every small update of them would be rounded away.
    """
    wanted = torch.float32 if recipe.master == "fp32" else torch.bfloat16
    found = {parameter.dtype for group in groups for parameter in group["params"]} - {wanted, torch.float32}
    if found:
        raise ModelError(
            f"recipe.master: {recipe.master} trains {_name(wanted)} weights, the student's are "
            f"{', '.join(sorted(map(_name, found)))}: load it as {_name(wanted)}; stochastic and kahan train bf16"
        )
    betas = (recipe.betas[0], recipe.betas[1])
    eight_bit = recipe.optimizer == "adamw-8bit"
    if recipe.master == "fp32":
        if not eight_bit:
            return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas)
        return LeanAdamW(groups, lr=recipe.learning_rate, betas=betas, eight_bit=True)
    return LeanAdamW(
        groups,
        lr=recipe.learning_rate,
        betas=betas,
        eight_bit=eight_bit,
        rounding=recipe.master,
        seed=recipe.seed,
    )


def _name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype, str(dtype))


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _split(
    model: nn.Module, head: nn.Module
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[tuple[nn.Parameter, nn.Parameter]]]:
    """Hidden matrices (a patch convolution as a flattened view of itself), everything else, and the views."""
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    tables |= {id(p) for p in head.parameters()}
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    views: list[tuple[nn.Parameter, nn.Parameter]] = []
    for parameter in _trained(model):
        if parameter.ndim == 2 and id(parameter) not in tables:
            matrices.append(parameter)
        elif parameter.ndim > 2:
            flat = nn.Parameter(parameter.data.flatten(1))
            assert flat.data_ptr() == parameter.data_ptr(), "a flattened view must share its storage"
            views.append((flat, parameter))
            matrices.append(flat)
        else:
            rest.append(parameter)
    return matrices, rest, views
