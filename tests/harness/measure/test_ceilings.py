"""Ceilings are measured, in the type and under the threads that they name, once a process, and go as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import torch

from harness.errors import RecordError
from harness.measure import ceilings
from harness.measure.ceilings import (
    Bandwidth,
    Ceiling,
    Ceilings,
    Unmeasured,
    ceilings_from,
    copy_bandwidth,
    int8_ceiling,
    matmul_ceiling,
    measure_ceilings,
)

CPU = torch.device("cpu")


def test_a_ceiling_is_a_plausible_rate_and_says_of_what(one_thread: None) -> None:
    began = time.perf_counter()
    ceiling = matmul_ceiling(CPU, torch.float32)
    assert time.perf_counter() - began < 10  # 0.8 s on an idle core
    assert 1e8 < ceiling.flops_per_second < 1e13
    assert "float32, measured on 1 CPU threads" in ceiling.how


def test_a_ceiling_is_measured_once_and_on_a_cpu_in_fp32(one_thread: None) -> None:
    ceiling = matmul_ceiling(CPU, torch.float32)
    before = time.perf_counter()
    assert matmul_ceiling(CPU, torch.bfloat16) is ceiling
    assert time.perf_counter() - before < 0.1


def test_a_copy_reads_and_writes(one_thread: None) -> None:
    found = copy_bandwidth(CPU)
    assert 1e8 < found.bytes_per_second < 1e12
    assert "128 MiB, read and written" in found.how
    assert found.block == 128 << 20
    assert copy_bandwidth(CPU) is found


def test_all_ceilings_come_in_seconds_and_survive_json(one_thread: None) -> None:
    """Emulated bf16 and int8 are cut short: a product of 1024x1024 would take them a second and more."""
    began = time.perf_counter()
    found = measure_ceilings(CPU, torch.bfloat16)
    assert time.perf_counter() - began < 15  # 2.2 s on an idle core, without what the tests above have measured
    assert set(found.matmul) == {"float32", "bfloat16"}
    assert found.floating.flops_per_second >= matmul_ceiling(CPU, torch.float32).flops_per_second
    assert ceilings_from(json.loads(json.dumps(found.as_json()))) == found


def test_int8_is_a_rate_or_says_why_not(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = int8_ceiling(CPU)
    assert isinstance(found, Unmeasured) or ("in int8" in found.how and found.flops_per_second > 1e7)

    def refused(*_: Any, **__: Any) -> None:
        raise RuntimeError("_int_mm_out_cuda not compiled\nfor this card")

    monkeypatch.setattr(torch, "_int_mm", refused)
    ceilings._int8.cache_clear()
    try:
        absent = int8_ceiling(CPU)
    finally:
        ceilings._int8.cache_clear()
    assert absent == Unmeasured("torch has no product of int8 here: _int_mm_out_cuda not compiled for this card")
    told = Ceilings(Bandwidth(1e9, "copy", 1), {"float32": Ceiling(2e9, "mm")}, absent)
    assert ceilings_from(told.as_json()) == told
    assert told.quantised is told.floating


def test_a_slow_int8_kernel_is_no_ceiling() -> None:
    floats, slow, fast = Ceiling(30e9, "fp32"), Ceiling(2e9, "scalar int8"), Ceiling(90e9, "VNNI")
    assert Ceilings(Bandwidth(1e9, "copy", 1), {"float32": floats}, slow).quantised is floats
    assert Ceilings(Bandwidth(1e9, "copy", 1), {"float32": floats}, fast).quantised is fast


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"copy": None}, "ceilings: copy must be an object, not NoneType"),
        ({"matmul": {}}, "matmul: not one type was measured"),
        ({"matmul": {"float32": {"flops_per_second": 0, "how": "x"}}}, "matmul: float32: flops_per_second"),
        ({"int8": {"flops_per_second": float("inf"), "how": "x"}}, "int8: flops_per_second must be a rate above zero"),
    ],
)
def test_what_is_no_ceiling_is_refused(change: dict[str, Any], said: str) -> None:
    whole = Ceilings(Bandwidth(1e9, "copy", 1), {"float32": Ceiling(2e9, "mm")}, Unmeasured("none")).as_json()
    with pytest.raises(RecordError, match=said):
        ceilings_from({**whole, **change})
