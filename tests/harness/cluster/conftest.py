"""A cluster file to start from, and a chain of the micro pair on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster.chain import Ask, Job, chain
from harness.cluster.resources import Need, Needs
from harness.cluster.site import Site, load_site
from harness.variants import VARIANTS

A100 = {
    "time": "1-00:00:00", "cpus": 64, "memory": "480GB",
    "gpus": 4, "gpu": "a100", "gpu_memory": "40GB", "tflops": 312,
}  # fmt: skip
TOLD: dict[str, Any] = {
    "name": "somewhere",
    "scratch": "/scratch/me",
    "partitions": {"gpu": A100, "cpu": {"time": "04:00:00", "cpus": 16, "memory": "60GB"}},
    "gpu_partition": "gpu",
    "cpu_partition": "cpu",
}
GB = 10**9
NEEDS = Needs(
    teacher=Need(gpu=GB, host=GB, flops=1e15),
    targets=Need(gpu=20 * GB, host=15 * GB, flops=4e18),
    distil=Need(gpu=30 * GB, host=15 * GB, flops=8e18),
    suites={name: Need(gpu=18 * GB, host=15 * GB, flops=1e17, seconds=2400) for name in VARIANTS},
    disk=40 * GB,
)


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Path]:
    """told(account="lab"): a cluster file with some keys changed; None leaves a key out."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "cluster.yaml"
        whole = {name: value for name, value in {**TOLD, **changes}.items() if value is not None}
        path.write_text(yaml.safe_dump(whole))
        return path

    return write


@pytest.fixture
def site(told: Callable[..., Path]) -> Site:
    return load_site(told())


@pytest.fixture
def jobs(micro: Any, site: Site) -> Callable[..., tuple[Job, ...]]:
    """jobs("baseline", "distilled", seeds=3): the chain of these variants."""

    def of(*names: str, on: Site = site, chosen: Sequence[str] = ("--pair", "micro"), **ask: Any) -> tuple[Job, ...]:
        return chain(micro, NEEDS, on, Ask([VARIANTS[name] for name in names], **ask), chosen)

    return of
