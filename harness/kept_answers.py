"""A model's answers to the test's questions, and its states along the reference's, on disk while they are made: a
session that a scheduler stops goes on with the next clip.

    answered(model, items, folder, shared=…, batch_clips=…, max_new_tokens=…)     # the reference itself
    answered(model, items, folder, along=reference.answers, …)                    # another, along its answers
    answers, forced = load_answers(folder, items)

The reference is an artifact: every job of a run that has the same key finds the one that the first made. What a variant
says is kept for one job alone, below $FIRSTSIGHT_RESUME (containers/slurm/job.sh), so that every run answers anew and
proves that baseline agrees with itself. Times are never kept.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from harness.artifact import file_digest
from harness.distill.keys import sources
from harness.distill.rows import Entry, Rows, RowWriter
from harness.distill.stopping import stop_between
from harness.distill.tensors import write_tensors
from harness.measure import answers as measuring
from harness.measure.answers import Answers, Forced, answer, force
from harness.measure.environment import environment
from harness.qa.datasets import items_digest
from harness.qa.items import QAItem, by_clip
from models.interface import Architecture

HEAD = "head.safetensors"
SECONDS = 20.0  # between two looks at whether somebody asked to stop; what is lost when killed


@dataclass(frozen=True)
class Reference:
    """The teacher's answers, its states along them, and what a record tells of where they come from."""

    answers: Answers
    forced: Forced
    told: Mapping[str, Any]

    @property
    def differs(self) -> str:
        """What is said where the teacher, asked anew, does."""
        kept = f"; its answers are those of a run before, in reference-{self.told['artifact'][:16]}: remove that folder"
        return f"baseline differs from itself{kept if self.told['found'] else ''}"


def answers_key(
    weights: str, loading: Mapping[str, Any], items: Sequence[QAItem], dataset: str, device: torch.device, **asked: Any
) -> Mapping[str, Any]:
    """All that has a say in what is answered, to the last bit: weights and how they are loaded, what is asked and how
    (`asked`: batch, token limit), our sources, libraries, the device with its driver, threads.
    """
    here = environment(device)
    ours = hashlib.sha256(b"".join(file_digest(Path(str(one))).encode() for one in (__file__, measuring.__file__)))
    return {
        **sources(dataset),
        "answering": ours.hexdigest(),
        "weights": weights,
        "loading": loading,
        "items": items_digest(items),
        "asked": asked,
        "device": {name: here["device"][name] for name in ("kind", "name", "driver")},
        "cpu": here["cpu"],
        "threads": here["threads"],
        "versions": here["versions"],
    }


def answered(
    model: Architecture,
    items: Sequence[QAItem],
    folder: Path,
    *,
    along: Answers | None = None,
    shared: int,
    batch_clips: int,
    max_new_tokens: int,
) -> int:
    """Answer every item and force the model along the reference's answers (None: its own), into `folder`: batches that
    an interrupted session left there are not asked again. How many items those were. Requeue where a scheduler stops
    us: what was answered is on disk by then.
    """
    writer = RowWriter(folder)
    before = len(writer.done)
    reference = {} if along is None else dict(zip((item.id for item in along.items), along.ids, strict=True))
    groups = by_clip(items)
    batches = [groups[at : at + batch_clips] for at in range(0, len(groups), batch_clips)]
    left = [batch for batch in batches if not all(item.id in writer.done for _, asked in batch for item in asked)]
    taken = 1
    with stop_between() as stopping:
        while left:
            stopping.raise_if_asked()
            began = time.monotonic()
            chunk = [item for batch in left[:taken] for _, asked in batch for item in asked]
            said = answer(model, chunk, batch_clips=batch_clips, max_new_tokens=max_new_tokens)
            ids = said.ids if along is None else tuple(reference[item.id] for item in said.items)
            forced = force(model, Answers(said.items, ids, said.texts, said.sure), shared, batch_clips=batch_clips)
            told = zip(said.items, ids, said.ids, said.texts, said.sure, said.options_p, strict=True)
            entries = [
                Entry(item.id, len(path), {"ids": own, "text": text, "sure": sure, "options_p": options})
                for item, path, own, text, sure, options in told
            ]
            writer.add({"states": forced.states}, entries)
            left = left[taken:]
            taken = max(1, min(64, int(taken * SECONDS / (time.monotonic() - began))))
    writer.finish([item.id for _, asked in groups for item in asked])
    write_tensors(folder / HEAD, {"head": model.head.weight[:shared].detach().cpu()})
    return before


def load_answers(folder: Path, items: Sequence[QAItem]) -> tuple[Answers, Forced]:
    """What `answered` wrote, as `answer` and `force` would give it."""
    rows = Rows(folder)
    ordered = tuple(item for _, asked in by_clip(items) for item in asked)
    told = [rows.entries[item.id].info for item in ordered]
    found = Answers(
        ordered,
        tuple(tuple(one["ids"]) for one in told),
        tuple(one["text"] for one in told),
        tuple(one["sure"] for one in told),
        tuple(None if one["options_p"] is None else tuple(one["options_p"]) for one in told),
    )
    states = rows.at(range(rows.total))["states"]
    return found, Forced(states, load_file(folder / HEAD)["head"])
