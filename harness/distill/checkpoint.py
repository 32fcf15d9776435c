"""Checkpoints of a running training: the best and the last state, each written aside and then renamed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from harness.distill.optimizer import Optimizers


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands after `step` steps. `best` is (agreement, −loss) on held-out clips at `best_step`."""

    step: int = 0
    best: tuple[float, float] = (-1.0, 0.0)
    best_step: int = 0
    stale: int = 0  # evaluations since the best one
    seconds: float = 0.0
    curve: tuple[dict[str, float | None], ...] = ()


class Checkpoints:
    """`last/` holds weights, optimizer and cursor; `best.safetensors` the best weights alone."""

    def __init__(self, folder: Path, model: nn.Module, optimizers: Optimizers) -> None:
        self._folder, self._model, self._optimizers = folder, model, optimizers
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the last state; a kill in the middle leaves the one before."""
        aside = self._folder / f"step-{checkpoint.step}.tmp"
        aside.mkdir(exist_ok=True)
        save_file(self._weights(), aside / "model.safetensors")
        torch.save(self._optimizers.state_dict(), aside / "optimizer.pt")
        (aside / "checkpoint.json").write_text(json.dumps(asdict(checkpoint)))
        # The pointer is what counts: it changes in one rename, then the state before it can go.
        final = self._folder / f"step-{checkpoint.step}"
        _remove(final)
        aside.rename(final)
        pointer = self._folder / "last.tmp"
        pointer.write_text(final.name)
        with pointer.open("rb") as handle:
            os.fsync(handle.fileno())
        pointer.replace(self._folder / "last")
        for old in self._folder.glob("step-*"):
            if old.name != final.name:
                _remove(old)

    def restore(self) -> Checkpoint | None:
        """Load the last state into model and optimizers; None when there is none."""
        pointer = self._folder / "last"
        if not pointer.exists():
            return None
        folder = self._folder / pointer.read_text()
        self._load(load_file(folder / "model.safetensors"))
        self._optimizers.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
        told = json.loads((folder / "checkpoint.json").read_text())
        return Checkpoint(**{**told, "best": tuple(told["best"]), "curve": tuple(told["curve"])})

    def keep_best(self) -> None:
        aside = self._folder / "best.tmp"
        save_file(self._weights(), aside)
        aside.replace(self._folder / "best.safetensors")

    def load_best(self) -> None:
        self._load(load_file(self._folder / "best.safetensors"))

    def describe_last(self, step: int) -> str:
        return (
            f"the last good checkpoint is of step {step} in {self._folder}" if step else "no checkpoint was written yet"
        )

    def _weights(self) -> dict[str, torch.Tensor]:
        # named_parameters yields a tied weight once, which is what safetensors wants
        return {name: p.detach().contiguous() for name, p in self._model.named_parameters()}

    @torch.no_grad()
    def _load(self, weights: dict[str, torch.Tensor]) -> None:
        for name, parameter in self._model.named_parameters():
            parameter.copy_(weights[name])


def _remove(folder: Path) -> None:
    if folder.exists():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
