"""Logits of a chunk of tokens at a time, never all: products in the precision that the device multiplies fast."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

# Bytes of the logits of a chunk, the student's and the teacher's. A chunk must be tall enough for two things: that its
# products run at full rate, and that reading and writing the head's gradient once a chunk (8 · ids · h bytes) is little
# beside them (about 10 · tokens · ids · h FLOPs). Over 152k ids this is 110 tokens on a CPU: products at 37 GFLOP/s, 33
# for 43 tokens, 38 for 128. On a GPU it is 880, and the head's gradient costs 15 %: a byte there is worth 200 FLOPs.
CHUNK = {"cpu": 128 << 20, "cuda": 1 << 30}
# Bytes of one tensor in the passes between the products, which take a few rows of a chunk at a time. On a CPU so few
# that all five tensors of a pass stay in the cache; a GPU's softmax takes a row per block, and needs 200 to be busy.
PART = {"cpu": 1 << 20, "cuda": 128 << 20}
# Bytes of a head that are multiplied, or cast to fp32, at a time. On a CPU half of a usual L3: MKL first packs the
# whole of an operand, so that 64 tokens × 152k ids run at 27 GFLOP/s, and at 36 in blocks that stay in the cache.
BLOCK = {"cpu": 4 << 20, "cuda": 256 << 20}
ALIGNED = 8  # rows: in whole registers on a CPU, and 16 bytes of bf16, which tensor cores ask for


class Logits:
    """`states @ head.T` a chunk at a time, and the products of its gradient."""

    def __init__(self, states: Tensor, head: Tensor, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype or torch.promote_types(states.dtype, torch.float32)
        operand = _operand(states, self.dtype)
        self.states = states.detach().to(operand)
        # Half a head is cast whole, once a call, as autocast would. A head in half precision among fp32 products (a
        # CPU multiplies bf16 two hundred times slower) is cast in blocks: whole, it would be another gigabyte.
        self.head = head.detach() if operand == self.dtype else head.detach().to(operand)

    def __call__(self, rows: slice, scale: float, out: Tensor) -> Tensor:
        for ids, head in self._blocks(small=out.device.type == "cpu"):
            _add_product(out[:, ids], self.states[rows], head.T, scale, keep=0)
        return out

    def add_gradients(
        self, rows: slice, of_logits: Tensor, weight: float, of_states: Tensor | None, of_head: Tensor | None
    ) -> None:
        """Add what a chunk contributes; the first overwrites the head's gradient, which may hold anything before."""
        of_logits = of_logits.to(self.states.dtype)
        if of_states is not None:
            for ids, head in self._blocks(small=False):
                _add_product(of_states[rows], of_logits[:, ids], head, weight)
        if of_head is not None:
            _add_product(of_head, of_logits.T, self.states[rows], weight, keep=min(rows.start, 1))

    def chunks(self, buffers: int) -> Iterator[tuple[slice, list[Tensor]]]:
        """Rows, as many at a time as `CHUNK` allows, and `buffers` to hold `[rows, ids]` of them."""
        most = CHUNK[_kind(self.states)] // (buffers * self._row)
        return self._slices(0, len(self.states), most, buffers)

    def parts(self, rows: slice, logits: Tensor, buffers: int) -> Iterator[tuple[slice, list[Tensor]]]:
        """Rows out of `rows`, with their `logits` and then `buffers` of that size."""
        # A softmax spreads rows over threads: each should have one.
        most = max(PART[_kind(self.states)] // self._row, torch.get_num_threads() if logits.device.type == "cpu" else 1)
        for part, scratch in self._slices(rows.start, rows.stop, most, buffers):
            yield part, [logits[part.start - rows.start : part.stop - rows.start], *scratch]

    @property
    def _row(self) -> int:
        return max(1, len(self.head) * self.dtype.itemsize)

    def _slices(self, start: int, stop: int, most: int, buffers: int) -> Iterator[tuple[slice, list[Tensor]]]:
        """start … stop in slices of about the same length, `most` at most, and that much of new buffers with each."""
        most = max(1, min(most, stop - start))
        even = math.ceil((stop - start) / math.ceil((stop - start) / most)) if stop > start else 0
        size = min(most, math.ceil(even / ALIGNED) * ALIGNED) or 1
        scratch = [self.states.new_empty(size, len(self.head), dtype=self.dtype) for _ in range(buffers)]
        for first in range(start, stop, size):
            last = min(first + size, stop)
            yield slice(first, last), [buffer[: last - first] for buffer in scratch]

    def _blocks(self, small: bool) -> Iterator[tuple[slice, Tensor]]:
        """The head in the dtype of the products: whole, or in blocks where it must be cast or should be `small`."""
        ids, hidden = self.head.shape
        step = ids
        if small or self.head.dtype != self.states.dtype:
            step = max(1, BLOCK[_kind(self.head)] // (hidden * self.dtype.itemsize))
        for start in range(0, ids, step):
            block = slice(start, min(start + step, ids))
            yield block, self.head[block].to(self.states.dtype)


def _kind(of: Tensor) -> str:
    return "cpu" if of.device.type == "cpu" else "cuda"


def _operand(states: Tensor, wide: torch.dtype) -> torch.dtype:
    """What products are made of: half precision only where the device adds its products up in fp32."""
    if not states.is_cuda or torch.version.hip is not None or wide != torch.float32:
        return wide
    asked = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else states.dtype
    return asked if asked in (torch.bfloat16, torch.float16) else wide


def _add_product(out: Tensor, left: Tensor, right: Tensor, weight: float, keep: int = 1) -> None:
    """out = keep · out + weight · left @ right. No autocast reaches the forms with `out`."""
    if left.dtype == out.dtype:
        torch.addmm(out, left, right, beta=keep, alpha=weight, out=out)
    else:  # CUDA alone has this form; with `out` also as the first it takes it as it is, without a copy
        torch.addmm(out, left, right, out_dtype=out.dtype, beta=keep, alpha=weight, out=out)
