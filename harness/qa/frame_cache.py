"""Decoded frames, kept by the digest of what made them, so that no video is decoded twice.

frames = cached(f"{source} {DECODER}", decode)      # from $FIRSTSIGHT_CACHE/frames, or artifacts/frames, or decoded

A cache never stands in the way: what cannot be read is decoded again, what cannot be written is warned of once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
_warned: set[Path] = set()
_chosen: list[str] = []
_anew: list[None] = []  # entries while decoding is timed


def folder() -> Path:
    """Where frames are kept."""
    cache = _chosen[-1] if _chosen else os.environ.get("FIRSTSIGHT_CACHE")
    return (Path(cache).expanduser() if cache else ROOT / "artifacts") / "frames"


def keep_below(cache: Path) -> None:
    """Keep frames where the artifacts are kept (--cache); nothing decides how large they may grow, so mind the disk."""
    _chosen[:] = [str(cache)]


@contextmanager
def decoded_anew() -> Iterator[None]:
    """Within, nothing is read from a cache of frames nor written to one: decoding is what is timed."""
    _anew.append(None)
    try:
        yield
    finally:
        _anew.pop()


def is_decoded_anew() -> bool:
    """For a dataset that remembers frames in a way of its own."""
    return bool(_anew)


def cached(key: str, decode: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The frames of this key (the libraries' version belongs to it), mapped from disk; or decoded, and kept."""
    if _anew:
        return decode()
    digest = hashlib.sha256(f"{key}\0av {av.__version__}".encode(errors="surrogatepass")).hexdigest()
    path = folder() / digest[:2] / f"{digest}.npy"
    try:
        # Copy-on-write: whoever writes into the array does not write into the file.
        found = np.load(path, mmap_mode="c", allow_pickle=False)
        if found.dtype == np.uint8 and found.ndim == 4 and found.size:
            return np.asarray(found)
    except (OSError, ValueError, EOFError):
        pass  # not there, or cut short: made again
    frames = decode()
    try:
        _keep(path, frames)
    except OSError as error:
        if path.parent.parent not in _warned:
            _warned.add(path.parent.parent)
            warnings.warn(f"{folder()}: decoded frames cannot be kept ({error.strerror or error})", stacklevel=2)
    return frames


def _keep(path: Path, frames: NDArray[np.uint8]) -> None:
    """Written aside, then renamed: nobody ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(frames), allow_pickle=False)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
