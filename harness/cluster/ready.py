"""Is all there that a run reads: weights whole and by digest, every clip, room on the disk. Nothing is made.

for line in ready(pair, store, room=40_000_000_000): print(line)      # the first thing that is not there is raised
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.artifact import Store
from harness.cluster.locks import local_locks
from harness.distill.lineage import Lineage
from harness.distill.origins import given
from harness.errors import ResourceError, oneline
from harness.pair import Pair
from harness.qa.datasets import clips_in, is_read, require_media
from harness.variants import VARIANTS


def ready(pair: Pair, store: Store, *, random: bool = False, room: int = 0, shared: bool = False) -> Iterator[str]:
    """A line for each thing that is there. ModelError, DataError or ResourceError, with what to do, for what is not.
    `shared`: jobs on several nodes will count on the locks of the store's folder.
    """
    _require_writable(store.root)
    if shared and (why := local_locks(store.root)):
        raise ResourceError(
            f"{why}: a lock that one node takes is nothing to the others, and two would write the same artifact at "
            "once: name another scratch, ask for that to be changed, or say `locks: local` in the cluster file, and "
            "tasks that share run one by one"
        )
    for side, spec in (("teacher", pair.teacher), ("student", pair.student)):
        if random or spec.weights is None:
            yield f"{side}: nothing to fetch, {'random weights' if random else 'made from nothing'}"
        else:
            yield f"{side}: {spec.weights}, sha256 {given(side, spec, store).digest}"
    for split in pair.data.splits:
        if is_read(pair.data):
            require_media(pair.data, split)
    counts = ", ".join(f"{split} {clips_in(pair.data, split)}" for split in pair.data.splits)
    yield f"data: {pair.data.dataset}, clips: {counts}"
    names = list(dict.fromkeys(VARIANTS[name].weights for name in pair.variants))
    absent = Lineage(pair, store, random=random).missing(names)
    yield f"to be made: {', '.join(absent) or 'nothing, all is found'}"
    yield _room(store.root, room if absent else 0)


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.write_bytes(b"1")
        probe.unlink()
    except OSError as error:
        raise ResourceError(
            f"{oneline(folder, 200)}: cannot be written ({error.strerror}): scratch in the cluster file is full, over "
            "your quota, or not yours"
        ) from None


def _room(folder: Path, room: int) -> str:
    free = shutil.disk_usage(folder).free
    needed, todo = f"the artifacts of this run take about {_size(room)}", "or name another scratch in the cluster file"
    if free < room:
        raise ResourceError(f"{oneline(folder, 200)}: {_size(free)} free, and {needed}: free some, {todo}")
    try:
        unseen = "" if not room or reserved(folder, room) else "; a quota is not seen here"
    except OSError as error:
        raise ResourceError(
            f"{oneline(folder, 200)}: {_size(free)} free, but not to you ({error.strerror}), and {needed}: free some "
            f"of yours, {todo}"
        ) from None
    return f"room: {_size(free)} free in {folder}, about {_size(room)} needed{unseen}"


def reserved(folder: Path, size: int) -> bool:
    """Whether so many bytes could be set aside, and were given back at once; False where the file system cannot say.

    OSError (ENOSPC, EDQUOT) where it says no: what is free by statvfs may be beyond a quota. By fallocate(2) itself, as
    the C library's posix_fallocate would write them all where the file system has none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryFile(dir=folder) as file:  # without a name: gone, whatever becomes of us
        if libc.fallocate(file.fileno(), 0, ctypes.c_int64(0), ctypes.c_int64(size)) == 0:
            return True
    code = ctypes.get_errno()
    if code in (errno.ENOSPC, errno.EDQUOT):
        raise OSError(code, os.strerror(code))
    return False


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
