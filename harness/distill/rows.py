"""A table of rows on disk, made part by part and read without being loaded: the form of all caches of states.

    writer = RowWriter(folder)                                        # finds what an interrupted run left
    writer.add({"hidden": states}, [Entry("clip 1/q 0", rows=3, info={"text": "a cup"})])
    writer.finish(order=["clip 1/q 0"])
    rows = Rows(folder);  rows.at([0, 2])["hidden"]

Parts lie in folder/.resume, one file a call of `add`, whole or not at all: a run that is killed loses the part that it
was at. `finish` lays them out in order as shards of 512 MB, one part in memory at a time. Shards are memory-mapped when
read, so that what a training holds does not grow with the number of clips.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from harness.distill.tensors import write_tensors
from harness.durable import write_text

SHARD_BYTES = 512 << 20
INDEX = "rows.json"


@dataclass(frozen=True)
class Entry:
    """So many rows of the table, and what is known about them."""

    id: str
    rows: int
    info: Mapping[str, Any] = field(default_factory=dict)


class RowWriter:
    """Appends parts, then lays them out. `done`: ids that are there already."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._parts = folder, folder / ".resume" / "parts"
        self._parts.mkdir(parents=True, exist_ok=True)
        self._where: dict[str, tuple[Path, int]] = {}  # id → its part, its first row there
        self._entries: dict[str, Entry] = {}
        self._next = 0
        for path in sorted(self._parts.iterdir()):
            found = _entries_of(path)
            if found is None:  # not ours, or not whole: its items are made again
                path.unlink()
                continue
            self._know(path, found)
            self._next = max(self._next, int(path.stem) + 1)

    @property
    def done(self) -> Mapping[str, Entry]:
        return self._entries

    def add(self, tensors: Mapping[str, Tensor], entries: Sequence[Entry]) -> None:
        """One part: every tensor `[rows, …]`, the rows of all entries in their order."""
        rows = sum(entry.rows for entry in entries)
        assert all(len(one) == rows for one in tensors.values()), "a row for every row that the entries tell of"
        path = self._parts / f"{self._next:08d}.safetensors"
        write_tensors(path, tensors, {"entries": json.dumps([asdict(entry) for entry in entries])})
        self._next += 1
        self._know(path, entries)

    def borrow(self, folder: Path) -> None:
        """Know the rows of a finished table too: `finish` reads them where they lie."""
        entries = iter(Rows(folder).entries.values())
        for path in sorted(folder.glob("rows-*.safetensors")):
            with safe_open(path, framework="pt") as opened:
                left = int(opened.get_slice(next(iter(opened.keys()))).get_shape()[0])
            held = []
            while left > 0:
                held.append(next(entries))
                left -= held[-1].rows
            self._know(path, held)

    def finish(self, order: Sequence[str], shard_bytes: int = SHARD_BYTES) -> None:
        """Write the shards and the index, rows in the order of these ids."""
        pieces: list[dict[str, Tensor]] = []
        held, shard, row, starts = 0, 0, 0, []
        index: list[dict[str, Any]] = []

        def close() -> None:
            nonlocal pieces, held, shard
            joined = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
            write_tensors(self._folder / f"rows-{shard:05d}.safetensors", joined)
            pieces, held, shard = [], 0, shard + 1

        for tensors, entry in self._in_order(order):
            if not pieces:
                starts.append(row)
            pieces.append(tensors)
            index.append({**asdict(entry), "row": row})
            row += entry.rows
            held += sum(one.numel() * one.element_size() for one in tensors.values())
            if held >= shard_bytes:
                close()
        if pieces:
            close()
        write_text(self._folder / INDEX, json.dumps({"starts": starts, "rows": row, "entries": index}))

    def _know(self, path: Path, entries: Sequence[Entry]) -> None:
        at = 0
        for entry in entries:
            self._where[entry.id], self._entries[entry.id] = (path, at), entry
            at += entry.rows

    def _in_order(self, order: Sequence[str]) -> Iterator[tuple[dict[str, Tensor], Entry]]:
        opened: tuple[Path, dict[str, Tensor]] | None = None
        for name in order:
            path, at = self._where[name]
            if opened is None or opened[0] != path:
                opened = path, load_file(path)
            entry = self._entries[name]
            yield {key: one[at : at + entry.rows].clone() for key, one in opened[1].items()}, entry


class Rows:
    """What `RowWriter.finish` wrote."""

    def __init__(self, folder: Path) -> None:
        told = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self.total: int = told["rows"]
        self._starts: list[int] = told["starts"]
        self.entries = {one["id"]: Entry(one["id"], one["rows"], one["info"]) for one in told["entries"]}
        self.first = {one["id"]: int(one["row"]) for one in told["entries"]}
        # memory-mapped: pages come when they are looked at, and go when memory is short
        self._shards = [load_file(path) for path in sorted(folder.glob("rows-*.safetensors"))]
        held = sum(len(next(iter(shard.values()))) for shard in self._shards)
        if held != self.total or len(self._shards) != len(self._starts):
            raise ValueError(f"{folder}: {INDEX} tells of {self.total} rows, but there are {held}")

    def at(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """These rows of every tensor, on the CPU."""
        if len(self._shards) == 1:
            where = torch.tensor(rows, dtype=torch.long)
            return {name: one[where] for name, one in self._shards[0].items()}
        parts: list[dict[str, Tensor]] = []
        at = 0
        while at < len(rows):  # runs of rows that lie in one shard
            shard = bisect_right(self._starts, rows[at]) - 1
            end = at
            while end < len(rows) and bisect_right(self._starts, rows[end]) - 1 == shard:
                end += 1
            where = torch.tensor(rows[at:end], dtype=torch.long) - self._starts[shard]
            parts.append({name: one[where] for name, one in self._shards[shard].items()})
            at = end
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def of(self, name: str) -> dict[str, Tensor]:
        """All rows of an entry."""
        first = self.first[name]
        return self.at(range(first, first + self.entries[name].rows))


def _entries_of(path: Path) -> list[Entry] | None:
    try:
        with safe_open(path, framework="pt") as opened:
            told = json.loads(opened.metadata()["entries"])
            names = list(opened.keys())
            rows = {int(opened.get_slice(name).get_shape()[0]) for name in names}
        entries = [Entry(**one) for one in told]
        return entries if rows == {sum(entry.rows for entry in entries)} and int(path.stem) >= 0 else None
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None
