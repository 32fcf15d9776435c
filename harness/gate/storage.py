"""Which runs are meant: a file, a folder's newest, a folder's last two; and all that lie beside a run.

a, b = two_runs(Path("results/tiny/cpu"), None)     # the last two
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordError, UsageError, oneline
from harness.record import Run, load_run

_NUMBERED = re.compile(r"^(\d{4,})_.*\.json$")  # as pytest-benchmark names what it saves
_MACHINE = re.compile(r"-\d+bit$")  # its folder for a kind of machine: Linux-CPython-3.11-64bit


@dataclass(frozen=True)
class Stored:
    """Runs, oldest first, and a line for each file that is none."""

    runs: tuple[Run, ...]
    skipped: tuple[str, ...]


def runs_below(folder: Path, newest: int | None = None) -> Stored:
    """Saved runs below a folder, of each machine's the `newest`; one that cannot be read is passed over and told."""
    runs, skipped = [], []
    for file in _files(folder, newest):
        try:
            runs.append(load_run(file))
        except RecordError as error:
            skipped.append(f"passed over: {error}")
    return Stored(tuple(sorted(runs, key=lambda run: (run.datetime, str(run.path)))), tuple(skipped))


def newest_first(folder: Path) -> Iterator[Run]:
    """Saved runs below a folder one by one, those that can be read; of several machines', by number."""
    for file in sorted(_files(folder, None), key=lambda file: file.name, reverse=True):
        with suppress(RecordError):
            yield load_run(file)


def _files(folder: Path, newest: int | None) -> list[Path]:
    by_machine: dict[Path, list[Path]] = {}
    numbered = [(int(match[1]), file) for file in folder.rglob("*.json") if (match := _NUMBERED.match(file.name))]
    for _, file in sorted(numbered):
        by_machine.setdefault(file.parent, []).append(file)
    return [file for files in by_machine.values() for file in (files if newest is None else files[-newest:])]


def storage_of(run: Run) -> Path | None:
    """The folder that a run was stored in with others of its pair and device; None for one that lies in no file."""
    if run.path is None:
        return None
    folder = run.path.resolve().parent
    return folder.parent if _MACHINE.search(folder.name) else folder


def two_runs(a: Path, b: Path | None) -> tuple[Run, Run, tuple[str, ...]]:
    """Before and after, with a line for each file that was passed over. One folder alone: its last two runs.

    RecordError where there are not two; UsageError where both are the same file.
    """
    if b is None:
        if not a.is_dir():
            shown = oneline(str(a), 200)
            raise UsageError(f"{shown}: one run is nothing to compare; give a second, or a folder with two runs")
        stored = runs_below(a, newest=10)
        if len(stored.runs) < 2:
            count = "no run" if not stored.runs else "one run"
            skipped = f" ({stored.skipped[0]})" if stored.skipped else ""
            shown = oneline(str(a), 200)
            raise RecordError(f"{shown}: {count} in it, two are needed; run `pytest suites --pair NAME`{skipped}")
        return stored.runs[-2], stored.runs[-1], stored.skipped
    before, after = load_run(a), load_run(b)
    assert before.path is not None
    assert after.path is not None
    if before.path.resolve() == after.path.resolve():
        raise UsageError(f"{oneline(str(before.path), 200)}: A and B are the same run; give two")
    return before, after, ()
