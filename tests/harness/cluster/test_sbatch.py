"""The files of a chain: what they ask SLURM for, what they run, and that nothing a user writes becomes a command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.chain import Job
from harness.cluster.sbatch import Place, files
from harness.cluster.site import Site, load_site

Jobs = Callable[..., tuple[Job, ...]]
ROOT = Path(__file__).resolve().parents[3]
SLURM = ROOT / "containers" / "slurm"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "run", tmp_path / "checkout", "/usr/bin/python3", ("/data/EgoThink",))


def test_a_job_asks_for_what_it_was_planned(jobs: Jobs, site: Site, place: Place) -> None:
    text = files(jobs("baseline", "distilled", seeds=3), site, place, "micro")["distil.sbatch"]
    asked = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]
    assert "--partition=gpu" in asked
    assert "--gres=gpu:a100:1" in asked
    assert "--array=0-2" in asked
    assert "--signal=B:USR1@300" in asked
    assert "--requeue" in asked
    assert f"--output={place.run}/logs/distil-%a.log" in asked
    assert not any(one.startswith(("--account", "--qos")) for one in asked), "the cluster file names none"
    assert "begin distil distilled:0 distilled:1 distilled:2" in text


def test_an_account_and_an_image_are_named_where_the_cluster_file_does(
    jobs: Jobs, told: Callable[..., Path], place: Place
) -> None:
    site = load_site(told(account="lab", qos="long", image="/images/f.sif", modules=["apptainer/1.3"], binds=["/data"]))
    text = files(jobs("baseline", on=site), site, place, "micro")["suites.sbatch"]
    assert "#SBATCH --account=lab\n#SBATCH --qos=long\n" in text
    assert "IMAGE=/images/f.sif\n" in text
    assert "BINDS=/data,/data/EgoThink\n" in text
    assert "MODULES=apptainer/1.3\n" in text
    assert "PYTHON=" not in text


def test_submit_sh_names_every_job_after_the_one_before(jobs: Jobs, site: Site, place: Place) -> None:
    text = files(jobs("baseline", "distilled"), site, place, "micro")["submit.sh"]
    assert [line for line in text.splitlines() if line.startswith("submit ")] == [
        "submit check", "submit teacher check", "submit targets teacher", "submit distil targets",
        "submit suites distil", "submit report suites",
    ]  # fmt: skip
    assert "afterok" in text
    assert "--kill-on-invalid-dep=yes" in text


def test_every_file_is_shell(jobs: Jobs, site: Site, place: Place, tmp_path: Path) -> None:
    found = files(jobs("baseline", "distilled", nodes=2, gpus=4, shards=2), site, place, "micro")
    for name, text in {**found, **{path.name: path.read_text() for path in SLURM.glob("*.sbatch")}}.items():
        (tmp_path / name).write_text(text)
        checked = subprocess.run(["bash", "-n", str(tmp_path / name)], capture_output=True, text=True)
        assert checked.returncode == 0, f"{name}: {checked.stderr}"
    assert "\nspread make " in found["distil.sbatch"], "eight GPUs"
    assert "#SBATCH --gres=gpu:a100:4" in found["distil.sbatch"]
    assert "#SBATCH --nodes=2" in found["distil.sbatch"]


@pytest.mark.parametrize(
    "path", ["/data/my clips", "/data/$(touch hacked)", "/data/`id`", "/data/'\"", "/data/$HOME;id"]
)
def test_what_a_user_writes_stays_one_word(jobs: Jobs, site: Site, place: Place, tmp_path: Path, path: str) -> None:
    """The rendered file, run by bash with the shared shell replaced by one that shows its arguments."""
    found = files(jobs("baseline", chosen=("--pair", path)), site, place, path)
    place.run.mkdir()
    (place.run / "job.sh").write_text('begin() { :; }\nfinish() { :; }\nfirstsight() { printf "%s\\n" "$@"; }\n')
    (tmp_path / "check.sbatch").write_text(found["check.sbatch"])
    shown = subprocess.run(["bash", str(tmp_path / "check.sbatch")], capture_output=True, text=True, cwd=tmp_path)
    assert shown.stdout.splitlines()[:3] == ["ready", "--pair", path]
    assert not (tmp_path / "hacked").exists()


# --- job.sh: the shell around every job, without SLURM


def job(tmp_path: Path, command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A job whose `python` is this command, on a node where `scontrol` writes down what it is asked."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    for name, text in {"python": command, "scontrol": f'echo "$@" >> {tmp_path}/asked'}.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}\n")
        (tools / name).chmod(0o755)
    script = f"""
    SCRATCH={tmp_path} RUN={tmp_path}/run PYTHON={tools}/python CHECKOUT={tmp_path}
    source {SLURM}/job.sh
    begin distil a b
    firstsight make x
    finish
    """
    told: dict[str, Any] = {
        "SLURM_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "1",
        "PATH": f"{tools}:/usr/bin:/bin",
        **(env or {}),
    }
    return subprocess.run(["bash", "-c", script], env=told, capture_output=True, text=True, timeout=60)


def state(tmp_path: Path) -> dict[str, str]:
    text = (tmp_path / "run" / "state" / "distil.b").read_text()
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_job_that_ends_well_notes_so(tmp_path: Path) -> None:
    found = job(tmp_path, 'echo "$@" with $OMP_NUM_THREADS', {"SLURM_CPUS_PER_TASK": "3"})
    assert found.returncode == 0, found.stderr
    assert "-m harness.cli make x with 3" in found.stdout
    assert (state(tmp_path)["state"], state(tmp_path)["code"]) == ("done", "0")


def test_a_command_that_fails_ends_the_job_with_its_code(tmp_path: Path) -> None:
    found = job(tmp_path, "echo firstsight: no >&2; exit 2")
    assert found.returncode == 2
    assert "── FAILED with exit code 2: distil b; what waits for it is not run." in found.stdout
    assert (state(tmp_path)["state"], state(tmp_path)["code"]) == ("failed", "2")
    assert not (tmp_path / "asked").exists()


def test_usr1_is_passed_on_and_the_job_requeues_itself(tmp_path: Path) -> None:
    saves = 'trap "echo saved; exit 75" USR1; kill -USR1 $PPID; for i in {1..100}; do sleep 0.1; done'
    found = job(tmp_path, saves)
    assert found.returncode == 75
    assert "saved" in found.stdout
    assert (tmp_path / "asked").read_text() == "requeue 7\n"
    assert state(tmp_path)["state"] == "requeued"


def test_term_is_passed_on_and_whether_it_comes_back_is_slurms(tmp_path: Path) -> None:
    found = job(tmp_path, 'trap "echo saved; exit 75" TERM; kill -TERM $PPID; for i in {1..100}; do sleep 0.1; done')
    assert found.returncode == 75
    assert not (tmp_path / "asked").exists()
    assert state(tmp_path)["state"] == "stopped"


def test_a_job_that_was_requeued_too_often_fails(tmp_path: Path) -> None:
    found = job(tmp_path, "exit 75", {"SLURM_RESTART_COUNT": "50"})
    assert found.returncode == 75
    assert "requeued 50 times already" in found.stdout
    assert state(tmp_path)["state"] == "failed"


def test_an_image_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = job(tmp_path, "true", {"IMAGE": "/no/such.sif"})
    assert found.returncode == 2
    assert "no image at /no/such.sif: containers/cluster_setup.sh brings it" in found.stdout
