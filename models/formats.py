"""Number formats a checkpoint can be loaded in, and which parts of a model each leaves alone, with the reason.

`native`: as saved (released checkpoints: bf16). `bf16`, `fp32`: every floating tensor in that type.
`int8`: bitsandbytes' LLM.int8 (Dettmers et al., 2022): a Linear holds int8 weights with a scale per row; activation
columns with an outlier above the threshold stay in floating point.
`nf4`: bitsandbytes' 4-bit NormalFloat (Dettmers et al., QLoRA, 2023): a scale per block of 64 weights.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import BitsAndBytesConfig

logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # a line for every product, else
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # that a package we do not need is not there

INT8_THRESHOLD = 6.0  # the paper's; recorded with every int8 measurement
NF4_BLOCK = 64  # weights a scale


@dataclass(frozen=True)
class Format:
    """`kept`: parts of the model (by the names in an architecture's PARTS) that stay native, and why."""

    name: str
    kept: tuple[str, ...] = ()
    why: str = ""
    bits: int = 0  # of a quantised weight; 0: nothing is quantised

    def described(self) -> dict[str, Any]:
        """What a record says of it: an int8 threshold, or the block of a 4-bit scale, changes speed and answers."""
        told: dict[str, Any] = {"name": self.name, "kept_native": list(self.kept)}
        if self.name == "int8":
            told["llm_int8_threshold"] = INT8_THRESHOLD
        if self.name == "nf4":
            told |= {"block": NF4_BLOCK, "double_quantised": False}
        return told


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("native"),
        Format("bf16"),
        Format("fp32"),  # to train in: bf16 weights swallow updates of a small learning rate
        Format(
            "int8",
            ("head",),
            "every Linear but the head, whose errors go straight into the answer (and which Qwen2-VL-2B shares with "
            "its embedding)",
            8,
        ),
        Format(
            "nf4",
            ("head", "vision", "projector"),
            "the Linears of language model, speech encoder and speech projector. The vision tower stays native: its "
            "errors reach every visual token, it is 5 % of EgoGPT-7b, and SigLIP's width of 4304 is no multiple of a "
            "block of 64",
            4,
        ),
    )
}


def format_of(name: str) -> Format:
    """The format of that name; ValueError for one that is not known."""
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def quantisation(format: Format, parts: Mapping[str, str], dtype: torch.dtype | None = None) -> Any:
    """bitsandbytes' config for a model whose parts lie at these module names; None where nothing is quantised."""
    kept = [parts[part] for part in format.kept if part in parts]
    if format.name == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=INT8_THRESHOLD, llm_int8_skip_modules=kept)
    if format.name == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype or torch.bfloat16,
            llm_int8_skip_modules=kept,
        )
    return None


def is_quantised(name: str, parts: Mapping[str, str], format: Format) -> bool:
    """Does this format quantise the Linear at a module's name?"""
    if not format.bits:
        return False
    return not any(
        name == kept or name.startswith(f"{kept}.") for kept in (parts[p] for p in format.kept if p in parts)
    )
