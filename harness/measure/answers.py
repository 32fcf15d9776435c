"""What a variant answers, and what it thinks of the teacher's answers: the raw material of agreement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.qa.asking import prepare
from harness.qa.items import QAItem, by_clip, letter
from models.interface import Architecture

CHUNK = 256  # answer tokens whose logits over the whole vocabulary are there at once: 150 MB in fp32 at 152,064 rows


@dataclass(frozen=True)
class Answers:
    """Greedy answers to items, in their order. `sure[i]` is the probability the model gives its own answer i,
    `options_p[i]` that of each option's letter as the answer's first token, among the letters; None for open questions,
    and where the tokenizer does not spell every letter with a token of its own.
    """

    items: tuple[QAItem, ...]
    ids: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    sure: tuple[float, ...]
    options_p: tuple[tuple[float, ...] | None, ...] = ()


@torch.inference_mode()
def answer(
    model: Architecture,
    items: Sequence[QAItem],
    *,
    batch_clips: int,
    max_new_tokens: int,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Answers:
    """Let the model answer every item greedily; questions of one clip share its prefix."""
    ordered: list[QAItem] = []
    ids: list[tuple[int, ...]] = []
    sure: list[float] = []
    options_p: list[tuple[float, ...] | None] = []
    groups = by_clip(items)
    for start in range(0, len(groups), batch_clips):
        batch = groups[start : start + batch_clips]
        embedded = model.embed(prepare(model, batch))
        said = model.generate(embedded, max_new_tokens)
        states = model.answer_states(embedded, said)
        flat = torch.tensor([token for row in said for ids_ in row for token in ids_], device=model.device)
        pieces = zip(states.split(CHUNK), flat.split(CHUNK), strict=True)
        chance = torch.cat([_chances(model, piece, ids_) for piece, ids_ in pieces])
        lengths = [len(ids_) for row in said for ids_ in row]
        sure += [float(part.sum().exp()) for part in chance.split(lengths)]
        firsts = [sum(lengths[:at]) for at in range(len(lengths))]
        flat_items = [item for _, asked in batch for item in asked]
        options_p += [_letters(model, item, states[row]) for item, row in zip(flat_items, firsts, strict=True)]
        ids += [tuple(ids_) for row in said for ids_ in row]
        ordered += flat_items
        watch(min(start + batch_clips, len(groups)), len(groups))
    texts = tuple(model.answer_text(one) for one in ids)
    return Answers(tuple(ordered), tuple(ids), texts, tuple(sure), tuple(options_p))


def _chances(model: Architecture, states: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each id by the state that predicts it, `[tokens]`, in fp32."""
    return torch.log_softmax(model.logits(states).float(), -1).gather(1, ids[:, None])[:, 0]


def _letters(model: Architecture, item: QAItem, state: Tensor) -> tuple[float, ...] | None:
    """How likely each option's letter is as the first token, among the letters; `state` `[hidden]` predicts it."""
    if not item.options:
        return None
    tokens = [model.answer_ids(letter(at))[0] for at in range(len(item.options))]
    if len(set(tokens)) < len(tokens):
        return None
    logits = model.logits(state[None]).float()[0]
    return tuple(logits[torch.tensor(tokens, device=logits.device)].softmax(-1).tolist())


@dataclass(frozen=True)
class Forced:
    """Teacher-forced log-probabilities' raw material: states at every token of given answers, and the head."""

    states: Tensor  # [answer tokens, hidden], on the CPU
    head: Tensor  # [shared ids, hidden], on the CPU

    def whole_head(self) -> Tensor:
        """The head in fp32, `[shared ids, hidden]`: made once for all rows."""
        return self.head.float()


@torch.inference_mode()
def force(model: Architecture, given: Answers, shared: int, *, batch_clips: int) -> Forced:
    """States of `model` at every token of somebody's answers (the teacher's), in the items' order."""
    answer_of = {item.id: ids for item, ids in zip(given.items, given.ids, strict=True)}
    states: list[Tensor] = []
    groups = by_clip(given.items)
    for start in range(0, len(groups), batch_clips):
        batch = groups[start : start + batch_clips]
        answers = [[answer_of[item.id] for item in asked] for _, asked in batch]
        states.append(model.answer_states(model.embed(prepare(model, batch)), answers).cpu())
    return Forced(torch.cat(states), model.head.weight[:shared].detach().cpu())
