"""What the teacher knows at answer positions, cached once: the student then learns without the teacher in memory.

Kept are the teacher's greedy answers, its post-norm hidden states at every answer token (ending token included) and
its head, cut to the shared ids. Hidden state × head gives the exact full-vocabulary logits at any temperature, in a
hundredth of the space of dense logits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.distill.align import require_spelt
from harness.qa.asking import prepare
from harness.qa.items import QAItem, by_clip
from models.interface import Architecture


@dataclass(frozen=True)
class Targets:
    """The teacher's answers and states. Rows of `hidden` run over items in order, then over answer tokens."""

    hidden: Tensor  # [answer tokens, teacher's hidden size]
    head: Tensor  # [shared ids, teacher's hidden size]
    answers: dict[str, tuple[int, ...]]  # item id → answer ids with the ending token
    texts: dict[str, str]  # item id → the answer as text
    first_row: dict[str, int]  # item id → its first row in `hidden`

    def logits(self, rows: Tensor) -> Tensor:
        """The teacher's logits `[rows, shared ids]`, in fp32."""
        return self.hidden[rows].float() @ self.head.float().T


@torch.inference_mode()
def make_targets(
    teacher: Architecture,
    items: Sequence[QAItem],
    shared: int,
    folder: Path,
    *,
    max_new_tokens: int,
    batch_clips: int,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Answer every item greedily and write `targets.safetensors` and `answers.json` into `folder`.

    An answer that did not end within `max_new_tokens` is closed with the ending token, which the student then learns.
    ModelError when an answer cannot be spelt in the shared ids.
    """
    groups = by_clip(items)
    hidden: list[Tensor] = []
    answers: list[dict[str, object]] = []
    row = 0
    for start in range(0, len(groups), batch_clips):
        batch = groups[start : start + batch_clips]
        embedded = teacher.embed(prepare(teacher, batch))
        said = [
            [_ended(ids, teacher.ending_id) for ids in row_ids]
            for row_ids in teacher.generate(embedded, max_new_tokens)
        ]
        hidden.append(teacher.answer_states(embedded, said).cpu())
        for (_, asked), given in zip(batch, said, strict=True):
            for item, ids in zip(asked, given, strict=True):
                answers.append({"id": item.id, "ids": ids, "text": teacher.answer_text(ids), "row": row})
                row += len(ids)
        watch(min(start + batch_clips, len(groups)), len(groups))
    require_spelt(((str(a["text"]), tuple(a["ids"])) for a in answers), shared)  # type: ignore[arg-type]
    head = teacher.head.weight[:shared].detach().cpu()
    save_file({"hidden": torch.cat(hidden).contiguous(), "head": head.contiguous()}, folder / "targets.safetensors")
    (folder / "answers.json").write_text(json.dumps(answers))


def load_targets(folder: Path, device: torch.device) -> Targets:
    """Read what `make_targets` wrote."""
    tensors = load_file(folder / "targets.safetensors")
    answers = json.loads((folder / "answers.json").read_text())
    return Targets(
        hidden=tensors["hidden"].to(device),
        head=tensors["head"].to(device),
        answers={a["id"]: tuple(a["ids"]) for a in answers},
        texts={a["id"]: a["text"] for a in answers},
        first_row={a["id"]: a["row"] for a in answers},
    )


def _ended(ids: list[int], ending: int) -> list[int]:
    return ids if ids and ids[-1] == ending else [*ids, ending]
