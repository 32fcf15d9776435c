"""A submitted run: what runs, how far, what is left, where the logs are. Read from SLURM, from what each job noted of
itself (<run>/state/), from its log, and from the artifacts that it says it made. No torch.

    print(render(status_of(newest_run(scratch / "runs"))))
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.artifact import MANIFEST
from harness.cluster.queue import Queued, queued
from harness.cluster.sbatch import CHAIN
from harness.errors import ClusterError, oneline

State = Literal["waiting", "running", "done", "FAILED", "not run"]
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
RUNNING = ("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "SIGNALING", "RESIZING", "STOPPED")
TAIL = 65536  # bytes of a log that are looked at
_PROGRESS = re.compile(r"^[^│─].*: \d+/\d+(, .*)?$")
_MADE = re.compile(r"^(?!report|record|rootdir)[a-z][a-z-]*(?::\d+)?(?: [\w./-]+)*: (/\S+)$")
_WORDS = {"Dependency": "after {after}", "DependencyNeverSatisfied": "after {after}, which failed"}


@dataclass(frozen=True)
class Task:
    """One job, or a task of its array."""

    job: str
    label: str
    id: str
    state: State
    told: str
    log: Path

    @property
    def name(self) -> str:
        return f"{self.job} {self.label}".rstrip()


@dataclass(frozen=True)
class Status:
    """A run as it stands."""

    run: Path
    pair: str
    site: str
    submitted: bool
    tasks: tuple[Task, ...]
    results: tuple[str, ...]  # what the last job printed: where report and record are

    @property
    def failed(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.state == "FAILED")


def newest_run(runs: Path) -> Path:
    """The last folder that was made below `runs`. ClusterError where there is none."""
    found = sorted((one.parent for one in runs.glob(f"*/{CHAIN}")), key=lambda path: (path.stat().st_mtime, path.name))
    if not found:
        raise ClusterError(f"{oneline(runs, 200)}: no run in it; `firstsight submit --pair NAME` makes one")
    return found[-1]


def status_of(run: Path, squeue: str | None = None) -> Status:
    """ClusterError where the folder is no run's. `squeue`: what it said, where SLURM cannot be asked from here."""
    try:
        told: dict[str, Any] = json.loads((run / CHAIN).read_text(encoding="utf-8"))
        jobs: list[dict[str, Any]] = told["jobs"]
        ids = _ids(run)
        known = queued(list(ids.values()), squeue)
        tasks = [task for job in jobs for task in _tasks(run, job, ids.get(job["name"]), known)]
        return Status(run, told["pair"], told["site"], bool(ids), tuple(tasks), _results(run, tasks))
    except FileNotFoundError:
        raise ClusterError(f"{oneline(run, 200)}: no run's folder: it has no {CHAIN}") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ClusterError(f"{oneline(run / CHAIN, 200)}: cannot be read: {oneline(error, 200)}") from None


def render(status: Status) -> str:
    """As lines: a table, then what failed and which log to read."""
    done = sum(task.state == "done" for task in status.tasks)
    head = f"{status.pair} on {status.site}, {status.run}: {done} of {len(status.tasks)} tasks done"
    if not status.submitted:
        return f"{head}; not submitted: bash {status.run / 'submit.sh'}"
    width = max(len(task.name) for task in status.tasks)
    rows = ((task.name, task.state, oneline(task.told, 120)) for task in status.tasks)
    lines = [head, "", *(f"  {name:<{width}}  {state:<8} {told}".rstrip() for name, state, told in rows), ""]
    for task in status.failed:
        lines.append(f"{task.name} failed: {task.told or 'it says nothing'}")
        lines.append(f"  read {task.log}")
    if status.failed:
        left = list(dict.fromkeys(task.job for task in status.tasks if task.state in ("not run", "waiting")))
        waits = f"; not run for it: {', '.join(left)}" if left else ""
        lines.append(f"mend that and submit again: what was made is kept and found{waits}")
    lines += [f"log of {task.name}: {task.log}" for task in status.tasks if task.state == "running"]
    lines += status.results
    lines.append(f"logs: {status.run / 'logs'}")
    return "\n".join(lines)


# --- one task ------------------------------------------------------------------------------------------


def _tasks(run: Path, job: Mapping[str, Any], id: str | None, known: Mapping[str, Queued] | None) -> list[Task]:
    name, after = str(job["name"]), str(job["after"] or "")
    found = []
    for at, label in enumerate([str(label) for label in job["tasks"]] or [""]):
        log = run / "logs" / (f"{name}-{at}.log" if label else f"{name}.log")
        note, words = _note(run / "state" / (f"{name}.{label}" if label else name)), _tail(log)
        if known is None:
            state, said = _unasked(note, words)
        else:
            # of the array as a whole, where SLURM cancelled it before it had tasks
            state, said = _state(known.get(f"{id}_{at}") or known.get(id or ""), note, words, after)
        found.append(Task(name, label, f"{id}_{at}" if label else id or "", state, said, log))
    return found


def _unasked(note: Mapping[str, str], words: Sequence[str]) -> tuple[State, str]:
    """By what the job noted alone: it may have been killed since."""
    match note.get("state"):
        case "done":
            return "done", _made(words)
        case "failed":
            return "FAILED", f"exit code {note.get('code')}: {_last_words(words)}"
        case "running":
            return "running", f"as it said itself (SLURM cannot be asked here), {_progress(words) or 'starting'}"
    return "waiting", "SLURM cannot be asked here"


def _state(told: Queued | None, note: Mapping[str, str], words: Sequence[str], after: str) -> tuple[State, str]:
    again = f"restart {note['restarts']}, " if note.get("restarts", "0") != "0" else ""
    if told is not None and told.state in RUNNING:
        return "running", f"{again}{told.elapsed} of {told.limit}, {_progress(words) or 'starting'}"
    if told is not None and told.state in PENDING:
        reason = _WORDS.get(told.reason, told.reason).format(after=after)
        if told.reason == "DependencyNeverSatisfied":
            return "not run", reason
        return "waiting", f"saved and requeued, {reason}" if note.get("state") == "requeued" else reason
    if note.get("state") == "done" or (told is not None and told.state == "COMPLETED"):
        return "done", _made(words)
    if note.get("state") == "failed":
        return "FAILED", f"exit code {note.get('code')}: {_last_words(words)}"
    if not note:
        if told is None or told.state.startswith("CANCELLED"):
            return "not run", "" if told is None else f"cancelled: after {after}" if after else "cancelled"
        return "FAILED", f"{told.state.lower()}: {_last_words(words)}"
    why = (
        told.state.lower().replace("_", " ") if told is not None else "gone from the queue: killed, or its node failed"
    )
    return "FAILED", f"{why}: {_last_words(words)}"


def _note(path: Path) -> dict[str, str]:
    try:
        return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    except (OSError, UnicodeDecodeError):
        return {}  # it has not begun


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            return [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return []


def _progress(words: Sequence[str]) -> str:
    return next((oneline(line, 100) for line in reversed(words) if _PROGRESS.match(line)), "")


def _made(words: Sequence[str]) -> str:
    """The artifacts that a job says it made or found, and that are there."""
    places = [Path(found[1]) for line in words if (found := _MADE.match(line))]
    told = [place.name if (place / MANIFEST).is_file() else f"{place.name} (gone)" for place in places]
    return oneline(", ".join(dict.fromkeys(told)), 120)


def _last_words(words: Sequence[str]) -> str:
    """What a failed command said: its one line, or the last one before the job's own."""
    said = [line for line in words if not line.startswith("──")]
    ours = [line for line in said if line.startswith(("firstsight: ", "slurmstepd: error"))]
    return oneline((ours or said or ["it wrote nothing"])[-1], 300)


def _ids(run: Path) -> dict[str, str]:
    try:
        lines = (run / "jobs").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: id for name, _, id in (line.partition(" ") for line in lines) if id}


def _results(run: Path, tasks: Sequence[Task]) -> tuple[str, ...]:
    last = tasks[-1]
    if last.state != "done":
        return ()
    return tuple(line for line in _tail(last.log) if line.startswith(("report: ", "record: ")))
