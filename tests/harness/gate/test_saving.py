"""How a run is kept: short, whole or not at all, and without a number where it was cut short."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.logger import Logger
from pytest_benchmark.storage.file import FileStorage

from harness.errors import RecordError, ResourceError
from harness.gate import saving
from harness.gate.storage import runs_below, two_runs
from harness.record import Run, latest_run, load_run
from tests.harness.gate.made import run
from tests.harness.report.sample import as_json


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStorage:
    """pytest-benchmark's own, with our way of saving."""
    monkeypatch.setattr(FileStorage, "save", saving.save)
    return FileStorage(str(tmp_path / "tiny"), logger=Logger(Logger.QUIET), default_machine_id="Linux-64bit")


def output(of: Run, data: list[float] | None = None) -> dict[str, Any]:
    """What pytest-benchmark hands to its storage."""
    whole = as_json(of)
    for row in whole["benchmarks"]:
        row["stats"] = {"median": 0.0123456789012, "ops": 1.0, **({"data": data} if data else {})}
    return whole


def test_runs_are_numbered_and_read_back(storage: FileStorage) -> None:
    for day in (1, 2):
        storage.save(output(run(day, day=day)), f"made{day}")
    files = sorted(storage.path.rglob("*"))
    assert [file.name for file in files] == ["Linux-64bit", "0001_made1.json", "0002_made2.json"]
    assert load_run(files[2]).datetime == run(2, day=2).datetime
    assert [str(path) for path, _ in storage.load()] == ["Linux-64bit/0001_made1.json", "Linux-64bit/0002_made2.json"]


def test_a_run_that_was_cut_short_is_no_baseline(storage: FileStorage) -> None:
    """It is kept, and can be looked at; but it is neither the newest run, nor one of the last two, nor a witness."""
    storage.save(output(run(1)), saving.cut("made"))
    with pytest.raises(RecordError, match="no run in it"):
        latest_run(storage.path)
    storage.save(output(run(1)), "made")
    storage.save(output(run(2, day=9)), saving.cut("made"))
    cut = storage.path / "Linux-64bit" / "cut-short_made.json"
    assert load_run(cut).datetime == run(2, day=9).datetime
    assert latest_run(storage.path).name == "0001_made.json"
    assert len(runs_below(storage.path).runs) == 1
    assert [path.name for path, _ in storage.load()] == ["0001_made.json"]
    with pytest.raises(RecordError, match="one run in it, two are needed"):
        two_runs(storage.path, None)


def test_rounds_have_six_digits_and_no_blanks_between(storage: FileStorage) -> None:
    storage.save(output(run(1), data=[0.0123456789012, 1.5]), "made")
    text = latest_run(storage.path).read_text()
    assert '"data":[0.0123457,1.5]' in text
    assert '"median":0.0123456789012' in text
    assert len(text) < len(json.dumps(output(run(1)), indent=4)) / 2


def test_what_fails_on_the_way_leaves_nothing(storage: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal, or a full disk, while the file is flushed."""

    def stopped(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        storage.save(output(run(1)), "made")
    assert not list(storage.path.rglob("*.*"))


def test_a_full_disk_is_one_line_and_leaves_no_half(storage: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match=r"could not be saved in \S+/tiny: No space left on device; free some room"):
        storage.save(output(run(1)), "made")
    assert not list(storage.path.rglob("*.*"))
