"""The table under every cache: appended part by part, whole or not at all, read without being loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.distill.rows import INDEX, Entry, Rows, RowWriter


def states(rows: int, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {"hidden": torch.randn(rows, 3), "mass": torch.randn(rows)}


def test_what_was_added_comes_back_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    writer = RowWriter(tmp_path)
    first, second = states(5), states(2, seed=1)
    writer.add(first, [Entry("a", 3, {"text": "cup"}), Entry("b", 2)])
    writer.add(second, [Entry("c", 2)])
    writer.finish(["c", "a", "b"])
    rows = Rows(tmp_path)
    assert rows.first == {"c": 0, "a": 2, "b": 5}
    assert rows.entries["a"] == Entry("a", 3, {"text": "cup"})
    assert torch.equal(rows.of("b")["hidden"], first["hidden"][3:])
    assert torch.equal(rows.at([6, 0, 3])["mass"], torch.stack([first["mass"][4], second["mass"][0], first["mass"][1]]))


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    shard=st.integers(1, 200),
    asked=st.lists(st.integers(0, 10**6), max_size=12),
)
def test_how_rows_are_cut_into_shards_cannot_be_seen(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], shard: int, asked: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    writer, parts = RowWriter(folder), [states(size, seed) for seed, size in enumerate(sizes)]
    for number, part in enumerate(parts):
        writer.add(part, [Entry(str(number), sizes[number])])
    writer.finish([str(number) for number in range(len(sizes))], shard_bytes=shard)
    whole, rows = torch.cat([part["hidden"] for part in parts]), Rows(folder)
    wanted = [row % len(whole) for row in asked] or [0]
    assert torch.equal(rows.at(wanted)["hidden"], whole[wanted])


def test_a_writer_that_was_killed_is_continued_by_another(tmp_path: Path) -> None:
    RowWriter(tmp_path).add(states(3), [Entry("a", 1), Entry("b", 2)])
    resumed = RowWriter(tmp_path)
    assert set(resumed.done) == {"a", "b"}
    resumed.add(states(1, seed=1), [Entry("c", 1)])
    resumed.finish(["a", "b", "c"])
    assert torch.equal(Rows(tmp_path).of("b")["hidden"], states(3)["hidden"][1:])


@pytest.mark.parametrize("spoil", ["cut", "empty", "foreign", "half"])
def test_a_part_that_is_not_whole_is_made_again(tmp_path: Path, spoil: str) -> None:
    writer = RowWriter(tmp_path)
    writer.add(states(2), [Entry("a", 2)])
    writer.add(states(2, seed=1), [Entry("b", 2)])
    part = tmp_path / ".resume" / "parts" / "00000001.safetensors"
    content = part.read_bytes()
    match spoil:
        case "cut":
            part.write_bytes(content[:-9])
        case "empty":
            part.write_bytes(b"")
        case "foreign":
            part.write_bytes(b"what is this")
        case "half":  # killed while writing: the name it is written under is not the part's
            part.rename(part.with_name(part.name + ".tmp"))
    again = RowWriter(tmp_path)
    assert set(again.done) == {"a"}
    again.add(states(2, seed=1), [Entry("b", 2)])
    again.finish(["a", "b"])
    assert torch.equal(Rows(tmp_path).of("b")["hidden"], states(2, seed=1)["hidden"])


def test_finishing_twice_gives_the_same_files(tmp_path: Path) -> None:
    """Killed between the last shard and the index: the shards are written again from their parts."""
    writer = RowWriter(tmp_path)
    writer.add(states(4), [Entry("a", 4)])
    writer.finish(["a"])
    before = {path.name: path.read_bytes() for path in tmp_path.glob("rows*")}
    (tmp_path / INDEX).unlink()
    RowWriter(tmp_path).finish(["a"])
    assert {path.name: path.read_bytes() for path in tmp_path.glob("rows*")} == before


def test_an_index_that_tells_of_other_rows_is_refused(tmp_path: Path) -> None:
    writer = RowWriter(tmp_path)
    writer.add(states(4), [Entry("a", 4)])
    writer.finish(["a"])
    told = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps({**told, "rows": 5}))
    with pytest.raises(ValueError, match="tells of 5 rows, but there are 4"):
        Rows(tmp_path)
