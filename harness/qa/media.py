"""Where a dataset's media lie: names that stay below the root, a digest that says which bytes they are.

path = inside(root, "videos/a.mp4", "questions.json[3]")
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from harness.errors import DataError, oneline

EDGE = 1 << 16  # bytes hashed at either end of a file: a video of gigabytes is told from another without reading it


ABSENT = "absent"  # what stands for the digest of a file that is not there


@dataclass(frozen=True)
class Sampling:
    """How a video becomes frames: one a second, at most `frames`, evenly spread over the clip where there are more."""

    frames: int
    max_side: int | None = None  # video frames are shrunk to this longest side, pixels

    def __str__(self) -> str:
        return f"frames={self.frames} max_side={self.max_side}"


def inside(root: Path, entry: str, where: str) -> Path:
    """The path of a medium that an annotation names. DataError, naming `where`, if it leads out of `root`.

    Annotations come from elsewhere: one that names `../../etc/passwd`, or a link that leads there, must not be read.
    """
    named = f"{where}: {oneline(entry, 200)!r}"
    if not entry or "\0" in entry:
        raise DataError(f"{named} is no path: name a file below the data's folder")
    absolute = PurePosixPath(entry).is_absolute() or PureWindowsPath(entry).drive or entry.startswith("\\")
    if absolute or ".." in re.split(r"[/\\]", entry):
        raise DataError(f"{named} leaves the data's folder: give a path below it, without '..'")
    try:
        base = root.resolve()
        path = (base / entry).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise DataError(f"{named} cannot be followed: {error}") from None
    if not path.is_relative_to(base):
        raise DataError(f"{named} is a link that leaves the data's folder: copy the file into it, or move the root up")
    return base / entry


def first_there(root: Path, entries: Sequence[str], where: str) -> str:
    """The first of several places that exists below root; the first of all when none does."""
    for entry in entries:
        if inside(root, entry, where).exists():
            return entry
    return entries[0]


def natural(name: str) -> list[tuple[int, int | str]]:
    """A sort key by which frame_2.png comes before frame_10.png."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def quick_digest(path: Path) -> str:
    """`bytes-sha256` of size, first and last 64 KiB; `absent` when there is no such file.

    Hashed once for as long as the file is unchanged.
    """
    try:
        told = path.stat()
        return _digest(path, told.st_size, told.st_mtime_ns)
    except OSError:
        return ABSENT


@lru_cache(maxsize=100_000)
def _digest(path: Path, size: int, mtime: int) -> str:
    digest = hashlib.sha256(f"{size}:".encode())
    with path.open("rb") as file:
        digest.update(file.read(EDGE))
        if size > EDGE:
            file.seek(max(EDGE, size - EDGE))
            digest.update(file.read(EDGE))
    return f"{size}-{digest.hexdigest()[:32]}"
