"""`firstsight status`: from SLURM's answers, the jobs' own notes and their logs to what a person asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cluster import status as module
from harness.cluster.queue import Queued, parse_squeue
from harness.cluster.status import newest_run, render, status_of
from harness.errors import ClusterError

JOBS = [
    {"name": "check", "tasks": [], "after": None, "told": ""},
    {"name": "distil", "tasks": ["distilled:0", "distilled:1"], "after": "check", "told": ""},
    {"name": "report", "tasks": [], "after": "distil", "told": ""},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was submitted as jobs 1, 2 and 3, of which nothing has begun."""
    folder = tmp_path / "runs" / "tiny-1"
    for name in ("logs", "state"):
        (folder / name).mkdir(parents=True)
    (folder / "chain.json").write_text(json.dumps({"pair": "tiny", "site": "here", "jobs": JOBS}))
    (folder / "jobs").write_text("check 1\ndistil 2\nreport 3\n")
    return folder


def note(run: Path, task: str, state: str, code: int = 0, restarts: int = 0) -> None:
    (run / "state" / task).write_text(f"state={state}\ncode={code}\njob=1\nrestarts={restarts}\n")


def told(run: Path, monkeypatch: pytest.MonkeyPatch, squeue: str = "") -> str:
    known: dict[str, Queued] = {one.id: one for one in parse_squeue(squeue)}
    monkeypatch.setattr(module, "queued", lambda ids, said: known)
    return render(status_of(run))


def lines(text: str) -> dict[str, str]:
    """Of the table: task → what is said of it."""
    rows = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    return {row[:18].strip(): " ".join(row[18:].split()) for row in rows}


def test_what_runs_how_far_and_what_waits(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(run, "check", "done")
    note(run, "distil.distilled:0", "running", restarts=1)
    (run / "logs" / "distil-0.log").write_text("── distil\ndistilled student: 120/600, loss 0.77, 300 s left\n")
    squeue = "1|COMPLETED|0:02|2:00:00|n1\n2_0|RUNNING|12:31|1-00:00:00|n1\n2_1|PENDING|0:00|1-00:00:00|(Resources)\n"
    text = told(run, monkeypatch, squeue + "3|PENDING|0:00|4:00:00|(Dependency)\n")
    assert text.startswith(f"tiny on here, {run}: 1 of 4 tasks done")
    found = lines(text)
    assert found["check"] == "done"
    assert found["distil distilled:0"] == (
        "running restart 1, 12:31 of 1-00:00:00, distilled student: 120/600, loss 0.77, 300 s left"
    )
    assert found["distil distilled:1"] == "waiting Resources"
    assert found["report"] == "waiting after distil"
    assert f"log of distil distilled:0: {run}/logs/distil-0.log" in text


def test_what_failed_and_which_log_to_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(run, "check", "failed", code=2)
    log = "── check\nnoise\nfirstsight: teacher.weights: no folder /x\n── FAILED with exit code 2: check\n"
    (run / "logs" / "check.log").write_text(log)
    text = told(run, monkeypatch, "1|FAILED|0:02|2:00:00|(NonZeroExitCode)\n2|CANCELLED|0:00|2:00:00|\n")
    assert "check failed: exit code 2: firstsight: teacher.weights: no folder /x" in text
    assert f"read {run}/logs/check.log" in text
    assert "submit again: what was made is kept and found; not run for it: distil, report" in text
    assert lines(text)["distil distilled:0"] == "not run cancelled: after check"


@pytest.mark.parametrize(
    ("squeue", "said"),
    [
        ("2_0|TIMEOUT|1:00|1:00|n1\n", "timeout: "),
        ("2_0|OUT_OF_MEMORY|0:07|1:00|n1\n", "out of memory: "),
        ("2_0|NODE_FAIL|0:07|1:00|n1\n", "node fail: "),
        ("", "gone from the queue: killed, or its node failed: "),
    ],
)
def test_a_job_that_could_not_say_so_itself_has_failed_too(
    run: Path, monkeypatch: pytest.MonkeyPatch, squeue: str, said: str
) -> None:
    note(run, "distil.distilled:0", "running")
    assert f"distil distilled:0 failed: {said}" in told(run, monkeypatch, squeue)


def test_without_slurm_the_jobs_own_notes_count(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "queued", lambda ids, said: None)
    note(run, "check", "done")
    note(run, "distil.distilled:0", "running")
    note(run, "distil.distilled:1", "failed", code=2)
    found = lines(render(status_of(run)))
    assert found["check"] == "done"
    assert found["distil distilled:0"] == "running as it said itself (SLURM cannot be asked here), starting"
    assert found["distil distilled:1"] == "FAILED exit code 2: it wrote nothing"
    assert found["report"] == "waiting SLURM cannot be asked here"


def test_a_job_that_requeued_itself_waits(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(run, "distil.distilled:0", "requeued", code=75)
    text = told(run, monkeypatch, "2_0|PENDING|0:00|1:00|(BeginTime)\n")
    assert lines(text)["distil distilled:0"] == "waiting saved and requeued, BeginTime"


def test_artifacts_are_named_where_they_are_there(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "artifacts" / "student-distilled-1"
    made.mkdir(parents=True)
    (made / "artifact.json").write_text("{}")
    note(run, "distil.distilled:0", "done")
    note(run, "distil.distilled:1", "done")
    (run / "logs" / "distil-0.log").write_text(f"distilled:0: {made}\n")
    (run / "logs" / "distil-1.log").write_text(f"targets pool 1/2: {made}x\nreport: {made}\n")
    found = lines(told(run, monkeypatch))
    assert found["distil distilled:0"] == "done student-distilled-1"
    assert found["distil distilled:1"] == "done student-distilled-1x (gone)"


def test_a_run_that_ended_says_where_the_report_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for task in ("check", "distil.distilled:0", "distil.distilled:1", "report"):
        note(run, task, "done")
    (run / "logs" / "report.log").write_text("Ship x.\n\nreport: /r/report.html\nrecord: /r/0001.json\n── done\n")
    text = told(run, monkeypatch)
    assert "4 of 4 tasks done" in text
    assert "report: /r/report.html\nrecord: /r/0001.json" in text


def test_a_run_that_was_only_written_says_how_to_submit_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "jobs").unlink()
    assert told(run, monkeypatch).endswith(f"not submitted: bash {run}/submit.sh")


def test_the_newest_run_is_meant_where_none_is_named(run: Path) -> None:
    assert newest_run(run.parent) == run
    with pytest.raises(ClusterError, match="no run in it; `firstsight submit"):
        newest_run(run)


@pytest.mark.parametrize("content", ["", "{}", '{"pair": 1}', "[1]", "\udcff"])
def test_a_foreign_folder_is_one_line(run: Path, content: str) -> None:
    (run / "chain.json").write_text(content, errors="surrogateescape")
    with pytest.raises(ClusterError, match="cannot be read"):
        status_of(run)
    (run / "chain.json").unlink()
    with pytest.raises(ClusterError, match="no run's folder"):
        status_of(run)
