"""VARIANTS: every deployable form of a pair, by name: from which weights, in which format.

Adding one is one entry (see docs/adding-a-variant.md):

    VARIANTS["int8-loose"] = Variant("int8-loose", weights="teacher", load=int8, side="teacher")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from harness.errors import UsageError, oneline
from harness.pair import Pair
from models.interface import Architecture, architecture

Loader = Callable[[type[Architecture], Path, torch.device], Architecture]


def native(kind: type[Architecture], folder: Path, device: torch.device) -> Architecture:
    """Weights as they were saved."""
    model = kind.load(folder)
    model.to(device)
    return model


def int8(kind: type[Architecture], folder: Path, device: torch.device) -> Architecture:
    """bitsandbytes LLM.int8 of every Linear but the head, quantised while loading."""
    return kind.load(folder, format="int8", device_map={"": device})


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
    def trained(self) -> bool:
        """Do its weights come from an arm of the experiment, so that another seed gives another model?"""
        return self.weights not in ("teacher", "undistilled")


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("baseline", "teacher", native, "teacher"),
        Variant("int8", "teacher", int8, "teacher"),
        Variant("distilled", "distilled", native, "student"),
        Variant("distilled-int8", "distilled", int8, "student"),
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
    """Read the variant's weights onto the device."""
    spec = pair.teacher if variant.side == "teacher" else pair.student
    return LoadedVariant(variant, variant.load(architecture(spec.architecture), folder, device), folder, digest, seed)
