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

from harness.errors import ResourceError
from harness.pair import ModelSpec, Pair
from harness.plan.inference import GB, needed, require_fits
from harness.plan.planning import default_size
from harness.plan.shapes import Shapes
from harness.plan.tokens import require_frames
from harness.plan.training import Lesson, mode_of, training_memory
from models.interface import architecture, saved_dtype


def require_room(pair: Pair, spec: ModelSpec, folder: Path, format_name: str, device: torch.device) -> None:
    """ResourceError where one clip at a time would not fit into what the device has free.

    Counted from the checkpoint's own config and headers. On a CPU the device is the machine: its available memory, and
    no CUDA context to pay for. UsageError for more frames than the context holds, ModelFault for a folder that is no
    checkpoint of this architecture.
    """
    shapes = shapes_in(spec, folder)
    frames, size = pair.data.frames, default_size(pair)
    new_tokens = max(pair.evaluation.max_new_tokens, pair.latency.new_tokens)
    name = spec.weights or folder.name
    require_frames(shapes, name, frames, size, new_tokens)
    need = needed(shapes, format_name, frames=frames, size=size, batch=1, new_tokens=new_tokens)
    what = f"{name} as {format_name}"
    if device.type == "cuda":
        require_fits(need, torch.cuda.mem_get_info(device)[0], what)
    else:
        require_fits(replace(need, context=0), psutil.virtual_memory().available, what, holder="this machine")


def require_room_to_train(pair: Pair, folder: Path, device: torch.device) -> None:
    """ResourceError where the student of `folder` cannot be trained on the device as the recipe says.

    On a CPU only weights, gradients and optimizer are asked for: its activations are not autocast.
    """
    recipe, split = pair.recipe, pair.data.splits[pair.recipe.split]
    shapes = shapes_in(pair.student, folder)
    lesson = Lesson(
        frames=pair.data.frames,
        size=default_size(pair),
        clips=recipe.micro_clips,
        questions=split.questions_per_clip or 1,
        answer_tokens=pair.evaluation.max_new_tokens,
        shared=shapes.text.vocabulary,
        teacher_width=0,  # its head comes on top; what does not fit without it does not fit
    )
    memory = training_memory(shapes, mode_of(recipe), lesson, checkpointed=recipe.gradient_checkpointing)
    cuda = device.type == "cuda"
    wanted = memory.total if cuda else memory.state
    free = torch.cuda.mem_get_info(device)[0] if cuda else psutil.virtual_memory().available
    if wanted > free:
        parts = [("weights", memory.weights), ("gradients", memory.gradients), ("optimizer", memory.optimizer)]
        if cuda:
            parts += [
                ("bf16 copies", memory.copies),
                ("activations", memory.activations),
                ("loss", memory.logits),
                ("CUDA context", memory.context),
            ]
        told = " + ".join(f"{name} {size / GB:.2f} GB" for name, size in parts)
        raise ResourceError(
            f"training {pair.student.weights or 'the student'} does not fit: {told} = {wanted / GB:.2f} GB, but "
            f"{'the card' if cuda else 'this machine'} has {free / GB:.2f} GB free: firstsight plan --pair {pair.name} "
            "says what would"
        )


def shapes_in(spec: ModelSpec, folder: Path) -> Shapes:
    """The shapes of a checkpoint, from its config and headers: no weight is read."""
    return _shapes(spec.architecture, folder, json.dumps(spec.sizes, sort_keys=True))


@lru_cache(maxsize=8)
def _shapes(name: str, folder: Path, told: str) -> Shapes:
    kind = architecture(name)
    network = kind.shapes_in(folder, json.loads(told))
    return Shapes(kind, network, network.config, saved_dtype(folder).itemsize)
