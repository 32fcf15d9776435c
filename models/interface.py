"""What an architecture offers, and the stages every model here is driven and timed through.

    prepare (CPU) → embed (vision, splice) → prefill → decode_one_token … = generate;  answer_states for teacher forcing

All questions on a clip share its visual prefix in one row (`packing.py`). With one question a row and no padding the
mask is plain causal, so that what is timed is what a deployment would run.

An architecture is a module `models/<name>.py` with a class `Model(Architecture)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoTokenizer, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from models.formats import load_options
from models.packing import PADDING, Embedded, pack_rows, visible
from models.tokenizer import build_tokenizer

transformers_logging.disable_progress_bar()  # only the harness's doors draw

ENDING = "<|im_end|>"  # ChatML's end of a turn, with which every answer ends
SYSTEM = "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\n"


class ModelFault(Exception):
    """A checkpoint or input that this architecture cannot serve, said in one line."""


@dataclass(frozen=True)
class Prepared:
    """One clip and its questions, on the CPU. `prefix_ids` holds a placeholder for every visual token."""

    pixels: Tensor  # what the vision tower takes; the first axis may be concatenated over clips
    grid: tuple[int, int, int]  # (time, height, width) of the visual tokens' layout, as the architecture counts them
    prefix_ids: Tensor  # int64 [prefix]
    visual: Tensor  # bool [prefix]: which of them are placeholders
    questions: tuple[tuple[int, ...], ...]  # token ids of each question, chat turns included


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

    position_axes: int  # 1 for plain rotary positions, 3 for M-RoPE

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.ending_id = int(tokenizer.get_vocab()[ENDING])
        self._question_ids: dict[str, tuple[int, ...]] = {}
        self._system_ids = self._text_ids(SYSTEM, special=True)

    # --- what a subclass knows ---------------------------------------------------------------------

    @abstractmethod
    def pack(self, frames: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int, int]]:
        """Frames uint8 `[frames, height, width, 3]` → the tower's input and its grid."""

    @abstractmethod
    def visual_prefix(self, grid: tuple[int, int, int]) -> tuple[list[int], list[bool]]:
        """Ids around and under the visual tokens, and which of them are placeholders."""

    @abstractmethod
    def see(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        """Vision tower and projector: `[visual tokens, hidden]` for each clip."""

    @abstractmethod
    def positions(self, prepared: Prepared) -> tuple[Tensor, int]:
        """Positions `[axes, prefix]` and the first position after the prefix."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path, **options: Any) -> Any:
        """What `from_pretrained(folder, **options)` of the transformers class gives."""

    @classmethod
    @abstractmethod
    def build(cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> PreTrainedModel:
        """A model with random weights at the sizes of `config` (transformers' names) and so many embedding rows."""

    # --- where a model comes from ------------------------------------------------------------------

    @classmethod
    def load(cls, folder: Path, *, format: str = "native", **options: Any) -> Architecture:
        """Weights, config and tokenizer of a folder, in a format of `formats.py`. ModelFault if not whole."""
        options |= load_options(format)
        try:
            model, told = cls.read(folder, output_loading_info=True, ignore_mismatched_sizes=True, **options)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelFault(f"{folder}: cannot be loaded: {str(error).partition(chr(10))[0]}") from error
        for what in ("missing", "unexpected", "mismatched"):  # transformers would go on with random weights
            if keys := sorted(told[f"{what}_keys"]):
                raise ModelFault(f"{folder}: cannot be loaded: {len(keys)} {what} weights, such as {keys[0]}")
        return cls(model.eval(), read_tokenizer(folder))

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
        model = cls.build(config, tokenizer, -(-len(tokenizer) // pad_vocab_to) * pad_vocab_to)
        for suffix, factor in scale.items():
            found = [p for name, p in model.named_parameters() if name.endswith(suffix)]
            if not found:
                raise ModelFault(f"initial.scale: no parameter's name ends in {suffix!r}")
            for parameter in found:
                parameter.data.mul_(factor)
        return cls(model.eval(), tokenizer)

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        self.model.to(device)  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Config, safetensors and tokenizer, as `load` reads them."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

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
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """What activations are computed in (INT8 weights have their own)."""
        return self.language_model.norm.weight.dtype  # type: ignore[return-value, union-attr]

    def _text_ids(self, text: str, special: bool) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special).input_ids
        return ids

    def question_ids(self, question: str) -> tuple[int, ...]:
        """A user's turn after the clip, and the opening of the assistant's. Special tokens in a question stay text."""
        if question not in self._question_ids:
            asked = self._text_ids(f"\n{question}", special=False)
            closing = self._text_ids("<|im_end|>\n<|im_start|>assistant\n", special=True)
            self._question_ids[question] = (*asked, *closing)
        return self._question_ids[question]

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        """An answer with its ending token."""
        return (*self._text_ids(answer, special=False), self.ending_id)

    def answer_text(self, ids: Sequence[int]) -> str:
        """Token ids up to the ending token, as text."""
        kept = list(ids[: list(ids).index(self.ending_id)]) if self.ending_id in ids else list(ids)
        return str(self.tokenizer.decode(kept)).strip()

    def prepare(self, frames: NDArray[np.uint8], questions: Sequence[str]) -> Prepared:
        """Everything that happens on the CPU before the model runs."""
        pixels, grid = self.pack(frames)
        ids, visual = self.visual_prefix(grid)
        return Prepared(
            pixels=pixels,
            grid=grid,
            prefix_ids=torch.tensor([*self._system_ids, *ids]),
            visual=torch.tensor([False] * len(self._system_ids) + visual),
            questions=tuple(self.question_ids(question) for question in questions),
        )

    def embed(self, prepared: Sequence[Prepared]) -> list[Embedded]:
        """Vision, then splice: visual features take the placeholders' rows."""
        features = self.see(prepared)
        embedded = []
        for one, seen in zip(prepared, features, strict=True):
            text = self.embed_ids(one.prefix_ids.to(self.device))
            where = one.visual.to(self.device)
            if int(one.visual.sum()) != len(seen):
                raise ModelFault(f"{int(one.visual.sum())} visual placeholders but {len(seen)} visual features")
            prefix = text.masked_scatter(where[:, None], seen.to(text.dtype))
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
        state = self.prefill(embedded)
        tokens = self.logits(state.hidden).argmax(-1)
        produced = [tokens]
        done = (tokens == self.ending_id) | ~state.live
        for _ in range(max_new_tokens - 1):
            if bool(done.all()):
                break
            state = self.decode_one_token(state, tokens)
            tokens = self.logits(state.hidden).argmax(-1)
            produced.append(tokens)
            done |= tokens == self.ending_id
        grown = torch.stack(produced, dim=-1).tolist()
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


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint folder, without its weights. ModelFault when it is not whole."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelFault(f"{folder}: its tokenizer cannot be loaded: {str(error).partition(chr(10))[0]}") from error
    return tokenizer


def architecture(name: str) -> type[Architecture]:
    """The class `Model` of `models/<name>.py`."""
    module = import_module(f"models.{name}")
    return module.Model  # type: ignore[no-any-return]


def _until(ids: list[int], ending: int) -> list[int]:
    return ids[: ids.index(ending) + 1] if ending in ids else ids
