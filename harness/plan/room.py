"""Is there room for a checkpoint on the device that is to hold it? Asked before any weight is read.

require_room(pair, pair.teacher, folder, "int8", torch.device("cuda:0"))      # ResourceError with the arithmetic
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import psutil
import torch

from harness.pair import ModelSpec, Pair
from harness.plan.inference import needed, require_fits
from harness.plan.planning import default_size
from harness.plan.shapes import Shapes
from models.interface import architecture, saved_dtype


def require_room(pair: Pair, spec: ModelSpec, folder: Path, format_name: str, device: torch.device) -> None:
    """ResourceError where one clip at a time would not fit into what the device has free.

    Counted from the checkpoint's own config and headers. On a CPU the device is the machine: its available memory, and
    no CUDA context to pay for. ModelFault for a folder that is no checkpoint of this architecture.
    """
    need = needed(
        _shapes(spec.architecture, folder, json.dumps(spec.sizes, sort_keys=True)),
        format_name,
        frames=pair.data.frames,
        size=default_size(pair),
        batch=1,
        new_tokens=max(pair.evaluation.max_new_tokens, pair.latency.new_tokens),
    )
    what = f"{folder.name} as {format_name}" if spec.weights is None else f"{spec.weights} as {format_name}"
    if device.type == "cuda":
        require_fits(need, torch.cuda.mem_get_info(device)[0], what)
    else:
        require_fits(replace(need, context=0), psutil.virtual_memory().available, what, holder="this machine")


@lru_cache(maxsize=8)
def _shapes(name: str, folder: Path, told: str) -> Shapes:
    kind = architecture(name)
    network = kind.shapes_in(folder, json.loads(told))
    return Shapes(kind, network, network.config, saved_dtype(folder).itemsize)
