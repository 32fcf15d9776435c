"""Several questions on one clip in one row: the layout, the positions, and who attends to whom.

    row = [prefix | question 1 (+ answer) | question 2 (+ answer) | …]

A token attends to the prefix and to its own question only, and each question's positions continue from the prefix: the
same numbers as one prompt per question, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SHARED, PADDING = 0, -1  # segments: the prefix all questions see; nothing


@dataclass(frozen=True)
class Embedded:
    """A clip's prefix after vision and splice, with its questions still as ids."""

    prefix: Tensor  # [prefix, hidden]
    positions: Tensor  # int64 [axes, prefix]
    next_position: int
    questions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PackedRows:
    """A batch of rows as the language model takes it, and where in it answers begin."""

    inputs: Tensor  # [rows, tokens, hidden]
    positions: Tensor  # int64 [axes, rows, tokens]
    segments: Tensor  # int64 [rows, tokens]: 0 prefix, k question k, -1 padding
    last: Tensor  # int64 [rows, slots]: index of each question's last token
    next_positions: Tensor  # int64 [rows, slots]
    live: Tensor  # bool [rows, slots]
    answer_starts: list[list[int]]  # index of the state that predicts each answer's first token
    causal: bool  # one question a row and no padding

    def where(self, answers: Sequence[Sequence[Sequence[int]]]) -> tuple[list[int], list[int]]:
        """Row and column of the state that predicts each answer token: by clip, question, token."""
        rows: list[int] = []
        columns: list[int] = []
        for row, (starts, given) in enumerate(zip(self.answer_starts, answers, strict=True)):
            for start, answer in zip(starts, given, strict=True):
                rows += [row] * len(answer)
                columns += range(start, start + len(answer))
        return rows, columns

    def mask(self) -> Tensor | None:
        """bool `[rows, 1, tokens, tokens]`, or None for plain causal attention."""
        return None if self.causal else visible(self.segments, self.segments, offset=0)


def visible(query: Tensor, key: Tensor, offset: int) -> Tensor:
    """Who sees whom: earlier tokens of the prefix and of one's own question; padding sees itself."""
    order_query = offset + torch.arange(query.shape[1], device=query.device)[:, None]
    order_key = torch.arange(key.shape[1], device=key.device)[None, :]
    same = (key[:, None, :] == query[:, :, None]) | (key[:, None, :] == SHARED)
    seen = same & (order_key <= order_query) & (query != PADDING)[:, :, None]
    return (seen | (order_key == order_query))[:, None]


def pack_rows(
    embedded: Sequence[Embedded],
    answers: Sequence[Sequence[Sequence[int]]],
    embed: Callable[[Tensor], Tensor],
) -> PackedRows:
    """Lay clips, questions and answers out as rows; `embed` turns ids into embeddings.

    An answer's last token is never an input, only a target.
    """
    device, axes = embedded[0].prefix.device, embedded[0].positions.shape[0]
    ids: list[list[int]] = []
    segments: list[list[int]] = []
    steps: list[list[int]] = []
    last: list[list[int]] = []
    starts: list[list[int]] = []
    following: list[list[int]] = []
    for one, given in zip(embedded, answers, strict=True):
        at = one.prefix.shape[0]
        row_ids: list[int] = []
        row_segments: list[int] = [SHARED] * at
        row_steps: list[int] = []
        row_last, row_starts, row_following = [], [], []
        for number, (question, answer) in enumerate(zip(one.questions, given, strict=True), start=1):
            tokens = [*question, *answer[:-1]]
            row_ids += tokens
            row_segments += [number] * len(tokens)
            row_steps += range(len(tokens))
            row_starts.append(at + len(question) - 1)
            at += len(tokens)
            row_last.append(at - 1)
            row_following.append(one.next_position + len(tokens))
        ids.append(row_ids)
        segments.append(row_segments)
        steps.append([one.next_position + step for step in row_steps])
        last.append(row_last)
        starts.append(row_starts)
        following.append(row_following)
    length = max(map(len, segments))
    slots = max(map(len, last))
    text_length = max(map(len, ids))
    text = embed(_pad(ids, text_length, 0, device))
    inputs = text.new_zeros(len(ids), length, text.shape[-1])
    positions = torch.zeros(axes, len(ids), length, dtype=torch.long, device=device)
    text_positions = _pad(steps, text_length, 0, device)
    for row, one in enumerate(embedded):
        prefix, count = one.prefix.shape[0], len(ids[row])
        inputs[row, :prefix] = one.prefix
        inputs[row, prefix : prefix + count] = text[row, :count]
        positions[:, row, :prefix] = one.positions
        positions[:, row, prefix : prefix + count] = text_positions[row, :count]
    live = _pad([[1] * len(row) for row in last], slots, 0, device).bool()
    return PackedRows(
        inputs=inputs,
        positions=positions,
        segments=_pad(segments, length, PADDING, device),
        last=_pad(last, slots, 0, device),
        next_positions=_pad(following, slots, 0, device),
        live=live,
        answer_starts=starts,
        causal=slots == 1 and all(len(row) == length for row in segments),
    )


def _pad(rows: Sequence[Sequence[int]], length: int, filler: int, device: torch.device) -> Tensor:
    return torch.tensor([[*row, *[filler] * (length - len(row))] for row in rows], dtype=torch.long, device=device)
