"""Our AdamW: torch's trajectory in fewer bytes, bf16 weights that learn, and chance that is fair and repeats."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.distill import adamw
from harness.distill.adamw import LeanAdamW, round_stochastically
from harness.plan.training import moment_bytes

BETAS = (0.9, 0.95)
USUAL = {"lr": 1e-3, "betas": BETAS, "weight_decay": 0.1}
SHAPES = ((70, 100), (64, 64), (9, 9), (5000,))  # a last block that is not full, a full one, a tiny one, a vector
FORMS = [(torch.float32, "kahan"), (torch.bfloat16, "stochastic"), (torch.bfloat16, "kahan")]


@pytest.fixture(autouse=True)
def _alone(one_thread: None) -> None:
    """Small tensors: more threads only get in each other's way."""


def parameters(dtype: torch.dtype = torch.float32, shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[nn.Parameter]:
    chance = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=chance).to(dtype)) for shape in shapes]


def walk(optimizer: torch.optim.Optimizer, steps: range, scale: float = 1.0) -> None:
    """Gradients that depend on the step alone."""
    for step in steps:
        chance = torch.Generator().manual_seed(step)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = (torch.randn(p.shape, generator=chance) * scale + 0.3 * scale).to(p.dtype)
        optimizer.step()


def eight_bits(params: Any, **options: Any) -> LeanAdamW:
    return LeanAdamW(params, eight_bit=True, **options)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    held = io.BytesIO()
    torch.save(state, held)
    held.seek(0)
    return torch.load(held, weights_only=True)  # type: ignore[no-any-return]


# --- the trajectory


def test_in_fp32_it_is_torchs_adamw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a tensor is worked on in several pieces."""
    monkeypatch.setattr(adamw, "CHUNK", 512)
    ours, theirs = parameters(), parameters()
    walk(LeanAdamW(ours, **USUAL), range(20))
    walk(torch.optim.AdamW(theirs, **USUAL), range(20))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("dtype", "rounding"), FORMS)
@pytest.mark.parametrize("eight_bit", [False, True])
def test_the_size_of_the_pieces_changes_nothing(
    dtype: torch.dtype, rounding: Any, eight_bit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for chunk in (2**22, 1024):
        monkeypatch.setattr(adamw, "CHUNK", chunk)
        moved = parameters(dtype)
        walk(LeanAdamW(moved, eight_bit=eight_bit, rounding=rounding, **USUAL), range(3))
        found.append(moved)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def apart(one: Tensor, other: Tensor, start: Tensor) -> float:
    """How far two ends lie from each other, relative to the way from the start."""
    return float((one - other).norm() / (other - start).norm())


def test_eight_bit_moments_follow_those_of_32_bits_and_bitsandbytes() -> None:
    start, exact, ours, theirs = ([p.detach() for p in parameters(shapes=SHAPES[:2])] for _ in range(4))
    for ends, make in ((exact, torch.optim.AdamW), (ours, eight_bits), (theirs, bnb.optim.AdamW8bit)):
        moved = [nn.Parameter(p) for p in ends]
        walk(make(moved, **USUAL), range(40))
    for one, other, third, begin in zip(ours, exact, theirs, start, strict=True):
        assert 0 < apart(one, other, begin) < 0.02
        assert apart(third, other, begin) < 0.02
        assert apart(one, third, begin) < 0.01


def test_gradients_of_very_different_sizes_in_a_block_do_not_throw_a_weight_far() -> None:
    """What an 8-bit second moment rounds to zero, a weight is divided by. Here bitsandbytes' on a CPU ends 70 % off."""
    size = torch.exp(2.5 * torch.randn(128, 64, generator=torch.Generator().manual_seed(1))) * 1e-4
    ends, start = [], parameters(shapes=((128, 64),))[0].detach()
    for make in (torch.optim.AdamW, eight_bits, bnb.optim.AdamW8bit):
        p, furthest = nn.Parameter(start.clone()), 0.0
        optimizer = make([p], lr=1.0, betas=BETAS, weight_decay=0.0)
        for step in range(50):
            before = p.detach().clone()
            p.grad = size * torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
            optimizer.step()
            furthest = max(furthest, float((p.detach() - before).abs().max()))
        ends.append(p.detach())
        assert furthest < (1.2 if make is not bnb.optim.AdamW8bit else 2)
    assert apart(ends[1], ends[0], start) < 0.25 < 0.5 < apart(ends[2], ends[0], start)


def test_the_largest_update_is_reached_and_not_passed() -> None:
    """The bound that rounded moments are held to is exact: gradients that grow as β₁/β₂ a step reach it."""
    for steps in (1, 2, 5, 30):
        mean = square = 0.0
        for step in range(steps):
            g = (BETAS[0] / BETAS[1]) ** (steps - 1 - step)
            mean, square = BETAS[0] * mean + 0.1 * g, BETAS[1] * square + 0.05 * g * g
        update = (mean / (1 - BETAS[0] ** steps)) / math.sqrt(square / (1 - BETAS[1] ** steps))
        assert adamw._largest_update(*BETAS, steps) == pytest.approx(update)
    assert adamw._largest_update(0.99, 0.95, 100_000) == math.inf
    assert adamw._largest_update(0.9, 0.0, 3) == math.inf


@pytest.mark.parametrize(("dtype", "rounding"), FORMS)
def test_with_eight_bits_a_small_problem_is_solved(dtype: torch.dtype, rounding: Any) -> None:
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(128, 64, generator=chance)
    wanted = inputs @ torch.randn(64, 64, generator=chance) / 8
    (p,) = parameters(dtype, ((64, 64),))
    optimizer = LeanAdamW([p], lr=0.05, betas=BETAS, eight_bit=True, rounding=rounding)
    losses = []
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        optimizer.zero_grad()
        loss = (inputs @ p.float() - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 1e-6 * losses[0]


# --- bf16 weights


def test_at_a_small_rate_bf16_weights_stand_still_unless_their_rounding_is_minded() -> None:
    """A hundred steps of 1e-5 from 1.0, where bf16 knows 1.0 and 0.996."""
    ends = {}
    makers: dict[str, tuple[torch.dtype, Callable[..., torch.optim.Optimizer]]] = {
        "exact": (torch.float32, torch.optim.AdamW),
        "plain": (torch.bfloat16, torch.optim.AdamW),
        "stochastic": (torch.bfloat16, lambda p, **k: LeanAdamW(p, rounding="stochastic", **k)),
        "kahan": (torch.bfloat16, lambda p, **k: LeanAdamW(p, rounding="kahan", **k)),
    }
    for name, (dtype, make) in makers.items():
        p = nn.Parameter(torch.ones(200, 200, dtype=dtype))
        optimizer = make([p], lr=1e-5, betas=BETAS, weight_decay=0.0)
        for _ in range(100):
            p.grad = torch.ones_like(p)
            optimizer.step()
        ends[name] = p.detach().double()
        if name == "kahan":
            ends[name] = adamw._joined(p.detach().view(-1), optimizer.state[p]["remainder"]).double()
    assert float(ends["exact"].mean()) == pytest.approx(0.999, abs=2e-6)
    assert bool((ends["plain"] == 1).all())
    assert float((ends["kahan"] - ends["exact"].mean()).abs().max()) < 2e-6
    noise = 2**-8 * 0.5 / 200  # one in four of the 40,000 has gone a spacing down
    assert abs(float(ends["stochastic"].mean() - ends["exact"].mean())) < 5 * noise


def test_a_compensated_weight_is_the_fp32_weight_rounded() -> None:
    """Through a whole training: what bf16 has no place for is in the remainder, all of it."""
    weights, exact = parameters(torch.bfloat16), [nn.Parameter(p.detach().float()) for p in parameters(torch.bfloat16)]
    optimizer, reference = LeanAdamW(weights, rounding="kahan", **USUAL), torch.optim.AdamW(exact, **USUAL)
    for step in range(50):
        chance = torch.Generator().manual_seed(step)
        for one, other in zip(weights, exact, strict=True):
            one.grad = torch.randn(one.shape, generator=chance).bfloat16()
            other.grad = one.grad.float()
        optimizer.step()
        reference.step()
    for one, other in zip(weights, exact, strict=True):
        held = adamw._joined(one.detach().view(-1), optimizer.state[one]["remainder"]).view(one.shape)
        torch.testing.assert_close(held, other.detach(), rtol=1e-6, atol=1e-6)
        assert torch.equal(held.bfloat16(), one.detach())


@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_a_weight_and_its_remainder_are_the_number_to_its_last_bit(numbers: list[float]) -> None:
    exact = torch.tensor(numbers)
    weight, remainder = torch.empty(len(exact), dtype=torch.bfloat16), torch.empty(len(exact), dtype=torch.int16)
    adamw._split(exact, weight, remainder)
    assert torch.equal(weight.isnan(), exact.isnan())
    again = adamw._joined(weight, remainder)
    assert torch.equal(again.isnan(), exact.isnan())
    kept = ~exact.isnan()
    off = (again.view(torch.int32).long() - exact.view(torch.int32).long())[kept].abs()
    assert bool((off <= (remainder[kept] == 2**15 - 1)).all())


# --- rounding by chance


@settings(max_examples=30, deadline=None)
@given(st.floats(min_value=-(2.0**100), max_value=2.0**100, width=32, allow_subnormal=False))
def test_stochastic_rounding_is_right_on_average(number: float) -> None:
    """And takes one of the two neighbours."""
    count = 20_000
    rounded = round_stochastically(torch.full((count,), number), torch.Generator().manual_seed(0)).double()
    bits = torch.tensor([number]).view(torch.int32)
    below = (bits & -(2**16)).view(torch.float32).double()
    above = ((bits & -(2**16)) + 2**16).view(torch.float32).double()
    assert set(rounded.unique().tolist()) <= {float(below), float(above)}
    share = abs((number - float(below)) / float(above - below))
    deviation = math.sqrt(share * (1 - share) / count)
    assert abs(float((rounded != below).double().mean()) - share) <= 5 * deviation + 1e-12


@given(st.lists(st.floats(width=32), min_size=1, max_size=50), st.integers(0, 99))
def test_what_bf16_can_say_is_not_rounded(numbers: list[float], seed: int) -> None:
    """With infinities; and what is no number stays none."""
    values = torch.tensor([*numbers, math.inf, -math.inf, math.nan]).bfloat16().float()
    found = round_stochastically(values, torch.Generator().manual_seed(seed))
    torch.testing.assert_close(found.float(), values, rtol=0, atol=0, equal_nan=True)
    odd = torch.tensor([0x7F800001, 0x7FFFFFFF, -1, -0x7FFFFF], dtype=torch.int32).view(torch.float32)
    assert bool(round_stochastically(odd).isnan().all()), "nan of every kind: CUDA's is 0x7fffffff"


def test_chance_depends_on_seed_step_and_place_alone() -> None:
    def rounded(seed: int, stir: int) -> list[Tensor]:
        moved = parameters(torch.bfloat16)
        torch.manual_seed(stir)  # as dropout would, or another process' share of the clips
        walk(LeanAdamW(moved, seed=seed, **USUAL), range(3))
        return [p.detach() for p in moved]

    one, same, other = rounded(0, 1), rounded(0, 2), rounded(1, 1)
    assert all(map(torch.equal, one, same))
    assert not any(map(torch.equal, one, other))
    twins = [nn.Parameter(torch.full((70, 70), 1.0, dtype=torch.bfloat16)) for _ in range(2)]
    for p in twins:
        p.grad = torch.ones_like(p)
    LeanAdamW(twins, **USUAL).step()
    assert not torch.equal(*twins), "two parameters alike are rounded apart"


# --- 8 bits


@given(st.integers(0, 99), st.sampled_from([1, 255, 256, 257, 1000]), st.booleans())
def test_every_number_becomes_the_nearest_code(seed: int, size: int, signed: bool) -> None:
    values = torch.randn(size, generator=torch.Generator().manual_seed(seed)) ** 5
    values = values if signed else values.abs()
    state = {"mean": torch.empty(size, dtype=torch.uint8), "mean_scale": torch.empty(-(-size // 256))}
    adamw._write(state, "mean", values, signed=signed)
    codes, _ = adamw._codes(signed, torch.device("cpu"))
    scaled = (
        values
        / values.new_tensor([float(part.abs().max()) for part in values.split(256)]).repeat_interleave(256)[:size]
    )
    best = (scaled[:, None] - codes).abs().min(dim=1).values
    assert torch.allclose((codes[state["mean"].int()] - scaled).abs(), best, atol=1e-7)
    read = adamw._read(state, "mean", signed=signed)
    assert float((read - values).abs().max() / values.abs().max()) < 0.008


def test_a_block_of_zeros_stays_zero() -> None:
    (p,) = parameters(shapes=((64, 64),))
    optimizer, before = LeanAdamW([p], lr=1.0, betas=BETAS, eight_bit=True), p.detach().clone()
    for _ in range(3):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert torch.equal(p, before)


# --- state


def state_bytes(optimizer: torch.optim.Optimizer, p: nn.Parameter) -> int:
    return sum(value.nbytes for value in optimizer.state[p].values() if isinstance(value, Tensor))


@pytest.mark.parametrize(("dtype", "rounding"), FORMS)
@pytest.mark.parametrize("eight_bit", [False, True])
def test_the_state_is_as_large_as_plan_says(dtype: torch.dtype, rounding: Any, eight_bit: bool) -> None:
    """Except vectors, which keep fp32 moments at any size, and the remainders of compensated weights."""
    moved = parameters(dtype, (*SHAPES, (64, 63), (1000, 1000)))
    optimizer = LeanAdamW(moved, eight_bit=eight_bit, rounding=rounding, **USUAL)
    walk(optimizer, range(1))
    for p in moved:
        remainder = 2 * p.numel() if dtype == torch.bfloat16 and rounding == "kahan" else 0
        wanted = moment_bytes(p.numel(), eight_bit=eight_bit and p.ndim > 1)
        assert state_bytes(optimizer, p) == wanted + remainder, p.shape
    million = moved[-1]
    if eight_bit:
        a_parameter = (million.nbytes + state_bytes(optimizer, million)) / million.numel()
        documented = {"fp32": 6.03, "stochastic": 4.03, "kahan": 6.03}
        assert a_parameter == pytest.approx(documented["fp32" if dtype == torch.float32 else rounding], abs=0.01)


@pytest.mark.parametrize(("dtype", "rounding"), FORMS)
@pytest.mark.parametrize("eight_bit", [False, True])
def test_a_resumed_training_ends_at_the_same_bits(dtype: torch.dtype, rounding: Any, eight_bit: bool) -> None:
    def made(moved: list[nn.Parameter]) -> LeanAdamW:
        return LeanAdamW(moved, eight_bit=eight_bit, rounding=rounding, seed=3, **USUAL)

    whole = parameters(dtype)
    walk(made(whole), range(6))
    half = parameters(dtype)
    before = made(half)
    walk(before, range(3))
    saved = through_a_file({"state": before.state_dict(), "weights": [p.detach() for p in half]})
    again = [nn.Parameter(weight) for weight in saved["weights"]]
    after = made(again)
    after.load_state_dict(saved["state"])
    walk(after, range(3, 6))
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))


def test_a_loaded_state_is_a_copy_in_the_types_it_was_saved_in() -> None:
    """torch's own load_state_dict would cast all of it to bf16."""
    moved = parameters(torch.bfloat16)
    optimizer = LeanAdamW(moved, eight_bit=True, rounding="kahan", **USUAL)
    walk(optimizer, range(2))
    other = LeanAdamW(parameters(torch.bfloat16), eight_bit=True, rounding="kahan", **USUAL)
    other.load_state_dict(optimizer.state_dict())
    kept = [dict(optimizer.state[p]) for p in moved]
    loaded = [other.state[p] for p in other.param_groups[0]["params"]]
    for one, two in zip(kept, loaded, strict=True):
        for name, value in one.items():
            if isinstance(value, Tensor):
                assert value.dtype == two[name].dtype
                assert torch.equal(value, two[name])
                assert value.data_ptr() != two[name].data_ptr()


# --- what a model brings along


def test_without_a_gradient_nothing_moves_and_nothing_is_kept() -> None:
    frozen, moving = parameters(shapes=((64, 64), (64, 64)))
    before = frozen.detach().clone()
    optimizer = LeanAdamW([frozen, moving], eight_bit=True, **USUAL)
    moving.grad = torch.ones_like(moving)
    optimizer.step()
    assert torch.equal(frozen, before)
    assert frozen not in optimizer.state
    assert optimizer.state_dict()["state"].keys() == {1}
    again = LeanAdamW([frozen, moving], eight_bit=True, **USUAL)
    again.load_state_dict(optimizer.state_dict())
    assert moving in again.state
    assert frozen not in again.state


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_and_gradients_in_any_order_of_memory(dtype: torch.dtype) -> None:
    plain = parameters(dtype, ((64, 80),))[0]
    turned = nn.Parameter(plain.detach().t().contiguous().t())
    assert not turned.is_contiguous()
    optimizers = [LeanAdamW([p], eight_bit=True, rounding="kahan", **USUAL) for p in (plain, turned)]
    for step in range(3):
        grad = torch.randn(plain.shape, generator=torch.Generator().manual_seed(step)).to(dtype)
        plain.grad, turned.grad = grad, grad.t().contiguous().t()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(plain, turned)


@pytest.fixture
def _one_process() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("_one_process")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sharded_parameter_moves_as_its_local_part(dtype: torch.dtype) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    plain = parameters(dtype, ((70, 100),))[0]
    sharded = nn.Parameter(distribute_tensor(plain.detach().clone(), mesh, [Shard(0)]))
    optimizers = [LeanAdamW([p], eight_bit=True, rounding="kahan", **USUAL) for p in (plain, sharded)]
    for step in range(3):
        plain.grad = torch.randn(plain.shape, generator=torch.Generator().manual_seed(step)).to(dtype)
        sharded.grad = distribute_tensor(plain.grad.clone(), mesh, [Shard(0)])
        if step == 2:
            state = through_a_file(optimizers[1].state_dict())
            optimizers[1] = LeanAdamW([sharded], eight_bit=True, rounding="kahan", **USUAL)
            optimizers[1].load_state_dict(state)
        for optimizer in optimizers:
            optimizer.step()
    assert isinstance(sharded.data, DTensor)
    assert torch.equal(plain, sharded.full_tensor())


def test_other_kinds_of_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"parameter 0 is torch\.float16"):
        LeanAdamW(parameters(torch.float16), **USUAL)


def test_a_closure_is_asked_for_the_loss() -> None:
    (p,) = parameters(shapes=((9, 9),))
    optimizer = LeanAdamW([p], **USUAL)

    def loss() -> float:
        value = p.square().sum()
        value.backward()
        return float(value.detach())

    before = float(p.detach().square().sum())
    assert optimizer.step(loss) == pytest.approx(before)
    assert float(p.detach().square().sum()) < before
