"""What is measured on a card, held against what is known of it. containers/gpu_check.sh runs this on one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.measure.ceilings import ceilings_from, measure_ceilings
from harness.measure.energy import AnswerEnergy, energy_counter, idle_power
from harness.measure.memory_sampler import MemorySampler
from harness.measure.nvml import card_of
from harness.measure.replicates import replicates
from harness.measure.timing import Workload, _CudaClock
from harness.measure.validity import Watch, judge_rounds
from harness.measure.worker import Job, Loading

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device: containers/gpu_check.sh runs this on one"
)
DEVICE = torch.device("cuda:0")
ASKED = Workload(frames=4, batch=1, new_tokens=8)


def work(side: int = 4096, times: int = 40) -> None:
    left = torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16)
    for _ in range(times):
        left @ left


def test_the_card_says_what_it_is() -> None:
    card = card_of(DEVICE)
    for reading in (card.memory(), card.clocks(), card.temperature(), card.power(), card.driver()):
        assert reading.value is not None, reading.absent


def test_events_miss_no_queued_work() -> None:
    clock = _CudaClock(DEVICE)
    work(times=3)
    torch.cuda.synchronize()
    before = time.perf_counter()
    marks = [clock.mark()]
    work(times=200)
    queued = time.perf_counter() - before
    marks.append(clock.mark())
    (seconds,) = clock.gaps(marks)
    torch.cuda.synchronize()
    whole = time.perf_counter() - before
    assert queued < seconds <= whole, "a clock that does not wait sees the queueing alone"
    assert seconds > 0.8 * whole


def test_a_working_card_draws_more_than_an_idle_one() -> None:
    counter = energy_counter(DEVICE)
    if counter.absent is not None:
        pytest.skip(counter.absent)
    torch.cuda.synchronize()
    idle = idle_power(counter, 1.0)
    assert idle.value is not None, idle.absent
    before, began = counter.joules(), time.perf_counter()
    while time.perf_counter() - began < 1.5:
        work()
        torch.cuda.synchronize()
    watts = (counter.joules() - before) / (time.perf_counter() - began)
    assert watts > 1.3 * idle.value


def test_a_peak_between_two_readings_is_sampled() -> None:
    card = card_of(DEVICE)
    uuid = f"GPU-{torch.cuda.get_device_properties(DEVICE).uuid}"
    torch.zeros(1, device=DEVICE)
    used = card.memory().value
    assert used is not None
    with MemorySampler(uuid) as sampler:
        sampler.phase("peak")
        held = torch.zeros(512 << 20, dtype=torch.uint8, device=DEVICE)
        time.sleep(0.1)
        del held
        torch.cuda.empty_cache()
        sampler.phase("after")
        time.sleep(0.1)
    peak = sampler.sampled.phases["peak"].device.peak
    assert peak - used.used >= 500 << 20
    assert sampler.sampled.phases["peak"].interval_s < 0.02


def test_rounds_of_a_card_of_our_own_are_valid() -> None:
    watch, states = Watch(DEVICE), []
    work()
    torch.cuda.synchronize()
    for _ in range(10):
        watch.before()
        work()
        torch.cuda.synchronize()
        states.append(watch.after())
    judged = judge_rounds(states)
    assert judged.valid, judged.reasons


def test_the_ceilings_are_those_of_a_card() -> None:
    found = measure_ceilings(DEVICE, torch.bfloat16)
    assert found.copy.bytes_per_second > 2e11
    assert found.floating.flops_per_second > 2e13


def test_a_worker_times_a_model_on_the_card_against_no_ruler(micro: Any, build: Any, tmp_path: Path) -> None:
    build("student").save(tmp_path)
    job = Job(
        variants=(Loading("distilled", "qwen2_vl", "harness.variants:native", str(tmp_path), {}),),
        workloads=(vars(ASKED),),
        data=micro.data.model_dump(mode="json"),
        split="test",
        device=str(DEVICE),
        threads=1,
        rounds=12,
        least_warmup=3,
        most_warmup=40,
        ceilings=True,
        energy=True,
    )
    run = replicates(job, 2, lambda *_: None)
    timed = run.of("distilled", ASKED)
    assert timed.invalid_reasons == ()
    assert len(timed.groups("itl")) == 2
    assert timed.rulers("itl") == ()
    told = timed.as_json()["processes"][0]["machine"]
    assert told["sm_mhz"][0] > 0
    assert ceilings_from(run.ceilings).copy.bytes_per_second > 1e10
    energy = AnswerEnergy.from_json(timed.processes[0]["energy"])
    assert energy.absent is not None or min(energy.per_answer) > 0
