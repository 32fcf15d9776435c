"""Room on a disk, tools, the commit. Fake: how much is free, what is found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.doctor import places


@pytest.mark.parametrize(
    ("free", "needed", "status"),
    [(9e9, None, "ok"), (1e9, None, "warning"), (1e7, None, "will not work"), (9e9, 10**10, "will not work")],
)
def test_room_on_a_disk(tmp_path: Path, free: float, needed: int | None, status: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(places.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert places.folder("cache", tmp_path / "deep" / "er", "--cache DIR", needed).status == status


def test_tools_that_only_some_need_are_no_warning() -> None:
    assert {one.status for one in (places.browser(lambda _: None), *places.cluster(lambda _: None))} == {"not here"}
    assert {one.status for one in (places.browser(str), *places.cluster(str))} == {"ok"}


def test_a_commit() -> None:
    known = {"id": "a1b2c3d4e5f6", "branch": "main", "dirty": True}
    assert places.git(known, True).found == "a1b2c3d4e5 on main, with uncommitted changes (records say so)"
    assert places.git({"id": "unversioned"}, False).status == "warning"
