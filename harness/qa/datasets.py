"""A dataset by its name: `harness/qa/<name>.py` with `load_split` and, for tokenizers made locally, `lexicon`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from harness.errors import DataError, oneline
from harness.pair import DataSpec
from harness.qa.items import QAItem

DESCRIPTIONS = ("caption", "story")  # types of items that tell a clip: to learn from, never to report on


def load_items(data: DataSpec, split: str, types: Sequence[str] | None = None) -> list[QAItem]:
    """The split's items of these types; None: every question, no descriptions.

    DataError for an unknown dataset or split, or a type of which there is no item.
    """
    spec = data.splits.get(split)
    if spec is None:
        raise DataError(f"no split {oneline(split)!r} in data.splits; there are {', '.join(data.splits)}")
    wanted = set(types or ())
    items = _module(data).load_split(
        split,
        spec.clips,
        spec.questions_per_clip,
        seed=data.seed,
        descriptions=bool(wanted & {*DESCRIPTIONS}),
    )
    if types is None:
        return [item for item in items if item.type not in DESCRIPTIONS]
    absent = sorted(wanted - {item.type for item in items})
    if absent:
        there = ", ".join(sorted({item.type for item in items} | {*DESCRIPTIONS}))
        raise DataError(
            f"{data.dataset}: no item of type {oneline(absent[0])!r} in the split {split}; there are {there}"
        )
    return [item for item in items if item.type in wanted]


def load_lexicon(data: DataSpec) -> Sequence[str]:
    """Every word of the dataset, to build a tokenizer from."""
    words: Sequence[str] = _module(data).lexicon()
    return words


def _module(data: DataSpec) -> ModuleType:
    name = f"harness.qa.{data.dataset}"
    if not data.dataset.isidentifier() or find_spec(name) is None:
        raise DataError(f"unknown dataset {oneline(data.dataset)!r}: there is no harness/qa/{oneline(data.dataset)}.py")
    module = import_module(name)
    frames = getattr(module, "FRAMES", data.frames)
    if frames != data.frames:
        raise DataError(f"data.frames is {data.frames}, but every clip of {data.dataset!r} has {frames}")
    if not hasattr(module, "load_split"):
        raise DataError(f"harness/qa/{data.dataset}.py is not a dataset: it has no load_split")
    return module
