"""Is all there that a run reads: weights whole and by digest, every clip, room on the disk. Nothing is made.

for line in ready(pair, store, room=40_000_000_000): print(line)      # the first thing that is not there is raised
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.artifact import Store
from harness.distill.lineage import Lineage
from harness.distill.origins import given
from harness.errors import ResourceError, oneline
from harness.pair import Pair
from harness.qa.datasets import clips_in, is_read, require_media
from harness.variants import VARIANTS


def ready(pair: Pair, store: Store, *, random: bool = False, room: int = 0) -> Iterator[str]:
    """A line for each thing that is there. ModelError, DataError or ResourceError, with what to do, for what is not."""
    _require_writable(store.root)
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
    if free < room:
        raise ResourceError(
            f"{oneline(folder, 200)}: {_size(free)} free, and the artifacts of this run take about {_size(room)}: free "
            "some, or name another scratch in the cluster file"
        )
    return f"room: {_size(free)} free in {folder}, about {_size(room)} needed"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
