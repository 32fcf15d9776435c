"""Where a run was measured: device, driver, libraries, image, threads. It goes into every record's file."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from harness.image import image_sha256

LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "bitsandbytes",
    "accelerate",
    "numpy",
    "scipy",
    "pytest",
    "pytest-benchmark",
)


def device_of_choice() -> torch.device:
    """The first CUDA device (the launcher's choice, in one of several processes), or the CPU."""
    own = os.environ.get("LOCAL_RANK", "0")
    return torch.device(f"cuda:{own}" if torch.cuda.is_available() else "cpu")


def device_slug(device: torch.device) -> str:
    """A folder's name for results of this kind of device: `cpu`, `nvidia-h200`."""
    if device.type == "cpu":
        return "cpu"
    name = torch.cuda.get_device_name(device).lower()
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")


def environment(device: torch.device) -> dict[str, Any]:
    """Plain JSON: what a reader needs to judge whether two runs may be compared."""
    return {
        "schema": 1,
        "device": _device(device),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "image": image_sha256(),
    }


def _device(device: torch.device) -> dict[str, Any]:
    if device.type == "cpu":
        return {"kind": "cpu", "name": cpu_name(), "driver": None, "memory_mb": _host_memory_mb()}
    properties = torch.cuda.get_device_properties(device)
    return {
        "kind": "cuda",
        "name": properties.name,
        "driver": _driver(),
        "memory_mb": round(properties.total_memory / 1e6),
    }


def _driver() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


@cache
def cpu_name() -> str:
    """The processor as Linux names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _host_memory_mb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
