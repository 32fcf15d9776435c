"""What of a student a recipe trains: all of it, all but its vision tower, or low-rank adapters of its language model.

model = architecture.load(folder, format=load_format(recipe))
choose(model, recipe)      # then train those parameters that require a gradient
fold(model)                # then save: the same tensors by the same names, whatever was trained
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from harness.errors import ModelError
from harness.pair import Recipe
from models.interface import Architecture

LANGUAGE = ("language model", "head", "projector", "newline")  # of an architecture's PARTS: what `lm` trains
MERGER = "merger"  # Qwen2-VL's projector, which is a module of its tower
ADAPTER = "default"  # peft's name for the only one


def load_format(recipe: Recipe) -> str:
    """The format of `models/formats.py` that the student is loaded in, so that what is trained has the right type."""
    if recipe.parameters == "lora":
        return "native"  # frozen; the adapters are fp32 whatever they are beside
    return "fp32" if recipe.master == "fp32" else "bf16"


def is_frozen_tower(recipe: Recipe) -> bool:
    """Does the vision tower see the same in every step, so that its output can be cached?"""
    return recipe.parameters != "full"


def choose(model: Architecture, recipe: Recipe) -> None:
    """Let those parameters require a gradient that the recipe trains, and no others; with `lora`, add them.

    ModelError for a student whose weights are quantised.
    """
    for name, parameter in model.model.named_parameters():
        if not parameter.is_floating_point():
            raise ModelError(
                f"the student's {name} is {str(parameter.dtype).removeprefix('torch.')}: quantised weights cannot be "
                "trained; give the pair's student floating-point weights"
            )
        # said of each, whatever the weights came with: random ones, say, are made to require none
        parameter.requires_grad_(
            recipe.parameters == "full" or (recipe.parameters == "lm" and _is_language(model, name))
        )
    if recipe.parameters == "lora":
        _add_adapters(model, recipe)


def _is_language(model: Architecture, name: str) -> bool:
    parts = [where for part, where in model.PARTS.items() if part in LANGUAGE]
    return any(name == where or name.startswith(f"{where}.") for where in (*parts, f"{model.PARTS['vision']}.{MERGER}"))


def _add_adapters(model: Architecture, recipe: Recipe) -> None:
    """LoRA (Hu et al. 2022) in place: y = Wx + (α/r)·BAx on every Linear of the language model, B zero at first."""
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds to import, and is rarely wanted

    inside = f"{model.PARTS['language model']}."
    linears = [name for name, module in model.model.named_modules() if isinstance(module, nn.Linear)]
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,  # type: ignore[arg-type]  # peft divides it by r
        target_modules=[name for name in linears if name.startswith(inside)],
    )
    with torch.random.fork_rng(devices=[]):  # A is drawn on the CPU, then moved
        torch.manual_seed(recipe.seed)
        inject_adapter_in_model(config, model.model, ADAPTER)
    for parameter in model.model.parameters():
        if parameter.requires_grad:  # peft makes them the type of the weights beside them
            parameter.data = parameter.data.float()


@torch.no_grad()
def fold(model: Architecture) -> None:
    """Add adapters to the weights they belong to, and take them away; nothing where there are none.

    The sum is made in fp32 and rounded once to the weights' own type.
    """
    if not hasattr(model.model, "peft_config"):
        return
    from peft.tuners.lora import Linear

    for name, module in list(model.model.named_modules()):
        if isinstance(module, Linear):
            base = cast(nn.Linear, module.get_base_layer())
            base.weight.copy_(base.weight.float() + module.get_delta_weight(ADAPTER))
            parent, _, own = name.rpartition(".")
            setattr(model.model.get_submodule(parent), own, base)
    del model.model.peft_config
    model.model.requires_grad_(True)
