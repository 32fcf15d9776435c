"""A pair's chain, written into a run's folder and submitted.

    run = prepared(pair, site, ask, chosen)      # files in <scratch>/runs/<pair>-<time>/
    submitted(run)                               # name → SLURM's id; ClusterError where SLURM refuses

What is submitted is what is written: `bash <run>/submit.sh` does the same without this program.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.artifact import is_disk_full
from harness.cluster.chain import Ask, Job, chain
from harness.cluster.resources import needs_of
from harness.cluster.sbatch import CHAIN, Place, files
from harness.cluster.site import Site
from harness.errors import ClusterError, ResourceError, oneline
from harness.pair import Pair
from harness.variants import Variant

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds for sbatch, which waits for a busy controller


@dataclass(frozen=True)
class Run:
    """A folder with a chain's files."""

    folder: Path
    jobs: tuple[Job, ...]


def planned(pair: Pair, site: Site, ask: Ask, chosen: Sequence[str]) -> tuple[Job, ...]:
    """The chain with its resources; nothing is written."""
    needs = needs_of(pair, [variant.name for variant in ask.variants])
    return chain(pair, needs, site, ask, chosen)


def texts(run: Run, site: Site, pair: Pair, binds: Sequence[str]) -> Mapping[str, str]:
    """Every file of the run by its name."""
    place = Place(run.folder, CHECKOUT, site.python or sys.executable, tuple(binds))
    told = {
        "pair": pair.name,
        "site": site.name,
        "scratch": site.scratch,
        "jobs": [
            {"name": job.name, "tasks": list(job.tasks), "after": job.after, "told": job.told} for job in run.jobs
        ],
    }
    return {**files(run.jobs, site, place, pair.name), CHAIN: json.dumps(told, indent=1) + "\n"}


def new_folder(site: Site, pair: Pair) -> Path:
    """Of a run that begins now."""
    return site.root / "runs" / f"{pair.name}-{time.strftime('%Y%m%d-%H%M%S')}"


def write(folder: Path, written: Mapping[str, str]) -> None:
    """ClusterError or ResourceError where scratch cannot take them."""
    try:
        (folder / "logs").mkdir(parents=True)
        for name, text in written.items():
            (folder / name).write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                (folder / name).chmod(0o755)
    except OSError as error:
        if is_disk_full(error, folder):
            raise ResourceError(
                f"{folder}: scratch is full (or your quota is): free some; nothing was submitted"
            ) from None
        raise ClusterError(
            f"{oneline(folder, 200)}: cannot be written ({error.strerror}): scratch in the cluster file is a folder of "
            "yours that all nodes share; nothing was submitted"
        ) from None


def submit(folder: Path) -> dict[str, str]:
    """Run the folder's submit.sh: job → id. ClusterError with sbatch's own words and what to do, as that says them."""
    # A job that submits has its own limits in SLURM_*, and sbatch would take them over.
    calm = {name: value for name, value in os.environ.items() if not re.match(r"S(LURM|BATCH)_(?!CONF)", name)}
    try:
        done = subprocess.run(
            ["bash", str(folder / "submit.sh")], capture_output=True, text=True, timeout=PATIENCE, env=calm
        )
    except subprocess.TimeoutExpired:
        left = " ".join(line.split(" ")[1] for line in _lines(folder / "jobs"))
        raise ClusterError(
            f"sbatch did not answer within {PATIENCE} s; is the controller up? `scontrol ping`"
            + (f"; submitted before that: scancel {left}" if left else "")
        ) from None
    if done.returncode:
        raise ClusterError(oneline(done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}", 900))
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def binds_of(pair: Pair) -> list[str]:
    """Folders that an image must see beside scratch: the pair's weights, its data; of a file its folder, and where a
    link leads elsewhere, that too. ClusterError for a path that Apptainer cannot bind.
    """
    named = [pair.data.path, *(side.weights for side in (pair.teacher, pair.student))]
    paths = [Path(one).expanduser() for one in named if one]
    found = []
    for path in (path for path in paths if path.is_absolute()):  # others are names on the Hugging Face hub
        for at in (path, path.resolve()):
            folder = at.parent if at.is_file() else at
            if set(str(folder)) & {",", ":"}:
                raise ClusterError(
                    f"{oneline(folder, 200)}: Apptainer cannot bind a folder with a comma or a colon in its path: move "
                    "it, or name it otherwise"
                )
            found.append(str(folder))
    return list(dict.fromkeys(found))


def require_whole_paths(pair: Pair) -> None:
    """ClusterError for a path of the pair file that holds in this folder only: jobs run elsewhere."""
    for key, path in (
        ("data.path", pair.data.path),
        ("teacher.weights", pair.teacher.weights),
        ("student.weights", pair.student.weights),
    ):
        if path and not Path(path).expanduser().is_absolute() and Path(path).exists():
            raise ClusterError(
                f"{pair.name}: {key}: {oneline(path, 100)} is relative, and jobs run elsewhere; write it out"
            )


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def variants_of(variants: Sequence[Variant], random: bool) -> list[Variant]:
    """With random weights nothing is trained or judged: controls have nothing to show."""
    return [variant for variant in variants if not (random and variant.control)]
