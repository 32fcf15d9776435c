"""Floating-point operations of each stage: the matrix products, 2·m·n·k each, counted from shapes.

A Linear or convolution over r rows with w weights is 2·r·w. Attention over q queries and k keys at width d is 2·2·q·k·d
(scores and values); in a causal prefill a query sees half of the keys on average, (S+1)/2 (Kaplan et al. 2020, §2.1;
Korthikanti et al. 2022, appendix A). Norms, softmax, rotations and biases are left out: below 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.shapes import Encoder, Shapes
from harness.plan.tokens import ClipTokens
from harness.plan.weights import WHOLE_BYTES, quantised_by_part, weight_bytes


@dataclass(frozen=True)
class Flops:
    """Of one clip with one question; `decode` is one token at the whole context."""

    vision: int
    hearing: int
    prefill: int
    decode: int


def flops(shapes: Shapes, frames: int, size: tuple[int, int], tokens: ClipTokens) -> Flops:
    """Floating-point operations of each stage."""
    return Flops(
        vision_flops(shapes, frames, size),
        hearing_flops(shapes),
        prefill_flops(shapes, tokens.prompt),
        decode_flops(shapes, tokens.context),
    )


def vision_flops(shapes: Shapes, frames: int, size: tuple[int, int]) -> int:
    """Tower and projector (or merger) over the frames of a clip."""
    tower = shapes.vision(frames, size)
    merged = shapes.parts["vision"] + ".merger"
    total = _attention(tower)
    for name, weights in shapes.products(shapes.parts["vision"]):
        rows = tower.rows // tower.merge if name.startswith(merged) else tower.rows
        total += 2 * rows * weights
    if "projector" in shapes.parts:  # before pooling: over every patch
        total += sum(2 * tower.rows * weights for _, weights in shapes.products(shapes.parts["projector"]))
    return total


def hearing_flops(shapes: Shapes) -> int:
    """Speech encoder and projector over a clip's sound, or its silence; 0 without ears."""
    ears = shapes.hearing
    if ears is None:
        return 0
    total = _attention(ears)
    for name, weights in shapes.products(shapes.parts["speech encoder"]):
        rows = 2 * ears.rows if name.endswith("conv1") else ears.rows  # conv2 has stride 2
        total += 2 * rows * weights
    return total + sum(
        2 * shapes.speech_tokens * weights for _, weights in shapes.products(shapes.parts["speech projector"])
    )


def prefill_flops(shapes: Shapes, prompt: int) -> int:
    """The language model over `prompt` tokens, causal; the head at the last of them."""
    text = shapes.text
    causal = 4 * text.layers * text.query_width * prompt * (prompt + 1) // 2
    return 2 * prompt * _language_weights(shapes) + causal + _head(shapes)


def decode_flops(shapes: Shapes, context: int) -> int:
    """The language model and the head over one token that sees `context` tokens, itself included."""
    text = shapes.text
    return 2 * _language_weights(shapes) + 4 * text.layers * text.query_width * context + _head(shapes)


def decode_bytes(shapes: Shapes, format_name: str, context: int) -> int:
    """What one decode step must read: the language model's layers, the head's table, the KV cache; bytes."""
    head = "embedding" if shapes.tied else "head"
    weights = weight_bytes(shapes, format_name, ("language model", head))
    return weights.total + context * kv_bytes_per_token(shapes, format_name)


def vision_bytes(shapes: Shapes, format_name: str, frames: int, size: tuple[int, int], batch: int = 1) -> int:
    """The least that seeing must move: the weights of tower and projector once, each clip's pixels in and its visual
    tokens out; bytes. What lies between could stay in a cache.
    """
    tower, width = shapes.vision(frames, size), activation_bytes(shapes, format_name)
    numbers = tower.rows * tower.input_width + shapes.visual_tokens(frames, size) * shapes.text.width
    weights = weight_bytes(shapes, format_name, ("vision", "projector", "newline"))
    return weights.total + batch * numbers * width


def hearing_bytes(shapes: Shapes, format_name: str, batch: int = 1) -> int:
    """The same of speech encoder and projector: each clip's log-mel in and its speech tokens out; 0 without ears."""
    ears = shapes.hearing
    if ears is None:
        return 0
    numbers = ears.rows * ears.input_width + shapes.speech_tokens * shapes.text.width
    weights = weight_bytes(shapes, format_name, ("speech encoder", "speech projector"))
    return weights.total + batch * numbers * activation_bytes(shapes, format_name)


def prefill_bytes(shapes: Shapes, format_name: str, prompt: int, batch: int = 1) -> int:
    """The least that a prefill of `batch` prompts must move: the layers' weights and the head's table once, each
    prompt's embedded tokens in and its KV cache out; bytes.
    """
    embedded = shapes.text.width * activation_bytes(shapes, format_name)
    per_token = embedded + kv_bytes_per_token(shapes, format_name)
    return decode_bytes(shapes, format_name, 0) + batch * prompt * per_token


def quantised_flops(
    shapes: Shapes, format_name: str, frames: int, size: tuple[int, int], prompt: int, batch: int = 1
) -> Flops:
    """Of each stage's FLOPs those in Linears that the format quantises: neither attention, nor convolutions, nor what
    `models/formats.py` leaves native.
    """
    weights = {one.part: one.weights for one in quantised_by_part(shapes, format_name)}
    tower, ears = shapes.vision(frames, size), shapes.hearing
    merger = (
        sum(count for _, count in shapes.products(shapes.parts["vision"] + ".merger")) if "vision" in weights else 0
    )
    seen = weights.get("vision", 0) - merger + weights.get("projector", 0)
    heard = 0 if ears is None else ears.rows * weights.get("speech encoder", 0)
    heard += shapes.speech_tokens * weights.get("speech projector", 0)
    language = weights.get("language model", 0)
    return Flops(
        vision=2 * batch * (tower.rows * seen + tower.rows // tower.merge * merger),
        hearing=2 * batch * heard,
        prefill=2 * batch * prompt * language,
        decode=2 * batch * language,
    )


def kv_bytes_per_token(shapes: Shapes, format_name: str = "native") -> int:
    """2 (key and value) · layers · KV heads · head width · bytes of an activation (Ainslie et al. 2023, GQA)."""
    return 2 * shapes.text.layers * shapes.text.kv_width * activation_bytes(shapes, format_name)


def activation_bytes(shapes: Shapes, format_name: str) -> int:
    """Bytes of an activation: 2 in bf16, 4 in fp32, else as the checkpoint is saved."""
    return WHOLE_BYTES.get(format_name, shapes.native_bytes)


def _attention(stack: Encoder) -> int:
    return 4 * stack.layers * stack.slices * stack.span**2 * stack.width


def _language_weights(shapes: Shapes) -> int:
    return sum(weights for _, weights in shapes.products(shapes.parts["language model"]))


def _head(shapes: Shapes) -> int:
    return 2 * shapes.text.width * shapes.text.vocabulary
