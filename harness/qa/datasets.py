"""A dataset by its name: `harness/qa/<name>.py` with `load_split` and, for tokenizers made locally, `lexicon`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from harness.errors import DataError, oneline
from harness.pair import DataSpec
from harness.qa.items import QAItem

CAPTION = "caption"  # the type of items that describe a clip: to learn from, never to report on


def load_items(data: DataSpec, split: str) -> list[QAItem]:
    """The split's questions. DataError for an unknown dataset or split."""
    spec = data.splits.get(split)
    if spec is None:
        raise DataError(f"no split {oneline(split)!r} in data.splits; there are {', '.join(data.splits)}")
    items = _module(data).load_split(split, spec.clips, spec.questions_per_clip, seed=data.seed)
    return [item for item in items if item.type != CAPTION]


def load_captions(data: DataSpec, split: str) -> list[QAItem]:
    """The split's descriptions, on the same clips as its questions. DataError where the dataset has none."""
    spec = data.splits[split]
    items = _module(data).load_split(split, spec.clips, spec.questions_per_clip, seed=data.seed, captions=True)
    captions = [item for item in items if item.type == CAPTION]
    if not captions:
        raise DataError(f"the dataset {data.dataset!r} has no descriptions of its clips, which `ask: captions` needs")
    return captions


def load_lexicon(data: DataSpec) -> Sequence[str]:
    """Every word of the dataset, to build a tokenizer from."""
    words: Sequence[str] = _module(data).lexicon()
    return words


def _module(data: DataSpec) -> ModuleType:
    name = f"harness.qa.{data.dataset}"
    if not data.dataset.isidentifier() or find_spec(name) is None:
        raise DataError(f"unknown dataset {oneline(data.dataset)!r}: there is no harness/qa/{oneline(data.dataset)}.py")
    module = import_module(name)
    if not hasattr(module, "load_split"):
        raise DataError(f"harness/qa/{data.dataset}.py is not a dataset: it has no load_split")
    return module
