"""Does a lock that one node takes keep the others out? By how a folder's file system is mounted here. No torch.

    why = local_locks(Path("/scratch/me"))       # None; or, in words, why a lock is nothing to another node

Jobs that need one artifact meet at its lock (harness/artifact.py: flock). Some clusters mount their scratch so that
flock holds on one node alone; two nodes would then write the same folder at once, and neither would know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
BEEGFS = Path("/proc/fs/beegfs")


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo: where, of which type, with which options."""

    point: str
    kind: str
    options: frozenset[str]


def local_locks(folder: Path, mounts: Path = MOUNTS, beegfs: Path = BEEGFS) -> str | None:
    """Why flock in this folder is of this node alone; None where nothing says so."""
    mount = mount_of(folder, mounts)
    if mount is None:
        return None
    local = mount.options & {"localflock", "local_lock=flock", "local_lock=all"}
    if mount.kind.startswith("nfs") and not local:
        local = mount.options & {"nolock"}
    if local:
        return f"{mount.point} is {mount.kind}, mounted with {min(local)}"
    if mount.kind == "beegfs" and not _is_global(beegfs):
        return f"{mount.point} is beegfs, and tuneUseGlobalFileLocks is not seen to be true"
    return None


def mount_of(folder: Path, mounts: Path = MOUNTS) -> Mount | None:
    """The mount that a folder lies on: the longest that holds it, the last of several at one place."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    path, found = str(folder.resolve()), None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, told = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(told) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        holds = path == point or path.startswith(point.rstrip("/") + "/")
        if holds and (found is None or len(point) >= len(found.point)):
            found = Mount(point, told[0], frozenset((*fields[5].split(","), *told[2].split(","))))
    return found


def _is_global(beegfs: Path) -> bool:
    """Whether all its clients here say so: `tuneUseGlobalFileLocks = 1`, or true."""
    said = []
    for file in beegfs.glob("*/config"):
        try:
            said.append(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return False
    pattern = re.compile(r"^\s*tuneUseGlobalFileLocks\s*=\s*(1|true)\s*$", re.IGNORECASE | re.MULTILINE)
    return bool(said) and all(pattern.search(text) for text in said)
