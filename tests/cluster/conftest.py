"""A private SLURM, and FirstSight used on it as from a login node. Only tests marked `cluster` ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.private_slurm import PrivateSlurm, missing
from tests.conftest import MICRO

ROOT = Path(__file__).resolve().parents[2]


class LoginNode:
    """Where a user types: `firstsight …` against a cluster and a scratch folder."""

    def __init__(self, slurm: PrivateSlurm, folder: Path, **changes: Any) -> None:
        self.slurm, self.folder, self.scratch = slurm, folder, folder / "scratch"
        partition = {"time": "02:00:00", "cpus": 2, "memory": "6GB", "tflops": 1}
        told = {
            "name": "private",
            "scratch": str(self.scratch),
            "partitions": {name: dict(partition) for name in ("short", "closed", "gone")},
            "gpu_partition": "short",
            "cpu_partition": "short",
            "python": sys.executable,
            **changes,
        }
        self.site = folder / "cluster.yaml"
        self.site.write_text(yaml.safe_dump(told))

    def firstsight(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness.cli", *arguments],
            cwd=ROOT,
            env={**self.slurm.env, "FIRSTSIGHT_CLUSTER": str(self.site), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )

    def submit(self, *arguments: str, pair: Path = MICRO) -> Path:
        """The run's folder."""
        found = self.firstsight("submit", "--pair", str(pair), *arguments)
        assert found.returncode == 0, found.stderr + found.stdout
        return max((self.scratch / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)

    def ended(self, run: Path, seconds: float = 400) -> None:
        """Wait until nothing of the run is in the queue."""
        ids = list(jobs_of(run).values())
        deadline = time.monotonic() + seconds
        while any(self.slurm.run("squeue", "-h", "-j", one, check=False) for one in ids):
            assert time.monotonic() < deadline, self.slurm.run("squeue")
            time.sleep(0.5)


def jobs_of(run: Path) -> dict[str, str]:
    """A run's jobs: name → SLURM's id."""
    return dict(line.split(" ", 1) for line in (run / "jobs").read_text().splitlines())


def logs(run: Path) -> str:
    """All that the run's jobs wrote."""
    return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted((run / "logs").iterdir()))


@pytest.fixture(scope="session")
def slurm() -> Iterator[PrivateSlurm]:
    """Two nodes of two cores each; on one machine, so that tests wait rather than count on speed."""
    if why := missing():
        pytest.skip(why)
    with PrivateSlurm(nodes=2, cpus=2) as found:
        yield found


@pytest.fixture
def login(slurm: PrivateSlurm, tmp_path: Path) -> LoginNode:
    """A user with an empty scratch."""
    return LoginNode(slurm, tmp_path)


@pytest.fixture(autouse=True)
def one_core_each() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
