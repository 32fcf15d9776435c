"""How far one next-token distribution is from another: reported at T = 1, never softened."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def token_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(teacher ‖ student) at T = 1 in nats for each token: logits `[tokens, shared ids]` → `[tokens]`, in fp32."""
    teacher = functional.log_softmax(teacher_logits.float(), dim=-1)
    student = functional.log_softmax(student_logits.float(), dim=-1)
    return functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
