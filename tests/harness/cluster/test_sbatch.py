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


def test_where_locks_are_of_one_node_tasks_run_one_by_one(jobs: Jobs, told: Callable[..., Path], place: Place) -> None:
    site = load_site(told(locks="local"))
    found = files(jobs("baseline", "distilled", on=site, seeds=2), site, place, "micro")
    assert "#SBATCH --array=0-1%1\n" in found["distil.sbatch"]
    assert "--locks local" in found["check.sbatch"]


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


def test_weights_are_those_that_setup_fetched_whatever_a_login_shell_says(tmp_path: Path) -> None:
    found = job(tmp_path, 'echo "$HF_HOME ${HF_HUB_CACHE:-none}"', {"HF_HOME": "/old", "HF_HUB_CACHE": "/older"})
    assert f"{tmp_path}/weights none\n" in found.stdout


# --- and in an image, with modules and GPUs


def in_image(tmp_path: Path, command: str, before: str = "", env: dict[str, str] | None = None) -> str:
    """What a job says whose apptainer shows its arguments and the cards that it was told of, then runs what it was
    given; as a program in Go, it gives signals their default back.
    """
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    shows = 'echo "apptainer $* cards ${APPTAINERENV_CUDA_VISIBLE_DEVICES:-none}"'
    runs = 'while [[ $1 != */f.sif ]]; do shift; done; shift; exec env --default-signal=USR1 "$@"'
    srun = "while [[ $1 == --* ]]; do shift; done; for node in 0 1; do\n"
    srun += 'SLURM_NODEID=$node CUDA_VISIBLE_DEVICES=$((node + 4)) "$@" || exit $?; done'
    texts = {
        "apptainer": f"{shows}; {runs}",
        "python": 'echo "python $*"; for word in "$@"; do [[ $word != signalled ]] || kill -USR1 $$; done; echo alive',
        "srun": srun,
        "scontrol": "echo NodeAddr=10.0.0.1 ",
    }
    for name, text in texts.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}\n")
        (tools / name).chmod(0o755)
    (tmp_path / "f.sif").touch()
    script = f"""
    {before}
    SCRATCH={tmp_path} RUN={tmp_path}/run IMAGE={tmp_path}/f.sif
    source {SLURM}/job.sh
    begin distil a b
    {command}
    finish
    """
    told = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", "PATH": f"{tools}:/usr/bin:/bin", **(env or {})}
    done = subprocess.run(["bash", "-c", script], env=told, capture_output=True, text=True, timeout=60)
    return f"{done.stdout}{done.stderr}exit {done.returncode}"


def test_gpus_reach_the_image_with_the_node_that_they_are_of(tmp_path: Path) -> None:
    said = in_image(tmp_path, "firstsight make x", "GPUS=1", {"CUDA_VISIBLE_DEVICES": "2"})
    assert "--nv --env FIRSTSIGHT_NV=1 " in said
    assert "cards 2\n" in said
    assert "--nv" not in in_image(tmp_path, "firstsight make x", "GPUS=0")


def test_each_node_has_cards_of_its_own_and_its_launcher_is_deaf_to_usr1(tmp_path: Path) -> None:
    told = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "n[1-2]", "CUDA_VISIBLE_DEVICES": "0"}
    said = in_image(tmp_path, "spread make signalled", "GPUS=1", told)
    shown = [line for line in said.splitlines() if line.startswith("apptainer ")]
    assert [line.rpartition("cards ")[2] for line in shown] == ["4", "5"], "not the first node's"
    assert not any("CUDA_VISIBLE_DEVICES" in line for line in shown)
    assert said.count("alive") == 2, said
    assert "--machine_rank 0 -m harness.cli make signalled" in said
    assert "--machine_rank 1 -m harness.cli make signalled" in said


def test_modules_are_loaded_before_the_image_is_looked_for(tmp_path: Path) -> None:
    said = in_image(tmp_path, "firstsight make x", 'module() { echo "module $*"; }; MODULES="cuda apptainer/1.3"')
    assert said.index("module load cuda apptainer/1.3\n") < said.index("apptainer exec")
    said = in_image(tmp_path, "firstsight make x", "module() { return 1; }; MODULES=apptaner")
    assert "FAILED with exit code 2: module load apptaner: distil b" in said
    assert said.endswith("exit 2")


# --- the single jobs


def single(tmp_path: Path, name: str, **told: str) -> subprocess.CompletedProcess[str]:
    """A single job where job.sh shows what it was given."""
    shows = 'begin() { printf "%s|" "$PAIR" "$DATA" "$BINDS" "$MODULES"; }\n'
    shows += "".join(f"{name}() {{ :; }}\n" for name in ("suites", "firstsight", "finish"))
    tree = tmp_path / "tree" / "containers" / "slurm"
    if not tree.exists():
        tree.mkdir(parents=True)
        (tree / "job.sh").write_text(shows)
        (tree / "binds.sh").write_text((SLURM / "binds.sh").read_text())
        (tmp_path / "tree" / "models").symlink_to(ROOT / "models")
    env = {"PATH": "/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path / "tree"), "SLURM_JOB_ID": "7", "HOME": "/root"}
    return subprocess.run(
        ["bash", str(SLURM / f"{name}.sbatch")],
        env={**env, "SCRATCH": str(tmp_path), **told},
        capture_output=True,
        text=True,
        timeout=60,
    )


SINGLE = ("baseline", "quantisation", "distillation")


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_job_without_clips_says_so_at_once(tmp_path: Path, name: str) -> None:
    found = single(tmp_path, name)
    assert found.returncode == 2
    assert found.stderr == (
        "egogpt-qwen2vl has no clips of its own: say which, --export=ALL,DATA=egothink:/path/to/EgoThink\n"
    )
    assert single(tmp_path, name, PAIR="tiny").stdout == "tiny|||apptainer|"
    assert "--time=1-" not in (SLURM / f"{name}.sbatch").read_text(), "twelve hours are what many clusters have"


def test_a_single_job_sees_its_data_and_its_pair(tmp_path: Path) -> None:
    clips, pairs, weights = tmp_path / "EgoThink", tmp_path / "pairs", tmp_path / "7b"
    for folder in (clips, pairs, weights):
        folder.mkdir()
    (pairs / "mine.yaml").write_text(f"teacher:\n  weights: {weights}  # ours\ndata:\n  dataset: egothink\n")
    (tmp_path / "link").symlink_to(clips)
    told = {"PAIR": str(pairs / "mine.yaml"), "MODULES": "", "BINDS": "/more"}
    found = single(tmp_path, "baseline", DATA=f"egothink:{tmp_path}/link:Reasoning/counting", **told)
    assert found.stderr == ""
    binds = f"/more,{weights},{pairs},{tmp_path}/link,{clips}"
    assert found.stdout == f"{pairs}/mine.yaml|egothink:{tmp_path}/link:Reasoning/counting|{binds}||"
    without = single(tmp_path, "baseline", DATA=f"egothink:{clips}", IMAGE="none", PAIR=told["PAIR"])
    assert without.stdout.endswith("EgoThink|||"), "no image, nothing to bind, no module"
    odd = tmp_path / "a,b"
    odd.mkdir()
    found = single(tmp_path, "baseline", DATA=f"egothink:{odd}")
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert "Apptainer cannot bind a folder with a comma or a colon in its path" in found.stderr
