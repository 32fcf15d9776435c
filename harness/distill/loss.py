"""The objective of distillation: each formula one function over logits, in fp32, summed over tokens.

Callers divide by the number of answer tokens of the whole accumulation window: a mean of micro-batch means would weight
tokens by the accident of how a batch was cut. Training takes `fused.fused_distillation`, the same number without ever
holding all logits: it runs on the forms in place at the end of this file, whose gradients are derived by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from harness.pair import Recipe


@dataclass(frozen=True)
class Objective:
    """α · T² · divergence at temperature T + (1 − α) · cross-entropy at T = 1."""

    alpha: float
    temperature: float
    divergence: Literal["forward-kl", "reverse-kl", "jsd"] = "forward-kl"
    beta: float = 0.5  # jsd: the teacher's share of the mixture, between 0 and 1

    @classmethod
    def of(cls, recipe: Recipe) -> Objective:
        return cls(recipe.alpha, recipe.temperature, recipe.divergence, recipe.beta)


def log_softmax(logits: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / T), in fp32: neighbouring bf16 numbers are 0.125 apart at a logit of 20.

    Not torch's own, which on a CPU adds up a row one id after another: over 20k ids, of which one has half the mass,
    its KL is 3e-6 too large, and over 152k the gradient is off by 1e-5. `sum` and `logsumexp` add up in a tree.
    """
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    shifted = scaled - scaled.detach().amax(-1, keepdim=True)
    return shifted - shifted.logsumexp(-1, keepdim=True)


def forward_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Σ_tokens T² · KL(p ‖ q), KL(p ‖ q) = Σ_ids p (log p − log q), p = teacher, q = student, both softened by T.

    Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", §2. Logits `[tokens, shared ids]`,
    already cut to the shared ids. T² keeps the gradient's size independent of T.
    """
    p, q = log_softmax(teacher_logits, temperature), log_softmax(student_logits, temperature)
    return temperature**2 * functional.kl_div(q, p, reduction="sum", log_target=True)


def reverse_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Σ_tokens T² · KL(q ‖ p), p = teacher, q = student, both softened by T: it seeks a mode, forward KL covers all.

    Gu et al. 2024, "MiniLLM: Knowledge Distillation of Large Language Models", eq. 1, here a token at a time.
    """
    p, q = log_softmax(teacher_logits, temperature), log_softmax(student_logits, temperature)
    return temperature**2 * functional.kl_div(p, q, reduction="sum", log_target=True)


def jsd(student_logits: Tensor, teacher_logits: Tensor, temperature: float, beta: float) -> Tensor:
    """Σ_tokens T² · (β KL(p ‖ m) + (1 − β) KL(q ‖ m)), m = β p + (1 − β) q, p = teacher, q = student, softened by T.

    The generalised JSD(β) of Agarwal et al. 2024, "On-Policy Distillation of Language Models" (GKD), eq. 1. In this
    convention β is the teacher's share, ½ is the symmetric Jensen–Shannon divergence, and JSD(β) / β → KL(p ‖ q) as
    β → 0, JSD(β) / (1 − β) → KL(q ‖ p) as β → 1. Nothing is divided here, so the loss itself vanishes at both ends.
    """
    p, q = log_softmax(teacher_logits, temperature), log_softmax(student_logits, temperature)
    m = _log_mixture(p.exp(), q.exp(), beta)
    of_teacher = functional.kl_div(m, p, reduction="sum", log_target=True)
    of_student = functional.kl_div(m, q, reduction="sum", log_target=True)
    return temperature**2 * (beta * of_teacher + (1 - beta) * of_student)


def _log_mixture(p: Tensor, q: Tensor, beta: float, out: Tensor | None = None) -> Tensor:
    """log (β p + (1 − β) q), finite where both are 0.

    By logaddexp it would be 1e-7 too small on average, and a JSD of a tenth of a nat a millionth too large.
    """
    m = torch.lerp(q, p, beta, out=out)
    floor = torch.finfo(m.dtype).tiny
    return m.clamp_min(floor).log() if out is None else m.clamp_min_(floor).log_()


def cross_entropy(student_logits: Tensor, answer_ids: Tensor) -> Tensor:
    """Σ_tokens −log q(answer token), at T = 1. Logits `[tokens, ids]`, ids `[tokens]`."""
    return functional.nll_loss(log_softmax(student_logits, 1.0), answer_ids, reduction="sum")


def distillation(
    student_logits: Tensor, teacher_logits: Tensor | None, answer_ids: Tensor, objective: Objective
) -> Tensor:
    """α · T² · divergence + (1 − α) · CE, summed over tokens; plain CE without a teacher's logits."""
    alpha, temperature = objective.alpha, objective.temperature
    if teacher_logits is None or alpha == 0:
        return cross_entropy(student_logits, answer_ids)
    match objective.divergence:
        case "forward-kl":
            loss = forward_kl(student_logits, teacher_logits, temperature)
        case "reverse-kl":
            loss = reverse_kl(student_logits, teacher_logits, temperature)
        case "jsd":
            loss = jsd(student_logits, teacher_logits, temperature, objective.beta)
    if alpha == 1:
        return loss
    return alpha * loss + (1 - alpha) * cross_entropy(student_logits, answer_ids)


# In place, for a few rows at a time: log p, log q `[rows, ids]` → each row's divergence, at T as given and without T².
# With q = softmax(a), and `own` ≥ 0 the weight of q itself (the cross-entropy's part, where it shares this softmax),
# (∂ divergence / ∂a + own · q) / weight is left in `spare`, and `weight` is returned: a constant factor is for the
# products that follow, not worth a pass. With own None no gradient is wanted. Every tensor given is overwritten.


def log_softmax_(logits: Tensor, out: Tensor) -> Tensor:
    """log softmax(logits) in `out`; the logits are shifted, which changes none of their softmaxes."""
    if logits.is_cuda:  # one kernel, which adds up in a tree
        return torch.log_softmax(logits, -1, out=out)
    logits.sub_(logits.amax(-1, keepdim=True))
    return torch.sub(logits, torch.exp(logits, out=out).sum(-1, keepdim=True).log_(), out=out)


def divergence_(
    log_p: Tensor, log_q: Tensor, spare: Tensor, other: Tensor, objective: Objective, own: float | None
) -> tuple[Tensor, float]:
    """The objective's divergence, in place."""
    match objective.divergence:
        case "forward-kl":
            return forward_kl_(log_p, log_q, spare, own)
        case "reverse-kl":
            return reverse_kl_(log_p, log_q, spare, own)
        case "jsd":
            return jsd_(log_p, log_q, spare, other, objective.beta, own)


def forward_kl_(log_p: Tensor, log_q: Tensor, spare: Tensor, own: float | None) -> tuple[Tensor, float]:
    """KL(p ‖ q) = Σ p (log p − log q), of which only −Σ p a + log Σ exp a depends on a: ∂/∂a = q − p."""
    log_ratio = torch.sub(log_p, log_q, out=spare)
    p = log_p.exp_()
    values = log_ratio.mul_(p).sum(-1)
    if own is None:
        return values, 1.0
    torch.sub(log_q.exp_(), p, alpha=1 / (1 + own), out=spare)
    return values, 1 + own


def reverse_kl_(log_p: Tensor, log_q: Tensor, spare: Tensor, own: float | None) -> tuple[Tensor, float]:
    """KL(q ‖ p) = Σ q r, r = log q − log p. As ∂q_j/∂a_i = q_j (δ_ij − q_i) and Σ ∂q = 0: ∂/∂a = q (r − KL)."""
    log_ratio = torch.sub(log_q, log_p, out=log_p)
    q = log_q.exp_()
    values = torch.mul(q, log_ratio, out=spare).sum(-1)
    if own is not None:
        torch.mul(q, log_ratio.sub_((values - own).unsqueeze(-1)), out=spare)
    return values, 1.0


def jsd_(
    log_p: Tensor, log_q: Tensor, spare: Tensor, other: Tensor, beta: float, own: float | None
) -> tuple[Tensor, float]:
    """β KL(p ‖ m) + (1 − β) KL(q ‖ m), m = β p + (1 − β) q.

    By q_i it changes by −β (1 − β) p_i / m_i + (1 − β) (log q_i / m_i + 1) − (1 − β)² q_i / m_i; the outer terms add up
    to −(1 − β) m_i / m_i, so (1 − β) log q_i / m_i is left, and through the softmax, as for the reverse KL,
    ∂/∂a = (1 − β) q (log q / m − KL(q ‖ m)).
    """
    log_m = _log_mixture(torch.exp(log_p, out=spare), torch.exp(log_q, out=other), beta, out=spare)
    of_p, of_q = log_p.sub_(log_m), log_q.sub_(log_m)
    teachers = torch.add(of_p, log_m, out=other).exp_().mul_(of_p).sum(-1)
    q = log_m.add_(of_q).exp_()
    students = torch.mul(q, of_q, out=other).sum(-1)
    if own is not None:
        q.mul_(of_q.sub_((students - own / (1 - beta)).unsqueeze(-1)))
    return beta * teachers + (1 - beta) * students, 1 - beta


def bucketed_kl_(
    top_ids: Tensor, top_log_p: Tensor, log_q: Tensor, spare: Tensor, own: float | None
) -> tuple[Tensor, float]:
    """Forward KL where only the k likeliest ids' p are known: Σ_top p (log p − log q) + r (log r − log s).

    r = 1 − Σ_top p and s = Σ_rest q are what both leave to all other ids, as one bucket. By the log-sum inequality
    Σ_rest p log (p / q) ≥ r log (r / s), so this is a lower bound of KL(p ‖ q), equal to it where p / q is the same for
    all other ids (Cover and Thomas, "Elements of Information Theory", Theorem 2.7.1). ∂/∂a = q − p at the k ids, and
    q − r q / s at the others. The k numbers of a row are cheap: in fp64.
    """
    top_log_p, top_log_q = top_log_p.double(), log_q.gather(-1, top_ids).double()
    top_p = top_log_p.exp()
    covered = top_p.sum(-1, keepdim=True)
    # Rounding may put the covered mass above 1, and where k is all ids there is no other.
    left = (1 - covered).clamp(min=0) * (top_ids.shape[-1] < log_q.shape[-1])
    # s as a sum and not as 1 − Σ_top q, which is noise where the student is sure; shifted by its largest term.
    log_q.scatter_(-1, top_ids, torch.finfo(log_q.dtype).min)
    shift = log_q.amax(-1, keepdim=True)
    rest = log_q.sub_(shift).exp_()
    total = rest.sum(-1, keepdim=True).double()
    log_s = shift.double() + total.log()
    values = (top_p * (top_log_p - top_log_q)).sum(-1) + (torch.xlogy(left, left) - left * log_s).squeeze(-1)
    if own is not None:
        mass = covered + left + own  # 1 + own but for rounding: the gradient's row still adds up to own
        torch.mul(rest, (mass * shift.double().exp() - left / total).to(rest.dtype), out=spare)
        spare.scatter_(-1, top_ids, (mass * top_log_q.exp() - top_p).to(rest.dtype))
    return values, 1.0
