"""What SLURM says of jobs: squeue for those in the queue, sacct for those that have left it.

    queued(["41", "42"])["42_0"].state        # PENDING, RUNNING, COMPLETED, …; None where SLURM cannot be asked

An array's tasks that wait together may be one line (41_[0-3]); they are told apart here. sacct is asked where the
cluster keeps accounts; without it, what a job itself wrote (job.sh's state files) says how it ended.
"""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_TASKS = re.compile(r"(\d+)_\[([\d,\-]+)(?:%\d+)?\]")
SQUEUE = ("squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%M|%l|%R")  # of the user who asks
SACCT = (
    "sacct",
    "--noheader",
    "--parsable2",
    "--allocations",
    "--duplicates",
    "--format=JobID,State,ExitCode,Elapsed,End",
)


@dataclass(frozen=True)
class Queued:
    """A job, or a task of an array (41_2), as SLURM tells it."""

    id: str
    state: str
    elapsed: str = ""
    limit: str = ""
    reason: str = ""  # why it waits, or the nodes that it runs on


def parse_squeue(text: str) -> list[Queued]:
    """Lines of SQUEUE; what is no such line is passed over."""
    found = []
    for line in text.splitlines():
        parts = line.strip().split("|", 4)
        if len(parts) == 5 and re.match(r"\d+", parts[0]):
            name, state, elapsed, limit, reason = parts
            found += [Queued(one, state, elapsed, limit, reason.strip("()")) for one in _each(name)]
    return found


def parse_sacct(text: str) -> list[Queued]:
    """Lines of SACCT. A job that was requeued has a line for each time; the last counts."""
    last: dict[str, Queued] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) == 5 and re.match(r"\d+", parts[0]):
            name, state, code, elapsed, _ = parts
            exit_code, _, killed_by = code.partition(":")
            reason = f"signal {killed_by}" if killed_by not in ("", "0") else f"exit code {exit_code}"
            for one in _each(name):
                last[one] = Queued(one, state.split(" ")[0], elapsed, reason=reason)
    return list(last.values())


def queued(jobs: Sequence[str], squeue: str | None = None) -> dict[str, Queued] | None:
    """What SLURM knows of these jobs and their tasks; None where it cannot be asked. `squeue`: what that has said."""
    found: dict[str, Queued] = {}
    if jobs:
        ids = ",".join(jobs)
        # The queue is asked as a whole: one job of the list that has aged out of it would be an error for all.
        text = _said(*SQUEUE, f"--user={getpass.getuser()}") if squeue is None else squeue
        if text is None:
            return None
        told = {one.id: one for one in parse_squeue(text) if one.id.split("_")[0] in jobs}
        found = {one.id: one for one in parse_sacct(_said(*SACCT, f"--jobs={ids}") or "")} | told
    return found


def _each(name: str) -> list[str]:
    match = _TASKS.fullmatch(name)
    if match is None:
        return [name]
    numbers: list[int] = []
    for part in match[2].split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return [f"{match[1]}_{number}" for number in numbers]


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
