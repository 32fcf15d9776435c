"""AdamW for little memory: 8-bit moments, and bf16 weights whose small updates are not lost.

    bytes a parameter (without its gradient)      weights   moments   kept
    fp32 weights, fp32 moments (torch's AdamW)       4         8
    fp32 weights, 8-bit moments                      4         2.03
    bf16 weights, stochastic, 8-bit moments          2         2.03
    bf16 weights, kahan, 8-bit moments               2         2.03      2

A bf16 weight has eight significant bits: at 1.0 an update of 1e-5 is a thousandth of its spacing, and rounding to
nearest would drop it, every time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import blake2b
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

Rounding = Literal["stochastic", "kahan"]

BLOCK = 256  # numbers that share a scale
LEAST = 4096  # smaller tensors, and vectors of any size (norms, biases), keep fp32 moments
CHUNK = 2**22  # numbers worked on at a time, a multiple of BLOCK: temporaries are 17 MB each, whatever the tensor
LOW = 2**16  # a bf16 number is the upper half of an fp32 number


class LeanAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019), every update computed in fp32:

        m ← β₁m + (1−β₁)g    v ← β₂v + (1−β₂)g²    w ← (1−ηλ)w − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)

    `eight_bit` keeps m and √v in 8 bits with a scale a block, as Dettmers et al. (2022) do but for the root: of v
    itself the dynamic map forgets what is below 2e-7 of its block's largest, gradients below 4e-4, and dividing by it
    throws such weights thousands of learning rates away. The root is as fine at the top and reaches as low as m does.

    `rounding` is how a bf16 weight takes its update (Zamirai et al. 2021, Revisiting BFloat16 Training): `stochastic`
    up or down by chance, right on average; `kahan` to nearest, and what that took away is kept and added back first.
    Kept in bf16, as the paper does, it would lose updates itself late in a schedule; in 16 bits of its own nothing is
    lost (Kalamkar et al. 2020, Split-SGD): weight and remainder are an fp32 weight. fp32 weights need neither.

    Chance depends on `seed`, the step and the parameter's place alone: a resumed training repeats it, and processes
    that hold the same weights round alike. The state of a sharded parameter (DTensor) is that of its local part.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        eight_bit: bool = False,
        rounding: Rounding = "stochastic",
        seed: int = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._eight_bit, self._rounding, self._seed = eight_bit, rounding, seed
        for place, (parameter, _) in enumerate(self._parameters()):
            if parameter.dtype not in (torch.float32, torch.bfloat16):
                raise ValueError(f"parameter {place} is {parameter.dtype}; LeanAdamW moves fp32 and bf16 weights")

    def _parameters(self) -> Iterator[tuple[nn.Parameter, dict[str, Any]]]:
        return ((parameter, group) for group in self.param_groups for parameter in group["params"])

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Apply the gradients; parameters without one are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for place, (parameter, group) in enumerate(self._parameters()):
            if parameter.grad is not None:
                self._update(parameter, parameter.grad, group, place)
        return loss

    def _update(self, parameter: nn.Parameter, grad: Tensor, group: dict[str, Any], place: int) -> None:
        weight, grad = _local(parameter), _local(grad).flatten()
        flat = weight.view(-1) if weight.is_contiguous() else weight.flatten()
        if not self.state[parameter]:
            self.state[parameter] = self._fresh(weight)
        state = self.state[parameter]
        state["step"] += 1
        chance = self._chance(weight.device, state["step"], place)
        for start in range(0, flat.numel(), CHUNK):
            at = slice(start, start + CHUNK)
            _move(flat[at], grad[at].float(), _part(state, at), state["step"], group, chance)
        if not weight.is_contiguous():
            weight.copy_(flat.view(weight.shape))

    def _fresh(self, weight: Tensor) -> dict[str, Any]:
        """Moments of zero, all flat."""
        size = weight.numel()

        def zeros(count: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(count, dtype=dtype, device=weight.device)

        state: dict[str, Any] = {"step": 0}
        if self._eight_bit and size >= LEAST and weight.ndim > 1:
            for name, signed in (("mean", True), ("root", False)):
                state[name] = zeros(size, torch.uint8).fill_(_zero(signed))
                state[f"{name}_scale"] = zeros(-(-size // BLOCK), torch.float32)
        else:
            state |= {"mean": zeros(size, torch.float32), "square": zeros(size, torch.float32)}
        if weight.dtype == torch.bfloat16 and self._rounding == "kahan":
            state["remainder"] = zeros(size, torch.int16)
        return state

    def _chance(self, device: torch.device, step: int, place: int) -> torch.Generator:
        digest = blake2b(f"{self._seed} {step} {place}".encode(), digest_size=4).digest()
        return torch.Generator(device).manual_seed(int.from_bytes(digest))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As saved, in its own types: torch's would cast every moment to the weight's type."""
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})
        for place, (parameter, _) in enumerate(self._parameters()):
            if place in state_dict["state"]:
                saved, device = state_dict["state"][place], _local(parameter).device
                self.state[parameter] = {
                    name: value.to(device, copy=True) if isinstance(value, Tensor) else value
                    for name, value in saved.items()
                }


def _local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor (DTensor); any other as it is."""
    part = getattr(tensor, "to_local", None)
    return tensor.detach() if part is None else part().detach()


def _part(state: dict[str, Any], at: slice) -> dict[str, Tensor]:
    blocks = slice(at.start // BLOCK, at.stop // BLOCK)
    return {name: value[blocks if name.endswith("_scale") else at] for name, value in state.items() if name != "step"}


def _move(
    weight: Tensor, grad: Tensor, state: dict[str, Tensor], step: int, group: dict[str, Any], chance: torch.Generator
) -> None:
    """One step of some numbers of a parameter: `weight` and `state` are written in place."""
    rate, (beta1, beta2) = group["lr"], group["betas"]
    eight_bit = "root" in state
    mean = _read(state, "mean", signed=True) if eight_bit else state["mean"]
    square = _read(state, "root", signed=False).square_() if eight_bit else state["square"]
    mean.lerp_(grad, 1 - beta1)
    square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    root = square.sqrt_() if eight_bit else square.sqrt()
    correction = math.sqrt(1 - beta2**step)
    update = mean / (root / correction).add_(group["eps"])
    update.div_(1 - beta1**step)
    if eight_bit:
        # No exact AdamW goes further; where rounded moments would, they are wrong.
        most = _largest_update(beta1, beta2, step)
        update.clamp_(-most, most)
        _write(state, "mean", mean, signed=True)
        _write(state, "root", root, signed=False)
    exact = _joined(weight, state["remainder"]) if "remainder" in state else weight.float()
    exact.mul_(1 - rate * group["weight_decay"]).add_(update, alpha=-rate)
    if weight.dtype == torch.float32:
        weight.copy_(exact)
    elif "remainder" in state:
        _split(exact, weight, state["remainder"])
    else:
        weight.copy_(round_stochastically(exact, chance))


def _largest_update(beta1: float, beta2: float, step: int) -> float:
    """The largest |m̂/√v̂| there can be (Cauchy–Schwarz over the two sums), infinite where β₁² ≥ β₂."""
    ratio = beta1**2 / beta2 if beta2 else math.inf
    if ratio >= 1:
        return math.inf
    of_sums = (1 - beta1) * math.sqrt((1 - ratio**step) / (1 - ratio) / (1 - beta2))
    return of_sums * math.sqrt(1 - beta2**step) / (1 - beta1**step)


def round_stochastically(values: Tensor, chance: torch.Generator | None = None) -> Tensor:
    """fp32 → bf16, up with the probability of how far up it lies: right on average, exact where bf16 is.

    16 random bits are added to the half that bf16 has no place for, which is then cut off.
    """
    bits = torch.randint(LOW, values.shape, generator=chance, device=values.device, dtype=torch.int32)
    bits.add_(values.view(torch.int32)).bitwise_and_(-LOW)
    rounded = bits.view(torch.float32).to(torch.bfloat16)
    return torch.where(values.isfinite(), rounded, values.to(torch.bfloat16))  # nan's bits would overflow to −0


def _joined(weight: Tensor, remainder: Tensor) -> Tensor:
    """The fp32 number that bf16 `weight` was rounded from."""
    return (weight.view(torch.int16).int() * LOW + remainder).view(torch.float32)


def _split(exact: Tensor, weight: Tensor, remainder: Tensor) -> None:
    """bf16 to nearest, and the distance to the fp32 number in steps of its last bit: −32768 to 32767."""
    weight.copy_(exact)
    distance = exact.view(torch.int32) - weight.view(torch.int16).int() * LOW
    remainder.copy_(distance.clamp_(-LOW // 2, LOW // 2 - 1))  # a tie upwards is one too far: off by its last bit


# --- 8 bits


@cache
def _codes(signed: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """The 256 numbers of bitsandbytes' dynamic map in [−1, 1] or [0, 1], and the middles between them."""
    from bitsandbytes.functional import create_dynamic_map  # loads torch's compilers: a second, of most for nothing

    codes = create_dynamic_map(signed).to(device)
    return codes, (codes[1:] + codes[:-1]) / 2


@cache
def _zero(signed: bool) -> int:
    return int(_codes(signed, torch.device("cpu"))[0].abs().argmin())


def _read(state: dict[str, Tensor], name: str, *, signed: bool) -> Tensor:
    codes, _ = _codes(signed, state[name].device)
    values = codes.index_select(0, state[name].int())
    scale = state[f"{name}_scale"].repeat_interleave(BLOCK)
    return values.mul_(scale[: len(values)])


def _write(state: dict[str, Tensor], name: str, values: Tensor, *, signed: bool) -> None:
    """To the nearest code, ties down. bitsandbytes' own kernel for CPUs (0.50) is coarser: its zero comes back as 2e-5
    of the block's largest, and a training on a CPU would not be the one on a GPU."""
    _, middles = _codes(signed, values.device)
    blocks = nn.functional.pad(values, (0, -len(values) % BLOCK)).view(-1, BLOCK)
    scale = blocks.abs().amax(1)
    inside = blocks / scale.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    state[name].copy_(torch.bucketize(inside, middles, out_int32=True).view(-1)[: len(values)])
    state[f"{name}_scale"].copy_(scale)
