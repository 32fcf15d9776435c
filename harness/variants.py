"""VARIANTS: every deployable form of a pair, by name: from which weights, in which format.

Adding one is one entry (see docs/adding-a-variant.md):

    VARIANTS["int8-loose"] = Variant("int8-loose", weights="teacher", load=int8, side="teacher")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from harness.errors import UsageError, oneline
from harness.pair import ModelSpec, Pair
from harness.plan.room import require_room
from models.interface import FORMATS, Architecture, architecture

Loader = Callable[[type[Architecture], Path, torch.device, Mapping[str, Any]], Architecture]


def native(kind: type[Architecture], folder: Path, device: torch.device, told: Mapping[str, Any]) -> Architecture:
    """Weights as they were saved."""
    return kind.load(folder, device=device, told=told)


def int8(kind: type[Architecture], folder: Path, device: torch.device, told: Mapping[str, Any]) -> Architecture:
    """bitsandbytes LLM.int8, quantised while loading; which modules, says `models/formats.py`."""
    return kind.load(folder, format="int8", device=device, told=told)


def nf4(kind: type[Architecture], folder: Path, device: torch.device, told: Mapping[str, Any]) -> Architecture:
    """bitsandbytes 4-bit NormalFloat, quantised while loading; which modules, says `models/formats.py`."""
    return kind.load(folder, format="nf4", device=device, told=told)


@dataclass(frozen=True)
class Variant:
    """One form of the model. `weights` names what `Lineage.weights` makes or finds; a control is never shipped."""

    name: str
    weights: str
    load: Loader
    side: Literal["teacher", "student"]
    control: bool = False

    @property
    def loader(self) -> str:
        """The loading function by its name, so that a fresh process can load the variant as this one did."""
        return f"{self.load.__module__}:{self.load.__qualname__}"

    @property
    def format(self) -> str:
        """The format's name in `models/formats.py`: that of the loading function, or native where it has none there."""
        return self.load.__name__ if self.load.__name__ in FORMATS else "native"

    @property
    def trained(self) -> bool:
        """Do its weights come from an arm of the experiment, so that another seed gives another model?"""
        return self.weights not in ("teacher", "undistilled")


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("baseline", "teacher", native, "teacher"),
        Variant("int8", "teacher", int8, "teacher"),
        Variant("nf4", "teacher", nf4, "teacher"),
        Variant("distilled", "distilled", native, "student"),
        Variant("distilled-int8", "distilled", int8, "student"),
        Variant("distilled-nf4", "distilled", nf4, "student"),
        Variant("undistilled", "undistilled", native, "student", control=True),
        Variant("finetuned", "finetuned", native, "student", control=True),
        Variant("hard-labels", "hard-labels", native, "student", control=True),
    )
}


@dataclass(frozen=True)
class LoadedVariant:
    """A variant in memory. `digest` is of the weights it was loaded from."""

    variant: Variant
    model: Architecture
    folder: Path
    digest: str
    seed: int = 0

    @property
    def name(self) -> str:
        return self.variant.name


def chosen(names: str | None, pair: Pair) -> list[Variant]:
    """Variants by a comma-separated list, or the pair's own; baseline always comes first.

    UsageError names an unknown one and lists those that exist.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()] if names is not None else list(pair.variants)
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown or not wanted:
        what = f"unknown variant {oneline(unknown[0])!r}" if unknown else "--variants names none"
        raise UsageError(f"{what}; there are {', '.join(VARIANTS)}")
    return [VARIANTS[name] for name in dict.fromkeys(wanted)]


def load(variant: Variant, pair: Pair, folder: Path, digest: str, device: torch.device, seed: int = 0) -> LoadedVariant:
    """Read the variant's weights onto the device. ResourceError, with the arithmetic, where they would not fit."""
    spec = spec_of(variant, pair)
    require_room(pair, spec, folder, variant.format, device)
    model = variant.load(architecture(spec.architecture), folder, device, spec.sizes)
    return LoadedVariant(variant, model, folder, digest, seed)


def spec_of(variant: Variant, pair: Pair) -> ModelSpec:
    """The side of the pair that a variant is a form of."""
    return pair.teacher if variant.side == "teacher" else pair.student
