"""The image, really: containers/firstsight.def unmodified, built by real Apptainer from a local Debian root, and run.

make test-cluster          or: python -m pytest -m cluster tests/cluster/test_image.py        (5 minutes and more)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Image
from tests.cluster.local_registry import LocalRegistry
from tests.cluster.private_apptainer import ROOT, USER, PrivateApptainer

pytestmark = pytest.mark.cluster
MICRO = "/opt/firstsight/tests/data/micro.yaml"
SUITE = ("pytest", "suites/test_agreement.py", "-q", "--pair", MICRO, "--variants", "baseline,int8")


@pytest.fixture
def run(apptainer: PrivateApptainer, image: Image) -> Any:
    """run("--nv", "--", "pytest", …): containers/exec as the user."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return apptainer.user(ROOT / "containers" / "exec", "--image", image.file, *arguments, **more)

    return run


# --- what is built ----------------------------------------------------------------------------------


def test_it_is_built_and_its_own_test_has_run(image: Image, apptainer: PrivateApptainer) -> None:
    sha256 = hashlib.sha256(image.file.read_bytes()).hexdigest()
    assert image.told["sha256"] == sha256
    assert image.told["size"] == image.file.stat().st_size
    if image.built:
        assert f"{image.told['size'] // 1000000} MB, sha256 {sha256}" in image.built
        assert "Running testscript" in image.log
        assert " passed" in image.log.partition("Running testscript")[2]
    again = apptainer.user(apptainer.program, "test", "--containall", image.file)
    assert again.returncode == 0, again.stderr
    assert " passed" in again.stdout


def test_labels_say_revision_and_lock(image: Image, apptainer: PrivateApptainer) -> None:
    labels = apptainer.user(apptainer.program, "inspect", image.file).stdout
    locks = b"".join((ROOT / "containers" / f"image.{part}lock").read_bytes() for part in ("", "cpu."))
    assert f"org.opencontainers.image.revision: {image.told['revision']}" in labels
    assert f"firstsight.lock: {hashlib.sha256(locks).hexdigest()}" in labels
    assert "firstsight.variant: cpu" in labels


def test_it_cannot_be_written_and_holds_no_weights(run: Any) -> None:
    done = run(
        "--",
        "sh",
        "-c",
        "id -u; touch /opt/firstsight/x; find / -xdev -name '*.safetensors'; cat /opt/firstsight/freeze.txt",
    )
    assert done.stdout.startswith(f"{USER}\n")
    assert "Read-only file system" in done.stderr
    assert ".safetensors\n" not in done.stdout
    assert "torch==2.13.0+cpu" in done.stdout


# --- what it is for ---------------------------------------------------------------------------------


def test_suites_run_as_a_user_under_containall_and_compare_with_records_from_outside(
    run: Any, image: Image, apptainer: PrivateApptainer
) -> None:
    places = ("--results", apptainer.home / "kept", "--scratch", apptainer.home / "scratch")
    first = run(*places, "--", *SUITE)
    assert first.returncode == 0, first.stdout + first.stderr
    second = run(*places, "--", *SUITE, "--benchmark-compare", "--gate")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "(NOW)" in second.stdout
    assert "Nothing regressed" in second.stdout
    records = sorted((apptainer.home / "kept" / "micro").rglob("0*.json"))
    assert len(records) == 2
    for record in records:
        told = json.loads(record.read_text())
        assert told["machine_info"]["firstsight"]["image"] == image.told["sha256"]
        assert told["commit_info"]["id"] == image.told["revision"].split(",")[0]
        assert record.stat().st_uid == USER


def test_apptainer_alone_needs_but_the_documented_binds(image: Image, apptainer: PrivateApptainer) -> None:
    """As docs/image.md says: the image bound into itself tells its sha256 by the file that lies beside it."""
    results = apptainer.home / "alone"
    apptainer.user("mkdir", "-p", results, apptainer.home / "artifacts")
    binds = f"{results}:/results,{apptainer.home}/artifacts:/artifacts,{image.file},{image.file}.json"
    done = apptainer.user(apptainer.program, "exec", "--containall", "--bind", binds, image.file, *SUITE)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(next((results / "micro").rglob("0*.json")).read_text())
    assert record["machine_info"]["firstsight"]["image"] == image.told["sha256"]


def test_without_containall_records_land_where_one_is(image: Image, apptainer: PrivateApptainer) -> None:
    done = apptainer.user(apptainer.program, "run", "--cleanenv", "--bind", apptainer.home, image.file, *SUITE[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((apptainer.home / "results" / "micro").rglob("0*.json"))


# --- what can be wrong ------------------------------------------------------------------------------


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says why; exit code 2."""
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_record_that_could_not_name_its_image_is_not_begun(image: Image, apptainer: PrivateApptainer) -> None:
    done = apptainer.user(apptainer.program, "exec", "--containall", image.file, *SUITE)
    assert "records name their image" in refusal(done)
    assert f"--bind {image.file}" in refusal(done)


def test_nv_without_a_gpu(run: Any, image: Image, apptainer: PrivateApptainer) -> None:
    assert "--nv was given, but there is no GPU here: NVML says" in refusal(run("--nv", "--", *SUITE))
    distil = run("--nv", "--", "firstsight", "distill", "--pair", MICRO)
    assert "--nv was given, but there is no GPU here" in refusal(distil)
    report = run("--nv", "--", "firstsight", "report", "nowhere")  # needs none
    assert "nowhere: no such file" in refusal(report)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the user can look into; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="firstsight-open-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def stubbed(open_folder: Path) -> Any:
    """A node whose driver says what it is told: libnvidia-ml.so.1 in C, which --nv finds and binds as a real one."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stub of NVML")
    folder = open_folder
    library = folder / "libnvidia-ml.so.1"
    source = ROOT / "tests" / "data" / "nvml_stub.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    (folder / "bin").mkdir()
    for name, does in {
        "ldconfig": f"printf '1 libs found\\n\\tlibnvidia-ml.so.1 (libc6,x86-64) => {library}\\n'",
        "nvidia-smi": "echo stub",
    }.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)

    def stubbed(variant: str, *lines: str) -> tuple[tuple[str, ...], dict[str, str]]:
        (folder / "card.txt").write_text("\n".join(lines) + "\n")
        (folder / "IMAGE.json").write_text(json.dumps({"variant": variant, "lock": ""}))
        binds = (f"{folder}/IMAGE.json:/opt/firstsight/IMAGE.json", f"{folder}/card.txt:/card.txt")
        options = ("--nv", "--env", "NVML_STUB=/card.txt", *(word for bind in binds for word in ("--bind", bind)))
        return options, {"PATH": f"{folder}/bin:{os.environ['PATH']}"}

    return stubbed


def test_a_driver_that_is_too_old(run: Any, stubbed: Any) -> None:
    options, path = stubbed("cu130", "driver 535.104.05", "cuda 12020")
    said = refusal(run(*options, "--", *SUITE, **path))
    assert "CUDA 13.0 (variant cu130), which needs driver 580.65 or newer; this node has 535.104.05" in said
    assert "--variant cu126" in said


def test_a_driver_that_fits(run: Any, stubbed: Any) -> None:
    options, path = stubbed("cu126", "driver 535.104.05", "cuda 12020")
    done = run(*options, "--", *SUITE, "--benchmark-disable", **path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_cpu_image_on_a_node_with_a_gpu(run: Any, stubbed: Any) -> None:
    options, path = stubbed("cpu")
    assert "this image is variant cpu, without CUDA" in refusal(run(*options, "--", *SUITE, **path))


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Path]:
    """200 MB that can be filled."""
    options = f"size=200m,uid={USER},mode=755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", open_folder], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here: a full disk is not tried")
    yield open_folder
    subprocess.run(["umount", open_folder], check=True)


def fill(folder: Path) -> None:
    """But for one page."""
    seen = os.statvfs(folder)
    (folder / "filling").write_bytes(bytes(seen.f_bavail * seen.f_frsize - 4096))


def test_artifacts_on_a_full_disk(run: Any, small_disk: Path) -> None:
    fill(small_disk)
    done = run("--artifacts", small_disk, "--", *SUITE)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "firstsight: disk full while making teacher-initial" in done.stdout


def test_results_on_a_full_disk(run: Any, small_disk: Path) -> None:
    fill(small_disk)
    done = run("--results", small_disk, "--", *SUITE)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "firstsight: the record could not be saved in /results/micro/cpu: No space left on device" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(small_disk.rglob("*.json")), "half a record is none"


def failed(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of a build that was begun; exit code 1."""
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_scratch_is_full(apptainer: PrivateApptainer, small_disk: Path, tmp_path: Path) -> None:
    local = (
        "--bootstrap",
        "localimage",
        "--base",
        apptainer.root,
        "--scratch",
        small_disk,
        "--out",
        tmp_path / "x.sif",
    )
    asked = apptainer.build(*local)
    assert "0.2 GB free, cpu takes 5 GB while it is built" in refusal(asked)
    assert "the disk is full: 0.2 GB left" in failed(apptainer.build(*local, "--room", "0.1"))
    assert not list(tmp_path.iterdir()), "nothing half-made is left"


@pytest.fixture
def registry(apptainer: PrivateApptainer, tmp_path: Path) -> Iterator[LocalRegistry]:
    """The local root in a registry: the definition's own `Bootstrap: docker`, by digest."""
    inside = [apptainer.program, "exec", "--fakeroot", "--containall", "--bind", f"{tmp_path}:/mnt", apptainer.root]
    without = [f"--exclude=./{name}/*" for name in ("proc", "sys", "dev", "mnt")]
    tar = ["tar", "--one-file-system", *without, "-C", "/", "-cf", "/mnt/root.tar", "."]
    subprocess.run([*inside, *tar], check=True, capture_output=True)
    with LocalRegistry(tmp_path / "root.tar", tmp_path) as found:
        yield found


@pytest.fixture
def changed_tree(tmp_path: Path) -> Path:
    """A copy of this tree in which a locked package has another hash."""
    tree = tmp_path / "tree"
    for name in ("harness", "models", "suites", "containers", "tests/data"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    lock = tree / "containers" / "image.lock"
    before, mark, after = lock.read_text().partition("accelerate==1.15.0 --hash=sha256:")
    lock.write_text(before + mark + ("1" if after[0] == "0" else "0") + after[1:])
    return tree


def test_the_base_comes_by_digest_and_packages_by_hash(
    apptainer: PrivateApptainer, registry: LocalRegistry, changed_tree: Path, tmp_path: Path
) -> None:
    more = {"FIRSTSIGHT_NO_HTTPS": "1"}
    places = ("--scratch", tmp_path / "scratch", "--out", tmp_path / "x.sif", "--room", "2")
    unknown = registry.base.replace(registry.digest, f"sha256:{'0' * 64}")
    done = apptainer.build("--base", unknown, *places, **more)
    assert f"there is no base of this digest: {unknown}" in failed(done)
    # With the right digest the base is had, and %post begins, which takes no package but those that were locked.
    done = apptainer.build("--base", registry.base, *places, tree=changed_tree, **more)
    assert "a package is not the one that was locked (its sha256 differs): accelerate==1.15.0" in failed(done)
    registry.forge()
    done = apptainer.build("--base", registry.base, *places, **more)
    assert f"what came is not the base of this digest: {registry.base}" in failed(done)
    assert not (tmp_path / "x.sif").exists()
