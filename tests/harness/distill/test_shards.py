"""Jobs that share the teacher's answers: what they make together is what one job makes, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.artifact import Artifact, Store
from harness.cli import main
from harness.distill.lineage import Lineage
from harness.distill.targets import shard_of
from harness.measure.price import joined_json
from harness.qa.items import by_clip
from tests.conftest import MICRO


def contents(artifact: Artifact) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in artifact.path.iterdir() if path.name != "artifact.json"}


@pytest.fixture(scope="module")
def small(micro: Any) -> Any:
    """The micro pair with batches of five clips: its pool has five of them, the last one of four clips."""
    return micro.model_copy(update={"evaluation": micro.evaluation.model_copy(update={"batch_clips": 5})})


@pytest.fixture
def apart(small: Any, lineage: Any, tmp_path: Path) -> Lineage:
    """A store in which the teacher is made, and nothing that it has answered."""
    assert lineage.teacher
    assert lineage.undistilled
    shutil.copytree(lineage.store.root, tmp_path / "store")
    for path in (tmp_path / "store").glob("targets-*"):
        shutil.rmtree(path)
    return Lineage(small, Store(tmp_path / "store"))


@pytest.fixture(scope="module")
def whole(small: Any, lineage: Any, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """What one job makes."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    shutil.copytree(lineage.store.root, folder)
    for path in folder.glob("targets-*"):
        shutil.rmtree(path)
    return Lineage(small, Store(folder)).targets("pool")


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_shards_put_together_are_what_one_job_makes(apart: Lineage, whole: Artifact, count: int) -> None:
    for number in range(count, 0, -1):  # in whatever order they end
        apart.targets_shard("pool", 1, number, count)
    made = len(list(apart.store.root.glob("targets-shard-*")))
    assert made == min(count, 5), "no more shards than batches"
    joined = apart.targets("pool", shards=count)
    assert len(list(apart.store.root.glob("targets-shard-*"))) == made
    assert joined.digest == whole.digest
    assert contents(joined) == contents(whole)
    assert {k: v for k, v in joined.meta.items() if k != "price"} == {
        k: v for k, v in whole.meta.items() if k != "price"
    }
    assert joined.meta["price"]["tokens"] == whole.meta["price"]["tokens"]


def test_a_top_k_cache_is_the_same_too(apart: Lineage, small: Any) -> None:
    pair = small.model_copy(update={"recipe": small.recipe.model_copy(update={"top_k": 4})})
    one, three = (Lineage(pair, Store(apart.store.root)) for _ in range(2))
    made = one.targets("pool")
    before = contents(made), {k: v for k, v in made.meta.items() if k != "price"}
    shutil.rmtree(made.path)
    joined = three.targets("pool", shards=3)
    assert (contents(joined), {k: v for k, v in joined.meta.items() if k != "price"}) == before


def test_shards_are_whole_batches_and_leave_nothing_out(items: Any) -> None:
    for count in range(1, 9):
        parts = [shard_of(items, 5, number, count) for number in range(1, count + 1)]
        assert [item for part in parts for item in part] == items
        sizes = [len(by_clip(part)) for part in parts if part]
        assert all(size % 5 == 0 for size in sizes[:-1])
        assert max(sizes) - min(sizes) <= 5


def test_the_command_makes_shards_and_then_the_whole(
    lineage: Any, micro_store: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lineage.teacher
    places = ["--pair", str(MICRO), "--cache", str(micro_store.root)]
    assert main(["make", *places, "--shard", "1/1", "targets"]) == 0
    assert capsys.readouterr().out.startswith("targets pool 1/1: ")
    assert main(["make", *places, "--shards", "2", "targets"]) == 0
    assert "targets val: " in capsys.readouterr().out
    for wrong in ("0/2", "3/2", "x", "1", "1/2/3", "-1/2"):
        assert main(["make", *places, f"--shard={wrong}", "targets"]) == 2
        assert "one of so many, as 2/8" in capsys.readouterr().err


def test_the_price_is_what_all_took_together() -> None:
    one = {"seconds": 2.0, "tokens": 100, "flops": 1000, "peak_bytes": 7, "ceiling_flops_per_second": 1000.0}
    told = joined_json(
        [{**one, "absent": {"joules": "no meter"}}, {**one, "seconds": 3.0, "peak_bytes": 9, "absent": {}}]
    )
    assert (told["seconds"], told["tokens"], told["peak_bytes"]) == (5.0, 200, 9)
    assert told["tokens_per_second"] == 40.0
    assert told["mfu"] == 0.4
    assert told["absent"]["joules"] == "no meter"
