"""Which image a run is in, and what is refused at its start; pynvml talks to tests/data/nvml_stub.c."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import image
from harness.errors import ResourceError, UsageError
from harness.image import Driver, built_as, check_start, image_sha256, of_sidecar, require_sha256

ROOT = Path(__file__).resolve().parents[2]
OTHER = "b" * 64


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in (image.SHA256, image.NV, "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    image_sha256.cache_clear()
    yield
    image_sha256.cache_clear()


@pytest.fixture
def sif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The image that we run in, without a sidecar."""
    file = tmp_path / "firstsight.sif"
    file.write_bytes(b"image")
    monkeypatch.setenv("APPTAINER_CONTAINER", str(file))
    return file


def sidecar(file: Path, **changes: Any) -> None:
    seen = file.stat()
    told = {"sha256": OTHER, "size": seen.st_size, "modified": int(seen.st_mtime)} | changes
    Path(f"{file}.json").write_text(json.dumps(told))


# --- which image


def test_outside_an_image_there_is_none() -> None:
    assert image_sha256() is None
    require_sha256()


def test_an_image_without_a_sidecar_is_read(sif: Path) -> None:
    assert image_sha256() == "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"


def test_a_sidecar_of_this_file_is_believed(sif: Path) -> None:
    sidecar(sif)
    assert image_sha256() == OTHER


@pytest.mark.parametrize("changes", [{"size": 6}, {"modified": 0}, {"sha256": "short"}, {"sha256": None}])
def test_a_sidecar_of_another_file_is_not(sif: Path, changes: dict[str, Any]) -> None:
    sidecar(sif, **changes)
    assert of_sidecar(sif) is None
    assert image_sha256() != OTHER


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_a_sidecar_that_is_none_is_not(sif: Path, text: str) -> None:
    Path(f"{sif}.json").write_text(text)
    assert of_sidecar(sif) is None


def test_the_variable_is_heard_first(sif: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(image.SHA256, "a" * 64)
    assert image_sha256() == "a" * 64


def test_a_variable_that_is_no_sha256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(image.SHA256, "firstsight.sif")
    with pytest.raises(UsageError, match=r"FIRSTSIGHT_IMAGE_SHA256=firstsight\.sif: not a sha256"):
        image_sha256()


def test_an_image_that_cannot_be_seen_is_refused_where_it_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPTAINER_CONTAINER", "/there/firstsight.sif")
    require_sha256()  # somebody's container with a checkout in it
    ours(tmp_path, monkeypatch, "cpu")
    with pytest.raises(UsageError, match=r"/there/firstsight.sif cannot be read.*--bind /there/firstsight.sif"):
        require_sha256()


# --- what is refused at the start


def ours(root: Path, monkeypatch: pytest.MonkeyPatch, variant: object) -> None:
    (root / "IMAGE.json").write_text(json.dumps({"variant": variant, "lock": ""}))
    monkeypatch.setattr(image, "ROOT", root)


def node(monkeypatch: pytest.MonkeyPatch, found: Driver | str, *, nv: bool = True) -> None:
    monkeypatch.setattr(image, "node_driver", lambda: found)
    if nv:
        monkeypatch.setenv(image.NV, "1")


NEW, OLD = Driver("580.65.06", (13, 0), 1), Driver("535.104.05", (12, 2), 4)


@pytest.mark.parametrize(("variant", "driver"), [("cu130", NEW), ("cu126", NEW), ("cu126", OLD), ("cu128", OLD)])
def test_a_driver_runs_its_cuda_major_and_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, driver: Driver
) -> None:
    ours(tmp_path, monkeypatch, variant)
    node(monkeypatch, driver)
    check_start()


@pytest.mark.parametrize(
    ("variant", "driver", "says"),
    [
        (
            "cu130",
            OLD,
            "needs driver 580.65 or newer; this node has 535.104.05, for CUDA up to 12.2: .*--variant cu126",
        ),
        ("cu126", Driver("470.1", (11, 4), 1), "carries CUDA 12.6 .*needs driver 525.60 or newer; .*--variant cu11x"),
        ("cpu", NEW, "variant cpu, without CUDA: leave --nv out, or build it with --variant cu130"),
        ("cu130", "NVML says: no driver", "--nv was given, but there is no GPU here: NVML says: no driver"),
        ("cu130", Driver("580.1", (13, 0), 0), "there is no GPU here: driver 580.1 lists no card"),
        ("cpu", "NVML says: no driver", "--nv was given, but there is no GPU here"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, driver: Driver | str, says: str
) -> None:
    ours(tmp_path, monkeypatch, variant)
    node(monkeypatch, driver)
    with pytest.raises(ResourceError, match=says) as refused:
        check_start()
    assert "\n" not in str(refused.value)


def test_without_nv_an_image_runs_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours(tmp_path, monkeypatch, "cu130")
    node(monkeypatch, "NVML says: no library", nv=False)
    monkeypatch.setattr(image, "LIBRARIES", tmp_path / "none")
    check_start()


def test_libraries_that_nv_bound_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = tmp_path / "libs"
    libraries.mkdir()
    monkeypatch.setattr(image, "LIBRARIES", libraries)
    assert not image.nv_asked()
    (libraries / "libcuda.so.1").touch()
    assert image.nv_asked()


def test_no_device_on_purpose_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours(tmp_path, monkeypatch, "cu130")
    node(monkeypatch, OLD)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check_start()


def test_a_checkout_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "ROOT", tmp_path)
    monkeypatch.setattr(image, "node_driver", lambda: pytest.fail("NVML was asked"))
    check_start()
    assert built_as(ROOT) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"variant": "cuda"}', '{"variant": 130}'])
def test_a_mark_that_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "IMAGE.json").write_text(text)
    with pytest.raises(UsageError, match=r"IMAGE\.json"):
        built_as(tmp_path)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("driver 535.104.05\ncuda 12020\ncards 4", "Driver(version='535.104.05', cuda=(12, 2), cards=4)"),
        ("error nvmlInitWithFlags 9", "NVML says: "),
        (None, "NVML says: "),
    ],
)
def test_pynvml_tells_driver_and_cards(tmp_path: Path, script: str | None, says: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if script is not None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler: what is read through NVML is tried against a stub in C")
        stub = ROOT / "tests" / "data" / "nvml_stub.c"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "libnvidia-ml.so.1", stub], check=True)
        (tmp_path / "card.txt").write_text(script + "\n")
        environment |= {"LD_LIBRARY_PATH": str(tmp_path), "NVML_STUB": str(tmp_path / "card.txt")}
    elif shutil.which("nvidia-smi"):
        pytest.skip("there is a driver here")
    program = "from harness.image import node_driver\nprint(node_driver())"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(says)
