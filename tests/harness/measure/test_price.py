"""The price of a phase: what is there adds up, what cannot be had says why, phases lie within each other."""

from __future__ import annotations

import json
import mmap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.measure import price as module
from harness.measure.ceilings import Ceiling
from harness.measure.energy import EnergyCounter
from harness.measure.price import Price, measurements, priced, priced_json

CPU = torch.device("cpu")
MB = 1_000_000
CEILING = Ceiling(1e9, "best product, measured")


class Counter(EnergyCounter):
    """A card whose counter says what it is told."""

    def __init__(self, *readings: float) -> None:
        super().__init__()
        object.__setattr__(self, "_readings", list(readings))

    def joules(self) -> float:
        return float(self._readings.pop(0))  # type: ignore[attr-defined]


def told(price: Price, **changes: Any) -> dict[str, Any]:
    return dict(priced_json(price, **{"tokens": 100, "flops": 10**6, "ceiling": CEILING, **changes}))


def test_a_phase_on_a_cpu_has_time_and_memory_and_says_why_it_has_no_joules() -> None:
    with priced(CPU) as price:
        time.sleep(0.02)
        torch.ones(10 * MB)
    found = json.loads(json.dumps(told(price)))
    assert 0.02 <= found["seconds"] < 5
    assert found["tokens_per_second"] == pytest.approx(100 / found["seconds"])
    assert found["mfu"] == pytest.approx(1e6 / found["seconds"] / 1e9)
    assert found["ceiling_how"] == "best product, measured"
    assert found["peak_bytes"] > 40 * MB
    assert "VmHWM" in found["peak_how"]
    assert set(found["absent"]) == {"device_seconds", "joules", "joules_per_token"}
    assert not set(found["absent"]) & set(found)
    assert "no GPU" in found["absent"]["joules"]


def test_without_flops_or_a_ceiling_there_is_no_share_of_it() -> None:
    with priced(CPU) as price:
        pass
    assert {"flops", "flops_per_second", "mfu"} <= set(told(price, flops=None)["absent"])
    assert {"mfu", "ceiling_flops_per_second"} <= set(told(price, ceiling=None)["absent"])
    assert told(price, tokens=0)["absent"]["joules_per_token"].startswith("no GPU")


def touched(size: int) -> None:
    """Bytes fresh from the system, for a moment: the heap of a process that has run other tests holds freed pages, and
    would hand out those without growing."""
    with mmap.mmap(-1, size) as memory:
        for page in range(0, size, mmap.PAGESIZE):
            memory[page] = 1


def test_an_inner_phase_does_not_hide_the_peak_of_the_outer_one() -> None:
    with priced(CPU) as outer:
        touched(400 * MB)
        with priced(CPU) as inner:
            touched(40 * MB)
        with priced(CPU) as last:
            pass
    assert outer.peak_bytes is not None
    assert inner.peak_bytes is not None
    assert last.peak_bytes is not None
    assert outer.peak_bytes > inner.peak_bytes + 200 * MB
    assert inner.peak_bytes > last.peak_bytes + 20 * MB
    assert outer.seconds > inner.seconds


def test_an_outer_phase_knows_the_peak_of_an_inner_one() -> None:
    with priced(CPU) as outer, priced(CPU) as inner:
        touched(200 * MB)
    assert outer.peak_bytes == inner.peak_bytes


def test_a_system_that_lets_no_peak_be_reset_leaves_it_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "CLEAR", tmp_path / "none" / "clear_refs")
    with priced(CPU) as price:
        pass
    found = told(price)
    assert "peak_bytes" not in found
    assert "peak_how" not in found
    assert "clear_refs: No such file" in found["absent"]["peak_bytes"]


def test_a_status_without_the_peak_leaves_it_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmRSS:\t1 kB\n")
    monkeypatch.setattr(module, "STATUS", tmp_path / "status")
    monkeypatch.setattr(module, "CLEAR", tmp_path / "clear")
    with priced(CPU) as price:
        pass
    assert "has no VmHWM" in told(price)["absent"]["peak_bytes"]


def test_a_price_can_be_read_while_its_phase_runs_and_outlives_an_interruption() -> None:
    with suppress(KeyboardInterrupt), priced(CPU) as price:
        first = told(price)["seconds"]
        time.sleep(0.01)
        assert told(price)["seconds"] >= first + 0.01
        raise KeyboardInterrupt
    assert price.seconds >= 0.01
    before = price.seconds
    price.read()
    assert price.seconds == before, "it has ended"


def test_a_resumed_phase_costs_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "energy_counter", lambda device: Counter(50, 80))
    with priced(CPU) as first:
        torch.ones(50 * MB)
    before = json.loads(json.dumps(told(first)))
    monkeypatch.setattr(module, "energy_counter", lambda device: Counter(200, 270))
    with priced(CPU) as second:
        pass
    whole = told(second, tokens=300, before=before)
    assert whole["joules"] == 100
    assert whole["joules_per_token"] == 0.25
    assert whole["seconds"] == pytest.approx(first.seconds + second.seconds)
    assert (whole["tokens"], whole["flops"]) == (400, 2 * 10**6)
    assert whole["mfu"] == pytest.approx(2e6 / whole["seconds"] / 1e9)
    assert whole["peak_bytes"] == first.peak_bytes


def test_what_an_interrupted_run_did_not_know_the_sum_does_not_know() -> None:
    with priced(CPU) as price:
        pass
    before = told(price, flops=None)
    after = told(price, before=before)
    assert "flops" not in after
    assert after["absent"]["mfu"].startswith("the interrupted run has none: floating-point operations were not counted")
    assert "not told" in told(price, before={"seconds": 1.0})["absent"]["tokens"]


def test_several_processes_hold_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_processes", lambda: 4)
    monkeypatch.setattr(module, "energy_counter", lambda device: Counter())
    with priced(CPU) as price:
        pass
    found = told(price)
    assert found["mfu"] == pytest.approx(1e6 / found["seconds"] / 4e9)
    assert found["ceiling_how"].endswith("times 4 devices")
    assert found["absent"]["joules"] == "one card was read, 4 were held"


# --- what the suite records --------------------------------------------------------------------------


def meta() -> dict[str, Any]:
    train = {"seconds": 60.0, "tokens_per_second": 500.0, "mfu": 0.25, "peak_bytes": 700 * MB, "peak_how": "resident",
             "ceiling_how": "best product", "absent": {"joules": "no GPU"}}  # fmt: skip
    point = {"step": 20, "val_kl": 0.1, "val_token_agreement": 0.9, "val_free_agreement": 0.8}
    return {
        "price": {"targets": {**train, "seconds": 30.0, "peak_bytes": 900 * MB}, "train": train},
        "curve": [{**point, "step": 10, "val_kl": 0.5}, point, {**point, "step": 30, "val_kl": 0.3}],
        "best_step": 20,
    }


def test_an_artifacts_price_and_the_kept_step_are_measurements() -> None:
    found = {m.metric: m for m in measurements(meta())}
    assert {m.metric: m.value for m in found.values() if m.value is not None} == {
        "distil_seconds": 90.0, "tokens_per_second": 500.0, "mfu": 0.25, "peak_training_memory": 700.0,
        "peak_teacher_memory": 900.0, "held_out_kl": 0.1, "top1_agreement": 0.9, "free_running_agreement": 0.8,
    }  # fmt: skip
    assert found["joules"].absent == "no GPU"
    assert all((m.n == 1) == (m.absent is None) and m.low is None for m in found.values())
    assert "step that was kept (20)" in found["held_out_kl"].how
    assert "best product" in found["mfu"].how


def test_the_kept_state_as_it_was_scored_last_comes_before_the_curve() -> None:
    """In the middle of an epoch the curve has no free answers; the kept state is scored with them at the end."""
    held = {"kl": 0.11, "token_agreement": 0.91, "free_agreement": 0.81, "agreement": 0.7, "loss": 1.0}
    found = {m.metric: m.value for m in measurements({**meta(), "held_out": held})}
    wanted = {"held_out_kl": 0.11, "top1_agreement": 0.91, "free_running_agreement": 0.81}
    assert {metric: found[metric] for metric in wanted} == wanted


def test_frozen_features_are_part_of_the_whole_where_there_are_any() -> None:
    told = meta()
    told["price"]["features"] = {"seconds": 5.0, "absent": {}}
    found = {m.metric: m for m in measurements(told)}
    assert found["distil_seconds"].value == 95.0
    assert "frozen features" in found["distil_seconds"].how


def test_an_older_artifact_says_what_it_lacks() -> None:
    found = {m.metric: m for m in measurements({"curve": [{"step": 1, "val_kl": 0.2, "val_free_agreement": None}]})}
    assert all(m.value is None and m.absent for m in found.values())
    assert "no price of the teacher's answers" in str(found["distil_seconds"].absent)
    assert found["free_running_agreement"].absent == "the artifact tells no free_agreement of the step that was kept"
    assert set(found) == {m.metric for m in measurements(meta())}
