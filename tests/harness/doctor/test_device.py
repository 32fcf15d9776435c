"""torch, its device, int8 and NF4: what the probe tells, judged. Fake: what it tells; real: a process that hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.doctor import device, libraries
from harness.doctor.probing import Probing, Told, _steps
from harness.image import Driver

TORCH = {"version": "2.13.0+cu130", "cuda": "13.0", "threads": 8}
ABSENT = {"kind": "cpu", "absent": "CUDA driver version is insufficient"}
ON_CARD = {"kind": "cuda", "name": "H100", "capability": "9.0", "uuid": "1", "free": 79e9, "total": 80e9}
WELL = {"version": "0.50.2", "device": "cuda", "int8": 0.007, "nf4": 0.09}
NEW, OLD, NONE = Driver("580.65", (13, 0), 1), Driver("535.10", (12, 2), 2), "NVML says: not found"


def told(**steps: Any) -> Told:
    return Told({"torch": TORCH, "device": ON_CARD, "formats": WELL} | steps)


@pytest.mark.parametrize(
    ("steps", "driver", "status", "said"),
    [
        ({}, NEW, "ok", "H100 (compute capability 9.0), 79.0 of 80.0 GB free"),
        ({"device": ABSENT}, NONE, "ok", "no NVIDIA GPU here"),
        ({"device": ABSENT}, OLD, "will not work", "torch is for CUDA 13.0, driver 535.10 runs CUDA up to 12.2"),
        ({"device": ABSENT, "torch": TORCH | {"cuda": None}}, NEW, "warning", "although there is a GPU (1 card)"),
        ({"device": {"fault": "AcceleratorError: lost"}}, NEW, "will not work", "does not compute: AcceleratorError"),
    ],
)
def test_what_models_run_on(steps: Any, driver: Any, status: str, said: str, monkeypatch: Any) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = device.device(told(**steps), driver)
    assert (found.status, said in found.found) == (status, True), found


def test_an_older_driver_is_given_the_torch_that_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "whl/cu126 'torch==2.13.0'" in device.device(told(device=ABSENT), OLD).remedy


def test_a_card_that_is_hidden_on_purpose_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.device(told(device=ABSENT), NEW).status == "ok"


@pytest.mark.parametrize(
    ("step", "statuses"),
    [
        ({}, ["ok", "ok"]),
        ({"int8": 0.5}, ["will not work", "ok"]),
        ({"nf4": float("nan")}, ["ok", "will not work"]),
        ({"int8": None, "int8_fault": "RuntimeError: no kernel"}, ["will not work", "ok"]),
        ({"fault": "OSError: libbitsandbytes_cuda131.so"}, ["will not work"]),
    ],
)
def test_a_product_that_is_wrong_is_told_as_one_that_fails(step: Any, statuses: list[str]) -> None:
    assert [one.status for one in device.formats(told(formats=WELL | step))] == statuses


def test_a_torch_out_of_range_is_a_warning() -> None:
    assert device.torch(told(torch=TORCH | {"version": "2.9.1"}), "torch>=2.11,<2.14").status == "warning"
    assert device.torch(told(), "torch>=2.11,<2.14").status == "ok"


def test_a_probe_that_is_late_says_nothing_of_torch() -> None:
    late = Told({}, "not done within 1 s", late=True)
    found = [device.torch(late, "torch"), device.device(late, NONE), *device.formats(late), libraries.video(late)]
    assert {one.status for one in found} == {"warning"}


def test_what_libraries_print_between_the_steps_is_passed_over() -> None:
    assert _steps('noise\n{"step": "torch", "version": "2"}\n[1]\n{"no": 1}\n') == {"torch": {"version": "2"}}


def test_a_probe_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe.py").write_text('import time\nprint(\'{"step": "torch"}\', flush=True)\ntime.sleep(60)\n')
    monkeypatch.setattr("harness.doctor.probing.PROGRAM", tmp_path / "probe.py")
    found = Probing.start("device").told(0.01)
    assert found.late
    assert found.fault("device").startswith("not done within 0.01 s")
