"""The formulas of distillation against float64, written out."""

from __future__ import annotations

import math

import pytest
import torch

from harness.distill.loss import cross_entropy, distillation, forward_kl


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Student's, teacher's, and the answers: 6 tokens over 11 ids."""
    torch.manual_seed(0)
    return torch.randn(6, 11) * 4, torch.randn(6, 11) * 4, torch.randint(11, (6,))


def kl64(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    """Σ_tokens T² Σ_ids p (log p − log q), one term at a time."""
    total = 0.0
    for q_row, p_row in zip(student.double().tolist(), teacher.double().tolist(), strict=True):
        q, p = ([math.exp(x / temperature) for x in row] for row in (q_row, p_row))
        q, p = ([x / sum(row) for x in row] for row in (q, p))
        total += temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total


def ce64(student: torch.Tensor, answers: torch.Tensor) -> float:
    total = 0.0
    for row, answer in zip(student.double().tolist(), answers.tolist(), strict=True):
        total -= row[answer] - math.log(sum(map(math.exp, row)))
    return total


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_forward_kl_goes_from_teacher_to_student_times_t_squared(
    logits: tuple[torch.Tensor, ...], temperature: float
) -> None:
    student, teacher, _ = logits
    expected = kl64(student, teacher, temperature)
    assert float(forward_kl(student, teacher, temperature)) == pytest.approx(expected, rel=1e-5)
    assert float(forward_kl(teacher, student, temperature)) != pytest.approx(expected, rel=0.01)


def test_cross_entropy_is_summed_over_tokens(logits: tuple[torch.Tensor, ...]) -> None:
    student, _, answers = logits
    assert float(cross_entropy(student, answers)) == pytest.approx(ce64(student, answers), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.7, 1.0])
def test_alpha_mixes_kl_and_cross_entropy(logits: tuple[torch.Tensor, ...], alpha: float) -> None:
    student, teacher, answers = logits
    expected = alpha * kl64(student, teacher, 3.0) + (1 - alpha) * ce64(student, answers)
    mixed = distillation(student, teacher, answers, alpha=alpha, temperature=3.0)
    assert float(mixed) == pytest.approx(expected, rel=1e-5)


def test_without_a_teacher_it_is_plain_cross_entropy(logits: tuple[torch.Tensor, ...]) -> None:
    student, _, answers = logits
    alone = distillation(student, None, answers, alpha=0.7, temperature=3.0)
    assert float(alone) == pytest.approx(ce64(student, answers), rel=1e-6)


def test_the_gradient_keeps_its_size_at_any_temperature() -> None:
    """What T² is for: at a high temperature the gradient tends to the difference of logits over the ids, not to 0."""
    torch.manual_seed(1)
    student, teacher = torch.randn(4, 7), torch.randn(4, 7)
    student, teacher = student - student.mean(1, keepdim=True), teacher - teacher.mean(1, keepdim=True)
    asked = student.clone().requires_grad_()
    forward_kl(asked, teacher, 100.0).backward()
    torch.testing.assert_close(asked.grad, (student - teacher) / 7, atol=1e-2, rtol=5e-2)


def test_a_student_that_equals_its_teacher_has_nothing_to_learn(logits: tuple[torch.Tensor, ...]) -> None:
    same = logits[0].clone().requires_grad_()
    loss = forward_kl(same, logits[0], 3.0)
    loss.backward()
    assert abs(loss.item()) < 1e-5
    assert same.grad is not None
    assert float(same.grad.abs().max()) < 1e-5


def test_a_constant_added_to_all_logits_changes_nothing(logits: tuple[torch.Tensor, ...]) -> None:
    student, teacher, answers = logits
    one = distillation(student, teacher, answers, alpha=0.5, temperature=2.0)
    other = distillation(student + 50, teacher - 30, answers, alpha=0.5, temperature=2.0)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_softmax_runs_in_fp32_even_on_bf16_logits(logits: tuple[torch.Tensor, ...]) -> None:
    student, teacher, answers = logits[0].bfloat16(), logits[1].bfloat16(), logits[2]
    loss = distillation(student, teacher, answers, alpha=0.7, temperature=3.0)
    expected = 0.7 * kl64(student, teacher, 3.0) + 0.3 * ce64(student, answers)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(expected, rel=1e-5)
