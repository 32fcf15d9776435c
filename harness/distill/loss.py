"""Losses of distillation over answer tokens, in fp32, each the sum over tokens of one formula.

Callers divide by the number of answer tokens of the whole accumulation window: a mean of micro-batch means would weight
tokens by the accident of how a batch was cut.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def forward_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Σ_tokens T² · KL(p_T ‖ q_T), p = teacher, q = student, both softened by T (Hinton et al. 2015, §2).

    Logits `[tokens, shared ids]`, already cut to the shared ids. T² keeps the gradient's size independent of T.
    """
    teacher = functional.log_softmax(teacher_logits.float() / temperature, dim=-1)
    student = functional.log_softmax(student_logits.float() / temperature, dim=-1)
    return temperature**2 * functional.kl_div(student, teacher, reduction="sum", log_target=True)


def cross_entropy(student_logits: Tensor, answer_ids: Tensor) -> Tensor:
    """Σ_tokens −log q(answer token). Logits `[tokens, ids]`, ids `[tokens]`."""
    return functional.cross_entropy(student_logits.float(), answer_ids, reduction="sum")


def distillation(
    student_logits: Tensor,
    teacher_logits: Tensor | None,
    answer_ids: Tensor,
    *,
    alpha: float,
    temperature: float,
) -> Tensor:
    """α · T² KL + (1 − α) · CE, summed over tokens; plain CE without a teacher's logits."""
    if teacher_logits is None or alpha == 0:
        return cross_entropy(student_logits, answer_ids)
    kl = forward_kl(student_logits, teacher_logits, temperature)
    if alpha == 1:
        return kl
    return alpha * kl + (1 - alpha) * cross_entropy(student_logits, answer_ids)
