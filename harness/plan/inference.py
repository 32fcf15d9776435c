"""What a GPU must hold to answer: weights, KV cache, the largest activations, the CUDA context.

need = needed(shapes, "int8", frames=8, size=(432, 768), batch=1, new_tokens=64)
require_fits(need, available_bytes, "the teacher as int8")      # ResourceError with the arithmetic
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ResourceError
from harness.plan.flops import activation_bytes, kv_bytes_per_token
from harness.plan.shapes import Encoder, Shapes
from harness.plan.tokens import clip_tokens
from harness.plan.weights import known_format, largest_quantised, weight_bytes

CONTEXT_BYTES = 500_000_000  # CUDA context, kernels and cuBLAS workspaces: an assumption until it is measured
GB = 1e9


@dataclass(frozen=True)
class Need:
    """Bytes on the device while a request runs. `activations`: the larger of the vision's and the prefill's peak."""

    format: str
    weights: int
    kv_cache: int
    activations: int
    context: int = CONTEXT_BYTES

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.activations + self.context

    @property
    def arithmetic(self) -> str:
        """The sum as one line, in GB (10⁹ bytes)."""
        context = f" + CUDA context {self.context / GB:.2f} GB" if self.context else ""
        return (
            f"{self.format} weights {self.weights / GB:.2f} GB + KV cache {self.kv_cache / GB:.2f} GB + activations "
            f"{self.activations / GB:.2f} GB{context} = {self.total / GB:.2f} GB"
        )


def needed(
    shapes: Shapes,
    format_name: str,
    *,
    frames: int,
    size: tuple[int, int],
    batch: int = 1,
    new_tokens: int = 64,
    questions: int = 1,
) -> Need:
    """What `batch` clips of so many frames of (height, width) pixels need, with questions and answers of `new_tokens`.

    ModelError for an unknown format. Lengths of texts are assumed (`tokens.py`).
    """
    tokens = clip_tokens(shapes, frames, size, new_tokens, questions=questions)
    mask = 3 * batch * tokens.prompt**2 if questions > 1 else 0  # who sees whom, a bool and its bf16 form
    return Need(
        format=format_name,
        weights=weight_bytes(shapes, format_name).total,
        kv_cache=batch * tokens.context * kv_bytes_per_token(shapes, format_name),
        activations=max(
            vision_activations(shapes, format_name, batch * frames, size),
            hearing_activations(shapes, format_name, batch),
            prefill_activations(shapes, format_name, batch * tokens.prompt, batch * questions) + mask,
        ),
    )


def require_fits(need: Need, available_bytes: int, what: str, holder: str = "the card") -> None:
    """ResourceError with the arithmetic when the device has less free than is needed."""
    if need.total > available_bytes:
        raise ResourceError(
            f"{what} does not fit: {need.arithmetic}, but {holder} has {available_bytes / GB:.2f} GB free: give fewer "
            "frames (data.frames), smaller ones (data.max_side), or a smaller format"
        )


def prefill_activations(shapes: Shapes, format_name: str, tokens: int, rows: int) -> int:
    """Bytes at the peak of a prefill without gradients, attention in one kernel: in the gated MLP (Shazeer 2020, GLU).

    Per token: three tensors of the MLP's width (the gate, the up-projection, their product), four of the hidden width
    (the spliced input, the residual, the normed input, the last sum), cosine and sine. LLM.int8 holds an int32 product
    of the MLP's width before it is scaled; NF4 makes one Linear whole again at a time.
    """
    text, width = shapes.text, activation_bytes(shapes, format_name)
    per_token = width * (3 * text.ffn + 4 * text.width + 2 * text.head_dim)
    whole = tokens * (per_token + _int8_extra(format_name, text.ffn, text.width))
    return whole + rows * text.vocabulary * width + _made_whole(shapes, format_name, "language model")


def vision_activations(shapes: Shapes, format_name: str, frames: int, size: tuple[int, int]) -> int:
    """Bytes at the peak of the vision tower over so many frames at once: input, kept states, attention or MLP."""
    tower, width = shapes.vision(frames, size), activation_bytes(shapes, format_name)
    return tower.rows * _encoder_row(tower, width, format_name) + _made_whole(shapes, format_name, tower.part)


def hearing_activations(shapes: Shapes, format_name: str, clips: int) -> int:
    """The same of the speech encoder; 0 without ears."""
    ears, width = shapes.hearing, activation_bytes(shapes, format_name)
    if ears is None:
        return 0
    return clips * ears.rows * _encoder_row(ears, width, format_name) + _made_whole(shapes, format_name, ears.part)


def _encoder_row(stack: Encoder, width: int, format_name: str) -> int:
    """Bytes a row at the peak of a stack: what is kept, and the larger of attention and MLP in a layer."""
    pixels = stack.input_width * (4 if width == 4 else 6)  # fp32 as it comes, and its copy in the tower's type
    if stack.rotary:  # rotary positions on two copies in fp32; QuickGELU holds its input, the sigmoid, the product
        attention, mlp = (5 * width + 26) * stack.width, width * (4 * stack.width + 3 * stack.ffn)
        kept = pixels
    else:
        attention, mlp = 6 * width * stack.width, width * (2 * stack.width + 2 * stack.ffn)
        kept = width * (stack.input_width + stack.kept_states * stack.width)
    return max(pixels, kept + max(attention, mlp)) + _int8_extra(format_name, stack.ffn, stack.width)


def _int8_extra(format_name: str, ffn: int, width: int) -> int:
    """Bytes a row that LLM.int8 adds: int32 products of 4 bytes where bf16 has 2, int8 inputs and an fp16 copy."""
    return 2 * ffn + 3 * width if format_name == "int8" else 0


def _made_whole(shapes: Shapes, format_name: str, part: str) -> int:
    """Bytes of a part's largest Linear as NF4 makes it whole for a product of many rows; 0 in any other format."""
    nf4 = known_format(format_name).bits == 4
    return activation_bytes(shapes, format_name) * largest_quantised(shapes, format_name, part) if nf4 else 0
