"""The student's own answers, for its teacher to score: it learns where it goes wrong, not only where it is led.

On-policy distillation (Agarwal et al. 2024, GKD): answers are drawn from the student at T = 1, the teacher's
distribution along them is the target, and nothing pulls towards the answers themselves (no cross-entropy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.distill.rows import Entry, Rows, RowWriter
from harness.distill.stopping import stop_between
from harness.pair import Recipe
from harness.qa.asking import prepare
from harness.qa.items import QAItem, by_clip
from models.interface import Architecture, Embedded


def round_recipe(recipe: Recipe, number: int) -> Recipe:
    """The recipe of one pass on the student's own answers; the first has number 1."""
    changes = {"epochs": 1, "max_steps": None, "alpha": 1.0, "on_policy_epochs": 0, "seed": recipe.seed + 1000 * number}
    return recipe.model_copy(update=changes)


@torch.inference_mode()
def write_student_answers(
    student: Architecture,
    items: Sequence[QAItem],
    shared: int,
    folder: Path,
    *,
    seed: int,
    max_new_tokens: int,
    batch_clips: int,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Draw an answer to every question, in ids that the teacher has too. Resumed from what was left in `folder`."""
    groups = by_clip(items)
    places = {clip.id: at for at, (clip, _) in enumerate(groups)}
    writer = RowWriter(folder)
    left = [group for group in groups if not all(item.id in writer.done for item in group[1])]
    with stop_between() as stopping:
        for start in range(0, len(left), batch_clips):
            stopping.raise_if_asked()
            batch = left[start : start + batch_clips]
            chance = torch.Generator(student.device).manual_seed(seed * 2**31 + places[batch[0][0].id])
            drawn = _draw(student, student.embed(prepare(student, batch)), shared, max_new_tokens, chance)
            asked = [item for _, of_clip in batch for item in of_clip]
            said = [ids for of_clip in drawn for ids in of_clip]
            entries = [Entry(item.id, len(ids)) for item, ids in zip(asked, said, strict=True)]
            writer.add({"ids": torch.tensor([token for ids in said for token in ids])}, entries)
            watch(len(groups) - len(left) + min(start + batch_clips, len(left)), len(groups))
    writer.finish([item.id for item in items])
    return {"answers": len(items), "tokens": sum(entry.rows for entry in writer.done.values())}


def load_student_answers(folder: Path) -> dict[str, list[int]]:
    """Item id → the ids of its answer."""
    rows = Rows(folder)
    return {name: rows.of(name)["ids"].tolist() for name in rows.entries}


def _draw(
    model: Architecture, embedded: Sequence[Embedded], shared: int, max_new_tokens: int, chance: torch.Generator
) -> list[list[list[int]]]:
    state = model.prefill(embedded)
    tokens = _drawn(model.logits(state.hidden)[..., :shared], chance)
    produced = [tokens]
    done = (tokens == model.ending_id) | ~state.live
    while len(produced) < max_new_tokens and not bool(done.all()):
        state = model.decode_one_token(state, tokens)
        tokens = _drawn(model.logits(state.hidden)[..., :shared], chance)
        produced.append(tokens)
        done |= tokens == model.ending_id
    grown = torch.stack(produced, dim=-1).tolist()
    return [
        [_until(grown[row][slot], model.ending_id) for slot in range(len(one.questions))]
        for row, one in enumerate(embedded)
    ]


def _drawn(logits: Tensor, chance: torch.Generator) -> Tensor:
    shares = logits.float().softmax(-1)
    return torch.multinomial(shares.flatten(0, -2), 1, generator=chance).view(shares.shape[:-1])


def _until(ids: list[int], ending: int) -> list[int]:
    return ids[: ids.index(ending) + 1] if ending in ids else ids
