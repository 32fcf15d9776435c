"""Is there room for a model on the device that is to hold it? Asked before anything is loaded.

require_room(pair, "teacher", "int8", torch.device("cuda:0"))      # ResourceError with the arithmetic
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import psutil
import torch

from harness.pair import DataSpec, ModelSpec, Pair
from harness.plan.inference import needed, require_fits
from harness.plan.planning import default_size
from harness.plan.shapes import Shapes, shapes_of


def require_room(pair: Pair, side: Literal["teacher", "student"], format_name: str, device: torch.device) -> None:
    """ResourceError where one clip at a time would not fit into what the device has free.

    On a CPU the device is the machine: its available memory, and no CUDA context to pay for.
    """
    spec = pair.teacher if side == "teacher" else pair.student
    need = needed(
        _shapes(spec.model_dump_json(), pair.data.model_dump_json()),
        format_name,
        frames=pair.data.frames,
        size=default_size(pair),
        batch=1,
        new_tokens=max(pair.evaluation.max_new_tokens, pair.latency.new_tokens),
    )
    what = f"{side} as {format_name}"
    if device.type == "cuda":
        require_fits(need, torch.cuda.mem_get_info(device)[0], what)
    else:
        require_fits(replace(need, context=0), psutil.virtual_memory().available, what, holder="this machine")


@lru_cache(maxsize=4)
def _shapes(spec: str, data: str) -> Shapes:
    return shapes_of(ModelSpec.model_validate_json(spec), DataSpec.model_validate_json(data))
