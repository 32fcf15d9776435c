"""In what precision a training computes: bf16 autocast where the device has it and the recipe allows it."""

from __future__ import annotations

import torch

from harness.pair import Recipe
from models.interface import Architecture


def autocast(model: Architecture, recipe: Recipe) -> torch.autocast:
    """bf16 on a CUDA device that has it; else as the weights are."""
    use = recipe.precision == "auto" and model.device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(model.device.type, torch.bfloat16, enabled=use)
