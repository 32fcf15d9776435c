"""Peaks of a CPU's process from /proc, and of a GPU's from NVML and torch's allocator, against a stubbed card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.measure.memory_meters import BEFORE, Allocator, Resident, combined
from harness.measure.memory_sampler import Extent, Phase, Sampled

GB = 1_000_000_000


def phase(device: int, own: int | None, last: int | None = None) -> Phase:
    """Bytes at most, of which as many are left at the end as `last` says."""

    def extent(peak: int) -> Extent:
        return Extent(peak, peak if last is None else last)

    return Phase(40, 0.2, extent(device), None if own is None else extent(own))


ALLOCATORS = {  # of the context 2 MB are reserved; loading peaks at 9 GB, of which 1 GB was given back at once
    "libraries": Allocator(512, 2_000_000, 2_000_000),
    "load": Allocator(8 * GB, 9 * GB, 8 * GB),
    "decode": Allocator(8 * GB + GB // 2, 9 * GB, 9 * GB),
}


def test_a_process_that_nvml_lists_has_its_own_peaks() -> None:
    sampled = Sampled(
        {
            BEFORE: phase(30 * GB, None),
            "libraries": phase(31 * GB, GB // 2),
            "load": phase(39 * GB, 8 * GB + GB // 2),
            "decode": phase(40 * GB, 9 * GB + GB // 2),
        }
    )
    found = combined(sampled, ALLOCATORS)
    assert found.how.startswith("NVML, memory of this process on the device; 120 readings, one every 5.0 ms")
    assert found.peaks == {"libraries": GB // 2, "load": 9 * GB + GB // 2, "decode": 9 * GB + GB // 2}
    assert found.base == GB // 2 - 2_000_000
    assert found.above["load"] == 8 * GB
    assert found.allocator == 8 * GB + GB // 2


def test_a_private_pid_namespace_falls_back_to_the_device_and_says_so() -> None:
    sampled = Sampled(
        {
            BEFORE: phase(30 * GB, None),
            "libraries": phase(30 * GB + GB // 2, None),
            "load": phase(39 * GB, None),
            "decode": phase(40 * GB, None),
        },
        own_absent="NVML lists no process 7 on the device",
    )
    found = combined(sampled, ALLOCATORS)
    assert found.peaks == {"libraries": GB // 2, "load": 10 * GB, "decode": 10 * GB}
    assert "device delta" in found.how
    assert "because NVML lists no process 7 on the device" in found.how


def test_without_nvml_there_is_the_allocators_peak_and_a_reason() -> None:
    found = combined(Sampled.nothing("NVML does not know GPU-1: Not Found"), ALLOCATORS)
    assert set(found.peaks.values()) == {None}
    assert found.absent == "NVML does not know GPU-1: Not Found"
    assert found.allocator == 8 * GB + GB // 2


def test_resident_peaks_are_read_from_proc(tmp_path: Path) -> None:
    meter = Resident(tmp_path)
    for name, kilobytes in (("libraries", 400), ("load", 700), ("decode", 650)):
        with meter.phase(name):
            (tmp_path / "status").write_text(f"Name:\tpython\nVmHWM:\t  {kilobytes} kB\n")
    found = meter.found()
    assert found.peaks == {"libraries": 400 * 1024, "load": 700 * 1024, "decode": 650 * 1024}
    assert (found.base, found.above["load"], found.allocator) == (400 * 1024, 300 * 1024, None)


def test_a_system_that_does_not_let_the_peak_be_reset_is_a_reason(tmp_path: Path) -> None:
    meter = Resident(tmp_path / "nowhere")
    with meter.phase("libraries"):
        pass
    found = meter.found()
    assert found.peaks == {"libraries": None}
    assert "clear_refs: No such file" in str(found.absent)


FAKE_TORCH = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from harness.measure.memory_meters import meter_of
def use(gigabytes):
    aside = Path(os.environ["NVML_STUB"] + ".new")
    aside.write_text(f"used {(10 + gigabytes) * 1e9}\\nprocess {os.getpid()} {gigabytes * 1e9}\\n")
    aside.rename(os.environ["NVML_STUB"])
def torch_of(allocated, reserved):
    say = lambda one: (lambda device: int(one * 1e9))
    cuda = dict(max_memory_allocated=say(allocated), max_memory_reserved=say(reserved), memory_reserved=say(reserved))
    nothing = lambda device: None
    sys.modules["torch"] = SimpleNamespace(
        cuda=SimpleNamespace(reset_peak_memory_stats=nothing, synchronize=nothing, **cuda)
    )
"""


def test_a_gpu_is_metered_by_a_sampling_process_and_the_allocator(nvml: Any) -> None:
    """The whole path of a GPU but for the GPU: torch is told apart from its allocator's words."""
    nvml.says("used 10e9")
    program = """
with meter_of("cuda:0", "GPU-1234") as meter:
    with meter.phase("libraries"):
        use(0.5); torch_of(0, 0)
    with meter.phase("load"):
        use(9.5); torch_of(8, 8.5); use(9)
    with meter.phase("decode"):
        use(9.5); torch_of(8.5, 9)
found = meter.found()
show([found.peaks, found.base, found.above, found.allocator, found.how])
"""
    peaks, base, above, allocator, how = nvml.told(FAKE_TORCH + program)
    assert peaks["decode"] == 9_500_000_000
    assert (base, above["load"], allocator) == (500_000_000, 8 * GB, 8_500_000_000)
    assert how.startswith("NVML, memory of this process on the device")
