"""What a run reads, looked at before it begins: the first thing that is not there is named, with what to do."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.artifact import Store
from harness.cli import main
from harness.cluster import ready as module
from harness.cluster.ready import ready
from harness.errors import DataError, ModelError, ResourceError
from harness.pair import load_pair
from tests.conftest import MICRO


def test_a_pair_that_is_made_from_nothing_needs_room_alone(micro: Any, tmp_path: Path) -> None:
    said = list(ready(micro, Store(tmp_path / "artifacts"), room=1000))
    assert said[0] == "teacher: nothing to fetch, made from nothing"
    assert "pool 24" in said[2]
    assert said[3].startswith("to be made: teacher, distilled")
    assert said[4].endswith("about 0.0 MB needed")
    assert list((tmp_path / "artifacts").iterdir()) == [], "nothing was made"


def test_too_little_room_is_told_unless_all_is_made(lineage: Any, micro: Any, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"GB free, and the artifacts of this run take about 1000000\.0 GB"):
        list(ready(micro, Store(tmp_path), room=10**15))
    lineage.student()
    few = micro.model_copy(update={"variants": ("baseline", "distilled")})
    assert "to be made: nothing, all is found" in list(ready(few, lineage.store, room=10**15))


def test_a_quota_is_met_before_anything_is_made(micro: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """statvfs tells of the disk, not of what one may have of it."""
    assert module.reserved(tmp_path, 1 << 20)
    assert list(tmp_path.iterdir()) == []

    def refuses(folder: Path, size: int) -> bool:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(module, "reserved", refuses)
    with pytest.raises(ResourceError, match=r"free, but not to you \(Disk quota exceeded\), and the artifacts of this"):
        list(ready(micro, Store(tmp_path), room=1000))
    monkeypatch.setattr(module, "reserved", lambda folder, size: False)
    assert list(ready(micro, Store(tmp_path), room=1000))[-1].endswith("needed; a quota is not seen here")


def test_a_disk_that_is_full_says_so_to_who_asks_for_more(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        module.reserved(tmp_path, shutil.disk_usage(tmp_path).total * 2)


def test_locks_of_one_node_alone_are_told(micro: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "local_locks", lambda folder: f"{folder} is lustre, mounted with localflock")
    with pytest.raises(ResourceError, match="mounted with localflock: a lock that one node takes is nothing to"):
        list(ready(micro, Store(tmp_path), shared=True))
    assert list(ready(micro, Store(tmp_path)))


def test_a_scratch_that_cannot_be_written_is_told(micro: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        list(ready(micro, Store(tmp_path / "file" / "artifacts")))


def test_weights_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pair = load_pair("egogpt-qwen2vl")
    missing = pair.model_copy(update={"teacher": pair.teacher.model_copy(update={"weights": "/no/such/folder"})})
    with pytest.raises(ModelError, match=r"teacher\.weights: no folder /no/such/folder"):
        list(ready(missing, Store(tmp_path)))


def test_clips_that_are_not_there_are_named(micro: Any, tmp_path: Path) -> None:
    rows = [
        {"id": f"q{n}", "video": f"{n}.mp4", "question": "What is it?", "answer": "cup", "type": "what"}
        for n in range(9)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    splits = {name: {"share": 0.14} for name in micro.data.splits}
    data = micro.data.model_validate({"dataset": "jsonl", "path": str(tmp_path / "mine.jsonl"), "splits": splits})
    with pytest.raises(DataError):
        list(ready(micro.model_copy(update={"data": data}), Store(tmp_path / "artifacts")))


def test_the_command_prints_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ready", "--pair", str(MICRO), "--cache", str(tmp_path), "--room", "1000"]) == 0
    assert capsys.readouterr().out.count("\n") == 5
    assert main(["ready", "--pair", "egogpt-qwen2vl", "--cache", str(tmp_path)]) == 2, "real clips are named by --qa"
