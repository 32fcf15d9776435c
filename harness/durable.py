"""Files that are there whole or not at all, also after a kill or a power cut: written aside, flushed, renamed.

write_text(folder / "meta.json", json.dumps(found))
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends, and is gone when it fails."""
    aside = path.with_name(f"{path.name}.tmp")
    try:
        yield aside
        _flush(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """UTF-8 text, whole or not at all."""
    with written(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
