"""`firstsight submit`: shown, written, refused; by real SLURM in tests/cluster/test_chain.py."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from harness.cluster.submit import submit
from harness.errors import ClusterError
from tests.conftest import MICRO

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cluster(told: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The scratch of a cluster file that $FIRSTSIGHT_CLUSTER names."""
    monkeypatch.setenv("FIRSTSIGHT_CLUSTER", str(told(scratch=str(tmp_path / "scratch"))))
    return tmp_path / "scratch"


def test_a_dry_run_shows_every_file_and_writes_nothing(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "--pair", "tiny", "--seeds", "2", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count("#!/bin/bash") == 7, "six jobs, and what submits them"
    assert "distil × 6" in said
    assert "nothing was written or submitted" in said
    assert not cluster.exists()


def test_a_written_run_is_a_folder_that_submits_itself(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "--pair", str(MICRO), "--variants", "baseline", "--write"]) == 0
    run = next((cluster / "runs").iterdir())
    assert capsys.readouterr().out.endswith(f"written; to submit: bash {run}/submit.sh\n")
    names = {path.name for path in run.iterdir()}
    assert names >= {"chain.json", "check.sbatch", "suites.sbatch", "report.sbatch", "submit.sh", "job.sh", "logs"}
    assert (run / "micro.yaml").read_text() == MICRO.read_text(), "what is submitted is what runs"
    assert 'firstsight ready --pair "$RUN"/micro.yaml' in (run / "check.sbatch").read_text()
    assert '--pair="$RUN"/micro.yaml' in (run / "suites.sbatch").read_text().replace("'", "")


def test_data_on_the_command_line_reaches_every_job(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its whole path: jobs run in another folder."""
    monkeypatch.chdir(ROOT)
    call = ["submit", "--pair", "egogpt-qwen2vl", "--weights", "random", "--frames", "4", "--dry-run"]
    assert main(call) == 0
    said = capsys.readouterr().out
    assert "--weights=random --frames=4" in said
    assert "spread" not in said


def test_without_sbatch_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sed", "tee", "cut", "mv", "rm", "mkdir", "tr", "cat"):
        (tools / name).symlink_to(subprocess.run(["which", name], capture_output=True, text=True).stdout.strip())
    monkeypatch.setenv("PATH", str(tools))
    (tmp_path / "submit.sh").write_text("sbatch x || exit 1\n")
    with pytest.raises(ClusterError, match="no sbatch here: submit from a login node"):
        submit(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "tinny"], "did you mean tiny?"),
        (["--pair", "tiny", "--variants", "int9"], "unknown variant 'int9'"),
        (["--pair", "tiny", "--partition", "gpuu"], "unknown partition 'gpuu': did you mean gpu?"),
        (["--pair", "tiny", "--time", "5"], '--time is a time in quotes, "12:00:00"'),
        (["--pair", "tiny", "--gpus", "8"], "8 GPUs a node, but a node of gpu has 4"),
        (["--pair", "tiny", "--cluster", "/no/such.yaml"], "/no/such.yaml: no such cluster file; copy"),
        (["--pair", "egogpt-qwen2vl"], "--qa NAME:PATH"),
        (["--pair", "egogpt-qwen2vl", "--data", "egothink:/no/such"], "/no/such"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    cluster: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert said in printed
    assert not cluster.exists()


def test_a_scratch_that_cannot_be_written_is_told(
    told: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    site = told(scratch=str(tmp_path / "file" / "scratch"))
    assert main(["submit", "--pair", "tiny", "--cluster", str(site)]) == 2
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "nothing was submitted" in said


def test_a_path_that_holds_here_alone_is_refused(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips").mkdir()
    pair = tmp_path / "mine.yaml"
    text = (ROOT / "models" / "egogpt-qwen2vl.yaml").read_text()
    text = text.replace("name: egogpt-qwen2vl", "name: mine").replace(
        "dataset: synthetic ", "path: clips\n  dataset: jsonl "
    )
    pair.write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "--pair", "mine.yaml", "--dry-run"]) == 2
    assert "mine: data.path: clips is relative, and jobs run elsewhere" in capsys.readouterr().err
