"""What a GPU must hold to train a student: weights, gradients, optimizer, activations, the loss, the teacher's head.

    memory = training_memory(shapes, mode_of(pair.recipe), lesson, checkpointed=True)

Counted as `harness/distill/train.py` runs: bf16 autocast, over fp32 master weights (Micikevicius et al. 2018) or over
weights that are kept in bf16, rounded by chance or with what rounding lost beside them (Zamirai et al. 2020).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, NamedTuple

from torch import nn

from harness.pair import Recipe
from harness.plan.inference import CONTEXT_BYTES, vision_activations
from harness.plan.shapes import EMBEDDING, Encoder, Shapes, within
from harness.plan.tokens import clip_tokens
from harness.plan.weights import weight_bytes

ADAM_BYTES = 8  # two moments in fp32 (Kingma & Ba 2015)
ADAM8_BYTES = 2  # two moments of 8 bit and a scale a block (Dettmers et al. 2022, 8-bit optimizers)
ADAM8_BLOCK = 256  # numbers a scale, of each moment
ADAM8_LEAST = 4096  # smaller tensors keep 32-bit moments, and vectors of any size
LORA_RANK = 64
CHUNK_BYTES = 1 << 30  # of student's and teacher's logits at a time on a GPU (harness/distill/chunked.py)
PART_BYTES = 128 << 20  # of each tensor of a pass over them, three beside the logits
MERGER_ROW = 8  # bytes, times the tower's width, that the merger's or projector's backward keeps of a row


@dataclass(frozen=True)
class Mode:
    """A way to train. `rank` 0: the weights themselves; else LoRA on every Linear of the language model."""

    name: str
    told: str
    cached_vision: bool = False  # the tower's output is read from disk, the tower is not loaded
    eight_bit: bool = False
    rank: int = 0
    master: Literal["fp32", "stochastic", "kahan"] = "fp32"  # what keeps small updates

    @property
    def trained_bytes(self) -> int:
        """Of a trained number and of its gradient, each."""
        return 4 if self.master == "fp32" else 2

    @property
    def residual_bytes(self) -> int:
        """Of a number between layers: embeddings and norms in fp32 make it fp32."""
        return 2 if self.rank else self.trained_bytes


_LM = "language model and merger, vision cached"
_BF16, _CHANCE, _8BIT = "every parameter in bf16", "rounded by chance", "8-bit AdamW"
MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("full", "every parameter, AdamW in fp32, 16 bytes each"),
        Mode("full-8bit", "every parameter, 8-bit AdamW, 10 bytes each", eight_bit=True),
        Mode("full-kahan-8bit", f"{_BF16}, what rounding lost, {_8BIT}, 8 bytes each", eight_bit=True, master="kahan"),
        Mode("full-8bit-stochastic", f"{_BF16}, {_CHANCE}, {_8BIT}, 6 bytes each", eight_bit=True, master="stochastic"),
        Mode("lm", f"{_LM}, AdamW in fp32", cached_vision=True),
        Mode("lm-8bit", f"{_LM}, 8-bit AdamW", cached_vision=True, eight_bit=True),
        Mode("lora", f"LoRA r{LORA_RANK} on every Linear of the language model, the rest native", rank=LORA_RANK),
    )
}


def mode_of(recipe: Recipe) -> Mode:
    """The way that a recipe trains. Muon counts as AdamW, which keeps a moment more."""
    wanted = Mode(
        name="-".join([recipe.parameters, recipe.optimizer, recipe.master]),
        told="as the recipe says",
        cached_vision=recipe.parameters == "lm",
        eight_bit=recipe.optimizer == "adamw-8bit",
        rank=recipe.lora_rank if recipe.parameters == "lora" else 0,
        master=recipe.master,
    )
    same = (mode for mode in MODES.values() if replace(wanted, name=mode.name, told=mode.told) == mode)
    return next(same, wanted)


@dataclass(frozen=True)
class Lesson:
    """A micro-batch: so many clips of so many frames of (height, width), questions and answer tokens each.

    `shared` ids and the teacher's width are those of the targets; a width of 0: no teacher (gold answers).
    """

    frames: int
    size: tuple[int, int]
    clips: int
    questions: int
    answer_tokens: int
    shared: int
    teacher_width: int

    @property
    def answers(self) -> int:
        """Answer tokens of the micro-batch."""
        return self.clips * self.questions * self.answer_tokens

    def tokens(self, shapes: Shapes) -> int:
        """Tokens of one clip's row: prefix once, then every question with its answer."""
        return clip_tokens(shapes, self.frames, self.size, self.answer_tokens, questions=self.questions).context


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on the device at the peak of a training step."""

    weights: int
    gradients: int
    optimizer: int
    copies: int  # bf16 copies that autocast makes of trained matrices
    activations: int
    logits: int  # a chunk of the loss, and the fp32 gradient of the head that grows over chunks
    teacher: int  # its head, cut to the shared ids
    context: int = CONTEXT_BYTES

    @property
    def state(self) -> int:
        """What does not depend on frames or batch: weights, gradients, optimizer."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        return self.state + self.copies + self.activations + self.logits + self.teacher + self.context


def training_memory(shapes: Shapes, mode: Mode, lesson: Lesson, *, checkpointed: bool) -> TrainingMemory:
    """Bytes by part. ModelError for a vision tower that plan does not know."""
    trained, width = _trained(shapes, mode), mode.trained_bytes
    count = sum(one.size for one in trained)
    frozen = weight_bytes(shapes, "native").total if mode.rank else 0
    lost = 2 * count if mode.master == "kahan" else 0  # what rounding to bf16 lost, in bf16
    head_gradient = 0 if mode.rank else 4 * lesson.shared * shapes.text.width
    return TrainingMemory(
        weights=width * count + frozen,
        gradients=width * count,
        optimizer=lost + sum(moment_bytes(one.size, eight_bit=mode.eight_bit and one.matrix) for one in trained),
        copies=sum(2 * one.size for one in trained if one.copied) if mode.master == "fp32" else 0,
        activations=training_activations(shapes, mode, lesson, checkpointed=checkpointed),
        logits=loss_bytes(lesson.answers, lesson.shared) + head_gradient,
        teacher=shapes.native_bytes * lesson.shared * lesson.teacher_width,
    )


def loss_bytes(answers: int, shared: int) -> int:
    """A chunk of both models' logits in fp32, the student's again in bf16 for its products, and a pass over them."""
    row = 4 * answers * shared
    return min(CHUNK_BYTES, 2 * row) * 5 // 4 + 3 * min(PART_BYTES, row)


def training_activations(shapes: Shapes, mode: Mode, lesson: Lesson, *, checkpointed: bool) -> int:
    """Bytes that the forward pass keeps for the backward, and the widest step of the backward itself.

    The method of Korthikanti et al. 2022 (§4: add up what each operation saves), for a layer of this family with
    attention in one kernel and no dropout. Checkpointed (Chen et al. 2016): the input of every layer, and one layer
    at a time in full.
    """
    text, rows = shapes.text, lesson.clips * lesson.tokens(shapes)
    layer = _layer_bytes(shapes, mode)
    residual = mode.residual_bytes * text.width
    backward = 6 * text.ffn + 8 * text.width  # gradients of the MLP's tensors and of the residual, a token
    language = rows * (_kept(text.layers, layer, residual, checkpointed) + backward + 3 * residual)
    if lesson.questions > 1:  # who sees whom, a bool and its bf16 form (one head's, shared by all)
        language += 3 * lesson.clips * lesson.tokens(shapes) ** 2
    tower = shapes.vision(lesson.clips * lesson.frames, lesson.size)
    if mode.rank:  # runs without gradients, before the language model
        return max(language, vision_activations(shapes, "native", lesson.clips * lesson.frames, lesson.size))
    merger = tower.rows * tower.width * MERGER_ROW
    if mode.cached_vision:
        return language + merger
    inside = _kept(tower.layers, _encoder_bytes(tower), mode.residual_bytes * tower.width, checkpointed)
    return language + merger + tower.rows * (inside + 2 * tower.input_width)  # the pixels in bf16


def _layer_bytes(shapes: Shapes, mode: Mode) -> int:
    """Saved by a layer of the language model, a token.

    Full: two norms keep their fp32 input and output (16h); autocast casts the input of five Linears (10h); query, key,
    value and the attention's output (4q + 4kv); gate, up, SiLU and product (8f); softmax sums and norms' scales.
    Weights in bf16: a norm keeps its input in fp32 and what it scales, Linears share its output (16h in all).
    LoRA: a frozen Linear keeps nothing of its own, its adapter the input and its r numbers.
    """
    text = shapes.text
    shared = 4 * text.query_width + 4 * text.kv_width + 8 * text.ffn + 4 * text.heads + 8
    if mode.rank:
        return shared + 12 * text.width + 14 * mode.rank
    return shared + (26 if mode.master == "fp32" else 16) * text.width


def _encoder_bytes(stack: Encoder) -> int:
    """Saved by a layer of a vision tower, a row: with rotary positions and QuickGELU, or SigLIP's."""
    saved = 22 * stack.width + 6 * stack.ffn if stack.rotary else 24 * stack.width + 4 * stack.ffn
    return saved + 4 * stack.heads + 16


def _kept(layers: int, layer: int, entry: int, checkpointed: bool) -> int:
    return layers * entry + layer if checkpointed else layers * layer


class _Trained(NamedTuple):
    """A trained tensor: its numbers, whether it is more than a vector, whether autocast makes a bf16 copy of it."""

    size: int
    matrix: bool
    copied: bool


@cache
def _trained(shapes: Shapes, mode: Mode) -> tuple[_Trained, ...]:
    if mode.rank:
        sides = (side for one in _language_linears(shapes) for side in (one.in_features, one.out_features))
        return tuple(_Trained(mode.rank * side, True, True) for side in sides)
    tables = {id(m.weight) for m in shapes.network.modules() if isinstance(m, nn.Embedding)}
    head = shapes.network.get_output_embeddings()  # type: ignore[operator]

    def told(parameter: nn.Parameter) -> _Trained:
        matrix = parameter.ndim >= 2
        copied = matrix and (id(parameter) not in tables or parameter is head.weight)
        return _Trained(parameter.numel(), matrix, copied)

    return tuple(
        told(parameter)
        for name, parameter in shapes.network.named_parameters()
        if not mode.cached_vision or _in_language(shapes, name)
    )


def _in_language(shapes: Shapes, name: str) -> bool:
    parts: Collection[str] = (EMBEDDING, "language model", "head", "projector", "newline")
    return shapes.part_of(name) in parts or within(name, shapes.parts["vision"] + ".merger")


def _language_linears(shapes: Shapes) -> Iterator[nn.Linear]:
    for name, module in shapes.network.named_modules():
        if isinstance(module, nn.Linear) and within(name, shapes.parts["language model"]):
            yield module


def moment_bytes(size: int, *, eight_bit: bool) -> int:
    """Bytes of AdamW's two moments of a tensor of so many numbers; a matrix's of 8 bit with their scales."""
    if not eight_bit or size < ADAM8_LEAST:
        return ADAM_BYTES * size
    return ADAM8_BYTES * size + 2 * 4 * -(-size // ADAM8_BLOCK)
