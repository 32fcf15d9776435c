"""Ceilings are measured, in the type and under the threads that they name, and once a process."""

from __future__ import annotations

import time

import torch

from harness.measure.ceilings import copy_bandwidth, matmul_ceiling

CPU = torch.device("cpu")


def test_a_ceiling_is_a_plausible_rate_and_says_of_what(one_thread: None) -> None:
    began = time.perf_counter()
    ceiling = matmul_ceiling(CPU, torch.float32)
    assert time.perf_counter() - began < 10  # 1.2 s on an idle core
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
    assert copy_bandwidth(CPU) is found
