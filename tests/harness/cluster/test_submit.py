"""`firstsight submit`: shown, written, refused; by real SLURM in tests/cluster/test_chain.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.cluster.sbatch import Place, files
from harness.cluster.site import Site
from harness.cluster.submit import binds_of, submit
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


# --- submit.sh, with an sbatch that says what it is told to

Cluster = Callable[[str], Path]


@pytest.fixture
def chain(jobs: Callable[..., Any], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """chain('echo 7'): a run's folder, where sbatch is this line and scancel writes down whom it is asked to end."""
    tools, run = tmp_path / "bin", tmp_path / "run"
    for folder in (tools, run):
        folder.mkdir()

    def of(sbatch: str) -> Path:
        texts = {"sbatch": sbatch, "scancel": f'echo "$@" >>{tmp_path}/ended'}
        for name, text in texts.items():
            (tools / name).unlink(missing_ok=True)
            if text:
                (tools / name).write_text(f"#!/bin/bash\n{text}\n")
                (tools / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
        if not sbatch:  # on a machine that has SLURM
            (tools / "sbatch").symlink_to(tmp_path / "nowhere")
            for name in ("bash", "sed", "cut", "mv", "mkdir", "tr", "grep", "tail"):
                (tools / name).symlink_to(shutil.which(name) or name)
            monkeypatch.setenv("PATH", str(tools))
        place = Place(run, ROOT, "python")
        (run / "submit.sh").write_text(files(jobs("baseline"), site, place, "micro")["submit.sh"])
        return run

    return of


def test_every_job_is_noted_with_its_id(chain: Cluster) -> None:
    """Also beside what a site's own plugins print, and with the name of a cluster of several."""
    run = chain('echo "sbatch: lua: be kind" >&2; echo "$(($(cat jobs 2>/dev/null | wc -l) + 40));alps"')
    assert submit(run) == {"check": "40", "teacher": "41", "suites": "42", "report": "43"}
    assert (run / "jobs").read_text() == "check 40\nteacher 41\nsuites 42\nreport 43\n"


def test_without_sbatch_one_line_says_so(chain: Cluster) -> None:
    with pytest.raises(ClusterError, match="no sbatch here: submit from a login node"):
        submit(chain(""))


@pytest.mark.parametrize(
    ("said", "todo"),
    [
        (
            "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time"
            " limits)",
            "your account or QOS allows fewer jobs",
        ),
        ("Requested time limit is invalid (missing or exceeds some limit)", "time is above the partition's"),
        ("Invalid account or account/partition combination specified", "name yours in the cluster file (account)"),
        ("invalid partition specified: gone", "name one that `sinfo -s` lists"),
        ("Invalid qos specification", "name one of yours in the cluster file (qos)"),
        ("Invalid generic resource (gres) specification", "`sinfo -o %G` lists them"),
        ("Requested node configuration is not available", "more than a node has"),
    ],
)
def test_what_sbatch_refuses_is_told_with_what_to_do_and_taken_back(
    chain: Cluster, tmp_path: Path, said: str, todo: str
) -> None:
    """By the script itself: `containers/firstsight submit` runs it without us."""
    run = chain(f'[[ $* != *suites* ]] || {{ echo "sbatch: error: {said}" >&2; exit 1; }}; echo 5')
    with pytest.raises(ClusterError) as error:
        submit(run)
    assert f"suites: sbatch refused: sbatch: error: {said}: " in str(error.value)
    assert todo in str(error.value)
    assert str(error.value).endswith("; nothing is left in the queue")
    assert (tmp_path / "ended").read_text().split() == ["5", "5"]
    assert not (run / "jobs").exists()


def test_a_job_that_cannot_be_noted_is_taken_back(chain: Cluster, tmp_path: Path) -> None:
    """Its id would be lost: a full scratch."""
    run = chain("mkdir jobs; echo 5")  # where a file should be
    with pytest.raises(ClusterError, match="jobs cannot be written: scratch is full"):
        submit(run)
    assert (tmp_path / "ended").read_text().split() == ["5"]


# --- what the image must see


def test_an_image_sees_data_and_weights_wherever_they_lie(micro: Any, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "mine.jsonl").write_text("")
    (tmp_path / "7b").mkdir()
    (tmp_path / "teacher").symlink_to(tmp_path / "7b")
    teacher = micro.teacher.model_copy(update={"weights": str(tmp_path / "teacher")})
    student = micro.student.model_copy(update={"weights": "Qwen/Qwen2-VL-2B-Instruct"})
    data = micro.data.model_copy(update={"path": str(tmp_path / "clips" / "mine.jsonl")})
    pair = micro.model_copy(update={"teacher": teacher, "student": student, "data": data})
    assert binds_of(pair) == [str(tmp_path / name) for name in ("clips", "teacher", "7b")]
    home = pair.model_copy(update={"teacher": teacher.model_copy(update={"weights": "~/none"}), "data": micro.data})
    assert binds_of(home) == [str(Path.home() / "none")]
    odd = pair.model_copy(update={"data": data.model_copy(update={"path": "/data/a,b"})})
    with pytest.raises(ClusterError, match="a comma or a colon"):
        binds_of(odd)


def test_workloads_go_with_the_run(cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("batch: [1]\n")
    call = ["submit", "--pair", "tiny", "--variants", "baseline", "--write", "--workloads"]
    assert main([*call, str(mine)]) == 0
    run = next((cluster / "runs").iterdir())
    assert (run / "workloads.yml").read_text() == "batch: [1]\n"
    assert '--workloads="$RUN"/workloads.yml' in (run / "suites.sbatch").read_text().replace("'", "")
    assert main([*call, "/no/such.yaml"]) == 2
    assert "/no/such.yaml: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "tinny"], "did you mean tiny?"),
        (["--pair", "tiny", "--variants", "int9"], "unknown variant 'int9'"),
        (["--pair", "tiny", "--partition", "gpuu"], "unknown partition 'gpuu': did you mean gpu?"),
        (["--pair", "tiny", "--time", "5"], '--time is a time in quotes, "12:00:00"'),
        (["--pair", "tiny", "--time", "00:05:00"], "--time 00:05:00: at least 00:15:00, as jobs are told 300 s before"),
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
