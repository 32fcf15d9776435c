"""The fused loss against the plain one in float64; that no full logits ever exist; and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.distill import chunked
from harness.distill.fused import fused_distillation, score
from harness.distill.knowledge import Dense, Known, TopK
from harness.distill.loss import Objective, distillation
from harness.errors import ModelError
from harness.measure.divergence import token_kl

DIVERGENCES = ("forward-kl", "reverse-kl", "jsd")


@dataclass(frozen=True)
class Case:
    states: Tensor
    head: Tensor
    teacher: Dense
    answers: Tensor

    def to(self, dtype: torch.dtype) -> Case:
        taught = Dense(self.teacher.states.to(dtype), self.teacher.head.to(dtype))
        return Case(self.states.to(dtype), self.head.to(dtype), taught, self.answers)

    def logits(self) -> tuple[Tensor, Tensor]:
        """Student's and teacher's, of float64 products."""
        of_student = self.states.double() @ self.head.double().T
        return of_student, self.teacher.states.double() @ self.teacher.head.double().T


def make(tokens: int = 9, ids: int = 40, hidden: int = 8, spread: float = 3.0, seed: int = 0) -> Case:
    """Logits of about that spread: a language model's is 3, and the likeliest id then has a third of the mass."""
    generator = torch.Generator().manual_seed(seed)
    states, taught = (torch.randn(tokens, size, generator=generator) for size in (hidden, hidden + 4))
    head, taught_head = (torch.randn(ids, one.shape[1], generator=generator) for one in (states, taught))
    head, taught_head = head * spread / hidden**0.5, taught_head * spread / (hidden + 4) ** 0.5
    return Case(states, head, Dense(taught, taught_head), torch.randint(ids, (tokens,), generator=generator))


def likeliest(teacher: Dense, k: int, *temperatures: float) -> TopK:
    logits = teacher.states.double() @ teacher.head.double().T
    top = logits.topk(k)
    return TopK(top.indices, top.values.float(), {t: (logits / t).logsumexp(-1).float() for t in temperatures})


def exact(case: Case, objective: Objective, teacher: bool = True) -> tuple[float, Tensor, Tensor]:
    """The plain loss in float64, and its gradients by autograd."""
    wide = case.to(torch.float64)
    states, head = wide.states.clone().requires_grad_(), wide.head.clone().requires_grad_()
    loss = distillation(states @ head.T, case.logits()[1] if teacher else None, case.answers, objective)
    of_states, of_head = torch.autograd.grad(loss, (states, head))
    return loss.item(), of_states, of_head


def fused(case: Case, objective: Objective, teacher: Known | None) -> tuple[Tensor, Tensor, Tensor]:
    states, head = case.states.clone().requires_grad_(), case.head.clone().requires_grad_()
    loss = fused_distillation(states, head, case.answers, objective, teacher)
    (2 * loss).backward()
    assert states.grad is not None
    assert head.grad is not None
    return loss.detach(), states.grad / 2, head.grad / 2


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that even small cases are cut: four tokens of 40 ids a chunk, three a pass, ten ids of a head a product."""
    monkeypatch.setitem(chunked.CHUNK, "cpu", 2 * 4 * 40 * 4)
    monkeypatch.setitem(chunked.PART, "cpu", 3 * 40 * 4)
    monkeypatch.setitem(chunked.BLOCK, "cpu", 10 * 8 * 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


@pytest.fixture
def usual_chunks(small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_in_float64_loss_and_gradients_are_those_of_autograd(divergence: Any, temperature: float, alpha: float) -> None:
    """The derivations, without any rounding to hide behind."""
    case = make().to(torch.float64)
    objective = Objective(alpha, temperature, divergence, 0.3)
    loss, of_states, of_head = exact(case, objective)
    got = fused(case, objective, case.teacher)
    assert got[0].item() == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(got[1], of_states, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got[2], of_head, rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def many_ids() -> tuple[Case, tuple[Tensor, Tensor]]:
    """Twelve tokens over 20 000 ids, and their logits in float64."""
    case = make(tokens=12, ids=20_000, hidden=16, spread=4.0)
    return case, case.logits()


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_in_fp32_over_many_ids_the_loss_is_exact_to_a_millionth(
    usual_chunks: None,
    many_ids: tuple[Case, tuple[Tensor, Tensor]],
    divergence: Any,
    temperature: float,
    alpha: float,
) -> None:
    case, (student, teacher) = many_ids
    objective = Objective(alpha, temperature, divergence, 0.5)
    expected = float(distillation(student, teacher, case.answers, objective))
    plain = distillation(student.float(), teacher.float(), case.answers, objective)
    assert float(plain) == pytest.approx(expected, rel=1e-6)
    loss = fused_distillation(case.states, case.head, case.answers, objective, case.teacher)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_in_fp32_the_gradients_are_exact_but_for_rounding(usual_chunks: None, divergence: Any) -> None:
    case, objective = make(tokens=16, ids=2000, hidden=16), Objective(0.7, 3.0, divergence)
    _, *expected = exact(case, objective)
    for got, wanted in zip(fused(case, objective, case.teacher)[1:], expected, strict=True):
        assert got.dtype == torch.float32
        assert float((got - wanted).norm() / wanted.norm()) < 1e-6


def test_without_a_teacher_it_is_cross_entropy() -> None:
    case = make()
    loss, of_states, of_head = exact(case, Objective(0.7, 3.0), teacher=False)
    got = fused(case, Objective(0.7, 3.0), None)
    assert got[0].item() == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(got[1], of_states.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got[2], of_head.float(), rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    tokens=st.integers(0, 9),
    chunk=st.integers(1, 10),
    part=st.integers(1, 4),
    block=st.integers(1, 45),
    divergence=st.sampled_from(DIVERGENCES),
    alpha=st.sampled_from([0.0, 0.5, 1.0]),
    temperature=st.sampled_from([1.0, 2.5]),
)
def test_where_tokens_and_ids_are_cut_does_not_matter(
    tokens: int, chunk: int, part: int, block: int, divergence: Any, alpha: float, temperature: float
) -> None:
    case, objective = make(tokens).to(torch.float64), Objective(alpha, temperature, divergence)
    with pytest.MonkeyPatch.context() as cut:
        cut.setattr(chunked, "CHUNK", {"cpu": 1 << 30})
        cut.setattr(chunked, "PART", {"cpu": 1 << 30})
        whole = fused(case, objective, case.teacher)
        cut.setattr(chunked, "CHUNK", {"cpu": chunk * 2 * 40 * 8})
        cut.setattr(chunked, "PART", {"cpu": part * 40 * 8})
        cut.setattr(chunked, "BLOCK", {"cpu": block * 8 * 8})
        pieces = fused(case, objective, case.teacher)
    torch.testing.assert_close(pieces, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", [0, 1])
def test_no_token_is_a_loss_of_zero_and_one_token_is_a_chunk(tokens: int) -> None:
    case, objective = make(tokens), Objective(0.5, 2.0)
    loss, of_states, of_head = fused(case, objective, case.teacher)
    assert loss.item() == pytest.approx(exact(case, objective)[0], rel=1e-6)
    assert of_states.shape == case.states.shape
    assert bool(of_head.any()) == bool(tokens)
    assert score(case.states, case.head, case.answers, objective, case.teacher).top1.shape == (tokens,)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_extreme_logits_stay_finite(divergence: Any, temperature: float) -> None:
    """Logits of ±1e4, where the teacher is sure of what the student excludes."""
    case = make(spread=1e4)
    objective = Objective(0.5, temperature, divergence)
    for result in fused(case, objective, case.teacher):
        assert bool(result.isfinite().all())
    assert fused(case, objective, case.teacher)[0].item() == pytest.approx(exact(case, objective)[0], rel=1e-5)
    top = likeliest(case.teacher, 3, temperature)
    for result in fused(case, replace(objective, divergence="forward-kl"), top):
        assert bool(result.isfinite().all())


def test_a_gradient_flows_through_a_slice_of_a_tied_weight() -> None:
    """Rows beyond the shared ids get none, and the embedding's part is added to the head's."""
    case, objective = make(), Objective(0.7, 2.0)
    _, of_states, of_head = exact(case, objective)
    embedding = torch.nn.Parameter(torch.cat([case.head, torch.ones(5, 8)]))
    states = (case.states + 0 * embedding[0]).detach().requires_grad_()
    loss = fused_distillation(states, embedding[:40], case.answers, objective, case.teacher)
    (loss + embedding[7].sum()).backward()
    of_head[7] += 1
    torch.testing.assert_close(embedding.grad, torch.cat([of_head.float(), torch.zeros(5, 8)]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(states.grad, of_states.float(), rtol=1e-4, atol=1e-5)


def test_a_head_and_states_need_not_be_contiguous() -> None:
    case, objective = make(), Objective(0.7, 2.0)
    strided = replace(
        case,
        states=torch.stack([case.states, case.states], -1)[..., 0],
        head=torch.cat([case.head, case.head], 1)[:, :8],
        teacher=Dense(case.teacher.states.T.contiguous().T, torch.cat([case.teacher.head] * 2, 1)[:, :12]),
    )
    assert not strided.head.is_contiguous()
    torch.testing.assert_close(
        fused(strided, objective, strided.teacher), fused(case, objective, case.teacher), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(("of_states", "of_head"), [(True, False), (False, True), (False, False)])
def test_only_what_requires_a_gradient_gets_one(of_states: bool, of_head: bool) -> None:
    case, objective = make(), Objective(0.7, 2.0)
    expected = fused(case, objective, case.teacher)
    states, head = case.states.clone().requires_grad_(of_states), case.head.clone().requires_grad_(of_head)
    loss = fused_distillation(states, head, case.answers, objective, case.teacher)
    assert loss.requires_grad == (of_states or of_head)
    if loss.requires_grad:
        loss.backward()
    torch.testing.assert_close(loss.detach(), expected[0])
    for leaf, asked, gradient in ((states, of_states, expected[1]), (head, of_head, expected[2])):
        if asked:
            torch.testing.assert_close(leaf.grad, gradient)
        else:
            assert leaf.grad is None


def test_under_no_grad_no_gradient_is_made() -> None:
    case, seen = make(), Largest()
    with torch.no_grad(), seen:
        loss = fused_distillation(
            case.states.requires_grad_(), case.head.requires_grad_(), case.answers, Objective(0.5, 1.0), case.teacher
        )
    assert not loss.requires_grad
    assert seen.elements < case.head.numel()


def test_backward_runs_once() -> None:
    case = make()
    loss = fused_distillation(case.states.requires_grad_(), case.head, case.answers, Objective(0.5, 1.0), None)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward runs once"):
        loss.backward()


class Largest(TorchDispatchMode):
    """Sees every operation, also inside an autograd function: how many elements the largest new memory had."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {one.untyped_storage().data_ptr() for one in [*args, *(kwargs or {}).values()] if torch.is_tensor(one)}
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else [result]:
            if torch.is_tensor(one) and one.untyped_storage().data_ptr() not in known:
                self.elements = max(self.elements, one.untyped_storage().nbytes() // one.element_size())
        return result


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("known", ["dense", "top-k"])
def test_no_tensor_of_all_logits_ever_exists(divergence: Any, known: str) -> None:
    case = make(tokens=64, ids=40)
    objective = Objective(0.7, 2.0, "forward-kl" if known == "top-k" else divergence)
    teacher: Known = case.teacher if known == "dense" else likeliest(case.teacher, 5, 1.0, 2.0)
    states, head = case.states.requires_grad_(), case.head.requires_grad_()
    with Largest() as plain:
        distillation(states @ head.T, case.teacher.states @ case.teacher.head.T, case.answers, objective).backward()
    assert plain.elements == 64 * 40
    with Largest() as seen:
        fused_distillation(states, head, case.answers, objective, teacher).backward()
        score(states, head, case.answers, objective, teacher)
    of_states, of_head, chunk = states.numel(), head.numel(), (8 if known == "top-k" else 4) * 40
    assert seen.elements == max(of_states, of_head, chunk) < 64 * 40


def test_a_bf16_head_is_never_wholly_in_fp32() -> None:
    case = bf16(make(tokens=4))
    with Largest() as seen:
        loss = fused_distillation(case.states, case.head, case.answers, Objective(0.5, 1.0), case.teacher)
    assert loss.item() == pytest.approx(exact(case, Objective(0.5, 1.0))[0], rel=1e-6)
    assert seen.elements < case.head.numel()


def bf16(case: Case) -> Case:
    return case.to(torch.bfloat16)


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_bf16_inputs_give_bf16_gradients_of_fp32_sums(usual_chunks: None, divergence: Any) -> None:
    case, objective = bf16(make(tokens=48, ids=500, hidden=32)), Objective(0.7, 2.0, divergence)
    loss, of_states, of_head = exact(case, objective)
    got = fused(case, objective, case.teacher)
    assert got[0].dtype == torch.float32
    assert got[0].item() == pytest.approx(loss, rel=1e-6)
    assert got[1].dtype == got[2].dtype == torch.bfloat16
    assert cosine(got[1], of_states) > 0.9999
    assert cosine(got[2], of_head) > 0.9999


@pytest.fixture
def half_products(usual_chunks: None, monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """CUDA's way on a CPU: operands in bf16, sums in fp32. Returns what the operands were."""
    seen: list[torch.dtype] = []

    def add_product(out: Tensor, left: Tensor, right: Tensor, weight: float, keep: int = 1) -> None:
        seen.extend({left.dtype, right.dtype})
        out.copy_((out * keep if keep else 0) + weight * (left.float() @ right.float()))

    monkeypatch.setattr(chunked, "_operand", lambda states, wide: torch.bfloat16)
    monkeypatch.setattr(chunked, "_add_product", add_product)
    return seen


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_products_of_half_precision_keep_the_gradients_direction(
    half_products: list[torch.dtype], divergence: Any
) -> None:
    """As on CUDA under autocast: fp32 weights, cast once; the gradients are in the dtype of the weights."""
    case, objective = make(tokens=48, ids=500, hidden=32), Objective(0.7, 2.0, divergence)
    loss, of_states, of_head = exact(bf16(case), objective)
    got = fused(case, objective, case.teacher)
    assert set(half_products) == {torch.bfloat16}
    assert got[0].item() == pytest.approx(loss, rel=1e-5)
    assert got[1].dtype == got[2].dtype == torch.float32
    assert cosine(got[1], of_states) > 0.9999
    assert cosine(got[2], of_head) > 0.9999


def test_autocast_on_a_cpu_changes_nothing() -> None:
    """Its bf16 products are two hundred times slower than fp32 there."""
    case, objective = make(), Objective(0.7, 2.0)
    expected = fused(case, objective, case.teacher)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(fused(case, objective, case.teacher), expected, rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_cuda_autocast_and_bf16_keep_loss_and_direction(divergence: Any, dtype: torch.dtype) -> None:
    case, objective = make(tokens=300, ids=5000, hidden=64).to(dtype), Objective(0.7, 2.0, divergence)
    loss, of_states, of_head = exact(bf16(case), objective)
    taught = Dense(case.teacher.states.cuda(), case.teacher.head.cuda())
    there = Case(case.states.cuda(), case.head.cuda(), taught, case.answers.cuda())
    with torch.autocast("cuda", torch.bfloat16):
        got = fused(there, objective, there.teacher)
    assert got[0].item() == pytest.approx(loss, rel=1e-5)
    assert got[1].dtype == got[2].dtype == dtype
    assert cosine(got[1].cpu(), of_states) > 0.9999
    assert cosine(got[2].cpu(), of_head) > 0.9999


def bucketed(case: Case, top: TopK, temperature: float) -> tuple[float, Tensor]:
    """T² (Σ_top p log p/q + r log r/s) in float64, and its gradient by the student's logits, by autograd."""
    logits = case.logits()[0].requires_grad_()
    q = (logits / temperature).softmax(-1)
    p = (top.logits.double() / temperature - top.lse[temperature].double()[:, None]).exp()
    covered_q = q.gather(-1, top.ids)
    r, s = 1 - p.sum(-1), 1 - covered_q.sum(-1)
    loss = temperature**2 * ((p * (p / covered_q).log()).sum() + (r * (r / s).log()).sum())
    return loss.item(), torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_a_top_k_teachers_other_ids_are_one_bucket(temperature: float, alpha: float) -> None:
    case, objective = make().to(torch.float64), Objective(alpha, temperature)
    top = likeliest(case.teacher, 6, temperature)
    loss, of_logits = bucketed(case, top, temperature)
    hard, of_states, _ = exact(case, Objective(0.0, 1.0))
    got = fused(case, objective, top)
    assert got[0].item() == pytest.approx(alpha * loss + (1 - alpha) * hard, rel=1e-9)
    torch.testing.assert_close(got[1], alpha * of_logits @ case.head + (1 - alpha) * of_states, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_top_k_bounds_the_kl_from_below_and_reaches_it_with_all_ids(temperature: float) -> None:
    case, objective = make(), Objective(1.0, temperature)
    losses = [fused(case, objective, likeliest(case.teacher, k, temperature))[0].item() for k in (1, 5, 20, 39, 40)]
    assert losses[:4] == sorted(losses[:4])
    assert losses[3] == pytest.approx(losses[4], rel=1e-6), "the bucket holds one id: the same but for fp32's rounding"
    loss, of_states, of_head = exact(case, objective)
    assert losses[-1] == pytest.approx(loss, rel=1e-5)
    got = fused(case, objective, likeliest(case.teacher, 40, temperature))
    torch.testing.assert_close(got[1], of_states.float(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(got[2], of_head.float(), rtol=1e-3, atol=1e-4)


def test_top_k_is_exact_where_the_student_differs_only_among_the_k() -> None:
    """Then p / q is the same for all other ids."""
    torch.manual_seed(3)
    taught = torch.randn(6, 12)
    teacher = Dense(taught, torch.eye(12))
    top = likeliest(teacher, 4, 1.0)
    logits = taught.scatter_add(-1, top.ids, torch.randn(6, 4))
    answers = torch.zeros(6, dtype=torch.long)
    dense, sparse = (fused_distillation(logits, torch.eye(12), answers, Objective(1.0, 1.0), t) for t in (teacher, top))
    assert sparse.item() == pytest.approx(dense.item(), rel=1e-5)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_scores_are_the_loss_the_kl_at_1_and_the_top_1(divergence: Any, temperature: float) -> None:
    case, objective = make(), Objective(0.7, temperature, divergence, 0.2)
    scores = score(case.states.requires_grad_(), case.head, case.answers, objective, case.teacher)
    student, teacher = case.logits()
    assert scores.loss == pytest.approx(exact(case, objective)[0], rel=1e-6)
    assert scores.kl == pytest.approx(float(token_kl(student, teacher).sum()), rel=1e-5)
    assert scores.top1.tolist() == (student.argmax(-1) == case.answers).tolist()
    right = score(case.states, case.head, student.argmax(-1), objective, case.teacher)
    assert right.top1.all()


def test_scores_without_a_teacher_have_no_kl_and_without_its_share_still_do() -> None:
    case = make()
    alone = score(case.states, case.head, case.answers, Objective(0.7, 2.0), None)
    assert alone.kl is None
    assert alone.loss == pytest.approx(exact(case, Objective(0.0, 2.0))[0], rel=1e-6)
    beside = score(case.states, case.head, case.answers, Objective(0.0, 2.0), case.teacher)
    assert beside.loss == alone.loss
    assert beside.kl == pytest.approx(float(token_kl(*case.logits()).sum()), rel=1e-5)


def test_scores_of_a_top_k_teacher_need_its_lse_at_1_for_a_kl() -> None:
    case, objective = make(), Objective(0.7, 2.0)
    without = score(case.states, case.head, case.answers, objective, likeliest(case.teacher, 6, 2.0))
    both = score(case.states, case.head, case.answers, objective, likeliest(case.teacher, 6, 1.0, 2.0))
    assert without.kl is None
    assert both.kl == pytest.approx(bucketed(case, likeliest(case.teacher, 6, 1.0), 1.0)[0], rel=1e-5)
    assert both.loss == without.loss
    assert both.loss == pytest.approx(fused(case, objective, likeliest(case.teacher, 6, 2.0))[0].item(), rel=1e-6)


def refusals() -> Iterator[tuple[Objective, Known, str]]:
    case = make()
    top = likeliest(case.teacher, 6, 1.0, 3.0)
    yield Objective(0.5, 1.0, "jsd"), top, "jsd asks for the teacher's probability of every id"
    yield Objective(0.5, 1.0, "reverse-kl"), top, "6 likeliest"
    yield Objective(0.5, 2.5), top, "no log-sum-exp at temperature 2.5, only at: 1, 3"
    yield Objective(0.5, 1.0), Dense(case.teacher.states[:4], case.teacher.head), "answer tokens: 4 and 9"
    yield Objective(0.5, 1.0), Dense(case.teacher.states, case.teacher.head[:30]), "30 and 40 ids"


@pytest.mark.parametrize(("objective", "teacher", "why"), list(refusals()), ids=lambda value: str(value)[:30])
def test_what_a_teacher_cannot_tell_is_refused_in_one_line(objective: Objective, teacher: Known, why: str) -> None:
    case = make()
    for call in (fused_distillation, score):
        with pytest.raises(ModelError, match=why):
            call(case.states, case.head, case.answers, objective, teacher)


def test_every_form_of_knowledge_is_tested_here() -> None:
    assert set(get_args(Known)) == {Dense, TopK}
