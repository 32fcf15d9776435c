"""What a frozen vision tower sees, cached once: then neither frames nor tower are needed while the rest learns.

Kept is the input of the first module that is trained: what `look` gives where the merger learns (`lm`), what `see`
gives where it does not (`lora`); beside it the ids and the layout of the clip's prefix, so that no clip is decoded
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from harness.distill.precision import autocast
from harness.distill.rows import Entry, Rows, RowWriter
from harness.distill.stopping import stop_between
from harness.distill.trained import is_frozen_tower
from harness.pair import Recipe
from harness.qa.asking import prepare
from harness.qa.items import QAItem, by_clip
from models.interface import Architecture, Prepared

Stage = Literal["looked", "seen"]


def stage_of(recipe: Recipe, *, hears: bool) -> Stage | None:
    """Which features this recipe lets us keep; None where the tower learns, or where sound would be needed as well."""
    if hears or not is_frozen_tower(recipe):
        return None
    return "looked" if recipe.parameters == "lm" else "seen"


@torch.inference_mode()
def make_features(
    model: Architecture,
    items: Sequence[QAItem],
    recipe: Recipe,
    stage: Stage,
    folder: Path,
    *,
    batch_clips: int,
    bill: Callable[[Sequence[Prepared]], None] = lambda prepared: None,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Look at every clip once. Resumed from what an interrupted run left in `folder`; `bill` is told of every batch."""
    groups = by_clip(items)
    writer = RowWriter(folder)
    left = [group for group in groups if group[0].id not in writer.done]
    with stop_between() as stopping:
        for start in range(0, len(left), batch_clips):
            stopping.raise_if_asked()
            batch = left[start : start + batch_clips]
            with autocast(model, recipe):
                prepared = prepare(model, batch)  # with their questions, so that one too long is found now
                seen = model.look(prepared) if stage == "looked" else model.see(prepared)
            entries = [
                Entry(clip.id, len(rows), _prefix(one))
                for (clip, _), one, rows in zip(batch, prepared, seen, strict=True)
            ]
            writer.add({"rows": torch.cat(seen).cpu()}, entries)
            bill(prepared)
            watch(len(groups) - len(left) + min(start + batch_clips, len(left)), len(groups))
    writer.finish([clip.id for clip, _ in groups])
    return {"clips": len(groups), "rows": sum(entry.rows for entry in writer.done.values()), "stage": stage}


@dataclass(frozen=True)
class Features:
    """What the tower saw of each clip, read from disk as it is asked for."""

    rows: Rows
    stage: Stage

    def prepared(self, model: Architecture, clip: str, questions: Sequence[str]) -> tuple[Prepared, Tensor]:
        """A clip and its questions without pixels, and what was seen of it."""
        info = self.rows.entries[clip].info
        prepared = Prepared(
            pixels=torch.empty(0),
            grids=tuple((int(t), int(h), int(w)) for t, h, w in info["grids"]),
            still=info["still"],
            prefix_ids=torch.tensor(info["ids"]),
            spliced=torch.tensor(info["spliced"], dtype=torch.bool),
            questions=tuple(model.question_ids(question) for question in questions),
        )
        return prepared, self.rows.of(clip)["rows"]

    def sights(self, model: Architecture, prepared: Sequence[Prepared], seen: Sequence[Tensor]) -> list[Tensor]:
        """What `see` would give."""
        there = [one.to(model.device) for one in seen]
        return model.connect(there, prepared) if self.stage == "looked" else there


def _prefix(prepared: Prepared) -> dict[str, Any]:
    return {
        "grids": prepared.grids,
        "still": prepared.still,
        "ids": prepared.prefix_ids.tolist(),
        "spliced": prepared.spliced.int().tolist(),
    }
