"""Whether one node's locks keep the others out, read from how scratch is mounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster.locks import local_locks, mount_of

ROOT_LINE = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro"


def mounted(tmp_path: Path, kind: str, options: str, at: str = "") -> Path:
    """A mountinfo in which tmp_path/scratch is of this kind."""
    file = tmp_path / "mountinfo"
    point = at or str(tmp_path / "scratch").replace(" ", "\\040")
    file.write_text(f"{ROOT_LINE}\n30 22 0:50 / {point} rw,nosuid shared:9 - {kind} server:/x {options}\n")
    return file


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("lustre", "rw,flock,lazystatfs", None),
        ("lustre", "rw,localflock,lazystatfs", "is lustre, mounted with localflock"),
        ("nfs4", "rw,vers=4.2,local_lock=none", None),
        ("nfs", "rw,vers=3,local_lock=all", "is nfs, mounted with local_lock=all"),
        ("nfs", "rw,vers=3,nolock", "is nfs, mounted with nolock"),
        ("nfs", "rw,local_lock=posix", None),
        ("gpfs", "rw,relatime", None),
        ("ext4", "rw", None),
    ],
)
def test_a_mount_says_whose_its_locks_are(tmp_path: Path, kind: str, options: str, said: str | None) -> None:
    found = local_locks(tmp_path / "scratch" / "me", mounted(tmp_path, kind, options))
    assert found == (said and f"{tmp_path}/scratch {said}")


@pytest.mark.parametrize(
    ("config", "local"),
    [
        ("tuneUseGlobalFileLocks = 1\n", False),
        ("a = 1\ntuneUseGlobalFileLocks=true\n", False),
        ("tuneUseGlobalFileLocks = 0\n", True),
        ("# tuneUseGlobalFileLocks = 1\n", True),
        (None, True),
    ],
)
def test_beegfs_locks_are_global_where_its_client_says_so(tmp_path: Path, config: str | None, local: bool) -> None:
    if config is not None:
        (tmp_path / "proc" / "A1").mkdir(parents=True)
        (tmp_path / "proc" / "A1" / "config").write_text(config)
    found = local_locks(tmp_path / "scratch", mounted(tmp_path, "beegfs", "rw"), tmp_path / "proc")
    assert (found is not None) == local


def test_the_nearest_mount_counts_and_the_last_at_one_place(tmp_path: Path) -> None:
    file = mounted(tmp_path, "lustre", "rw,localflock")
    file.write_text(f"{file.read_text()}31 22 0:51 / {tmp_path}/scratch rw - nfs4 s:/y rw\n")
    assert local_locks(tmp_path / "scratch", file) is None
    assert local_locks(tmp_path / "scratches", file) is None, "a neighbour"
    blank = tmp_path / "my scratch"
    assert local_locks(blank, mounted(tmp_path, "lustre", "localflock", str(blank).replace(" ", "\\040")))


def test_this_machine_has_mounts() -> None:
    found = mount_of(Path("/proc"))
    assert found is not None
    assert (found.point, found.kind) == ("/proc", "proc")


@given(st.text())
def test_whatever_stands_there_is_no_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_text(text, errors="surrogateescape")
    local_locks(Path("/scratch"), file)
