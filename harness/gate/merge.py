"""Records that several jobs measured, one variant each, as the one record of a run.

    stored(merged(run / "parts"), Path("results"))      # results/<pair>/<device>/<machine>/0007_<commit>_<time>.json

Only what belongs together is put together: one commit, pair, data, device, libraries, the same weights under the same
name, no variant twice. Nodes that differ are refused unless `across` names in what (device, cpu, driver, threads), and
are then told in every record. What no merging can give back is said there, too: variants in jobs of their own were not
timed in turn, so that another node or another minute is in their ratios. No torch.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import RecordError, ResourceError, UsageError, oneline
from harness.gate.comparable import Difference, differences, parse_across
from harness.record import KEY, Run, latest_run, load_run

APART = (
    "measured in a job of its own: its times were not taken in turn with those of the other variants, so that another "
    "node or another minute is in the ratios too; the suites in one job (`pytest suites`) take them in turn"
)
NODES = ("device", "cpu", "driver", "threads")  # what nodes of one cluster may differ in
_NUMBER = re.compile(r"^(\d{4,})_")


@dataclass(frozen=True)
class Merged:
    """A run's JSON, where below the results it belongs, and what its file is called after its number."""

    whole: Mapping[str, Any]
    storage: Path
    name: str


def parse_nodes(text: str) -> frozenset[str]:
    """The fields of `--across cpu,driver`, of NODES alone; UsageError for another."""
    found = parse_across(text)
    if other := sorted(found - {*NODES}):
        raise UsageError(
            f"--across {other[0]}: jobs of one run may differ in {', '.join(NODES)}, as nodes do, and in nothing else"
        )
    return found


def merged(folder: Path, across: Set[str] = frozenset()) -> Merged:
    """The newest record of every folder below `folder`, as one. RecordError for what does not belong together; `across`
    names the fields of NODES in which nodes may differ.
    """
    parts = sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    if not parts:
        raise RecordError(f"{oneline(folder, 200)}: no record below it; the suites' jobs write them there")
    files = [latest_run(part) for part in parts]
    runs = [load_run(file) for file in files]
    differing = [tuple(map(str, _require_alike(runs[0], run, across, folder))) for run in runs]
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
            **({"differs": list(told)} if told else {}),
        }
        for run, one, told in zip(runs, whole, differing, strict=True)
    ]
    if len(runs) > 1:
        lost = [told for run in runs if isinstance(failed := run.environment.get("failed"), list) for told in failed]
        machine[KEY] = {**machine[KEY], "command": f"firstsight merge of {len(runs)} jobs", "jobs": jobs}
        machine[KEY].update({"failed": lost} if lost else {})
    return Merged(
        whole={
            **whole[last],
            "machine_info": machine,
            "commit_info": whole[0]["commit_info"],
            "benchmarks": [
                _apart(row, len(runs), told)
                for one, told in zip(whole, differing, strict=True)
                for row in one["benchmarks"]
            ],
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


def _require_alike(first: Run, other: Run, across: Set[str], folder: Path) -> list[Difference]:
    """The differences that were allowed."""
    for field in ("id", "dirty"):
        if first.commit.get(field) != other.commit.get(field):
            said = f"commit {first.commit.get('id')} and {other.commit.get('id')}"
            if field == "dirty":
                said = f"one with uncommitted changes and one without, of commit {first.commit.get('id')}"
            raise _apart_error(first, other, said)
    # a variant's rows of a suite may be other workloads than another's: that is told where rows are compared
    found = [one for one in differences(first, other) if one.field != "workload"]
    if refused := [one for one in found if one.field not in across]:
        said, fields = "; ".join(map(str, refused[:3])), dict.fromkeys(one.field for one in found)
        if fields.keys() <= {*NODES}:
            raise RecordError(
                f"the jobs' nodes differ in {said}: `firstsight merge {folder} --results DIR --across "
                f"{','.join(fields)}` puts their records together and says so; `constraint` in the cluster file "
                "keeps jobs to nodes alike"
            )
        raise _apart_error(first, other, said)
    return found


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


def _apart(row: Any, jobs: int, differs: Sequence[str]) -> Any:
    extra = row.get("extra_info", {}).get(KEY) if isinstance(row, dict) else None
    if extra is None or jobs == 1:
        return row
    another = f"; measured on another node than the first job's, which differs in {'; '.join(differs)}"
    told = {**extra, "details": {**extra["details"], "apart": APART + (another if differs else "")}}
    return {**row, "extra_info": {**row["extra_info"], KEY: told}}
