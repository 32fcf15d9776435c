"""What --qa and `firstsight data check` name: DATASET:PATH or DATASET:PATH:PART.

dataset, path, part = parse_qa("egothink:/data/EgoThink:Reasoning/counting")
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError, oneline
from harness.qa.datasets import dataset_names


def parse_qa(text: str) -> tuple[str, str, str | None]:
    """Dataset, path, and part (None: all of it). DataError for an unknown dataset, or where a piece is missing.

    A path may hold colons where it exists so: of the readings of `a:b:c`, the longest path that exists is taken.
    """
    name, colon, rest = text.partition(":")
    if name not in dataset_names():
        there = ", ".join(dataset_names())
        raise DataError(f"unknown dataset {oneline(name, 100)!r}: DATASET:PATH[:PART], where DATASET is one of {there}")
    if not colon or not rest.strip(":"):
        raise DataError(f"{oneline(text, 200)!r} names no path: write {name}:/path/to/it")
    if _exists(rest) or ":" not in rest:
        return name, rest, None
    cuts = [at for at, letter in enumerate(rest) if letter == ":"]
    cut = next((at for at in reversed(cuts) if _exists(rest[:at])), cuts[-1])
    path, part = rest[:cut], rest[cut + 1 :]
    if not path or not part:
        raise DataError(f"{oneline(text, 200)!r} names no {'part after' if path else 'path before'} the last colon")
    return name, path, part


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, or no such user's home
        return False
