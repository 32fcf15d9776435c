"""A side of the pair as shapes alone: its network on the meta device, its config, its parts, its stacks of layers.

shapes = shapes_of(pair.teacher, pair.data)
shapes.text.layers, shapes.vision(frames=8, size=(432, 768)).rows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from harness.errors import ModelError
from harness.pair import DataSpec, ModelSpec, Pair
from harness.qa.datasets import load_lexicon
from models.interface import Architecture, ModelFault, architecture

RELEASED_BYTES = 2  # a number of a released checkpoint: bf16
INITIAL_BYTES = 4  # of a model made from nothing: torch's default, fp32
EMBEDDING = "embedding"  # the part that PARTS counts to the language model, and that no product reads


@dataclass(frozen=True)
class Text:
    """The language model: widths in numbers, `context` in tokens."""

    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int

    @property
    def query_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim


@dataclass(frozen=True)
class Encoder:
    """A stack of layers over pixels or sound: `slices` groups of `span` rows, each of which attends to itself only."""

    part: str
    layers: int
    width: int
    ffn: int
    heads: int
    span: int
    slices: int
    merge: int  # rows that become one before the last projection
    kept_states: int  # hidden states held until the tower is done
    input_width: int  # numbers of the input a row
    rotary: bool = False  # rotary positions and QuickGELU, as Qwen2-VL's tower; else as SigLIP's and Whisper's

    @property
    def rows(self) -> int:
        return self.span * self.slices


@dataclass(frozen=True, eq=False)
class Shapes:
    """A network without memory. `native_bytes`: of one number as the checkpoint is saved.

    Two are equal when they are the same object, so that what depends on the network alone is counted once.
    """

    kind: type[Architecture]
    network: nn.Module
    config: Any
    native_bytes: int

    @cached_property
    def parts(self) -> Mapping[str, str]:
        """Part → the name of its module, for those parts that this network has."""
        names = {name for name, _ in [*self.network.named_modules(), *self.network.named_parameters()]}
        return {part: name for part, name in self.kind.PARTS.items() if name in names}

    @cached_property
    def text(self) -> Text:
        told = self.config.get_text_config()
        heads = told.num_attention_heads
        return Text(
            layers=told.num_hidden_layers,
            width=told.hidden_size,
            ffn=told.intermediate_size,
            heads=heads,
            kv_heads=told.num_key_value_heads,
            head_dim=getattr(told, "head_dim", None) or told.hidden_size // heads,
            vocabulary=told.vocab_size,
            context=told.max_position_embeddings,
        )

    @cached_property
    def tied(self) -> bool:
        """Is the head the embedding table?"""
        return not any(name == self.kind.PARTS["head"] + ".weight" for name, _ in self.network.named_parameters())

    def visual_tokens(self, frames: int, size: tuple[int, int]) -> int:
        """Tokens of a video of so many frames of (height, width) pixels. ModelError for a frame it cannot take."""
        try:
            return self.kind.video_tokens(self.config, frames, size)
        except ModelFault as error:
            raise ModelError(error) from error

    @cached_property
    def speech_tokens(self) -> int:
        return self.kind.speech_tokens(self.config)

    def vision(self, frames: int, size: tuple[int, int]) -> Encoder:
        """The vision tower over a clip. ModelError for a tower of neither family known here."""
        told = self.config.vision_config
        if hasattr(told, "spatial_merge_size"):  # Qwen2-VL: frames in temporal pairs, a pair attends to itself
            merge, slices = told.spatial_merge_size**2, -(-frames // told.temporal_patch_size)
            span = self.visual_tokens(frames, size) * merge // slices
            pixels = 3 * told.temporal_patch_size * told.patch_size**2
            ffn = int(told.embed_dim * told.mlp_ratio)
            return Encoder(
                "vision", told.depth, told.embed_dim, ffn, told.num_heads, span, slices, merge, 1, pixels, True
            )
        if hasattr(told, "image_size"):  # SigLIP: every frame at one size
            layers, pixels = told.num_hidden_layers, 3 * told.patch_size**2
            span, heads = (told.image_size // told.patch_size) ** 2, told.num_attention_heads
            return Encoder(
                "vision", layers, told.hidden_size, told.intermediate_size, heads, span, frames, 1, 2, pixels
            )
        raise ModelError(f"{self.kind.__module__}: a vision tower that plan does not know: {type(told).__name__}")

    @cached_property
    def hearing(self) -> Encoder | None:
        """The speech encoder over a clip's sound (always 30 s in Whisper), or None for a model without ears."""
        told = getattr(self.config, "whisper", None)
        if told is None:
            return None
        rows, mels, heads = told.max_source_positions, 2 * told.num_mel_bins, told.encoder_attention_heads
        return Encoder(
            "speech encoder", told.encoder_layers, told.d_model, told.encoder_ffn_dim, heads, rows, 1, 1, 1, mels
        )

    def part_of(self, name: str) -> str:
        """The part that a parameter's or module's name belongs to; the embedding table is a part of its own."""
        if name.startswith(self.kind.PARTS["language model"] + ".embed_tokens"):
            return EMBEDDING
        found = [(len(where), part) for part, where in self.kind.PARTS.items() if within(name, where)]
        return max(found)[1] if found else "other"

    def products(self, prefix: str) -> tuple[tuple[str, int], ...]:
        """Name and number of weights of every Linear and convolution below a module."""
        kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
        below = ((name, module) for name, module in self.network.named_modules() if within(name, prefix))
        return tuple((name, module.weight.numel()) for name, module in below if isinstance(module, kinds))


def within(name: str, prefix: str) -> bool:
    """Is a dotted name `prefix`, or below it?"""
    return name == prefix or name.startswith(f"{prefix}.")


def shapes_of_sides(pair: Pair) -> dict[str, Shapes]:
    """Those of the teacher and of the student."""
    return {"teacher": shapes_of(pair.teacher, pair.data), "student": shapes_of(pair.student, pair.data)}


def shapes_of(spec: ModelSpec, data: DataSpec | None = None) -> Shapes:
    """The shapes of a side of the pair. ModelError for sizes that no network can be built at.

    A pair made from nothing has as many embedding rows as its tokenizer needs, and that is made of the dataset's words:
    `data` is needed for it, and the network (a small one) is built for real.
    """
    try:
        kind = architecture(spec.architecture)
        if spec.initial is None:
            if not spec.sizes:
                raise ModelError(f"{spec.architecture}: no config in the pair file to plan with: give its sizes there")
            network = kind.shapes(spec.sizes)
            return Shapes(kind, network, network.config, RELEASED_BYTES)
        if data is None:
            raise ModelError(f"{spec.architecture}: its vocabulary is made of a dataset's words: plan needs the data")
        initial = spec.initial
        made = kind.initialise(
            config=initial.config,
            seed=initial.seed,
            words=load_lexicon(data),
            tokenizer_extra=initial.tokenizer_extra,
            pad_vocab_to=initial.pad_vocab_to,
            scale={},
        )
        return Shapes(kind, made.model, made.model.config, INITIAL_BYTES)
    except ModelFault as error:
        raise ModelError(error) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{spec.architecture}: no network has these sizes: {type(error).__name__}: {error}") from error
