"""Checkpoints of a running training: the best and the last state, whole or not at all, and no others.

Kept are the parameters that are trained (what is frozen is in the weights it started from), the optimizers' state and
the cursor; random numbers need no keeping, because each step seeds them by its number.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from harness.artifact import is_disk_full
from harness.distill.optimizer import Optimizers
from harness.distill.parallel import ALONE, Ranks, set_whole, whole
from harness.distill.tensors import write_tensors
from harness.durable import write_text, written
from harness.errors import ModelError, ResourceError


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands after `step` steps. `best` is (agreement, −loss) on held-out clips at `best_step`."""

    step: int = 0
    best: tuple[float, float] = (-1.0, 0.0)
    best_step: int = 0
    stale: int = 0  # evaluations since the best one
    seconds: float = 0.0
    curve: tuple[dict[str, float | None], ...] = ()
    price: Mapping[str, Any] | None = None  # of the work that led here


class Checkpoints:
    """`step-N/` holds trained weights, optimizers and cursor, `last` names it; `best.safetensors` the best weights."""

    def __init__(self, folder: Path, model: nn.Module, optimizers: Optimizers, ranks: Ranks = ALONE) -> None:
        self._folder, self._model, self._optimizers, self._ranks = folder, model, optimizers, ranks
        self._saved: int | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the last state; a kill in the middle leaves the one before. ResourceError when the disk is full."""
        weights = self._weights()
        final = self._folder / f"step-{checkpoint.step}"
        aside = self._folder / f"step-{checkpoint.step}.tmp"
        with self._naming_the_last():
            if self._ranks.first:
                _remove(aside)
                aside.mkdir()
                write_tensors(aside / "model.safetensors", weights)
                write_text(aside / "checkpoint.json", json.dumps({**asdict(checkpoint), "ranks": self._ranks.count}))
            self._ranks.wait()
            if self._ranks.first or self._ranks.sharded:
                with written(aside / self._state_name) as path:
                    torch.save(self._optimizers.state_dict(), path)
            self._ranks.wait()
            if self._ranks.first:
                _remove(final)
                aside.rename(final)
                # The pointer is what counts: it changes in one rename, then the state before it can go.
                write_text(self._folder / "last", final.name)
                for old in self._folder.glob("step-*"):
                    if old.name != final.name:
                        _remove(old)
        self._ranks.wait()
        self._saved = checkpoint.step

    def restore(self) -> Checkpoint | None:
        """Load the last state into model and optimizers; None when there is none."""
        pointer = self._folder / "last"
        if not pointer.exists():
            return None
        folder = self._folder / pointer.read_text(encoding="utf-8")
        told = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        if self._ranks.sharded and told.pop("ranks", 1) != self._ranks.count:
            raise ModelError(
                f"{folder}: the optimizer's state is spread over another number of processes than the "
                f"{self._ranks.count} here; launch as many as before, or remove the folder to start again"
            )
        told.pop("ranks", None)
        self._load(folder / "model.safetensors")
        self._optimizers.load_state_dict(torch.load(folder / self._state_name, weights_only=True))
        self._saved = told["step"]
        return Checkpoint(**{**told, "best": tuple(told["best"]), "curve": tuple(told["curve"])})

    def keep_best(self) -> None:
        weights = self._weights()
        with self._naming_the_last():
            if self._ranks.first:
                write_tensors(self._folder / "best.safetensors", weights)
        self._ranks.wait()

    def load_best(self) -> None:
        self._load(self._folder / "best.safetensors")

    def describe_last(self) -> str:
        if self._saved is None:
            return "no checkpoint was written yet"
        return f"the last good checkpoint is of step {self._saved} in {self._folder}"

    @property
    def _state_name(self) -> str:
        return f"optimizer-{self._ranks.rank}.pt" if self._ranks.sharded else "optimizer.pt"

    @contextmanager
    def _naming_the_last(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not is_disk_full(error, self._folder):
                raise
            for half in self._folder.glob("*.tmp"):  # they only take the room that is missing
                _remove(half)
            raise ResourceError(
                f"disk full while saving a checkpoint; {self.describe_last()}; free some space, then run again to go on"
            ) from error

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        # named_parameters yields a tied weight once, which is what safetensors wants
        return ((name, p) for name, p in self._model.named_parameters() if p.requires_grad)

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: whole(parameter).contiguous() for name, parameter in self._trained()}

    def _load(self, path: Path) -> None:
        weights = load_file(path)
        for name, parameter in self._trained():
            set_whole(parameter, weights[name])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
