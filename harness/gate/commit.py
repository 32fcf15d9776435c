"""Which commit a run is of: the harness's own repository, whatever directory pytest was called from.

    commit_of(ROOT)      # {"id": "a1b2c3d…", "branch": "main", "dirty": False, "time": "…"}: pytest-benchmark's keys

Inside an image there is no git folder: FIRSTSIGHT_COMMIT=ID[,BRANCH][,dirty], or a file COMMIT beside the code that
holds the same line, says it. Made by `git rev-parse HEAD > COMMIT` before the image is.
"""

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import UsageError, oneline

VARIABLE, LABEL = "FIRSTSIGHT_COMMIT", "COMMIT"
UNKNOWN = ("unversioned", "unknown", "")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")  # it becomes part of a file's name
_BRANCH = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")


def commit_of(root: Path) -> dict[str, Any]:
    """From git where `root` is a repository's top, else from the variable, else from the label; else unversioned.

    UsageError for a variable or a label that is not ID[,BRANCH][,dirty].
    """
    found = _from_git(root)
    if found is None and (given := os.environ.get(VARIABLE)):
        found = parse(given, VARIABLE)
    if found is None and (root / LABEL).is_file():
        found = parse((root / LABEL).read_text(encoding="utf-8", errors="replace"), str(root / LABEL))
    named = {"id": "unversioned", "time": None, "author_time": None, "dirty": False, "branch": "(unknown)"}
    return {**named, "project": root.name, **(found or {})}


def parse(text: str, where: str) -> dict[str, Any]:
    """ID[,BRANCH][,dirty] as pytest-benchmark's keys."""
    parts = [part.strip() for part in text.strip().split(",")]
    dirty = len(parts) > 1 and parts[-1] == "dirty"
    names = parts[:-1] if dirty else parts
    if len(names) > 2 or not _ID.fullmatch(names[0]) or not all(_BRANCH.fullmatch(name) for name in names[1:]):
        raise UsageError(f"{where}: {oneline(text, 60)}: not a commit; write ID[,BRANCH][,dirty], as a1b2c3d,main")
    return {"id": names[0], "dirty": dirty, **({"branch": names[1]} if len(names) == 2 else {})}


def tag(commit: dict[str, Any]) -> str:
    """What pytest-benchmark calls a saved run: commit, time, and whether something was not committed."""
    now = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    return "_".join((str(commit["id"]), now, *(("uncommitted-changes",) if commit["dirty"] else ())))


def _from_git(root: Path) -> dict[str, Any] | None:
    """None where `root` is not the top of a repository: a copy of the code within another one is not its commit."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != root.resolve():
        return None
    told = _git(root, "show", "-s", "--format=%H%n%cI%n%aI", "HEAD")
    if not told:
        return None  # a repository without a commit
    commit, committed, authored = told.splitlines()
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {
        "id": commit,
        "time": committed,
        "author_time": authored,
        "dirty": changed != "",  # also where git cannot say
        "branch": "(detached head)" if branch == "HEAD" else branch or "(unknown)",
    }


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git, or it refuses."""
    # GIT_DIR and its like, as a hook sets them, would speak of another repository.
    calm = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        told = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            env={**calm, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() if told.returncode == 0 else None
