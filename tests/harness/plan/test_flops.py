"""FLOPs against torch's own counter on models that really run; tokens and KV bytes against what really comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.plan.flops import (
    decode_bytes,
    decode_flops,
    hearing_flops,
    kv_bytes_per_token,
    prefill_flops,
    vision_flops,
)
from harness.plan.tokens import clip_tokens
from harness.plan.weights import weight_bytes

SIZE = (112, 140)


def video(frames: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (frames, *size, 3), dtype=np.uint8)


def counted(run: Callable[[], Any]) -> int:
    """torch's count, with attention as plain matrix products: its counter does not know the CPU's fused kernel."""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_tokens_are_those_that_prepare_makes(tiny: Any, tiny_shapes: Any, frames: int) -> None:
    prepared = tiny.prepare(video(frames), ["what is this?"])
    tokens = clip_tokens(tiny_shapes, frames, SIZE, 8)
    assert tokens.visual + tokens.speech == int(prepared.spliced.sum())
    assert tokens.speech == prepared.sound_tokens


@pytest.mark.parametrize("frames", [2, 8])
def test_the_towers_are_counted_as_torch_counts(tiny: Any, tiny_shapes: Any, frames: int) -> None:
    prepared = [tiny.prepare(video(frames), ["what is this?"])]
    assert vision_flops(tiny_shapes, frames, SIZE) == pytest.approx(counted(lambda: tiny.see(prepared)), rel=0.01)
    assert hearing_flops(tiny_shapes) == pytest.approx(counted(lambda: tiny.hear(prepared)), rel=0.01)


def test_prefill_and_decode_are_counted_as_torch_counts(tiny: Any, tiny_shapes: Any) -> None:
    """torch counts all of a causal attention, plan the half that is needed: the difference is exactly that half."""
    prepared = [tiny.prepare(video(8), ["what is this?"])]
    length = len(prepared[0].prefix_ids) + len(prepared[0].questions[0])
    text = tiny_shapes.text
    with torch.inference_mode():
        embedded = tiny.embed(prepared)
        state = tiny.prefill(embedded)
        tokens = tiny.logits(state.hidden).argmax(-1)

    def prefill() -> None:
        tiny.logits(tiny.prefill(embedded).hidden)

    other_half = 4 * text.layers * text.query_width * (length**2 - length * (length + 1) // 2)
    assert prefill_flops(tiny_shapes, length) + other_half == pytest.approx(counted(prefill), rel=0.01)

    def decode() -> None:
        tiny.logits(tiny.decode_one_token(state, tokens).hidden)

    assert decode_flops(tiny_shapes, length + 1) == pytest.approx(counted(decode), rel=0.01)


def test_kv_bytes_are_those_of_a_real_cache(tiny: Any, tiny_shapes: Any) -> None:
    with torch.inference_mode():
        state = tiny.prefill(tiny.embed([tiny.prepare(video(4), ["what is this?"])]))
    held = sum(one.numel() * one.element_size() for layer in state.cache.layers for one in (layer.keys, layer.values))
    assert held == state.cached * kv_bytes_per_token(tiny_shapes)


def test_the_real_pair(real: Any) -> None:
    """Two models worked out by hand from their papers' sizes."""
    teacher, student = real
    assert kv_bytes_per_token(teacher) == 2 * 28 * 4 * 128 * 2 == 57_344
    assert kv_bytes_per_token(student) == 2 * 28 * 2 * 128 * 2 == 28_672
    assert clip_tokens(teacher, 16, (432, 768), 64).visual == 16 * 182
    assert clip_tokens(student, 16, (432, 768), 64).visual == 8 * 15 * 27
    assert teacher.speech_tokens == 300
    # a token through 7 B parameters is some 2 FLOPs a parameter
    assert decode_flops(teacher, 1) == pytest.approx(2 * (6.5253e9 + 0.545e9), rel=0.001)
    layers = weight_bytes(teacher, "int8", ("language model", "head")).total
    assert decode_bytes(teacher, "int8", 1000) == layers + 1000 * 57_344


def test_the_real_teacher_is_counted_to_the_last_product(real: Any) -> None:
    """At its real sizes, on the meta device: torch's counter and plan agree exactly."""
    teacher, core, tokens = real[0], real[0].network.model, 512

    def meta(*shape: int) -> Tensor:
        return torch.empty(shape, device="meta")

    def see() -> None:
        core.multi_modal_projector(core.vision_tower(meta(2, 3, 384, 384)).last_hidden_state)

    def prefill() -> None:
        positions = torch.arange(tokens, device="meta")[None]
        causal = {"full_attention": None}  # as transformers itself says it: no mask, the kernel's own
        core.language_model(inputs_embeds=meta(1, tokens, 3584), position_ids=positions, attention_mask=causal)

    assert counted(see) == vision_flops(teacher, 2, (384, 384))
    assert counted(lambda: core.get_speech_features(meta(1, 128, 3000))) == hearing_flops(teacher)
    text = teacher.text
    other_half = 4 * text.layers * text.query_width * (tokens**2 - tokens * (tokens + 1) // 2)
    head = 2 * text.width * text.vocabulary
    assert counted(prefill) == prefill_flops(teacher, tokens) - head + other_half
