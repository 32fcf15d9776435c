"""A process that samples a stubbed card's memory: peaks by phase, ours and the device's, and an end with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ResourceError
from harness.measure.memory_sampler import MemorySampler

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def environment(nvml: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """This process's children see the card."""
    for name in ("LD_LIBRARY_PATH", "NVML_STUB"):
        monkeypatch.setenv(name, nvml.environment[name])
    return nvml


def test_a_peak_belongs_to_the_phase_in_which_it_was(environment: Any) -> None:
    environment.says("used 1e9", "process 42 4e8")
    with MemorySampler("GPU-1234", pid=42) as sampler:
        sampler.phase("load")
        environment.says("used 7e9", "process 42 6e9")
        time.sleep(0.2)
        environment.says("used 3e9", "process 42 2e9")
        time.sleep(0.2)
        sampler.phase("decode")
        environment.says("used 4e9", "process 42 3e9")
        time.sleep(0.2)
    load, decode = (sampler.sampled.phases[name] for name in ("load", "decode"))
    assert load.device is not None
    assert (load.device.peak, load.device.last) == (7_000_000_000, 3_000_000_000)
    assert load.own is not None
    assert (load.own.peak, load.own.last) == (6_000_000_000, 2_000_000_000)
    assert decode.own is not None
    assert decode.own.peak == 3_000_000_000
    assert load.samples > 10
    assert load.interval_s < 0.04  # 5 ms on a machine that nobody else holds


def test_a_phase_without_any_time_has_its_readings_all_the_same(environment: Any) -> None:
    environment.says("used 2e9")
    with MemorySampler("GPU-1234") as sampler:
        for name in ("context", "load", "decode"):
            sampler.phase(name)
    assert [phase.samples >= 1 for phase in sampler.sampled.phases.values()] == [True] * 3
    assert {phase.device.peak for phase in sampler.sampled.phases.values() if phase.device} == {2_000_000_000}


def test_where_pids_are_the_hosts_only_the_device_is_told_and_why(environment: Any) -> None:
    environment.says("used 5e9", "process 4711 5e9")
    with MemorySampler("GPU-1234", pid=42) as sampler:
        sampler.phase("load")
    found = sampler.sampled
    assert found.phases["load"].own is None
    assert found.phases["load"].device is not None
    assert "private pid namespace" in str(found.own_absent)
    assert found.device_absent is None


def test_a_process_that_comes_onto_the_card_within_a_phase_is_seen(environment: Any) -> None:
    environment.says("used 1e9")
    with MemorySampler("GPU-1234", pid=42) as sampler:
        sampler.phase("context")
        environment.says("used 2e9", "process 42 5e8")
        time.sleep(0.1)
    assert sampler.sampled.phases["context"].own is not None
    assert sampler.sampled.own_absent is None


def test_a_lost_card_is_a_reason(environment: Any) -> None:
    environment.says("error nvmlDeviceGetMemoryInfo 15")
    with MemorySampler("GPU-1234") as sampler:
        sampler.phase("load")
    assert sampler.sampled.phases["load"].device is None
    assert sampler.sampled.device_absent == "NVML gives no memory of this device: GPU is lost"


def test_a_sampler_that_died_is_an_error_of_one_line(environment: Any) -> None:
    with MemorySampler("GPU-1234") as sampler:
        sampler.phase("load")
        assert sampler._process is not None
        sampler._process.kill()
        with pytest.raises(ResourceError, match=r"^the memory sampler failed: "):
            sampler.phase("decode")
    assert sampler.sampled.device_absent is not None


def test_it_ends_with_its_parent(environment: Any) -> None:
    program = (
        "import time\nfrom harness.measure.memory_sampler import MemorySampler\n"
        "with MemorySampler('GPU-1234') as s:\n s.phase('load'); print(s._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 5
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_does_not_import_torch(environment: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "harness.measure.memory_sampler", "GPU-1234", str(os.getpid())],
        input="load\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "torch" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["phases"]["load"]["samples"] >= 1
