"""containers/build and containers/exec: what they refuse and what they tell Apptainer, here one that writes it down."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDER = """#!/bin/bash
# Writes down its arguments; builds an image of a few bytes, or fails with the lines of $FAILS.
printf '%s\\n' "$@" >"$TOLD"
env | grep -E '^(APPTAINER|FIRSTSIGHT)' >>"$TOLD.env"
if [ "$1" = build ]; then
    [ -z "${FAILS:-}" ] || { echo "$FAILS" >&2; exit 255; }
    echo image >"${@: -2:1}"
    while [ $# -gt 0 ]; do [ "$1" != --build-arg-file ] || cp "$2" "$TOLD.arguments"; shift; done
    ls -d harness models suites conftest.py containers/firstsight.def >/dev/null
fi
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "apptainer"
    file.write_text(RECORDER)
    file.chmod(0o755)
    return file


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


@pytest.fixture
def script(program: Path, told: Path, tmp_path: Path) -> Run:
    """script("build", "--variant", …): in a folder of its own."""
    (tmp_path / "here").mkdir()

    def run(name: str, *arguments: object, root: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
        calm = {key: value for key, value in os.environ.items() if not key.startswith(("FIRSTSIGHT_", "APPTAINER"))}
        return subprocess.run(
            [root / "containers" / name, *map(str, arguments)],
            cwd=tmp_path / "here",
            env={**calm, "APPTAINER": str(program), "TOLD": str(told), **more},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def local(tmp_path: Path) -> tuple[str, ...]:
    """Arguments of a build that goes through."""
    base = tmp_path / "root.sif"
    base.write_text("root")
    places = ("--scratch", tmp_path / "scratch", "--out", tmp_path / "image" / "firstsight.sif", "--room", "0")
    return tuple(map(str, ("--variant", "cpu", "--bootstrap", "localimage", "--base", base, *places)))


# --- containers/build


def test_what_is_built_is_told_by_three_files(script: Run, local: tuple[str, ...], told: Path, tmp_path: Path) -> None:
    done = script("build", *local)
    assert done.returncode == 0, done.stderr
    image = tmp_path / "image" / "firstsight.sif"
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    sidecar = json.loads(Path(f"{image}.json").read_text())
    seen = image.stat()
    assert (sidecar["sha256"], sidecar["size"], sidecar["modified"]) == (sha256, seen.st_size, int(seen.st_mtime))
    assert Path(f"{image}.sha256").read_text() == f"{sha256}  firstsight.sif\n"
    assert f"sha256 {sha256}" in done.stdout
    arguments = dict(line.split("=", 1) for line in Path(f"{told}.arguments").read_text().splitlines())
    assert arguments == {
        "bootstrap": "localimage",
        "base": str(tmp_path / "root.sif"),
        "variant": "cpu",
        "revision": sidecar["revision"],
    }
    assert told.read_text().splitlines()[-1] == "containers/firstsight.def"
    assert f"APPTAINER_CACHEDIR={tmp_path}/scratch/apptainer-cache" in Path(f"{told}.env").read_text()
    assert sorted(path.name for path in image.parent.iterdir()) == [
        image.name,
        f"{image.name}.json",
        f"{image.name}.sha256",
    ]
    assert [path.name for path in (tmp_path / "scratch").glob("firstsight-build.??????")] == [], "nothing is left"


def test_the_revision_is_gits(script: Run, local: tuple[str, ...], told: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("harness", "models", "suites", "containers", "tests/data"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    unknown = script("build", *local, root=tree)
    assert "records will say 'unversioned'" in unknown.stderr
    given = script("build", *local, root=tree, FIRSTSIGHT_COMMIT="a1b2c3d,main")
    assert "revision a1b2c3d,main;" in given.stdout
    git = ["git", "-C", str(tree), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q", "-b", "trunk"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert f"revision {commit},trunk;" in script("build", *local, root=tree).stdout
    (tree / "harness" / "new.py").touch()
    assert f"revision {commit},trunk,dirty;" in script("build", *local, root=tree).stdout


def test_a_quota_is_met_before_the_build(script: Run, local: tuple[str, ...], told: Path, tmp_path: Path) -> None:
    """df sees none; a file system that sets room aside does."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "fallocate"
    program.write_text('#!/bin/sh\necho "fallocate: fallocate failed: Disk quota exceeded" >&2\nexit 1\n')
    program.chmod(0o755)
    done = script("build", *local, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "GB free, but not to you (Disk quota exceeded), and cpu takes 0 GB" in done.stderr
    assert not told.exists()
    assert not list((tmp_path / "scratch").iterdir())


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("--variant", "gpu"), "--variant gpu: cpu, or cu and three digits as cu126"),
    (("--variant", "cu118"), "containers/image.cu118.lock is missing: make it where pip finds that torch"),
    (("--base", "python:3.11-slim"), "--base python:3.11-slim: name it by digest"),
    (("--bootstrap", "localimage", "--base", "none.sif"), "--base: for localimage, an image file or a folder"),
    (("--room", "1e9"), "--room 1e9: gigabytes"),
    (("--room", "999999"), "takes 999999 GB while it is built; free some, or name another folder"),
    (("--scratch", "/proc/none"), "--scratch /proc/none: cannot be written"),
    (("--out", "/proc/none/x.sif"), "its folder cannot be written"),
    (("--out", "/tmp"), "is a folder; name a file"),
    (("--compression", "xz"), "--compression xz: gzip, lz4 or zstd"),
    (("--wheels", "none", "--room", "0"), "--wheels none: no such folder"),
    (("--variant",), "--variant: a value is missing"),
    (("--tag", "x"), "--tag: unknown; containers/build --help"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_what_cannot_be_built_is_not_begun(
    script: Run, told: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    scratch = ("--scratch", tmp_path) if "--scratch" not in arguments else ()
    done = script("build", *scratch, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert not told.exists()


def test_without_apptainer(script: Run) -> None:
    done = script("build", APPTAINER="none-here")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no none-here here: load its module" in done.stderr


FAILED = [
    ("firstsight.def: the base has Python 3.9.2; the locks are for Python 3.11", "the base has Python 3.9.2"),
    ("write error: No space left on device\nFATAL: exit status 255", "the disk is full: "),
    ("FATAL:   While performing build: MANIFEST_UNKNOWN: manifest unknown", "there is no base of this digest: "),
    ("FATAL: manifest digest: x does not match requested digest: y", "what came is not the base of this digest: "),
    (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    numpy==2.4.6 from x\nFATAL: x",
        "a package is not the one that was locked (its sha256 differs): numpy==2.4.6",
    ),
    ("FATAL:   While performing build: failed to execute %test script", "failed to execute %test script"),
    ("", "see the log"),
]


@pytest.mark.parametrize(("lines", "says"), FAILED[:-1])
def test_a_build_that_fails_says_at_what(
    script: Run, local: tuple[str, ...], tmp_path: Path, lines: str, says: str
) -> None:
    done = script("build", *local, FAILS=lines)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("containers/build: FAILED after ")
    assert says in last
    assert (tmp_path / "scratch" / "firstsight-build.log").read_text().strip() == lines
    assert list((tmp_path / "image").iterdir()) == []


def test_a_failed_build_leaves_the_image_that_was_there(script: Run, local: tuple[str, ...], tmp_path: Path) -> None:
    assert script("build", *local).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()}
    assert script("build", *local, FAILS="FATAL: x").returncode == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()} == before


def test_pip_is_told_what_the_machines_pip_is_told(
    script: Run, local: tuple[str, ...], told: Path, tmp_path: Path
) -> None:
    wheels, certificate = tmp_path / "wheels", tmp_path / "ca.pem"
    wheels.mkdir()
    certificate.touch()
    settings = {"PIP_INDEX_URL": "https://user:word@index.example/simple", "PIP_CERT": str(certificate)}
    done = script("build", *local, "--wheels", wheels, PIP_CONFIG_FILE=os.devnull, **settings)
    assert done.returncode == 0, done.stderr
    environment = Path(f"{told}.env").read_text()
    assert "APPTAINERENV_PIP_INDEX_URL=https://user:word@index.example/simple\n" in environment
    assert "APPTAINERENV_PIP_FIND_LINKS=/mnt\n" in environment
    assert f"{wheels}:/mnt\n" in told.read_text()
    assert f"{certificate}:/etc/ssl/certs/ca-certificates.crt\n" in told.read_text()
    shown = done.stdout + done.stderr + "".join(path.read_text() for path in (tmp_path / "image").iterdir())
    assert "word" not in shown, "a password of an index is shown nowhere"


# --- containers/exec


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "firstsight.sif"
    file.write_text("image\n")
    return file


def test_exec_binds_and_tells(script: Run, image: Path, told: Path, tmp_path: Path) -> None:
    for name in ("weights", "data"):
        (tmp_path / name).mkdir()
    places = ("--weights", tmp_path / "weights", "--data", tmp_path / "data", "--scratch", tmp_path / "scratch")
    words = ("pytest", "suites", "--pair", "tiny", "-k", "a b")
    done = script(
        "exec", "--nv", "--image", image, *places, "--", *words, CUDA_VISIBLE_DEVICES="1", OMP_NUM_THREADS="2"
    )
    assert done.returncode == 0, done.stderr
    said = told.read_text().splitlines()
    assert said[:2] == ["exec", "--containall"]
    assert tuple(said[-len(words) :]) == words
    assert said[-len(words) - 1] == str(image)
    here = tmp_path / "here"
    for bind in (
        f"{here}/results:/results",
        f"{here}/artifacts:/artifacts",
        f"{tmp_path}/weights:/weights:ro",
        f"{tmp_path}/data:/data:ro",
        f"{tmp_path}/scratch:/scratch",
    ):
        assert said[said.index(bind) - 1] == "--bind"
    sha256 = hashlib.sha256(b"image\n").hexdigest()
    for variable in (
        f"FIRSTSIGHT_IMAGE_SHA256={sha256}",
        "FIRSTSIGHT_NV=1",
        "CUDA_VISIBLE_DEVICES=1",
        "OMP_NUM_THREADS=2",
    ):
        assert said[said.index(variable) - 1] == "--env"
    assert "--nv" in said


@pytest.mark.parametrize(("changes", "is_believed"), [({}, True), ({"size": 5}, False), ({"modified": 1}, False)])
def test_exec_believes_a_sidecar_of_this_file(
    script: Run, image: Path, told: Path, changes: dict[str, Any], is_believed: bool
) -> None:
    seen = image.stat()
    sidecar = {"sha256": "b" * 64, "size": seen.st_size, "modified": int(seen.st_mtime)} | changes
    Path(f"{image}.json").write_text(json.dumps(sidecar, indent=2))
    assert script("exec", "--image", image, "true").returncode == 0
    assert (f"FIRSTSIGHT_IMAGE_SHA256={'b' * 64}" in told.read_text()) == is_believed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("true",), "--image firstsight.sif: no such file; containers/build makes one"),
        (("--image", "IMAGE"), "what shall be run?"),
        (("--image", "IMAGE", "--weights", "none", "true"), "none: no such folder (it would become /weights)"),
        (
            ("--image", "IMAGE", "--results", "/proc/none", "true"),
            "/proc/none: cannot be written (it becomes /results)",
        ),
        (("--image", "IMAGE", "--results", "a,b", "true"), "a,b: Apptainer takes no comma"),
        (("--gpu", "true"), "--gpu: unknown; containers/exec --help"),
        (("--image",), "--image: a value is missing"),
    ],
)
def test_exec_refuses(script: Run, image: Path, told: Path, arguments: tuple[str, ...], says: str) -> None:
    done = script("exec", *(str(image) if word == "IMAGE" else word for word in arguments))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert not told.exists()


# --- containers/firstsight


@pytest.fixture
def bound(script: Run, image: Path, told: Path) -> Callable[..., list[str]]:
    """bound("plan", "--pair", …): the folders that the image is given to see."""

    def of(*arguments: object, **more: str) -> list[str]:
        done = script("firstsight", *arguments, FIRSTSIGHT_IMAGE=str(image), SCRATCH="", **more)
        assert done.returncode == 0, done.stderr
        said = told.read_text().splitlines()
        return said[said.index("--bind") + 1].split(",")

    return of


def test_firstsight_binds_all_that_is_named(bound: Callable[..., list[str]], image: Path, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("pairs", "clips", "7b", "site", "scratch", "loads")}
    for folder in places.values():
        folder.mkdir()
    pair, site, loads = (tmp_path / name for name in ("pairs/mine.yaml", "site/c.yaml", "loads/w.yaml"))
    pair.write_text(f"teacher:\n  weights: '{places['7b']}'\ndata:\n  path: {places['clips']}/q.jsonl   # ours\n")
    (places["clips"] / "q.jsonl").touch()
    site.write_text("scratch: $HERE/scratch\n")
    loads.touch()
    names = ("submit", "--dry-run", f"--pair={pair}", f"--cluster={site}", "--workloads", loads)
    seen = bound(*names, HERE=str(tmp_path))
    assert set(seen) == {str(path) for path in (image.parent, *places.values())}
    assert len(seen) == len(set(seen))
    seen = bound("plan", "--pair", "tiny", "--cluster", site, HERE="/nowhere")
    assert set(seen) == {str(image.parent), str(places["site"])}, "what is not there is told inside"


@pytest.mark.parametrize("form", ["--data {}", "--data={}", "--qa {}:Reasoning/counting", "--qa={}:Reasoning"])
def test_firstsight_binds_data_by_the_name_it_is_given(
    bound: Callable[..., list[str]], image: Path, tmp_path: Path, form: str
) -> None:
    """A link too: what the arguments say has to be there inside."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    words = form.format(f"egothink:{tmp_path}/link").split()
    assert bound("plan", *words) == [str(image.parent), f"{tmp_path}/link", f"{tmp_path}/real"]


def test_firstsight_refuses_what_cannot_be_bound(script: Run, image: Path, told: Path, tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    done = script("firstsight", "plan", "--data", f"egothink:{tmp_path}/a,b", FIRSTSIGHT_IMAGE=str(image))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "a,b: Apptainer cannot bind a folder with a comma or a colon in its path" in done.stderr
    assert not told.exists()


@pytest.mark.parametrize("name", ["build", "exec", "lock", "real/apptainer.sh", "real/root.sh"])
def test_help_shows_an_example(script: Run, name: str) -> None:
    done = script(name, "--help")
    assert done.returncode == 0
    assert f"containers/{name}" in done.stdout
    assert not done.stdout.startswith("#")
