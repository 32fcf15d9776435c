"""Where things are kept, and tools beside Python: room and leave to write, git, a browser, containers, a scheduler.

folder("cache", Path("artifacts"), "--cache DIR")
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.doctor.finding import Finding
from harness.errors import oneline

AREA = "places"
TOOLS = "tools"
LEAST, ENOUGH = 100e6, 2e9  # the tiny pair's artifacts are 50 MB, and its records a few


def folder(name: str, path: Path, option: str, needed: int | None = None) -> Finding:
    """Can it be written, and is there room? `needed`: bytes, where a pair says. What is not there yet is not made."""
    shown, there = oneline(path, 120), _existing(path)
    made = "" if there == path else ", made when it is needed"
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"1")
            file.flush()
    except OSError as error:
        remedy = f"another folder: {option}"
        return Finding(AREA, name, "will not work", f"{shown} cannot be written ({error.strerror})", remedy)
    disk = shutil.disk_usage(there)
    words = f"{shown}{made}: {disk.free / 1e9:.1f} GB free"
    if needed is not None:
        words += f", about {needed / 1e9:.1f} GB needed" if needed >= 1e9 else f", about {needed / 1e6:.0f} MB needed"
    remedy = f"free some, or another folder: {option}"
    if disk.free < (LEAST if needed is None else needed):
        return Finding(AREA, name, "will not work", words, remedy)
    if needed is None and disk.free < ENOUGH:
        return Finding(AREA, name, "warning", f"{words}: enough for the tiny pair, not for a real one", remedy)
    return Finding(AREA, name, "ok", words)


def git(commit: dict[str, Any], is_there: bool) -> Finding:
    """Records name their commit: `commit` as harness.gate.commit tells it."""
    identity = str(commit["id"])
    if identity == "unversioned":
        said = "git is not installed" if not is_there else "this code is no git repository"
        remedy = "clone it with git, or FIRSTSIGHT_COMMIT=ID[,BRANCH]: runs of no commit make no noise floor"
        return Finding(TOOLS, "commit", "warning", f"unknown: {said}", remedy)
    changed = ", with uncommitted changes (records say so)" if commit.get("dirty") else ""
    return Finding(TOOLS, "commit", "ok", f"{oneline(identity, 40)[:10]} on {commit.get('branch', '?')}{changed}")


def browser(find: Callable[[str], str | None] = shutil.which) -> Finding:
    """Chromium: for the browser's tests and for pictures of the page, and nothing else."""
    found = next(filter(None, map(find, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found:
        return Finding(TOOLS, "chromium", "ok", found)
    words = "only the tests in a browser and PNG pictures need it (Debian: apt install chromium)"
    return Finding(TOOLS, "chromium", "not here", words)


def cluster(find: Callable[[str], str | None] = shutil.which) -> Iterator[Finding]:
    """Apptainer and SLURM: for jobs on a cluster, and nothing else."""
    apptainer = find("apptainer") or find("singularity")
    if apptainer:
        yield Finding(TOOLS, "Apptainer", "ok", apptainer)
    else:
        yield Finding(TOOLS, "Apptainer", "not here", "only images and cluster jobs need it (docs/image.md)")
    if sbatch := find("sbatch"):
        yield Finding(TOOLS, "SLURM", "ok", sbatch)
    else:
        words = "`firstsight submit` works where sbatch is; --dry-run and --write work here"
        yield Finding(TOOLS, "SLURM", "not here", words)


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    path = Path(os.path.abspath(path.expanduser()))
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
