"""What an architecture offers, and the stages every model here is driven and timed through.

    prepare (CPU) → embed (vision, hearing, splice) → prefill → decode_one_token … = generate;  answer_states

All questions on a clip share its prefix in one row (`packing.py`), and with it its embedding and its KV cache. With one
question a row and no padding the mask is plain causal, so that what is timed is what a deployment would run.

An architecture is a module `models/<name>.py` with a class `Model(Architecture)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from models.checkpoint import locate, read_config, read_shapes, without_weights
from models.fault import ModelFault
from models.formats import FORMATS, Format, format_of, is_quantised
from models.loading import check_tokenizer, is_random, load_model, read_tokenizer, saved_dtype, write_shell
from models.packing import PADDING, Embedded, pack_rows, visible
from models.random_weights import skeleton
from models.tokenizer import build_tokenizer

__all__ = [
    "ENDING",
    "FORMATS",
    "Architecture",
    "Decoding",
    "Embedded",
    "Format",
    "Grid",
    "ModelFault",
    "Prepared",
    "architecture",
    "format_of",
    "is_quantised",
    "is_random",
    "locate",
    "read_config",
    "read_shapes",
    "read_tokenizer",
    "saved_dtype",
    "without_weights",
]

ENDING = "<|im_end|>"  # ChatML's end of a turn, with which every answer ends
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"

Grid = tuple[int, int, int]  # a video's or still's layout of visual tokens, as the architecture counts it


@dataclass(frozen=True)
class Prepared:
    """One clip and its questions, on the CPU. `prefix_ids` holds an id under every token that is spliced in."""

    pixels: Tensor  # what the vision tower takes; the first axis may be concatenated over clips
    grids: tuple[Grid, ...]  # of the video, or of each still
    still: bool
    prefix_ids: Tensor  # int64 [prefix]
    spliced: Tensor  # bool [prefix]: where features go, in the order of `see`, then of `hear`
    questions: tuple[tuple[int, ...], ...]  # token ids of each question, chat turns included
    sound: Tensor | None = None  # log-mel [mels, frames]; None for a model without ears
    sound_tokens: int = 0  # how many of the spliced are heard


@dataclass
class Decoding:
    """Where a batch stands between prefill and its last token: `slots` answers grow in every row."""

    cache: DynamicCache
    segments: Tensor | None  # int64 [rows, cached tokens]; None while the mask is plain causal
    next_positions: Tensor  # int64 [rows, slots]
    hidden: Tensor  # [rows, slots, hidden]: post-norm state that predicts each slot's next token
    live: Tensor  # bool [rows, slots]: False where a row has fewer questions than the widest
    cached: int = field(default=0)


class Architecture(ABC):
    """Stages over a stock transformers model; the subclasses know their vision packing and positions."""

    network: ClassVar[type[PreTrainedModel]]
    position_axes: ClassVar[int]  # 1 for plain rotary positions, 3 for M-RoPE
    PARTS: ClassVar[Mapping[str, str]]  # what plan, formats and training call a part → its module's name

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.ending_id = int(tokenizer.get_vocab()[ENDING])
        self._question_ids: dict[str, tuple[int, ...]] = {}
        self._tokenizing = Lock()  # split_special_tokens is a state of the tokenizer, and training prepares in threads
        self._system_ids = self._text_ids(SYSTEM, special=True)

    # --- what a subclass knows ---------------------------------------------------------------------

    @property
    def hears(self) -> bool:
        """Is sound listened to?"""
        return False

    @property
    def question_opening(self) -> str:
        """Text between the prefix and a question."""
        return ""

    @abstractmethod
    def pack(self, frames: NDArray[np.uint8]) -> tuple[Tensor, tuple[Grid, ...]]:
        """A video's frames uint8 `[frames, height, width, 3]` → the tower's input and the one grid."""

    @abstractmethod
    def pack_stills(self, stills: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, tuple[Grid, ...]]:
        """Stills uint8 `[height, width, 3]` of any sizes → the tower's input and a grid for each."""

    @abstractmethod
    def visual_prefix(self, grids: Sequence[Grid], still: bool) -> tuple[list[int], list[bool]]:
        """Ids around and under the visual tokens, and which of them are spliced."""

    @abstractmethod
    def see(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        """Vision tower and projector: `[visual tokens, hidden]` for each clip."""

    @abstractmethod
    def look(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        """The vision tower alone, before projector or merger: what can be kept of each clip while the tower is frozen,
        whose first axis runs over the tower's own rows or frames.
        """

    @abstractmethod
    def connect(self, looked: Sequence[Tensor], prepared: Sequence[Prepared]) -> list[Tensor]:
        """Projector or merger over what `look` gave: together they are `see`. Pixels are not read."""

    @property
    @abstractmethod
    def tower(self) -> Sequence[nn.Module]:
        """The modules that `look` runs and `connect` does not."""

    @abstractmethod
    def positions(self, prepared: Prepared) -> tuple[Tensor, int]:
        """Positions `[axes, prefix]` and the first position after the prefix."""

    @classmethod
    @abstractmethod
    def config_from(cls, folder: Path, told: Mapping[str, Any]) -> PreTrainedConfig:
        """The network's config from a checkpoint; `told`: what the pair file says of it, where no checkpoint does."""

    @classmethod
    @abstractmethod
    def config_of(
        cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase | None, vocabulary: int | None
    ) -> PreTrainedConfig:
        """A config at the sizes of `config` (transformers' names), for a tokenizer and so many embedding rows; without
        them, at the released model's own.
        """

    @classmethod
    def entries(cls, config: PreTrainedConfig) -> dict[str, int | None]:
        """Special entries that prompts are made of beside ChatML's → their ids, where the config says them."""
        return {}

    @classmethod
    def key_mapping(cls, folder: Path) -> dict[str, str] | None:
        """Renamings from a checkpoint's keys to the network's, beyond those that transformers knows."""
        return None

    @classmethod
    @abstractmethod
    def video_tokens(cls, config: PreTrainedConfig, frames: int, size: tuple[int, int]) -> int:
        """Visual tokens of a video of so many frames of (height, width)."""

    @classmethod
    def speech_tokens(cls, config: PreTrainedConfig) -> int:
        """Tokens of a clip's sound, or of its silence; 0 for a model without ears."""
        return 0

    def pack_sound(self, sound: NDArray[np.float32] | None) -> tuple[Tensor | None, list[int], list[bool]]:
        """Log-mel, and the ids around and under what is heard. A model without ears hears nothing."""
        return None, [], []

    def hear(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        """Speech tokens `[sound tokens, hidden]` for each clip."""
        return [torch.empty(0, self.head.weight.shape[1], device=self.device, dtype=self.dtype) for _ in prepared]

    # --- where a model comes from ------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        format: str = "native",
        device: torch.device | str = "cpu",
        told: Mapping[str, Any] | None = None,
    ) -> Architecture:
        """Weights, config and tokenizer of a folder, in a format of `formats.py`. ModelFault if not whole."""
        tokenizer = read_tokenizer(folder)
        model = load_model(cls, folder, format, torch.device(device), told or {})
        rows = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]
        check_tokenizer(folder, tokenizer, rows, {ENDING: None, **cls.entries(model.config)})
        return cls(model.eval(), tokenizer)

    @classmethod
    def initialise(
        cls,
        *,
        config: Mapping[str, Any],
        seed: int,
        words: Sequence[str],
        tokenizer_extra: Sequence[str],
        pad_vocab_to: int,
        scale: Mapping[str, float],
    ) -> Architecture:
        """Random weights and a tokenizer made of `words`. `scale` multiplies parameters by (the end of) their name."""
        tokenizer = build_tokenizer(words, tokenizer_extra)
        torch.manual_seed(seed)
        rows = -(-len(tokenizer) // pad_vocab_to) * pad_vocab_to
        model = cls.network(cls.config_of(config, tokenizer, rows))
        for suffix, factor in scale.items():
            found = [p for name, p in model.named_parameters() if name.endswith(suffix)]
            if not found:
                raise ModelFault(f"initial.scale: no parameter's name ends in {suffix!r}")
            for parameter in found:
                parameter.data.mul_(factor)
        return cls(model.eval(), tokenizer)

    @classmethod
    def shapes(cls, config: Mapping[str, Any]) -> PreTrainedModel:
        """The network at the sizes of `config`, on the meta device: shapes without memory."""
        return skeleton(cls.network, cls.config_of(config, None, None))

    @classmethod
    def shapes_in(cls, folder: Path, told: Mapping[str, Any]) -> PreTrainedModel:
        """The network of a checkpoint, on the meta device: no weight is read. ModelFault for a foreign folder."""
        return skeleton(cls.network, cls.config_from(folder, told))

    @classmethod
    def write_random(
        cls,
        folder: Path,
        *,
        config: Mapping[str, Any],
        words: Sequence[str],
        tokenizer_extra: Sequence[str],
        seed: int = 0,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        """A folder that `load` fills with random numbers at the sizes of `config`, with a tokenizer made of `words`."""
        tokenizer = build_tokenizer(words, tokenizer_extra)
        rows = cls.config_of(config, None, None).get_text_config().vocab_size
        if len(tokenizer) > rows:
            raise ModelFault(f"config: {rows} embedding rows are too few for a tokenizer of {len(tokenizer)} entries")
        write_shell(folder, cls.config_of(config, tokenizer, rows), tokenizer, seed=seed, dtype=dtype)

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        self.model.to(device)  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Config, safetensors and tokenizer, as `load` reads them. Quantised weights are saved as they are.

        ModelFault for NF4 weights that a CPU has computed with: bitsandbytes repacks them in place for its kernels, and
        what it would save is no longer what it loads.
        """
        for parameter in self.model.parameters():
            if getattr(getattr(parameter, "quant_state", None), "packing_format_for_cpu", False):
                raise ModelFault(
                    "NF4 weights cannot be saved once a CPU has computed with them: save before the first use"
                )
        self._save_weights(folder)
        self.tokenizer.save_pretrained(folder)

    def _save_weights(self, folder: Path) -> None:
        self.model.save_pretrained(folder)

    # --- the stages --------------------------------------------------------------------------------

    @property
    def language_model(self) -> nn.Module:
        return self.model.model.language_model  # type: ignore[no-any-return]

    @property
    def head(self) -> nn.Linear:
        """The language-model head: hidden → vocabulary."""
        return self.model.lm_head  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        """Where inputs go: a tower whose output is cached may lie elsewhere."""
        return self.head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What activations are computed in (INT8 weights have their own)."""
        return self.language_model.norm.weight.dtype  # type: ignore[return-value, union-attr]

    def _text_ids(self, text: str, special: bool) -> list[int]:
        with self._tokenizing:
            ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special).input_ids
        return ids

    def question_ids(self, question: str) -> tuple[int, ...]:
        """A user's turn after the clip, and the opening of the assistant's. Special tokens in a question stay text."""
        if question not in self._question_ids:
            asked = self._text_ids(f"{self.question_opening}{question}", special=False)
            closing = self._text_ids("<|im_end|>\n<|im_start|>assistant\n", special=True)
            self._question_ids[question] = (*asked, *closing)
        return self._question_ids[question]

    def forget_questions(self) -> None:
        """Tokenise every question anew, as a server does that has not heard it before."""
        self._question_ids.clear()

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        """An answer with its ending token."""
        return (*self._text_ids(answer, special=False), self.ending_id)

    def answer_text(self, ids: Sequence[int]) -> str:
        """Token ids up to the ending token, as text."""
        kept = list(ids[: list(ids).index(self.ending_id)]) if self.ending_id in ids else list(ids)
        return str(self.tokenizer.decode(kept)).strip()

    @property
    def context(self) -> int:
        """Positions the language model was made for."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    def prepare(
        self,
        frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        questions: Sequence[str],
        *,
        still: bool = False,
        sound: NDArray[np.float32] | None = None,
    ) -> Prepared:
        """Everything that happens on the CPU before the model runs.

        `frames`: a video's, uint8 `[frames, height, width, 3]`, or with `still` photos of any sizes; `sound`: mono,
        16 kHz. ModelFault when clip and questions together are longer than the context.
        """
        pixels, grids = self.pack_stills(list(frames)) if still else self.pack(np.asarray(frames))
        ids, spliced = self.visual_prefix(grids, still)
        mel, sound_ids, heard = self.pack_sound(sound)
        prefix = [*self._system_ids, *ids, *sound_ids]
        asked = tuple(self.question_ids(question) for question in questions)
        length = len(prefix) + max(map(len, asked), default=0)
        if length > self.context:
            what = f"{len(grids)} stills" if still else f"{len(frames)} frames"
            raise ModelFault(
                f"{what} and the question are {length:,} tokens, but the context holds {self.context:,}: give fewer "
                "frames (data.frames) or smaller ones (data.max_side)"
            )
        return Prepared(
            pixels=pixels,
            grids=grids,
            still=still,
            prefix_ids=torch.tensor(prefix),
            spliced=torch.tensor([False] * len(self._system_ids) + spliced + heard),
            questions=asked,
            sound=mel,
            sound_tokens=sum(heard),
        )

    def embed(
        self,
        prepared: Sequence[Prepared],
        sights: Sequence[Tensor] | None = None,
        sounds: Sequence[Tensor] | None = None,
    ) -> list[Embedded]:
        """Vision and hearing, then splice: features take their rows, what is seen before what is heard. `sights` and
        `sounds`: what `see` and `hear` give, where it is known already.
        """
        embedded = []
        sights = self.see(prepared) if sights is None else sights
        sounds = self.hear(prepared) if sounds is None else sounds
        for one, seen, heard in zip(prepared, sights, sounds, strict=True):
            text = self.embed_ids(one.prefix_ids.to(self.device))
            where = one.spliced.to(self.device)
            features = torch.cat([seen.to(text.dtype), heard.to(text.dtype)]) if len(heard) else seen.to(text.dtype)
            if int(one.spliced.sum()) != len(features):
                raise ModelFault(f"{int(one.spliced.sum())} placeholders but {len(features)} features")
            prefix = text.masked_scatter(where[:, None], features)
            positions, following = self.positions(one)
            embedded.append(Embedded(prefix, positions.to(self.device), following, one.questions))
        return embedded

    def prefill(self, embedded: Sequence[Embedded]) -> Decoding:
        """Run prefix and questions; the returned state predicts the first token of every answer."""
        packed = pack_rows(embedded, [[()] * len(one.questions) for one in embedded], self.embed_ids)
        cache = DynamicCache(config=self.model.config.get_text_config())
        hidden = self._run(packed.inputs, packed.positions, packed.mask(), cache)
        rows = torch.arange(len(embedded), device=self.device)[:, None]
        return Decoding(
            cache=cache,
            segments=None if packed.causal else packed.segments,
            next_positions=packed.next_positions,
            hidden=hidden[rows, packed.last],
            live=packed.live,
            cached=hidden.shape[1],
        )

    def embed_ids(self, ids: Tensor) -> Tensor:
        """The embedding table's rows for token ids."""
        return self.model.get_input_embeddings()(ids)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """The head over post-norm states, over the model's whole vocabulary."""
        return self.head(hidden)  # type: ignore[no-any-return]

    def decode_one_token(self, state: Decoding, tokens: Tensor) -> Decoding:
        """Append `tokens` `[rows, slots]` to the cache; the new state predicts the next ones."""
        rows, slots = tokens.shape
        inputs = self.embed_ids(tokens)
        positions = state.next_positions.expand(self.position_axes, rows, slots)
        mask = None
        segments = state.segments
        if segments is not None:
            own = torch.arange(1, slots + 1, device=self.device).expand(rows, slots)
            own = own.masked_fill(~state.live, PADDING)
            segments = torch.cat([segments, own], dim=1)
            mask = visible(own, segments, offset=state.cached)
        hidden = self._run(inputs, positions, mask, state.cache)
        return Decoding(
            state.cache, segments, state.next_positions + 1, hidden, state.live, cached=state.cached + slots
        )

    def generate(self, embedded: Sequence[Embedded], max_new_tokens: int) -> list[list[list[int]]]:
        """Greedy answers: for each clip, for each question, ids up to and with the ending token."""
        return self._grow(embedded, [tokens for tokens, _ in self._decode(embedded, max_new_tokens)])

    def generate_with_states(
        self, embedded: Sequence[Embedded], max_new_tokens: int
    ) -> tuple[list[list[list[int]]], Tensor]:
        """As `generate`, and what `answer_states` would give along these answers, each closed with its ending token:
        the states that decoding has at hand anyway, without a second pass over the clip.
        """
        steps = list(self._decode(embedded, max_new_tokens, closing=True))
        answers = self._grow(embedded, [tokens for tokens, _ in steps[:max_new_tokens]])
        rows: list[int] = []
        slots: list[int] = []
        at: list[int] = []
        for row, of_clip in enumerate(answers):
            for slot, ids in enumerate(of_clip):
                length = len(ids) + (ids[-1] != self.ending_id)
                rows += [row] * length
                slots += [slot] * length
                at += range(length)
        states = torch.stack([hidden for _, hidden in steps], dim=2)  # [rows, slots, tokens, hidden]
        return answers, states[torch.tensor(rows), torch.tensor(slots), torch.tensor(at)]

    def _decode(
        self, embedded: Sequence[Embedded], max_new_tokens: int, *, closing: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Token by token, greedily: tokens `[rows, slots]` and the states `[rows, slots, hidden]` that predict them,
        until every answer has ended. `closing`: one more state where some did not, to predict their ending token.
        """
        state = self.prefill(embedded)
        done = ~state.live
        for step in range(max_new_tokens + closing):
            tokens = self.logits(state.hidden).argmax(-1)
            yield tokens, state.hidden
            done = done | (tokens == self.ending_id)
            if bool(done.all()) or step + 1 == max_new_tokens + closing:
                return
            state = self.decode_one_token(state, tokens)

    def _grow(self, embedded: Sequence[Embedded], produced: Sequence[Tensor]) -> list[list[list[int]]]:
        grown = torch.stack(list(produced), dim=-1).tolist()
        return [
            [_until(grown[row][slot], self.ending_id) for slot in range(len(one.questions))]
            for row, one in enumerate(embedded)
        ]

    def answer_states(self, embedded: Sequence[Embedded], answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Post-norm states `[answer tokens, hidden]` that predict each token of the given answers.

        Teacher forcing, in the order clip, question, token; `answers` are ids with their ending token.
        """
        packed = pack_rows(embedded, answers, self.embed_ids)
        hidden = self._run(packed.inputs, packed.positions, packed.mask(), None)
        rows, columns = packed.where(answers)
        return hidden[torch.tensor(rows, device=self.device), torch.tensor(columns, device=self.device)]

    def _run(self, inputs: Tensor, positions: Tensor, mask: Tensor | None, cache: DynamicCache | None) -> Tensor:
        """The language model over embeddings `[rows, tokens, hidden]` → post-norm states of the same shape."""
        output = self.language_model(
            inputs_embeds=inputs,
            position_ids=positions if self.position_axes > 1 else positions[0],
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return output.last_hidden_state  # type: ignore[no-any-return]


def architecture(name: str) -> type[Architecture]:
    """The class `Model` of `models/<name>.py`. ModelFault when there is none."""
    if not name.isidentifier() or find_spec(f"models.{name}") is None:
        raise ModelFault(f"unknown architecture {name!r}: there is no models/{name}.py")
    module = import_module(f"models.{name}")
    if not hasattr(module, "Model"):
        raise ModelFault(f"models/{name}.py is not an architecture: it has no class Model")
    return module.Model  # type: ignore[no-any-return]


def _until(ids: list[int], ending: int) -> list[int]:
    return ids[: ids.index(ending) + 1] if ending in ids else ids
