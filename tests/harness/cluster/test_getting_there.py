"""containers/cluster_setup.sh and upload.sh: run twice they do nothing twice; what is cut short or altered is told."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SETUP, UPLOAD = ROOT / "containers" / "cluster_setup.sh", ROOT / "containers" / "upload.sh"


def ran(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(script), *map(str, arguments)], capture_output=True, text=True, timeout=120)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file that is large enough to be cut off in the middle, with its digest beside it."""
    path = tmp_path / "from" / "built.sif"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 4000)
    path.with_name("built.sif.sha256").write_text(f"{sha256(path)}  built.sif\n")
    return path


@pytest.mark.parametrize("script", [SETUP, UPLOAD])
def test_help_tells_every_option(script: Path) -> None:
    found = ran(script, "--help")
    assert found.returncode == 0
    code = script.read_text().partition("\nset -euo pipefail\n")[2]
    options = set(re.findall(r"^ *(?:[-\w]+ \| )*(--[a-z0-9]+)", code, re.MULTILINE)) - {"--help"}
    assert options >= {"--image"}
    assert [option for option in options if option not in found.stdout] == []
    assert "Exit codes: 0" in found.stdout


def test_an_image_comes_whole_and_once(image: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    first = ran(SETUP, "--scratch", scratch, "--image", image)
    assert first.returncode == 0, first.stderr
    assert f"verified: {scratch}/firstsight.sif, sha256 {sha256(image)}" in first.stdout
    assert (scratch / "firstsight.sif").read_bytes() == image.read_bytes()
    assert {path.name for path in scratch.iterdir()} >= {"artifacts", "results", "runs", "weights", "data"}
    before = (scratch / "firstsight.sif").stat().st_mtime_ns
    again = ran(SETUP, "--scratch", scratch, "--image", image)
    assert "there: " in again.stdout
    assert (scratch / "firstsight.sif").stat().st_mtime_ns == before


def test_a_download_that_was_cut_off_goes_on_where_it_was(image: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "firstsight.sif.partial").write_bytes(image.read_bytes()[:500_000])
    found = ran(SETUP, "--scratch", scratch, "--image", image.as_uri(), "--sha256", sha256(image))
    assert found.returncode == 0, found.stderr
    assert sha256(scratch / "firstsight.sif") == sha256(image)
    assert not (scratch / "firstsight.sif.partial").exists()


def test_what_is_not_what_it_should_be_is_removed_and_told(image: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    found = ran(SETUP, "--scratch", scratch, "--image", image, "--sha256", "0" * 64)
    assert found.returncode == 2
    assert f"sha256 is {sha256(image)}, and should be {'0' * 64}" in found.stderr
    assert not list(scratch.glob("firstsight.sif*"))


def test_verify_finds_what_was_altered_behind_its_back(image: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    ran(SETUP, "--scratch", scratch, "--image", image)
    held = scratch / "firstsight.sif"
    stamp = held.stat()
    held.write_bytes(b"x" + held.read_bytes()[1:])
    os.utime(held, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    found = ran(SETUP, "--scratch", scratch, "--image", image, "--verify")
    assert found.returncode == 0, found.stderr
    assert "is another than" in found.stderr
    assert sha256(held) == sha256(image)


def test_clips_are_unpacked_once(tmp_path: Path) -> None:
    clips = tmp_path / "EgoThink" / "images"
    clips.mkdir(parents=True)
    (clips / "1.jpg").write_bytes(b"1")
    with tarfile.open(tmp_path / "EgoThink.tar.gz", "w:gz") as tar:
        tar.add(clips, "images")
    scratch = tmp_path / "scratch"
    call = (
        "--scratch",
        scratch,
        "--data",
        tmp_path / "EgoThink.tar.gz",
        "--sha256",
        sha256(tmp_path / "EgoThink.tar.gz"),
    )
    assert ran(SETUP, *call).returncode == 0
    unpacked = scratch / "data" / "EgoThink" / "images" / "1.jpg"
    before = unpacked.stat().st_ino
    assert ran(SETUP, *call).returncode == 0
    assert unpacked.stat().st_ino == before


def cache(scratch: Path) -> Path:
    """A Hugging Face cache with one large file (named by its sha256) and one small (by git's sha1)."""
    blobs = scratch / "weights" / "hub" / "models--you--yours" / "blobs"
    blobs.mkdir(parents=True)
    large, small = b"weights" * 100, b"{}"
    (blobs / hashlib.sha256(large).hexdigest()).write_bytes(large)
    (blobs / hashlib.sha1(b"blob 2\0" + small).hexdigest()).write_bytes(small)
    return blobs


def test_weights_are_verified_by_the_digests_that_name_them(tmp_path: Path) -> None:
    blobs = cache(tmp_path / "scratch")
    found = ran(SETUP, "--scratch", tmp_path / "scratch")
    assert "verified: models--you--yours, 2 files by digest" in found.stdout
    blob = max(blobs.iterdir(), key=lambda path: len(path.name))
    blob.write_bytes(b"altered")
    found = ran(SETUP, "--scratch", tmp_path / "scratch", "--verify")
    assert found.returncode == 2
    assert "altered" in found.stderr
    assert not blob.exists(), "so that the next call fetches it again"


HUB = """
# A hub with one repository: what is asked of it is written down; its weights are two shards, of which $LACKS is lost.
import os, pathlib
def snapshot_download(repository, **asked):
    with open(os.environ["ASKED"], "a") as file:
        print(repository, asked, file=file)
    if "gated" in repository:
        raise PermissionError("403: you have to\\naccept its terms")
    folder = pathlib.Path(os.environ["HF_HOME"]) / "hub" / "models--you--yours" / "snapshots" / "1"
    (folder.parent.parent / "blobs").mkdir(parents=True, exist_ok=True)
    (folder.parent.parent / "blobs" / "9e26dfeeb6e641a33dae4961196235bdb965b21b").write_bytes(b"{}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in {"config.json", "1.safetensors", "2.safetensors"} - {os.environ.get("LACKS")}:
        (folder / name).write_text("{}")
    index = '{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}'
    (folder / "model.safetensors.index.json").write_text(index)
    return str(folder)
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where python3's huggingface_hub is HUB, and an `hf` of another year on PATH; what was asked of the hub."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "huggingface_hub.py").write_text(HUB)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "hf").write_text("#!/bin/sh\necho an old hf was asked >&2\nexit 1\n")
    (tmp_path / "bin" / "hf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path / "asked"


def test_weights_come_without_pickles_and_every_shard_is_there(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    call = ("--scratch", scratch, "--weights", "you/yours@v1", "--dataset", "you/clips")
    found = ran(SETUP, *call)
    assert found.returncode == 0, found.stderr
    assert "whole: you/yours, 2 of 2 shards" in found.stdout
    weights, clips = hub.read_text().splitlines()
    assert weights.startswith("you/yours {'revision': 'v1', ")
    assert "['*.safetensors', '*.json', '*.txt', '*.model']" in weights, "all of them: not the last alone"
    assert clips == f"you/clips {{'repo_type': 'dataset', 'local_dir': '{scratch}/data/clips'}}"
    shutil.rmtree(scratch / "weights")
    monkeypatch.setenv("LACKS", "2.safetensors")
    found = ran(SETUP, *call)
    assert found.returncode == 2
    assert "no 2.safetensors\n" in found.stderr
    assert found.stderr.splitlines()[-1].endswith("run again to go on")


def test_a_repository_that_asks_for_consent_is_told(hub: Path, tmp_path: Path) -> None:
    found = ran(SETUP, "--scratch", tmp_path / "scratch", "--weights", "you/gated")
    assert found.returncode == 2
    assert "PermissionError: 403: you have to accept its terms\n" in found.stderr
    assert "export HF_TOKEN" in found.stderr.splitlines()[-1]


def test_the_images_library_is_asked_before_this_machines(
    hub: Path, tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version is pinned. The token goes by the environment."""
    apptainer = tmp_path / "bin" / "apptainer"
    apptainer.write_text(f'#!/bin/bash\necho "$APPTAINERENV_HF_TOKEN|$*" >{tmp_path}/told\n')
    apptainer.chmod(0o755)
    monkeypatch.setenv("HF_TOKEN", "secret")
    scratch = tmp_path / "scratch"
    blob = scratch / "weights" / "hub" / "models--you--yours" / "blobs" / hashlib.sha256(b"w").hexdigest()
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"w")
    found = ran(SETUP, "--scratch", scratch, "--image", image, "--weights", "you/yours")
    assert found.returncode == 0, found.stderr
    said = (tmp_path / "told").read_text()
    assert said.startswith(f"secret|exec --cleanenv --no-home --bind {scratch} {scratch}/firstsight.sif python -c ")
    assert "secret" not in said.partition("|")[2]
    assert not hub.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--scratch is missing"),
        (("--scratch",), "--scratch: a value is missing"),
        (("--scratch", "/proc/nowhere"), "--scratch /proc/nowhere: cannot be written"),
        (("--scratch", "S", "--image", "/no/such.sif"), "/no/such.sif: no such file"),
        (("--scratch", "S", "--image", "file:///no/such.sif"), "file:///no/such.sif: could not be fetched"),
        (("--scratch", "S", "--sha256", "0" * 64), "--sha256 belongs after the --image or --data"),
        (("--scratch", "S", "--image", "x", "--sha256", "12"), "--sha256 12: 64 hexadecimal digits"),
        (("--scratch", "S", "--weights", "../../etc"), "--weights ../../etc: OWNER/NAME"),
        (("--frobnicate",), "--frobnicate: unknown"),
    ],
)
def test_a_bad_call_is_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    found = ran(SETUP, *(str(tmp_path) if word == "S" else word for word in arguments))
    assert found.returncode == 2
    assert said in found.stderr.splitlines()[-1]


# --- upload.sh


needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync here")


@needs_rsync
def test_an_upload_shows_first_and_sends_what_git_tracks(tmp_path: Path, image: Path) -> None:
    there = tmp_path / "there"
    shown = ran(UPLOAD, there, "--image", image)
    assert shown.returncode == 0, shown.stderr
    assert "harness/cli.py" in shown.stdout
    assert "nothing was sent" in shown.stdout
    assert not there.exists()
    sent = ran(UPLOAD, there, "--image", image, "--go")
    assert sent.returncode == 0, sent.stderr
    assert (there / "harness" / "cli.py").read_bytes() == (ROOT / "harness" / "cli.py").read_bytes()
    assert (there / "built.sif.sha256").exists()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    assert (there / "COMMIT").read_text().startswith(head)
    assert not [
        name for name in (".git", "artifacts", ".venv", "results", "tests", "benchmarks") if (there / name).exists()
    ]


@needs_rsync
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "where to? HOST:FOLDER"),
        (("nowhere",), "nowhere: HOST:FOLDER"),
        (("/a", "/b"), "one place to send to"),
        (("/a", "--image", "/no.sif"), "--image /no.sif: no such file"),
        (("/proc/nowhere", "--go"), "rsync: "),
        (("--send",), "--send: unknown"),
    ],
)
def test_a_bad_upload_is_one_line_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    found = ran(UPLOAD, *arguments)
    assert found.returncode == 2
    assert said in found.stderr
    assert found.stderr.count("\n") == 1
