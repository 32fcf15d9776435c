"""Records that several jobs measured, one variant each, as the one record of a run.

    stored(merged(run / "parts"), Path("results"))      # results/<pair>/<device>/<machine>/0007_<commit>_<time>.json

Only what belongs together is put together: one commit, pair, data, device, libraries, the same weights under the same
name, no variant twice. What no merging can give back is said in every record: variants in jobs of their own were not
timed in turn, so that another node or another minute is in their ratios. No torch.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import RecordError, ResourceError, oneline
from harness.gate.comparable import differences
from harness.record import KEY, Run, latest_run, load_run

APART = (
    "measured in a job of its own: its times were not taken in turn with those of the other variants, so that another "
    "node or another minute is in the ratios too; the suites in one job (`pytest suites`) take them in turn"
)
_NUMBER = re.compile(r"^(\d{4,})_")


@dataclass(frozen=True)
class Merged:
    """A run's JSON, where below the results it belongs, and what its file is called after its number."""

    whole: Mapping[str, Any]
    storage: Path
    name: str


def merged(folder: Path) -> Merged:
    """The newest record of every folder below `folder`, as one. RecordError for what does not belong together."""
    parts = sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    if not parts:
        raise RecordError(f"{oneline(folder, 200)}: no record below it; the suites' jobs write them there")
    files = [latest_run(part) for part in parts]
    runs = [load_run(file) for file in files]
    for run in runs[1:]:
        _require_alike(runs[0], run)
    _require_each_once(runs)
    _require_same_weights(runs)
    whole = [json.loads(file.read_bytes()) for file in files]
    last = max(range(len(runs)), key=lambda at: runs[at].datetime)
    machine = dict(whole[0]["machine_info"])
    nodes = list(dict.fromkeys(str(one["machine_info"].get("node", "")) for one in whole))
    jobs = [
        {
            "variants": list(dict.fromkeys(record.variant for record in run.records)),
            "node": nodes.index(str(one["machine_info"].get("node", ""))) + 1,  # a record goes into other hands
            "datetime": run.datetime,
            "command": run.environment.get("command"),
        }
        for run, one in zip(runs, whole, strict=True)
    ]
    if len(runs) > 1:
        machine[KEY] = {**machine[KEY], "command": f"firstsight merge of {len(runs)} jobs", "jobs": jobs}
    return Merged(
        whole={
            **whole[last],
            "machine_info": machine,
            "commit_info": whole[0]["commit_info"],
            "benchmarks": [_apart(row, len(runs)) for one in whole for row in one["benchmarks"]],
        },
        storage=files[0].parent.relative_to(parts[0]),
        name=_NUMBER.sub("", files[last].name),
    )


def stored(whole: Merged, results: Path) -> Path:
    """Written under the next number beside the runs before it, whole or not at all; found again where it is there."""
    folder, text = results / whole.storage, json.dumps(whole.whole, separators=(",", ":")).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for same in sorted(folder.glob(f"*_{whole.name}")):
            if same.read_bytes() == text:
                return same
        aside = folder / f".{whole.name}.{os.getpid()}"
        aside.write_bytes(text)
        try:
            while True:
                taken = [int(found[1]) for file in folder.glob("*.json") if (found := _NUMBER.match(file.name))]
                path = folder / f"{max(taken, default=0) + 1:04d}_{whole.name}"
                try:
                    os.link(aside, path)  # unlike a rename, never over what another job has just written
                    return path
                except FileExistsError:
                    continue
        finally:
            aside.unlink()
    except OSError as error:
        raise ResourceError(f"{oneline(folder, 200)}: cannot be written ({error.strerror})") from None


def _require_alike(first: Run, other: Run) -> None:
    for field in ("id", "dirty"):
        if first.commit.get(field) != other.commit.get(field):
            said = f"commit {first.commit.get('id')} and {other.commit.get('id')}"
            if field == "dirty":
                said = f"one with uncommitted changes and one without, of commit {first.commit.get('id')}"
            raise _apart_error(first, other, said)
    # a variant's rows of a suite may be other workloads than another's: that is told where rows are compared
    found = [one for one in differences(first, other) if one.field != "workload"]
    if found:
        raise _apart_error(first, other, "; ".join(map(str, found[:3])))


def _require_each_once(runs: Sequence[Run]) -> None:
    seen: dict[str, Run] = {}
    for run in runs:
        for name in dict.fromkeys(record.variant for record in run.records):
            if name in seen:
                raise _apart_error(seen[name], run, f"{oneline(name, 60)} is in both")
            seen[name] = run


def _require_same_weights(runs: Sequence[Run]) -> None:
    """Of one training: a student and its quantised form come from the same weights."""
    seen: dict[tuple[str, object], tuple[str, Run]] = {}
    for run in runs:
        for record in run.records:
            for role, digest in record.artifacts.items():
                known, where = seen.setdefault((role, record.workload.get("seed", 0)), (digest, run))
                if known != digest:
                    raise _apart_error(where, run, f"weights {role}: {known[:16]} and {digest[:16]}")


def _apart_error(first: Run, other: Run, said: str) -> RecordError:
    files = " and ".join(oneline(run.path, 160) for run in (first, other))
    return RecordError(f"{files} are no parts of one run: {said}")


def _apart(row: Any, jobs: int) -> Any:
    extra = row.get("extra_info", {}).get(KEY) if isinstance(row, dict) else None
    if extra is None or jobs == 1:
        return row
    told = {**extra, "details": {**extra["details"], "apart": APART}}
    return {**row, "extra_info": {**row["extra_info"], KEY: told}}
