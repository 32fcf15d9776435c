"""The formulas of distillation against float64, written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.distill.loss import Objective, cross_entropy, distillation, forward_kl, jsd, reverse_kl
from harness.pair import Recipe


@pytest.fixture
def logits() -> tuple[Tensor, Tensor, Tensor]:
    """Student's, teacher's, and the answers: 6 tokens over 11 ids."""
    torch.manual_seed(0)
    return torch.randn(6, 11) * 4, torch.randn(6, 11) * 4, torch.randint(11, (6,))


def probabilities(logits: Tensor, temperature: float) -> list[list[float]]:
    rows = [[math.exp(x / temperature) for x in row] for row in logits.double().tolist()]
    return [[x / sum(row) for x in row] for row in rows]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def written_out(
    student: Tensor, teacher: Tensor, temperature: float, of_row: Callable[[list[float], list[float]], float]
) -> float:
    """Σ_tokens T² · of_row(p, q), one term at a time."""
    rows = zip(probabilities(teacher, temperature), probabilities(student, temperature), strict=True)
    return temperature**2 * sum(of_row(p, q) for p, q in rows)


def jsd_row(beta: float) -> Callable[[list[float], list[float]], float]:
    def of_row(p: list[float], q: list[float]) -> float:
        m = [beta * a + (1 - beta) * b for a, b in zip(p, q, strict=True)]
        return beta * kl(p, m) + (1 - beta) * kl(q, m)

    return of_row


def ce64(student: Tensor, answers: Tensor) -> float:
    total = 0.0
    for row, answer in zip(student.double().tolist(), answers.tolist(), strict=True):
        total -= row[answer] - math.log(sum(map(math.exp, row)))
    return total


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_forward_kl_goes_from_teacher_to_student_times_t_squared(
    logits: tuple[Tensor, ...], temperature: float
) -> None:
    student, teacher, _ = logits
    expected = written_out(student, teacher, temperature, kl)
    assert float(forward_kl(student, teacher, temperature)) == pytest.approx(expected, rel=1e-6)
    assert float(forward_kl(teacher, student, temperature)) != pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_reverse_kl_goes_from_student_to_teacher(logits: tuple[Tensor, ...], temperature: float) -> None:
    student, teacher, _ = logits
    expected = written_out(student, teacher, temperature, lambda p, q: kl(q, p))
    assert float(reverse_kl(student, teacher, temperature)) == pytest.approx(expected, rel=1e-6)
    assert float(reverse_kl(student, teacher, temperature)) == pytest.approx(
        float(forward_kl(teacher, student, temperature)), rel=1e-6
    )


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_jsd_is_the_mean_divergence_from_the_mixture_with_the_teachers_share_beta(
    logits: tuple[Tensor, ...], temperature: float, beta: float
) -> None:
    student, teacher, _ = logits
    expected = written_out(student, teacher, temperature, jsd_row(beta))
    assert float(jsd(student, teacher, temperature, beta)) == pytest.approx(expected, rel=1e-6)


def test_jsd_at_a_half_is_symmetric_and_at_most_ln_2(logits: tuple[Tensor, ...]) -> None:
    student, teacher, _ = logits
    one, other = jsd(student, teacher, 1.0, 0.5), jsd(teacher, student, 1.0, 0.5)
    torch.testing.assert_close(one, other)
    assert 0 < float(jsd(student * 100, -student * 100, 1.0, 0.5)) <= len(student) * math.log(2) * (1 + 1e-6)


def test_jsd_over_beta_tends_to_forward_kl_and_at_the_other_end_to_reverse_kl(logits: tuple[Tensor, ...]) -> None:
    student, teacher = logits[0].double() / 4, logits[1].double() / 4
    small = 1e-5
    torch.testing.assert_close(
        jsd(student, teacher, 2.0, small) / small, forward_kl(student, teacher, 2.0), rtol=1e-3, atol=0
    )
    torch.testing.assert_close(
        jsd(student, teacher, 2.0, 1 - small) / small, reverse_kl(student, teacher, 2.0), rtol=1e-3, atol=0
    )


def test_cross_entropy_is_summed_over_tokens(logits: tuple[Tensor, ...]) -> None:
    student, _, answers = logits
    assert float(cross_entropy(student, answers)) == pytest.approx(ce64(student, answers), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize(
    ("divergence", "of_row"),
    [("forward-kl", kl), ("reverse-kl", lambda p, q: kl(q, p)), ("jsd", jsd_row(0.3))],
)
def test_alpha_mixes_a_divergence_and_cross_entropy(
    logits: tuple[Tensor, ...], alpha: float, divergence: str, of_row: Callable[[list[float], list[float]], float]
) -> None:
    student, teacher, answers = logits
    expected = alpha * written_out(student, teacher, 3.0, of_row) + (1 - alpha) * ce64(student, answers)
    mixed = distillation(student, teacher, answers, Objective(alpha, 3.0, divergence, 0.3))  # type: ignore[arg-type]
    assert float(mixed) == pytest.approx(expected, rel=1e-6)


def test_an_objective_is_read_from_a_recipe() -> None:
    recipe = Recipe(split="pool", alpha=0.4, temperature=2.0, divergence="jsd", beta=0.1)
    assert Objective.of(recipe) == Objective(0.4, 2.0, "jsd", 0.1)


def test_without_a_teacher_it_is_plain_cross_entropy(logits: tuple[Tensor, ...]) -> None:
    student, _, answers = logits
    alone = distillation(student, None, answers, Objective(0.7, 3.0))
    assert float(alone) == pytest.approx(ce64(student, answers), rel=1e-6)


def test_the_gradient_keeps_its_size_at_any_temperature() -> None:
    """What T² is for: at a high temperature the gradient tends to the difference of logits over the ids, not to 0."""
    torch.manual_seed(1)
    student, teacher = torch.randn(4, 7), torch.randn(4, 7)
    student, teacher = student - student.mean(1, keepdim=True), teacher - teacher.mean(1, keepdim=True)
    asked = student.clone().requires_grad_()
    forward_kl(asked, teacher, 100.0).backward()
    torch.testing.assert_close(asked.grad, (student - teacher) / 7, atol=1e-2, rtol=5e-2)


@pytest.mark.parametrize("divergence", ["forward-kl", "reverse-kl", "jsd"])
def test_a_student_that_equals_its_teacher_has_nothing_to_learn(logits: tuple[Tensor, ...], divergence: str) -> None:
    same = logits[0].clone().requires_grad_()
    loss = distillation(same, logits[0], logits[2], Objective(1.0, 3.0, divergence))  # type: ignore[arg-type]
    loss.backward()
    assert abs(loss.item()) < 1e-5
    assert same.grad is not None
    assert float(same.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("divergence", ["forward-kl", "reverse-kl", "jsd"])
def test_a_constant_added_to_all_logits_changes_nothing(logits: tuple[Tensor, ...], divergence: str) -> None:
    student, teacher, answers = logits
    objective = Objective(0.5, 2.0, divergence)  # type: ignore[arg-type]
    one = distillation(student, teacher, answers, objective)
    other = distillation(student + 50, teacher - 30, answers, objective)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_softmax_runs_in_fp32_even_on_bf16_logits(logits: tuple[Tensor, ...]) -> None:
    student, teacher, answers = logits[0].bfloat16(), logits[1].bfloat16(), logits[2]
    loss = distillation(student, teacher, answers, Objective(0.7, 3.0))
    expected = 0.7 * written_out(student, teacher, 3.0, kl) + 0.3 * ce64(student, answers)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(expected, rel=1e-5)
