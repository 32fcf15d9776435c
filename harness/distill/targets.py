"""What the teacher knows at answer positions, cached once: the student then learns without the teacher in memory.

Kept are the answers, the teacher's post-norm hidden states at every answer token (ending token included) and its head,
cut to the shared ids. Hidden state × head gives the exact full-vocabulary logits at any temperature, in a hundredth of
the space of dense logits. With `top_k` the k likeliest ids are kept instead, with the log-sum-exp over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from harness.distill.align import require_spelt
from harness.distill.knowledge import Dense, Known, TopK
from harness.distill.rows import Entry, Rows, RowWriter
from harness.distill.stopping import stop_between
from harness.distill.tensors import write_tensors
from harness.qa.asking import prepare
from harness.qa.items import Clip, QAItem, by_clip
from models.interface import Architecture, Prepared

HEAD = "head.safetensors"
TEMPERATURES = (1.0, 2.0, 3.0)  # whose log-sum-exp a top-k cache keeps, beside the recipe's own
TOKENS_AT_ONCE = 512  # of dense logits while the top k are chosen: 0.3 GB in fp32 for 152k ids


@dataclass(frozen=True)
class TopKForm:
    """Keep the `k` likeliest ids, for a divergence at any of these temperatures."""

    k: int
    temperatures: tuple[float, ...]


@dataclass(frozen=True)
class Targets:
    """The teacher's answers, and what it knows along them. Rows run over items in order, then over answer tokens."""

    rows: Rows
    head: Tensor | None  # [shared ids, teacher's hidden size], on the training's device; None in the top-k form
    answers: dict[str, tuple[int, ...]]  # item id → answer ids with the ending token
    texts: dict[str, str]  # item id → the answer as text
    first_row: dict[str, int]  # item id → its first row
    device: torch.device

    def at(self, rows: Sequence[int]) -> Known:
        """The teacher's knowledge of these answer tokens, on the training's device."""
        found = {name: one.to(self.device, non_blocking=True) for name, one in self.rows.at(rows).items()}
        if self.head is not None:
            return Dense(found["hidden"], self.head)
        lse = {float(name.removeprefix("lse:")): one for name, one in found.items() if name.startswith("lse:")}
        return TopK(found["ids"].long(), found["logits"], lse)

    def logits(self, rows: Sequence[int]) -> Tensor:
        """The teacher's logits `[rows, shared ids]`, in fp32: for small numbers of rows."""
        known = self.at(rows)
        assert isinstance(known, Dense), "a top-k cache has no logits of the other ids"
        return known.states.float() @ known.head.float().T


@torch.inference_mode()
def make_targets(
    teacher: Architecture,
    items: Sequence[QAItem],
    shared: int,
    folder: Path,
    *,
    max_new_tokens: int,
    batch_clips: int,
    given: Mapping[str, Sequence[int]] | None = None,
    top_k: TopKForm | None = None,
    bill: Callable[[Sequence[Prepared], Sequence[Sequence[Sequence[int]]]], None] = lambda prepared, answers: None,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Answer every item greedily, or read the answers that are `given` (item id → ids), and cache what is known.

    Resumed from what an interrupted run left in `folder`; `bill` is told of every batch that is kept. An answer that
    did not end within `max_new_tokens` is closed with the ending token, which the student then learns. Returns what the
    artifact should tell: how many tokens, how many answers were closed so, and in the top-k form the mass that is
    covered. ModelError when an answer cannot be spelt in the shared ids.
    """
    groups = by_clip(items)
    writer = RowWriter(folder)
    left = [group for group in groups if not all(item.id in writer.done for item in group[1])]
    head = teacher.head.weight[:shared].detach()
    with stop_between() as stopping:
        for start in range(0, len(left), batch_clips):
            stopping.raise_if_asked()
            batch = left[start : start + batch_clips]
            bill(*_answer(teacher, batch, shared, writer, head, max_new_tokens, given, top_k))
            watch(len(groups) - len(left) + min(start + batch_clips, len(left)), len(groups))
    writer.finish([item.id for item in items])
    if top_k is None:
        write_tensors(folder / HEAD, {"head": head.cpu()})
    return _told([writer.done[item.id] for item in items])


def shard_of(items: Sequence[QAItem], batch_clips: int, number: int, count: int) -> list[QAItem]:
    """Shard `number` (from 1) of `count`: whole batches, cut where one job would cut them. Empty beyond the batches."""
    groups = by_clip(items)
    batches = -(-len(groups) // batch_clips)
    count = min(count, batches)
    if number > count:
        return []
    first, last = (batches * at // count * batch_clips for at in (number - 1, number))
    mine = {clip.id for clip, _ in groups[first:last]}
    return [item for item in items if item.clip.id in mine]


def join_targets(parts: Sequence[Path], items: Sequence[QAItem], folder: Path) -> dict[str, Any]:
    """What `make_targets` would have written and told of all items, from shards' folders."""
    writer = RowWriter(folder)
    for part in parts:
        writer.borrow(part)
    writer.finish([item.id for item in items])
    if (parts[0] / HEAD).exists():
        write_tensors(folder / HEAD, load_file(parts[0] / HEAD))
    return _told([writer.done[item.id] for item in items])


def load_targets(folder: Path, device: torch.device) -> Targets:
    """Read what `make_targets` wrote: the head onto the device, the rows where they lie."""
    rows = Rows(folder)
    head = load_file(folder / HEAD, device=str(device))["head"] if (folder / HEAD).exists() else None
    return Targets(
        rows=rows,
        head=head,
        answers={name: tuple(entry.info["ids"]) for name, entry in rows.entries.items()},
        texts={name: entry.info["text"] for name, entry in rows.entries.items()},
        first_row=rows.first,
        device=device,
    )


def _answer(
    teacher: Architecture,
    batch: Sequence[tuple[Clip, tuple[QAItem, ...]]],
    shared: int,
    writer: RowWriter,
    head: Tensor,
    max_new_tokens: int,
    given: Mapping[str, Sequence[int]] | None,
    top_k: TopKForm | None,
) -> tuple[Sequence[Prepared], Sequence[Sequence[Sequence[int]]]]:
    prepared = prepare(teacher, batch)
    embedded = teacher.embed(prepared)
    if given is None:
        said, states = teacher.generate_with_states(embedded, max_new_tokens)
    else:
        said = [[list(given[item.id]) for item in asked] for _, asked in batch]
    ended = [[_ended(ids, teacher.ending_id) for ids in of_clip] for of_clip in said]
    entries = [
        Entry(item.id, len(ids), {"ids": ids, "text": teacher.answer_text(ids), "closed": len(ids) > len(before)})
        for (_, asked), of_clip, all_before in zip(batch, ended, said, strict=True)
        for item, ids, before in zip(asked, of_clip, all_before, strict=True)
    ]
    require_spelt(((entry.info["text"], tuple(entry.info["ids"])) for entry in entries), shared)
    if given is not None:
        states = teacher.answer_states(embedded, ended)
    if top_k is None:
        writer.add({"hidden": states.cpu()}, entries)
        return prepared, ended
    tensors, covered = _likeliest(states, head, top_k)
    at, told = 0, []
    for entry in entries:
        mass = {name: one[at : at + entry.rows].tolist() for name, one in covered.items()}
        told.append(Entry(entry.id, entry.rows, {**entry.info, "covered": mass}))
        at += entry.rows
    writer.add(tensors, told)
    return prepared, ended


def _likeliest(states: Tensor, head: Tensor, form: TopKForm) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The k likeliest ids with their logits, the log-sum-exp at each temperature, and the mass that the k cover."""
    found: dict[str, list[Tensor]] = {}
    covered: dict[str, list[Tensor]] = {}
    for chunk in states.split(TOKENS_AT_ONCE):
        logits = chunk.float() @ head.float().T
        top, ids = logits.topk(min(form.k, logits.shape[1]), dim=-1)
        found.setdefault("ids", []).append(ids.int().cpu())
        found.setdefault("logits", []).append(top.cpu())
        for temperature in form.temperatures:
            lse = torch.logsumexp(logits / temperature, dim=-1)
            found.setdefault(f"lse:{temperature:g}", []).append(lse.cpu())
            mass = (top / temperature - lse[:, None]).exp().sum(-1)
            covered.setdefault(f"{temperature:g}", []).append(mass.cpu())
    return {n: torch.cat(o) for n, o in found.items()}, {n: torch.cat(o) for n, o in covered.items()}


def _told(entries: Sequence[Entry]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "answers": len(entries),
        "tokens": sum(entry.rows for entry in entries),
        "closed": sum(bool(entry.info["closed"]) for entry in entries),
    }
    if entries and "covered" in entries[0].info:
        for temperature in entries[0].info["covered"]:
            masses = [mass for entry in entries for mass in entry.info["covered"][temperature]]
            told.setdefault("covered_mass", {})[temperature] = {
                "mean": sum(masses) / len(masses),
                "least": min(masses),
            }
    return told


def _ended(ids: Sequence[int], ending: int) -> list[int]:
    return list(ids) if ids and ids[-1] == ending else [*ids, ending]
