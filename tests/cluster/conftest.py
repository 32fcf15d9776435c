"""A private SLURM, a private Apptainer with the image, and FirstSight used on them as from a login node.

Only tests marked `cluster` ask for any of it. Where one cannot be had they are skipped, and the last line says so; with
FIRSTSIGHT_MUST_CLUSTER=1 they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from tests.cluster.private_apptainer import Missing, PrivateApptainer
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
        self.site.write_text(yaml.safe_dump({name: value for name, value in told.items() if value is not None}))

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

    def ended(self, run: Path, seconds: float = 900) -> None:
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


ABSENT: dict[str, str] = {}  # what could not be had → why


def absent(what: str, why: str) -> NoReturn:
    """Skip, visibly; or fail, where FIRSTSIGHT_MUST_CLUSTER says that it has to be there."""
    ABSENT[what] = why
    if os.environ.get("FIRSTSIGHT_MUST_CLUSTER", "") not in ("", "0"):
        pytest.fail(f"FIRSTSIGHT_MUST_CLUSTER: no {what} here: {why}", pytrace=False)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, why in ABSENT.items():
        terminalreporter.write_line(f"NOT RUN: tests by real {what}: {why}", yellow=True, bold=True)


@pytest.fixture(scope="session")
def apptainer() -> Iterator[PrivateApptainer]:
    try:
        found = PrivateApptainer.install()
    except Missing as why:
        absent("Apptainer", str(why))
    yield found
    shutil.rmtree(found.home, ignore_errors=True)


@dataclass(frozen=True)
class Image:
    file: Path
    told: dict[str, Any]
    built: str  # what containers/build printed
    log: str


@pytest.fixture(scope="session")
def image(apptainer: PrivateApptainer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built once, from this tree as it is, into a folder that the user can look into."""
    with tempfile.TemporaryDirectory(prefix="firstsight-image-") as folder:
        Path(folder).chmod(0o755)
        if before := os.environ.get("FIRSTSIGHT_IMAGE"):
            file, printed, log = Path(before), "", ""
        else:
            scratch, file = tmp_path_factory.mktemp("scratch"), Path(folder) / "firstsight.sif"
            local = ("--bootstrap", "localimage", "--base", apptainer.root)
            done = apptainer.build(*local, "--scratch", scratch, "--out", file)
            assert done.returncode == 0, done.stderr
            printed, log = done.stdout, (scratch / "firstsight-build.log").read_text()
        yield Image(file, json.loads(Path(f"{file}.json").read_text()), printed, log)


@pytest.fixture(scope="session")
def slurm() -> Iterator[PrivateSlurm]:
    """Two nodes of two cores each; on one machine, so that tests wait rather than count on speed."""
    if why := missing():
        absent("SLURM", why)
    with PrivateSlurm(nodes=2, cpus=2) as found:
        yield found


@pytest.fixture
def login(slurm: PrivateSlurm, tmp_path: Path) -> LoginNode:
    """A user with an empty scratch."""
    return LoginNode(slurm, tmp_path)
