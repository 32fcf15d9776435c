"""The image that this code runs in: which one it is, and whether this node can carry its CUDA. No torch.

    check_start()         # before torch is imported: ResourceError where image, --nv and driver do not fit
    require_sha256()      # UsageError where a record could not name its image
    image_sha256()        # sha256 of the .sif, None outside an image

An image of containers/firstsight.def holds IMAGE.json: {"variant": "cu130", "lock": "<sha256>"}. docs/image.md tells
the rest. Tried by tests/harness/test_image.py, and in a real image by tests/cluster/test_image.py.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.artifact import file_digest
from harness.errors import ResourceError, UsageError, oneline

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = Path("/.singularity.d/libs")  # where --nv binds the driver's libraries; empty without it
SHA256, NV = "FIRSTSIGHT_IMAGE_SHA256", "FIRSTSIGHT_NV"  # what containers/exec knows and cannot be seen from inside
# The first driver of each CUDA major; within a major, older drivers run newer minors.
FIRST_DRIVER = {12: "525.60", 13: "580.65"}
VARIANT_FOR = {12: "cu126", 13: "cu130"}


@dataclass(frozen=True)
class Driver:
    """The node's driver as NVML tells it: `cuda` is the newest CUDA that it runs, as (12, 2)."""

    version: str
    cuda: tuple[int, int]
    cards: int


def check_start() -> None:
    """ResourceError, in one line, where this image cannot do on this node what was asked. Outside one: nothing."""
    variant = built_as(ROOT)
    if variant is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return
    driver = node_driver()
    if isinstance(driver, str) or not driver.cards:
        why = driver if isinstance(driver, str) else f"driver {driver.version} lists no card"
        if nv_asked():
            raise ResourceError(
                f"--nv was given, but there is no GPU here: {why}; take a node with one, or leave --nv out for the CPU"
            )
        return
    if variant == "cpu":
        raise ResourceError(
            f"this image is variant cpu, without CUDA: leave --nv out, or build it with --variant {fitting(driver)}"
        )
    major, minor = int(variant[2:-1]), int(variant[-1])
    if driver.cuda[0] < major:
        raise ResourceError(
            f"this image carries CUDA {major}.{minor} (variant {variant}), which needs driver "
            f"{FIRST_DRIVER.get(major, 'of that CUDA')} or newer; this node has {driver.version}, for CUDA up to "
            f"{driver.cuda[0]}.{driver.cuda[1]}: build it with --variant {fitting(driver)}, or take a newer node"
        )


def built_as(root: Path) -> str | None:
    """The variant of the image whose code lies in `root`; None for a checkout."""
    file = root / "IMAGE.json"
    if not file.is_file():
        return None
    try:
        variant = json.loads(file.read_text(encoding="utf-8"))["variant"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: not what containers/firstsight.def writes; build the image again") from error
    if not isinstance(variant, str) or not re.fullmatch(r"cpu|cu\d{3}", variant):
        raise UsageError(f"{file}: variant {oneline(variant, 40)}: cpu or cuNNN")
    return variant


def fitting(driver: Driver) -> str:
    """The variant for a driver."""
    return VARIANT_FOR.get(driver.cuda[0], f"cu{driver.cuda[0]}x")


def nv_asked() -> bool:
    """Was the container started with --nv? It leaves no mark but the libraries that it binds; containers/exec tells."""
    if os.environ.get(NV):
        return True
    return LIBRARIES.is_dir() and any(LIBRARIES.iterdir())


def node_driver() -> Driver | str:
    """What NVML says of this node, or in one line why it says nothing."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            cuda = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
            version = str(pynvml.nvmlSystemGetDriverVersion())
            return Driver(version, (cuda // 1000, cuda % 1000 // 10), int(pynvml.nvmlDeviceGetCount()))
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return f"NVML says: {oneline(error, 200)}"


# --- which image ------------------------------------------------------------------------------------


def require_sha256() -> None:
    """UsageError in an image of ours whose sha256 cannot be told: no record is written that does not name it."""
    if built_as(ROOT) is not None and image_sha256() is None:
        file = _container() or "the image"
        raise UsageError(
            f"records name their image, but {file} cannot be read from inside (--containall, or no file): start it "
            f"with containers/exec, or add --bind {file}, or --env {SHA256}=$(sha256sum … | cut -c1-64)"
        )


@cache
def image_sha256() -> str | None:
    """sha256 of the Apptainer image we run in: what containers/exec says, else the sidecar's where it is of this very
    file, else read once. None outside an image, and where the file is not visible.
    """
    if given := os.environ.get(SHA256):
        if not re.fullmatch(r"[0-9a-f]{64}", given):
            raise UsageError(f"{SHA256}={oneline(given, 80)}: not a sha256 (64 hexadecimal digits)")
        return given
    container = _container()
    if not container or not Path(container).is_file():
        return None
    return of_sidecar(Path(container)) or file_digest(Path(container))


def of_sidecar(image: Path) -> str | None:
    """The sha256 in <image>.json, as containers/build writes it; None where size or time say it is of another file."""
    try:
        told = json.loads(Path(f"{image}.json").read_text(encoding="utf-8"))
        seen = image.stat()
        is_same = (told["size"], told["modified"]) == (seen.st_size, int(seen.st_mtime))
        sha256 = str(told["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sha256 if is_same and re.fullmatch(r"[0-9a-f]{64}", sha256) else None


def _container() -> str | None:
    return os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
