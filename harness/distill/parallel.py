"""One training in several processes, as `accelerate launch` (or torchrun, or srun with either) starts them.

    accelerate launch --num_processes 4 -m harness.cli distill --pair egogpt-qwen2vl --qa …
    accelerate launch --num_processes 4 --use_fsdp -m harness.cli distill …          # for the large

Each process learns from its share of every window. The loss is divided by the answer tokens of the whole window, so the
gradients are summed, not averaged, and are those of one process whatever the shares. With FSDP (Zhao et al. 2023, by
torch's fully_shard) the layers' weights, gradients and moments are spread over the processes; what is no layer stays
whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from models.interface import Architecture

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # others wait at the teacher's phase, which one process runs


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is. `sharded`: are the layers spread over them?"""

    rank: int = 0
    count: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes; those of sharded layers are summed by FSDP already."""
        if self.count == 1:
            return
        waiting = []
        for parameter in parameters:
            if isinstance(parameter, DTensor):
                continue
            if parameter.grad is None:  # a process whose share was empty
                parameter.grad = torch.zeros_like(parameter)
            waiting.append(dist.all_reduce(parameter.grad, async_op=True))
        for one in waiting:
            one.wait()

    def total(self, value: float) -> float:
        """The sum over all processes."""
        if self.count == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64, device=_device())
        dist.all_reduce(held)
        return float(held)

    def any(self, asked: int | None) -> int | None:
        """The largest of what the processes were asked, so that all stop at the same step."""
        if self.count == 1:
            return asked
        held = torch.tensor([asked or 0], device=_device())
        dist.all_reduce(held, op=dist.ReduceOp.MAX)
        return int(held) or None

    def told(self, value: T | None) -> T:
        """What the first process says, in all of them. Waits for it."""
        if self.count == 1:
            return value  # type: ignore[return-value]
        held: list[Any] = [value]
        dist.broadcast_object_list(held, src=0, device=_device())
        return held[0]  # type: ignore[no-any-return]

    def wait(self) -> None:
        if self.count > 1:
            dist.barrier()


ALONE = Ranks()


def joined() -> Ranks:
    """The processes that this one was started with: one, where no launcher started it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks()
    if not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1")
    return Ranks(dist.get_rank(), count, sharded)


def left() -> None:
    """Take leave of the others, once nothing is to be said any more."""
    if dist.is_initialized():
        dist.destroy_process_group()


def shard(model: Architecture, ranks: Ranks) -> None:
    """Spread the layers of the language model and of the vision tower over the processes."""
    if not ranks.sharded:
        return
    from torch.distributed.fsdp import FSDPModule, fully_shard

    stacks = [module for module in model.model.modules() if isinstance(module, nn.ModuleList)]
    for layer in [layer for stack in stacks for layer in stack if any(p.requires_grad for p in layer.parameters())]:
        fully_shard(layer)
        assert isinstance(layer, FSDPModule)
        layer.set_gradient_divide_factor(1.0)  # summed: the loss is divided by the tokens of the whole window
        layer.set_force_sum_reduction_for_comms(True)  # gloo knows no other sum; on NCCL it is the same


def whole(parameter: Tensor) -> Tensor:
    """A parameter as one tensor. All processes must ask, when it is spread."""
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter.detach()


@torch.no_grad()
def set_whole(parameter: Tensor, value: Tensor) -> None:
    """Give a parameter its value, its part of it where it is spread."""
    if isinstance(parameter, DTensor):
        value = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    parameter.copy_(value)


def clip_gradients(parameters: Sequence[nn.Parameter], norm: float, ranks: Ranks) -> float:
    """Scale all gradients so that their joint norm is at most `norm`; the norm before."""
    if not ranks.sharded:
        return float(torch.nn.utils.clip_grad_norm_(parameters, norm))
    grads = [p.grad for p in parameters if p.grad is not None]
    own = sum((float(g.to_local().float().square().sum()) for g in grads if isinstance(g, DTensor)), 0.0)
    joint = sum((float(g.float().square().sum()) for g in grads if not isinstance(g, DTensor)), 0.0)
    total = float((ranks.total(own) + joint) ** 0.5)
    factor = min(1.0, norm / (total + 1e-6))
    for grad in grads:
        (grad.to_local() if isinstance(grad, DTensor) else grad).mul_(factor)
    return total


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
