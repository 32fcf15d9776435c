"""The distillation loss and its gradients straight from states and head, a chunk of tokens at a time.

Over 152k ids, one fp32 copy of the logits of 4 096 tokens is 2.5 GB, and autograd keeps half a dozen. Here a few
buffers of one chunk are all there is: a chunk's gradient is known as soon as its logits are, so forward makes logits,
loss and gradients of each chunk in turn, and backward only multiplies. (The idea is Liger-Kernel's, Hsu et al. 2024;
the gradients here are derived by hand, so that no autograd runs inside.)

The passes between the products are plain torch operations over a few rows that stay in the cache: 13 ns a logit on one
core of an EPYC, beside 460 of products at a hidden size of 1536. As one function under torch.compile, which fuses them,
it is 15 ns after 5 to 25 s of compiling (`benchmarks/loss_passes.py`), so nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.distill.chunked import Logits
from harness.distill.knowledge import Dense, Known, TopK
from harness.distill.loss import Objective, bucketed_kl_, divergence_, log_softmax_
from harness.errors import ModelError


@dataclass(frozen=True)
class Scores:
    """What a student makes of answers that it is shown, summed over tokens."""

    loss: float
    kl: float | None  # KL(teacher ‖ student) at T = 1 in nats; None without a teacher, or without its lse at T = 1
    top1: Tensor  # bool [tokens]: is the answer's id the student's likeliest


def fused_distillation(
    states: Tensor, head: Tensor, answer_ids: Tensor, objective: Objective, teacher: Known | None
) -> Tensor:
    """`distillation(states @ head.T, …)`, summed over tokens, with gradients for `states` [N, h] and `head` [ids, h].

    Logits and all that follows are fp32. Products have half-precision operands where CUDA's autocast or the states' own
    dtype asks for them, and add up in fp32; gradients come in the dtype of their inputs. A top-k teacher gives a lower
    bound of forward KL (see `bucketed_kl_`). Backward may run once.
    """
    wanted = [torch.is_grad_enabled() and one.requires_grad for one in (states, head)]
    if not any(wanted):
        return _sum(states, head, answer_ids, objective, teacher, wanted)[0]
    loss: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]
        states, head, answer_ids, objective, teacher, wanted
    )
    return loss


@torch.no_grad()
def score(states: Tensor, head: Tensor, answer_ids: Tensor, objective: Objective, teacher: Known | None) -> Scores:
    """The loss, KL at T = 1 and top-1, without gradients."""
    student = Logits(states, head)
    known = _knowledge(teacher, objective, student)
    softened = known is not None and objective.alpha > 0
    alpha, temperature = (objective.alpha if softened else 0.0), objective.temperature
    exact = known is not None and known.can_be_exact
    loss, kl = torch.zeros(2, dtype=torch.float64, device=states.device)
    top1 = torch.empty(len(states), dtype=torch.bool, device=states.device)
    for rows, (logits, *of_teacher) in student.chunks(1 if known is None else 1 + known.buffers):
        student(rows, 1.0, logits)
        if known is not None:
            known.begin(rows, 1.0, of_teacher)
        for part, (some, log_q, log_p, spare) in student.parts(rows, logits, 3):
            top1[part] = some.argmax(-1) == answer_ids[part]
            log_softmax_(some, log_q)
            loss += (1 - alpha) * _of_answers(log_q, answer_ids[part])
            if known is not None and exact:
                kl += known(part, Objective(1.0, 1.0), log_q, log_p, spare, None)[0].sum(dtype=torch.float64)
            if known is not None and softened:
                log_softmax_(some.mul_(1 / temperature), log_q)
                values, _ = known(part, objective, log_q, log_p, spare, None, 1 / temperature)
                loss += alpha * temperature**2 * values.sum(dtype=torch.float64)
    return Scores(float(loss), float(kl) if exact else None, top1)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        head: Tensor,
        answer_ids: Tensor,
        objective: Objective,
        teacher: Known | None,
        wanted: Sequence[bool],
    ) -> Tensor:
        loss, *ctx.gradients = _sum(states, head, answer_ids, objective, teacher, wanted)
        ctx.dtypes = states.dtype, head.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError("the gradients of a fused loss are handed over, not kept: backward runs once")
        # In place: a copy of the head's gradient is a gigabyte.
        gradients = [
            None if one is None else one.mul_(of_loss).to(dtype)
            for one, dtype in zip(ctx.gradients, ctx.dtypes, strict=True)
        ]
        ctx.gradients = None
        return (*gradients, None, None, None, None)


@torch.no_grad()
def _sum(
    states: Tensor,
    head: Tensor,
    answer_ids: Tensor,
    objective: Objective,
    teacher: Known | None,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The loss over all chunks, and its gradients by states and head as far as they are wanted."""
    student = Logits(states, head)
    known = None if objective.alpha == 0 else _knowledge(teacher, objective, student)
    alpha, temperature = (0.0 if known is None else objective.alpha), objective.temperature
    # At T = 1 both parts are of one softmax, so that the cross-entropy's q is a weight of the divergence's own.
    apart = 0 < alpha < 1 and temperature != 1
    own = 0.0 if alpha == 0 or apart else (1 - alpha) / alpha
    loss = torch.zeros((), dtype=torch.float64, device=states.device)
    of_states = torch.zeros_like(states, dtype=student.dtype) if wanted[0] else None
    # Zeros would be a pass over a gigabyte: the first chunk overwrites.
    new = torch.empty_like if len(states) else torch.zeros_like
    of_head = new(head, dtype=student.dtype) if wanted[1] else None
    for rows, (logits, *of_teacher) in student.chunks(1 if known is None else 1 + known.buffers):
        student(rows, 1 / temperature if alpha == 1 else 1.0, logits)
        if known is not None:
            known.begin(rows, 1 / temperature, of_teacher)
        weight = 1.0
        for part, (some, log_q, log_p, hard) in student.parts(rows, logits, 3):
            if apart:
                log_softmax_(some, hard)
                some.mul_(1 / temperature)
            log_softmax_(some, log_q)
            if alpha < 1:
                loss += (1 - alpha) * _of_answers(hard if apart else log_q, answer_ids[part])
            if known is not None:
                values, weight = known(part, objective, log_q, log_p, some, own if any(wanted) else None)
                loss += alpha * temperature**2 * values.sum(dtype=torch.float64)
                weight *= alpha * temperature
            if not any(wanted):
                continue
            if known is None:
                torch.exp(log_q, out=some)
            if apart:
                torch.add(hard.exp_(), some, alpha=weight / (1 - alpha), out=some)
                weight = 1 - alpha
            if alpha < 1:
                at = answer_ids[part].unsqueeze(-1)
                some.scatter_(-1, at, some.gather(-1, at) - (1 - alpha) / weight)
        if any(wanted):
            student.add_gradients(rows, logits, weight, of_states, of_head)
    return loss.to(student.dtype), of_states, of_head


def _of_answers(log_q: Tensor, answer_ids: Tensor) -> Tensor:
    return -log_q.gather(-1, answer_ids.unsqueeze(-1)).sum(dtype=torch.float64)


class _FromDense:
    """The divergence from all of the teacher's logits, which are made for a chunk and used up part by part."""

    buffers = 1
    can_be_exact = True

    def __init__(self, teacher: Dense, student: Logits) -> None:
        self.teacher = Logits(teacher.states, teacher.head, student.dtype)

    def begin(self, rows: slice, scale: float, buffers: Sequence[Tensor]) -> None:
        self.logits, self.start = self.teacher(rows, scale, buffers[0]), rows.start

    def __call__(
        self,
        part: slice,
        objective: Objective,
        log_q: Tensor,
        log_p: Tensor,
        spare: Tensor,
        own: float | None,
        scale: float = 1.0,
    ) -> tuple[Tensor, float]:
        logits = self.logits[part.start - self.start : part.stop - self.start]
        if scale != 1:
            logits.mul_(scale)
        log_softmax_(logits, log_p)
        return divergence_(log_p, log_q, spare, logits, objective, own)


class _FromTopK:
    """Forward KL from the likeliest ids alone."""

    buffers = 0

    def __init__(self, teacher: TopK, objective: Objective) -> None:
        if objective.divergence != "forward-kl":
            raise ModelError(
                f"{objective.divergence} asks for the teacher's probability of every id, and its cache has the "
                f"{teacher.ids.shape[-1]} likeliest; take divergence: forward-kl, or leave out top_k"
            )
        if objective.alpha > 0 and objective.temperature not in teacher.lse:
            there = ", ".join(f"{one:g}" for one in sorted(teacher.lse)) or "none"
            raise ModelError(
                f"the teacher's cache has no log-sum-exp at temperature {objective.temperature:g}, only at: {there}; "
                "take one of them, or make the targets again"
            )
        self.teacher, self.can_be_exact = teacher, 1.0 in teacher.lse

    def begin(self, rows: slice, scale: float, buffers: Sequence[Tensor]) -> None:
        pass

    def __call__(
        self,
        part: slice,
        objective: Objective,
        log_q: Tensor,
        log_p: Tensor,
        spare: Tensor,
        own: float | None,
        scale: float = 1.0,
    ) -> tuple[Tensor, float]:
        lse = self.teacher.lse[objective.temperature][part].unsqueeze(-1)
        top_log_p = self.teacher.logits[part].double() / objective.temperature - lse
        return bucketed_kl_(self.teacher.ids[part], top_log_p, log_q, spare, own)


def _knowledge(teacher: Known | None, objective: Objective, student: Logits) -> _FromDense | _FromTopK | None:
    if teacher is None:
        return None
    if len(teacher) != len(student.states):
        raise ModelError(f"teacher and student disagree on the answer tokens: {len(teacher)} and {len(student.states)}")
    if isinstance(teacher, TopK):
        return _FromTopK(teacher, objective)
    if len(teacher.head) != len(student.head):
        raise ModelError(f"heads of {len(teacher.head)} and {len(student.head)} ids: cut both to the shared ids")
    return _FromDense(teacher, student)
