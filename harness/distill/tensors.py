"""Tensors on disk, whole or not at all (`harness/durable.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from harness.durable import written


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """As safetensors."""
    with written(path) as aside:
        save_file({name: one.contiguous() for name, one in tensors.items()}, aside, metadata=dict(metadata or {}))
