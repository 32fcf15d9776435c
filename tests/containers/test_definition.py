"""The image's definition and locks, read: what holds without Apptainer. tests/cluster/test_image.py builds it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "containers"
TEXT = (CONTAINERS / "firstsight.def").read_text(encoding="utf-8")
CODE = re.sub(r"(?m)^\s*#.*\n", "", TEXT)
STAGES = ["Bootstrap:" + part for part in CODE.split("Bootstrap:")[1:]]
LOCKS = sorted(CONTAINERS.glob("image*.lock"))
LINE = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9a-z.]+)(\+(?P<build>[a-z0-9]+))?( --hash=sha256:[0-9a-f]{64})+"
)


def section(stage: str, name: str) -> str:
    """What stands between %name and the next section."""
    found = re.search(rf"(?ms)^%{name}[^\n]*\n(.*?)(?=^%|\Z)", stage)
    assert found, f"no %{name}"
    return found[1]


def pins(file: Path) -> dict[str, str]:
    """Name → version; every line has to be one that LINE knows."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            matched = LINE.fullmatch(line)
            assert matched, f"{file.name}: {line}: not name==version --hash=sha256:…"
            found[matched["name"]] = matched["version"]
    return found


def required() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in found.items()}


# --- the definition


def test_there_are_two_stages_from_the_same_base() -> None:
    assert len(STAGES) == 2
    for stage in STAGES:
        assert stage.startswith("Bootstrap: {{ bootstrap }}\nFrom: {{ base }}\nStage: ")
    assert section(STAGES[0], "arguments") == section(STAGES[1], "arguments")
    assert "%files from install" in STAGES[1]


def test_every_argument_has_a_default_and_is_used() -> None:
    defaults = dict(line.strip().split("=", 1) for line in section(STAGES[0], "arguments").splitlines() if line.strip())
    assert all(defaults.values())
    assert set(re.findall(r"{{ (\w+) }}", CODE)) == set(defaults)


def test_the_base_is_named_by_digest() -> None:
    assert re.search(r"(?m)^ *base=[a-z]+@sha256:[0-9a-f]{64}$", CODE)


def test_the_default_variant_has_a_lock() -> None:
    found = re.search(r"(?m)^ *variant=(\w+)$", CODE)
    assert found
    assert (CONTAINERS / f"image.{found[1]}.lock").is_file()


def test_packages_are_installed_by_hash_from_wheels_alone() -> None:
    post = section(STAGES[0], "post")
    install = re.search(r"pip install (?:.|\\\n)*?-r \$lock", post)
    assert install
    for option in ("--require-hashes", "--only-binary :all:", "--no-deps"):
        assert option in install[0]
    assert re.search(r"pip install [^\n]*--no-deps --no-build-isolation --no-index -e \.", post)
    assert "pip check" in post
    assert "freeze" in post
    assert post.count("pip install") == 2, "and nothing else is installed"
    assert not re.search(r"\b(apt|apt-get|curl|wget|git)\b", CODE)


def test_everything_that_is_copied_is_there_and_none_of_it_is_weights_or_data() -> None:
    files = section(STAGES[0], "files").replace("{{ variant }}", "cpu")
    sources = [line.split()[0] for line in files.splitlines() if line.strip()]
    assert {"harness", "suites", "models", "conftest.py"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
    assert not {"artifacts", "results", "tests"} & set(sources)


def test_driver_libraries_are_never_baked_in() -> None:
    assert "libcuda" not in CODE
    assert "libnvidia" not in CODE


def test_what_it_runs_and_how_it_tests_itself() -> None:
    last = STAGES[-1]
    assert section(last, "runscript").strip() == 'exec pytest "$@"'
    test = section(last, "test")
    for word in ("import torch, transformers, bitsandbytes", "pytest suites/", "micro.yaml", "CUDA_VISIBLE_DEVICES="):
        assert word in test
    assert "apptainer exec --nv firstsight.sif pytest suites" in section(last, "help")


def test_its_environment_is_its_own() -> None:
    environment = section(STAGES[-1], "environment")
    assert "PYTHONNOUSERSITE=1" in environment
    assert "unset PYTHONPATH" in environment
    for place in ("results", "artifacts", "scratch"):
        assert f"-w /{place} " in environment
        assert f"/{place}" in section(STAGES[-1], "post")


def test_labels_tell_revision_and_variant() -> None:
    labels = section(STAGES[-1], "labels")
    assert "org.opencontainers.image.revision {{ revision }}" in labels
    assert "firstsight.variant {{ variant }}" in labels
    assert "firstsight.lock" in section(STAGES[-1], "post"), "computed from what lies inside"


def test_shell_of_the_sections_is_shell() -> None:
    for stage in STAGES:
        for name in ("post", "environment", "runscript", "test"):
            if f"%{name}" in stage:
                done = subprocess.run(["sh", "-n"], input=section(stage, name), capture_output=True, text=True)
                assert done.returncode == 0, f"%{name}: {done.stderr}"


# --- the locks


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_every_line_pins_a_version_and_a_hash(file: Path) -> None:
    assert pins(file)


@pytest.mark.parametrize("file", [file for file in LOCKS if file.name != "image.lock"], ids=lambda file: file.name)
def test_a_variant_installs_what_requirements_lock_says(file: Path) -> None:
    common, own = pins(CONTAINERS / "image.lock"), pins(file)
    assert not common.keys() & own.keys()
    both = common | own
    assert {name: both.get(name) for name in required()} == required()
    more = both.keys() - required().keys()
    assert all(re.fullmatch(r"(nvidia|cuda)-.*|triton", name) for name in more), "only CUDA comes with torch"
    assert bool(more) == (file.name != "image.cpu.lock")


def test_the_cpu_lock_is_of_the_build_without_cuda() -> None:
    assert "torch==2.13.0+cpu " in (CONTAINERS / "image.cpu.lock").read_text()


def test_lock_check_agrees_and_prints_the_digest() -> None:
    done = lock(CONTAINERS, "--check", "--variant", "cpu")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout)


def lock(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, folder / "lock", *arguments], capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """containers/ with its locks, beside a requirements.lock, to change."""
    folder = tmp_path / "containers"
    folder.mkdir()
    for file in (*LOCKS, CONTAINERS / "lock"):
        shutil.copy(file, folder)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    return folder


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--check", "--variant", "cu118"), "containers/image.cu118.lock is missing: containers/lock --variant cu118"),
        (("--variant", "gpu"), "--variant gpu: cpu, or cu and three digits"),
    ],
)
def test_a_lock_that_is_not_there(copy: Path, arguments: tuple[str, ...], says: str) -> None:
    done = lock(copy, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"containers/lock: {says}")


def test_locks_that_have_fallen_behind(copy: Path) -> None:
    requirements = copy.parent / "requirements.lock"
    requirements.write_text(requirements.read_text().replace("numpy==2.4.6", "numpy==2.5.0") + "newcomer==1.0\n")
    done = lock(copy, "--check")
    assert done.returncode == 2
    assert "numpy 2.4.6 for 2.5.0" in done.stderr
    assert "newcomer absent for 1.0" in done.stderr


def test_a_line_without_a_hash(copy: Path) -> None:
    file = copy / "image.lock"
    file.write_text(re.sub(r"(numpy==\S+) --hash=\S+", r"\1", file.read_text()))
    assert "numpy==2.4.6: no hash" in lock(copy, "--check").stderr


# --- what is in no file


@pytest.mark.parametrize(
    "file", sorted(path for path in CONTAINERS.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_no_host_and_no_machine_is_named(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!127\.0\.0\.1)[a-z0-9]", text)
    assert not re.search(r"(?i)pypi\.org|pythonhosted|docker\.io|ghcr\.io|quay\.io|deb\.debian|download\.pytorch", text)
    assert not re.search(r"(?<![\w$}])/(root|home|work)/\w", text)
