"""What an artifact's key is made of beside the weights it started from: our sources, the libraries, the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.pair import DataSpec
from harness.qa.datasets import dataset_names, is_read, items_digest, load_items
from harness.qa.views import views

LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes", "peft", "av", "pillow")
# sources without a say in what a training produces
UNTRAINED = ("ahead.py", "blind.py", "check.py", "contact_sheet.py", "frame_cache.py", "grading.py", "sweep.py")


def sources(dataset: str) -> Mapping[str, Any]:
    """Digest of our code that has a say in a training on this dataset, and the libraries' versions."""
    return {"sources": _source_digest(dataset), "libraries": {name: version(name) for name in LIBRARIES}}


def data_key(data: DataSpec, split: str, shown: int = 1) -> Mapping[str, Any]:
    """What is asked about which clips, `shown` in so many views: by what draws them, or by the digest of what was read,
    wherever it lies.
    """
    key = {
        "dataset": data.dataset,
        "seed": data.seed,
        "frames": data.frames,
        "max_side": data.max_side,
        "limit": data.limit,
        "split": split,
        "views": shown,
        **plain(data.splits[split]),
    }
    if is_read(data):
        key["items"] = items_digest(views(load_items(data, split), shown))
    return key


def plain(model: Any) -> Any:
    """A section of the pair file as JSON."""
    return model.model_dump(mode="json")


@cache
def _source_digest(dataset: str) -> str:
    others = {name.replace("-", "_") for name in dataset_names(drawn=True)} - {dataset.replace("-", "_")}
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for folder in ("harness/distill", "harness/qa", "models"):
        for file in sorted(f for f in (root / folder).glob("*.py") if f.name not in UNTRAINED and f.stem not in others):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
