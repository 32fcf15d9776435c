"""Parameters by part, and the bytes that weights take in each number format, scales and buffers included.

weight_bytes(shapes, "int8").total      # what harness.measure.memory.weight_bytes finds after loading
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from torch import nn

from harness.errors import ModelError
from harness.plan.shapes import Shapes
from models.interface import FORMATS, Format, format_of, is_quantised

SCALE_BYTES = 4  # fp32: a scale a row in LLM.int8 (SCB), a scale a block in NF4 (absmax)
WHOLE_BYTES = {"bf16": 2, "fp32": 4}  # of a number, in formats that are one type throughout
NF4_BLOCK = 64  # weights a scale, bitsandbytes' default for 4 bit


@dataclass(frozen=True)
class WeightBytes:
    """Bytes of a model's weights in one format."""

    format: str
    values: int
    scales: int  # of quantised weights
    buffers: int  # rotary frequencies, position ids

    @property
    def total(self) -> int:
        return self.values + self.scales + self.buffers


@dataclass(frozen=True)
class Quantised:
    """What a format quantises of a part: how many Linears with how many weights."""

    part: str
    linears: int
    weights: int


@dataclass(frozen=True)
class _Held:
    name: str
    part: str
    numbers: int
    values: int
    scales: int


def parameters_by_part(shapes: Shapes) -> dict[str, int]:
    """Part → number of parameters; a tied tensor counts once, where its name comes first."""
    counts: dict[str, int] = {}
    for name, parameter in shapes.network.named_parameters():
        part = shapes.part_of(name)
        counts[part] = counts.get(part, 0) + parameter.numel()
    order = ["embedding", *shapes.kind.PARTS]
    return dict(sorted(counts.items(), key=lambda one: order.index(one[0]) if one[0] in order else len(order)))


def parameters(shapes: Shapes) -> int:
    """All of them."""
    return sum(parameters_by_part(shapes).values())


@cache
def weight_bytes(shapes: Shapes, format_name: str, parts: tuple[str, ...] | None = None) -> WeightBytes:
    """Bytes of the weights as loaded in a format; of some parts only, and then without buffers.

    A quantised Linear of `[out, in]`: int8 out·in + 4·out (Dettmers et al. 2022, LLM.int8, a scale per row); NF4
    out·in/2 + 4·⌈out·in/64⌉ (Dettmers et al. 2023, QLoRA, a scale per block; without double quantisation). All else:
    2 bytes a number in bf16, 4 in fp32, the checkpoint's own width in native, int8 and nf4.
    """
    held = [one for one in _held(shapes, known_format(format_name)) if parts is None or one.part in parts]
    buffers = 0
    if parts is None:
        buffers = sum(one.numel() * one.element_size() for _, one in shapes.network.named_buffers())
    return WeightBytes(format_name, sum(h.values for h in held), sum(h.scales for h in held), buffers)


def quantised_by_part(shapes: Shapes, format_name: str) -> tuple[Quantised, ...]:
    """Part by part, what the format quantises; empty for a format that quantises nothing."""
    format = known_format(format_name)
    found: dict[str, Quantised] = {}
    for name, module in _quantised(shapes, format):
        part = shapes.part_of(name)
        before = found.get(part, Quantised(part, 0, 0))
        found[part] = Quantised(part, before.linears + 1, before.weights + module.weight.numel())
    return tuple(found.values())


@cache
def largest_quantised(shapes: Shapes, format_name: str, part: str) -> int:
    """Weights of a part's largest quantised Linear: what NF4 makes whole again, one at a time, for many rows."""
    found = _quantised(shapes, known_format(format_name))
    return max((module.weight.numel() for name, module in found if shapes.part_of(name) == part), default=0)


def known_format(name: str) -> Format:
    """ModelError for a format that models/formats.py does not have."""
    if name not in FORMATS:
        raise ModelError(f"unknown format {name!r}; there are {', '.join(FORMATS)}")
    return format_of(name)


def _quantised(shapes: Shapes, format: Format) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in shapes.network.named_modules():
        if isinstance(module, nn.Linear) and is_quantised(name, shapes.kind.PARTS, format):
            yield name, module


def _held(shapes: Shapes, format: Format) -> Iterator[_Held]:
    rows = {f"{name}.weight": module.out_features for name, module in _quantised(shapes, format)}
    native = WHOLE_BYTES.get(format.name, shapes.native_bytes)
    for name, parameter in shapes.network.named_parameters():
        count, part = parameter.numel(), shapes.part_of(name)
        if name not in rows:
            yield _Held(name, part, count, count * native, 0)
        elif format.bits == 8:
            yield _Held(name, part, count, count, SCALE_BYTES * rows[name])
        else:
            yield _Held(name, part, count, -(-count // 2), SCALE_BYTES * -(-count // NF4_BLOCK))
