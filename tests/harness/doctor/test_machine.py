"""Memory, load, threads, control groups. Fake: /proc and /sys/fs/cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor import machine
from harness.doctor.machine import Limits
from harness.measure.proc import Spent


def proc(folder: Path, *, free: float = 8e9, load: str = "0.1 0.2 0.3", swap: tuple[float, float] = (0, 0)) -> Path:
    sizes = {"MemTotal": 16e9, "MemAvailable": free, "SwapTotal": swap[0], "SwapFree": swap[1]}
    (folder / "meminfo").write_text("".join(f"{name}: {int(size // 1024)} kB\n" for name, size in sizes.items()))
    (folder / "loadavg").write_text(f"{load} 1/100 1\n")
    return folder


@pytest.mark.parametrize(
    ("free", "allowed", "status"),
    [(8e9, None, "ok"), (1.5e9, None, "warning"), (0.4e9, None, "will not work"), (8e9, 512_000_000, "will not work")],
)
def test_memory_is_that_of_the_machine_and_of_the_control_group(
    tmp_path: Path, free: float, allowed: int | None, status: str
) -> None:
    found = list(machine.memory(Limits(None, allowed), proc(tmp_path, free=free)))
    assert [one.status for one in found] == [status, "ok"]


def test_a_used_swap_is_a_warning(tmp_path: Path) -> None:
    assert list(machine.memory(Limits(None, None), proc(tmp_path, swap=(4e9, 1e9))))[1].status == "warning"


@pytest.mark.parametrize(("text", "status"), [("0.3 0 0.2", "ok"), ("1.9 1 1", "warning"), ("", "not here")])
def test_load(tmp_path: Path, text: str, status: str) -> None:
    (tmp_path / "loadavg").write_text(text)
    assert machine.load(2, tmp_path).status == status


@pytest.mark.parametrize(
    ("said", "status"),
    [(None, "ok"), ("1", "ok"), ("2", "ok"), ("3", "warning"), ("0", "warning"), ("two", "warning")],
)
def test_threads(said: str | None, status: str) -> None:
    assert machine.threads(2, {} if said is None else {"OMP_NUM_THREADS": said}).status == status


def test_a_quota_below_the_cores_is_told() -> None:
    assert machine.processor("EPYC", 8, 8, Limits(1.5, None)).remedy.startswith("OMP_NUM_THREADS=1:")
    assert machine.processor("EPYC", 8, 2, Limits(2.0, None)).found == "EPYC, 2 of 8 cores"


def test_the_least_limit_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    group = tmp_path / "cgroup" / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/a/b\n")
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    (group.parent / "cpu.max").write_text("150000 100000\n")
    (group.parent / "memory.max").write_text("4000000000\n")
    assert machine.limits(tmp_path, tmp_path / "cgroup") == Limits(1.5, 4_000_000_000)


def test_of_the_first_version_of_groups_too(tmp_path: Path) -> None:
    for name, file, value in (
        ("cpu", "cpu.cfs_quota_us", "-1"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("memory", "memory.limit_in_bytes", "2000000000"),
    ):
        (tmp_path / name / "g").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "g" / file).write_text(value)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("5:cpu,cpuacct:/g\n4:memory:/g\n")
    assert machine.limits(tmp_path, tmp_path) == Limits(None, 2_000_000_000)


@pytest.mark.parametrize(("ticks", "status"), [(None, "ok"), (2, "ok"), (40, "warning")])
def test_stolen_time(ticks: int | None, status: str) -> None:
    was, now = (Spent({}, None if ticks is None else (at, 0), None, 1, {}) for at in (0, ticks or 0))
    assert machine.stolen(was, now, 2.0, 2).status == status
