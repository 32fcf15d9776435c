"""The whole chain by real SLURM on this machine, on the micro pair: a user submits, waits, and has a report.

pytest tests/cluster/test_chain.py -m cluster        (root; apt-get install slurm-wlm munge)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.artifact import Store
from harness.distill.lineage import Lineage
from harness.pair import load_pair
from harness.record import Run, load_run
from harness.report.view import variants
from tests.cluster.conftest import ROOT, Image, LoginNode, jobs_of, logs
from tests.cluster.private_apptainer import PrivateApptainer
from tests.cluster.private_slurm import PrivateSlurm
from tests.conftest import MICRO

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
CHOSEN = ("--variants", "baseline,int8,distilled", "--workloads", "headline")


@pytest.fixture(scope="module")
def home(slurm: PrivateSlurm, tmp_path_factory: pytest.TempPathFactory) -> LoginNode:
    """A user whose scratch all tests of this module share."""
    return LoginNode(slurm, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first(home: LoginNode) -> Path:
    """A run that has ended."""
    run = home.submit(*CHOSEN)
    home.ended(run)
    return run


def test_a_submitted_pair_ends_in_a_report(home: LoginNode, first: Path) -> None:
    said = home.firstsight("status", str(first))
    assert said.returncode == 0, said.stdout + logs(first)
    assert "8 of 8 tasks done" in said.stdout
    assert "student-distilled-" in said.stdout
    report = next(Path(line.split()[1]) for line in said.stdout.splitlines() if line.startswith("report: "))
    assert "not taken in turn" in report.read_text(), "variants of several jobs were not timed side by side"


@pytest.fixture(scope="module")
def outside(lineage: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What `pytest suites` records by itself, without SLURM and without an image, of the same variants."""
    assert lineage.student()  # and so teacher and targets
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(lineage.store.root, folder / "artifacts")
    places = ("--cache", str(folder / "artifacts"), "--results", str(folder / "results"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "suites", "--pair", str(MICRO), *CHOSEN]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *places], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return load_run(folder / "results")


def keys(value: object, at: str = "") -> set[str]:
    """Every key of a JSON value by its path; a list's elements are one. Not of rounds that something disturbed, which a
    record tells of where there were any, nor of what a measurement has while it is not absent for them.
    """
    if at.endswith(".broken"):
        return set()
    if at.endswith(".measurements[]") and isinstance(value, dict):
        value = {name: inner for name, inner in value.items() if name not in ("groups", "ruler", "ruler_each")}
    if isinstance(value, dict):
        return {one for name, inner in value.items() for one in ({f"{at}.{name}"} | keys(inner, f"{at}.{name}"))}
    return {one for inner in value for one in keys(inner, f"{at}[]")} if isinstance(value, list) else set()


def shape(run: Run) -> dict[str, set[str]]:
    """Of a record's rows by their names, and of what is told of the machine."""
    whole = json.loads(run.path.read_bytes())
    found = {row["name"]: keys(row) for row in whole["benchmarks"]}
    assert len(found) == len(whole["benchmarks"])
    return {**found, "machine": keys(whole["machine_info"]), "whole": set(whole)}


APART = {".extra_info.firstsight.details.apart"}  # what jobs of their own add to every row
JOBS = {".firstsight.jobs"} | {f".firstsight.jobs[].{name}" for name in ("variants", "node", "datetime", "command")}


def same_shape(ours: Run, outside: Run) -> None:
    """The same rows, and in each the same keys; weights of the same digests."""
    found, wanted = shape(ours), shape(outside)
    variants = {record.variant for record in ours.records}
    kept = [row["name"] for row in json.loads(outside.path.read_bytes())["benchmarks"] if _variant(row) in variants]
    assert {*found} == {*kept, "machine", "whole"}
    assert found["machine"] - JOBS == wanted["machine"]
    assert found["whole"] == wanted["whole"]
    assert {name: found[name] - APART for name in kept} == {name: wanted[name] for name in kept}
    assert digests(ours).items() <= digests(outside).items()


def _variant(row: Any) -> str:
    return str(row["extra_info"]["firstsight"]["variant"])


def digests(run: Run) -> dict[tuple[str, str], str]:
    return {(record.variant, role): digest for record in run.records for role, digest in record.artifacts.items()}


def test_its_record_is_as_one_from_outside(home: LoginNode, first: Path, lineage: Any, outside: Run) -> None:
    """The same variants and rows, the same weights by digest, the same keys in every row."""
    run = load_run(home.scratch / "results")
    same_shape(run, outside)
    assert [view.name for view in variants(run)] == ["baseline", "int8", "distilled"]
    assert {role: digest for (_, role), digest in digests(run).items()} == {
        "teacher": lineage.teacher.digest,
        "distilled": lineage.student().digest,
    }
    assert run.commit.get("id") not in (None, "unversioned")
    rows = json.loads(run.path.read_bytes())["benchmarks"]
    apart = [row["extra_info"]["firstsight"]["details"].pop("apart") for row in rows]
    assert len(apart) == len(rows) == len({row["fullname"] for row in rows})


def test_the_student_is_the_very_same_as_outside(home: LoginNode, first: Path, lineage: Any) -> None:
    ours = lineage.student().folder
    theirs = home.scratch / "artifacts" / ours.name
    names = sorted(path.name for path in ours.glob("*.safetensors"))
    assert names
    for name in names:
        assert (theirs / name).read_bytes() == (ours / name).read_bytes()


def test_a_second_submission_finds_what_the_first_made(home: LoginNode, first: Path) -> None:
    store = home.scratch / "artifacts"
    made = {path.name: (path / "artifact.json").stat().st_mtime_ns for path in store.glob("[a-z]*")}
    run = home.submit(*CHOSEN)
    assert run != first
    home.slurm.wait(f"{jobs_of(run)['distil']}_0", "COMPLETED", seconds=900)
    home.slurm.run("scancel", jobs_of(run)["suites"])
    home.ended(run)
    assert {path.name: (path / "artifact.json").stat().st_mtime_ns for path in store.glob("[a-z]*")} == made
    said = home.firstsight("status", str(run))
    assert "suites baseline" in said.stdout
    assert "cancelled" in said.stdout


# --- stopped, killed, lost ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro pair with a student that learns for a while."""
    path = tmp_path_factory.mktemp("pairs") / "patient.yaml"
    before, recipe, after = MICRO.read_text().partition("\nrecipe:\n")
    text = (
        before.replace("name: micro", "name: patient") + recipe + after.replace("  epochs: 2\n", "  epochs: 120\n", 1)
    )
    path.write_text(text.replace("  val_clips: 4\n\nfinetune", "  val_clips: 4\n  checkpoint_every: 3\n\nfinetune"))
    return path


@pytest.fixture(scope="module")
def undisturbed(patient: Path, slurm: PrivateSlurm, lineage: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student that nobody interrupted, made outside SLURM beside a teacher that is there."""
    assert lineage.student()  # and so teacher and targets
    store = tmp_path_factory.mktemp("undisturbed") / "artifacts"
    shutil.copytree(lineage.store.root, store)
    login = LoginNode(slurm, store.parent)
    found = login.firstsight("make", "--pair", str(patient), "--cache", str(store), "distilled:0")
    assert found.returncode == 0, found.stderr
    return Path(found.stdout.split(": ")[1].strip())


def learning(login: LoginNode, lineage: Any, undisturbed: Path, pair: Path, *more: str) -> tuple[Path, str]:
    """The distil job alone of a run whose teacher is there, in the middle of its steps: the run, the task's id."""
    shutil.copytree(lineage.store.root, login.scratch / "artifacts")
    run = login.submit("--variants", "baseline,distilled", "--write", *more, pair=pair)
    job = login.slurm.run("sbatch", "--parsable", str(run / "distil.sbatch"))
    (run / "jobs").write_text(f"distil {job}\n")
    resume = login.scratch / "artifacts" / ".partial" / undisturbed.name / ".resume"
    login.slurm.until(lambda: resume.is_dir() and any(resume.iterdir()), "the student has a checkpoint", 600)
    return run, f"{job}_0"


def ended_well(login: LoginNode, run: Path, job: str) -> str:
    """Wait for it; what it wrote."""
    state = login.slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", seconds=900)
    assert state == "COMPLETED", logs(run)
    return (run / "logs" / "distil-0.log").read_text()


def usr1(slurm: PrivateSlurm, job: str) -> None:
    slurm.run("scancel", "--signal=USR1", "--batch", job)


def requeue(slurm: PrivateSlurm, job: str) -> None:
    slurm.run("scontrol", "requeue", job)


def preempt(slurm: PrivateSlurm, job: str) -> None:
    for _ in slurm.nodes:
        wrap = ["--wrap", "sleep 3", "--cpus-per-task=2", "--mem=1M", "--output=/dev/null"]
        slurm.run("sbatch", "--partition=urgent", *wrap)


def lose_node(slurm: PrivateSlurm, job: str) -> None:
    told = slurm.run("scontrol", "show", "job", "-o", job).split()
    node = next(word for word in told if word.startswith("NodeList=")).removeprefix("NodeList=")
    slurm.node_dies(node)
    slurm.until(lambda: slurm.state(job) != "RUNNING", "the job has left the node", 300)
    slurm.node_returns(node)


@pytest.mark.parametrize("interrupt", [usr1, requeue, preempt, lose_node])
def test_an_interrupted_training_goes_on_and_ends_with_the_same_student(
    login: LoginNode, lineage: Any, patient: Path, undisturbed: Path, interrupt: Any
) -> None:
    run, job = learning(login, lineage, undisturbed, patient)
    interrupt(login.slurm, job)
    log = ended_well(login, run, job)
    assert log.count("── distil distilled:0") == 2, log
    assert "restart 1" in log
    assert "going on from what an interrupted run left" in log
    same_student(login, undisturbed)
    assert "distil distilled:0  done" in login.firstsight("status", str(run)).stdout


def test_a_killed_training_fails_and_the_next_submission_goes_on(
    login: LoginNode, lineage: Any, patient: Path, undisturbed: Path
) -> None:
    run, job = learning(login, lineage, undisturbed, patient)
    report = login.slurm.run(
        "sbatch", "--parsable", f"--dependency=afterok:{job.split('_')[0]}", "--kill-on-invalid-dep=yes",
        str(run / "report.sbatch"),
    )  # fmt: skip
    with (run / "jobs").open("a") as jobs:
        jobs.write(f"report {report}\n")
    login.slurm.run("scancel", "--signal=KILL", "--full", job)
    login.ended(run)
    said = login.firstsight("status", str(run))
    assert said.returncode == 1
    assert f"read {run / 'logs' / 'distil-0.log'}" in said.stdout
    assert "report" in said.stdout.partition("not run for it: ")[2]
    again = login.submit("--variants", "baseline,distilled", pair=patient)
    login.slurm.wait(f"{jobs_of(again)['distil']}_0", "COMPLETED", seconds=900)
    login.slurm.run("scancel", jobs_of(again)["suites"], check=False)
    assert "going on from what an interrupted run left" in (again / "logs" / "distil-0.log").read_text()
    same_student(login, undisturbed)


def same_student(login: LoginNode, undisturbed: Path) -> None:
    made = login.scratch / "artifacts" / undisturbed.name
    for path in undisturbed.glob("*.safetensors"):
        assert (made / path.name).read_bytes() == path.read_bytes()


def test_two_nodes_distil_together(login: LoginNode, lineage: Any) -> None:
    """srun accelerate launch: sums in another order, so nearly the same student, under the same digest."""
    ours = lineage.student().folder
    shutil.copytree(lineage.store.root, login.scratch / "artifacts")
    shutil.rmtree(login.scratch / "artifacts" / ours.name)
    run = login.submit("--variants", "baseline,distilled", "--nodes", "2")
    job = f"{jobs_of(run)['distil']}_0"
    assert login.slurm.wait(job, "COMPLETED", "FAILED", seconds=900) == "COMPLETED", logs(run)
    login.slurm.run("scancel", jobs_of(run)["suites"], check=False)
    assert "NumNodes=2" in login.slurm.run("scontrol", "show", "job", "-o", job)
    for path in ours.glob("*.safetensors"):
        a, b = load_file(path), load_file(login.scratch / "artifacts" / ours.name / path.name)
        apart = torch.cat([(b[name] - tensor).flatten() for name, tensor in a.items()]).norm()
        assert apart < 0.01 * torch.cat([tensor.flatten() for tensor in a.values()]).norm()


def test_two_nodes_that_are_stopped_save_and_go_on_together(
    login: LoginNode, lineage: Any, patient: Path, undisturbed: Path
) -> None:
    run, job = learning(login, lineage, undisturbed, patient, "--nodes", "2")
    usr1(login.slurm, job)
    log = ended_well(login, run, job)
    assert "── saved; requeued, to go on with what was made" in log
    assert "restart 1" in log
    assert (login.scratch / "artifacts" / undisturbed.name / "model.safetensors").is_file(), log


# --- shards, the image, single jobs ----------------------------------------------------------------------


def test_an_array_of_shards_makes_what_one_job_makes(login: LoginNode, lineage: Any, tmp_path: Path) -> None:
    """Byte for byte, and so the student that learns from it is the very same."""
    pair = tmp_path / "five.yaml"  # batches of five clips: the pool has five of them
    text = MICRO.read_text().replace("name: micro", "name: five").replace("batch_clips: 25", "batch_clips: 5")
    pair.write_text(text)
    assert lineage.teacher
    assert lineage.undistilled
    for store in (login.scratch / "artifacts", tmp_path / "alone"):
        shutil.copytree(lineage.store.root, store, ignore=shutil.ignore_patterns("targets-*", "student-distilled-*"))
    alone = Lineage(load_pair(str(pair)), Store(tmp_path / "alone"))
    run = login.submit("--variants", "baseline,distilled", "--shards", "3", pair=pair)
    job = f"{jobs_of(run)['distil']}_0"
    assert login.slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", seconds=900) == "COMPLETED", logs(run)
    login.slurm.run("scancel", jobs_of(run)["suites"], check=False)
    assert len(list((login.scratch / "artifacts").glob("targets-shard-*"))) == 3 + 2, "of the pool, and of val"
    for ours in (alone.targets("pool").path, alone.student().folder):
        theirs = login.scratch / "artifacts" / ours.name
        for path in ours.glob("*.safetensors"):
            assert (theirs / path.name).read_bytes() == path.read_bytes()


@pytest.fixture
def in_image(slurm: PrivateSlurm, apptainer: PrivateApptainer, image: Image, tmp_path: Path) -> LoginNode:
    """A user whose jobs run in the image. Root may have fewer rights than Apptainer expects of it: -u, as a user's."""
    program = tmp_path / "apptainer"
    program.write_text(f'#!/bin/bash\nverb=$1\nshift\nexec {apptainer.program} "$verb" -u "$@"\n')
    program.chmod(0o755)
    return LoginNode(slurm, tmp_path, image=str(image.file), apptainer=str(program), python=None)


def test_the_chain_in_the_image_makes_the_very_same_student_and_names_the_image(
    in_image: LoginNode, image: Image, lineage: Any, outside: Run
) -> None:
    """sbatch and apptainer exec: the same digests and bytes as outside, rows with the same keys."""
    run = in_image.submit("--variants", "baseline,distilled", "--workloads", "headline")
    in_image.ended(run, seconds=900)
    said = in_image.firstsight("status", str(run))
    assert said.returncode == 0, said.stdout + logs(run)
    ours = lineage.student().folder
    for path in ours.glob("*.safetensors"):
        assert (in_image.scratch / "artifacts" / ours.name / path.name).read_bytes() == path.read_bytes()
    record = load_run(in_image.scratch / "results")
    assert record.environment["image"] == image.told["sha256"]
    assert {one.suite for one in record.records} >= {"latency", "vram", "agreement", "distillation"}
    same_shape(record, outside)


def test_usr1_reaches_a_training_in_the_image_and_it_goes_on(
    in_image: LoginNode, lineage: Any, patient: Path, undisturbed: Path
) -> None:
    """SLURM signals the shell, the shell Apptainer, Apptainer the training; it ends with the very same student."""
    run, job = learning(in_image, lineage, undisturbed, patient)
    usr1(in_image.slurm, job)
    log = ended_well(in_image, run, job)
    assert "── saved; requeued, to go on with what was made" in log
    assert "going on from what an interrupted run left" in log
    same_student(in_image, undisturbed)


def test_two_nodes_in_the_image_that_are_stopped_save_and_go_on(
    in_image: LoginNode, lineage: Any, patient: Path, undisturbed: Path
) -> None:
    """The launchers inside are deaf to USR1, though Apptainer gives signals their default back."""
    run, job = learning(in_image, lineage, undisturbed, patient, "--nodes", "2")
    usr1(in_image.slurm, job)
    log = ended_well(in_image, run, job)
    assert "── saved; requeued, to go on with what was made" in log
    assert (in_image.scratch / "artifacts" / undisturbed.name / "model.safetensors").is_file(), log


def test_a_job_with_a_gpu_has_the_card_that_slurm_gave_it_and_its_modules(
    slurm: PrivateSlurm, tmp_path: Path, image: Image
) -> None:
    """The private nodes' cards are names alone, so that the program here shows what Apptainer would be given."""
    program, profile = tmp_path / "apptainer", tmp_path / "profile"
    program.write_text('#!/bin/bash\necho "$* cards $APPTAINERENV_CUDA_VISIBLE_DEVICES modules $MODULES_LOADED"\n')
    program.chmod(0o755)
    profile.write_text("module() { export MODULES_LOADED=$*; }\n")
    card = {"time": "02:00:00", "cpus": 2, "memory": "6GB", "tflops": 1}
    partitions = {"short": {**card, "gpus": 4, "gpu": "h200", "gpu_memory": "141GB"}}
    told = {"partitions": partitions, "image": str(image.file), "apptainer": str(program), "modules": ["apptainer"]}
    login = LoginNode(slurm, tmp_path, python=None, **told)
    run = login.submit("--variants", "baseline,int8", "--write")
    shared = (run / "job.sh").read_text()
    (run / "job.sh").write_text(f"source {profile}\n{shared}")
    job = slurm.run("sbatch", "--parsable", str(run / "suites.sbatch"))
    for task in (0, 1):
        assert slurm.wait(f"{job}_{task}", "COMPLETED", "FAILED", seconds=300) == "COMPLETED", logs(run)
    said = [(run / "logs" / f"suites-{task}.log").read_text() for task in (0, 1)]
    for one in said:
        assert "--nv --env FIRSTSIGHT_NV=1 " in one
        assert "modules load apptainer" in one
        assert re.search(r"cards \d\b", one), one
    assert "TRES=" in slurm.run("scontrol", "show", "job", "-o", f"{job}_0")


@pytest.mark.parametrize("name", ["baseline", "distillation"])
def test_a_single_job_runs_in_the_image(in_image: LoginNode, image: Image, tmp_path: Path, name: str) -> None:
    told = {"PAIR": MICRO, "SCRATCH": in_image.folder, "IMAGE": image.file, "APPTAINER": tmp_path / "apptainer"}
    export = ",".join(["ALL", "MODULES=", *(f"{name}={value}" for name, value in told.items())])
    own = ["--partition=short", "--cpus-per-task=2", "--mem=4G", "--time=01:00:00", f"--output={in_image.folder}/log"]
    own += ["--gres=none", f"--export={export}"]
    script = ROOT / "containers" / "slurm" / f"{name}.sbatch"
    job = in_image.slurm.run("sbatch", "--parsable", f"--chdir={ROOT}", *own, str(script))
    state = in_image.slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", seconds=900)
    assert state == "COMPLETED", (in_image.folder / "log").read_text()
    run = load_run(in_image.folder / "firstsight" / "results")
    assert {view.name for view in variants(run)} >= {"baseline"}
    assert run.environment["image"] == image.told["sha256"]


def test_an_image_of_a_login_node_plans_and_what_is_there_submits(
    in_image: LoginNode, image: Image, tmp_path: Path
) -> None:
    """containers/firstsight: nothing is installed on the login node."""
    told = {"FIRSTSIGHT_IMAGE": str(image.file), "FIRSTSIGHT_CLUSTER": str(in_image.site), "SCRATCH": str(tmp_path)}
    env = {**in_image.slurm.env, **told, "APPTAINER": str(tmp_path / "apptainer")}

    def firstsight(*arguments: str) -> str:
        command = [str(ROOT / "containers" / "firstsight"), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    said = firstsight("submit", "--pair", "/opt/firstsight/tests/data/micro.yaml", "--variants", "baseline")
    assert "suites " in said
    run = max((in_image.scratch / "runs").iterdir())
    for job in jobs_of(run).values():
        in_image.slurm.run("scancel", job, check=False)
    in_image.ended(run)
    assert "micro on private" in firstsight("status", str(run))


def test_a_single_job_needs_no_driver(login: LoginNode) -> None:
    told = {"PAIR": MICRO, "SCRATCH": login.folder, "IMAGE": "none", "PYTHON": sys.executable}
    export = ",".join(["ALL", *(f"{name}={value}" for name, value in told.items())])
    own = ["--partition=short", "--cpus-per-task=2", "--mem=4G", "--time=01:00:00", f"--output={login.folder}/log"]
    script = ROOT / "containers" / "slurm" / "distillation.sbatch"
    job = login.slurm.run("sbatch", "--parsable", f"--chdir={ROOT}", *own, f"--export={export}", str(script))
    state = login.slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", seconds=900)
    assert state == "COMPLETED", (login.folder / "log").read_text()
    run = load_run(login.folder / "firstsight" / "results")
    assert {view.name for view in variants(run)} == {"baseline", "distilled", "distilled-int8"}


# --- what goes wrong -------------------------------------------------------------------------------------


def test_a_failing_stage_stops_what_follows_and_says_which_log_to_read(login: LoginNode) -> None:
    run = login.submit()
    (run / "micro.yaml").unlink()  # before the first job has read it
    login.ended(run)
    said = login.firstsight("status", str(run))
    assert said.returncode == 1
    assert "check failed: exit code 2: firstsight: " in said.stdout
    assert "no such pair file" in said.stdout
    assert f"read {run / 'logs' / 'check.log'}" in said.stdout
    assert said.stdout.count("after check, which failed") + said.stdout.count("cancelled") >= 1
    assert not (login.scratch / "artifacts").exists() or not any((login.scratch / "artifacts").glob("teacher*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--partition", "shrt"), "unknown partition 'shrt': did you mean short?"),
        (("--partition", "gone"), "invalid partition specified: gone"),
        (("--partition", "closed"), "name yours in the cluster file (account)"),
        (("--time", "12"), '--time is a time in quotes, "12:00:00"'),
        (("--shards", "0"), "--shards 0: at least 1"),
        (("--gpus", "9"), "9 GPUs a node, but the cluster file tells of none in short"),
        (("--nodes", "9"), "distil: sbatch refused: "),
    ],
)
def test_what_cannot_be_submitted_is_one_line_and_leaves_nothing(
    login: LoginNode, arguments: tuple[str, ...], said: str
) -> None:
    found = login.firstsight("submit", "--pair", str(MICRO), *arguments)
    assert found.returncode == 2, found.stdout
    assert found.stderr.count("\n") == 1
    assert said.lower() in found.stderr.lower()
    assert not login.slurm.run("squeue", "-h")


def test_a_full_scratch_is_told_before_anything_is_trained(slurm: PrivateSlurm, tmp_path: Path) -> None:
    login = LoginNode(slurm, tmp_path)
    login.scratch.mkdir()
    if os.system(f"mount -t tmpfs -o size=4m tmpfs {login.scratch} 2>/dev/null"):
        pytest.skip("no small file system can be mounted here")
    try:
        run = login.submit()
        login.ended(run)
        said = login.firstsight("status", str(run)).stdout
        assert "MB free, and the artifacts of this run take about" in said
    finally:
        os.system(f"umount -l {login.scratch}")
