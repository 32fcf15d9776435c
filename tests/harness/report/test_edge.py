"""Projections as a report would show them, from a made-up run on an H200."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import RecordError, UsageError
from harness.measure.devices import load_devices
from harness.record import Measurement, Record, Run
from harness.report.edge import Edge, EdgeTable, edge
from harness.report.view import variants

HEADLINE = {"frames": 8, "batch": 1, "new_tokens": 32}
WIDER = {"frames": 16, "batch": 1, "new_tokens": 32}
# stage: its row, ms on the H200, bytes, FLOPs of 8 frames: Qwen2-VL-2B's magnitudes, worked out below
STAGES = {
    "vision": ("vision", 20.0, 1.4e9, 4.0e12),
    "prefill": ("prefill", 15.0, 3.2e9, 4.9e12),
    "decode": ("itl", 6.5, 3.12e9, 3.26e9),
}
DEVICES = {one.id: one.name for one in load_devices().values()}


def measured(metric: str, value: float | None, unit: str, spread: float = 0.0, why: str | None = None) -> Measurement:
    low, high = (value * (1 - spread), value * (1 + spread)) if value and spread else (None, None)
    return Measurement(metric, value, unit, 12 if value else 0, low, high, False, "made up", absent=why)


def row(variant: str, workload: Mapping[str, Any], measurements: list[Measurement], name: str = "native") -> Record:
    suite = "vram" if any(one.metric.startswith("memory") for one in measurements) else "latency"
    details: dict[str, Any] = {"format": {"name": name}}
    return Record("real", variant, suite, workload, tuple(measurements), True, (), {}, details)


def stage_row(stage: str, workload: Mapping[str, Any], slower: float = 1.0, variant: str = "distilled") -> Record:
    metric, ms, moved, flops = STAGES[stage]
    more = int(workload["frames"]) / 8 if stage != "decode" else 1 + int(workload["frames"]) / 800
    kinds = {"int8": 0.9 * flops, "bf16": 0.1 * flops} if variant.endswith("int8") else {"bf16": flops}
    work = [measured(f"moved_{stage}", round(moved * more), "B")]
    work += [measured(f"flops_{kind}_{stage}", round(count * more), "FLOP") for kind, count in kinds.items()]
    name = "int8" if variant.endswith("int8") else "native"
    return row(variant, workload, [measured(metric, ms * slower * more, "ms", 0.01), *work], name)


def run_on(name: str = "NVIDIA H200", kind: str = "cuda", slower: float = 1.0, need: float = 5900.0) -> Run:
    records = []
    for variant in ("distilled", "distilled-int8"):
        for workload, extra in ((HEADLINE, 1.0), (WIDER, 1.2)):
            records += [stage_row(stage, workload, slower * extra, variant) for stage in STAGES]
        records.append(row(variant, HEADLINE, [measured("prepare", 31.0, "ms", 0.02)]))
        records.append(row(variant, {"batch": 1}, [measured("memory_planned", need, "MB")]))
    environment: dict[str, Any] = {
        "device": {"kind": kind, "name": name},
        "pair": {"name": "real"},
        "headline": HEADLINE,
    }
    return Run(tuple(records), environment, {}, "2026-01-02T03:04:05+00:00")


def shown(run: Run, others: Mapping[str, Run] | None = None) -> Edge:
    found = edge(run, variants(run), others)
    assert found is not None
    return found


def cells(found: Edge, device: str, variant: str = "distilled") -> tuple[tuple[str, str], ...]:
    table: EdgeTable = next(one for one in found.tables if one.variant == variant)
    return dict(table.rows)[DEVICES[device]]


def test_a_decode_step_on_an_orin_nano_by_hand() -> None:
    """3.1512 GB: 0.6565 ms at 4.8 TB/s, 30.89 ms at 102 GB/s, 47.06× as long; 6.565 ms become 309 ms, or 36.8 ms if
    all beyond the roofline is the host's. The other workload took 1.2× what its share says: that is the worst miss.
    """
    found = shown(run_on())
    value, beneath = cells(found, "jetson-orin-nano-8gb")[1]
    assert value == "≈ 30.9–374 ms", "309 · 1.01 · 1.2; 36.7 / 1.2, but not below the roofline"
    assert beneath == "309 by share, 36.8 by rest"
    assert found.headings == ("TTFT without prepare, projected", "Inter-token, projected")
    assert found.label.startswith("Projections, not measurements: times on H200 SXM, carried over")
    assert found.label.endswith("at 8 frames, batch 1, 32 tokens.")


def test_ttft_is_vision_and_prefill_and_says_what_prepare_is() -> None:
    """On an A100 both are bound by compute, as on the H200: 989.5/312 of 35 ms."""
    found = shown(run_on())
    assert cells(found, "a100-80gb")[0][1].startswith("111 by share, ")
    assert any("prepare is the host’s work" in one and "distilled 31.0 ms" in one for one in found.assumptions)


def test_the_device_that_was_measured_is_not_projected_to() -> None:
    found = shown(run_on())
    assert cells(found, "h200") == (("35.0 ms", "measured"), ("6.57 ms", "measured"))
    assert dict(found.tables[0].shares) == {"vision": "20.2 %", "prefill": "33.0 %", "decode": "10.0 %"}


def test_every_other_number_says_that_it_is_a_projection() -> None:
    found = shown(run_on())
    for table in found.tables:
        for name, row_cells in table.rows:
            for value, beneath in row_cells:
                assert value.startswith("≈ ") or value in ("–", "does not fit") or beneath == "measured", name


def test_what_does_not_fit_has_no_time() -> None:
    found = shown(run_on(need=9790.0))
    for name in ("jetson-orin-nano-8gb", "rtx-4070-laptop"):
        assert cells(found, name) == (("does not fit", "needs 9.79 GB, has 8 GB"),) * 2
    assert cells(found, "t4")[0] == ("–", "")
    assert cells(found, "l4")[0][0].startswith("≈ ")


def test_more_was_measured_than_planned() -> None:
    run = run_on()
    peak = row("distilled", {"batch": 1}, [measured("memory_peak", 8100.0, "MB")])
    found = shown(replace(run, records=(*run.records, peak)))
    assert cells(found, "rtx-4070-laptop")[0] == ("does not fit", "needs 8.1 GB, has 8 GB")


def test_unknown_memory_is_told() -> None:
    run = run_on()
    found = shown(replace(run, records=tuple(one for one in run.records if one.suite == "latency")))
    assert "distilled, whether it fits: not known: the vram suite has no record of it in this run" in found.notes


def test_a_type_that_a_device_lacks_is_told() -> None:
    found = shown(run_on())
    assert cells(found, "t4") == (("–", ""), ("–", ""))
    told = [one for one in found.notes if "T4" in one]
    assert len(told) == 1, "once, not by variant and column"
    assert told[0].startswith("T4: no products of bf16: Turing")
    assert any(one.startswith("int8 is bitsandbytes’ LLM.int8") for one in found.assumptions)


def test_another_ceiling_is_told() -> None:
    """0.55 TFLOP over 3.2 GB: 0.56 against 0.67 ms on the H200, 3.33 against 3.17 ms on an RTX 4090."""
    run = run_on()
    bound = tuple(
        replace(
            one,
            measurements=tuple(
                replace(m, value=5.5e11) if m.metric.startswith("flops") else m for m in one.measurements
            ),
        )
        if any(m.metric == "prefill" for m in one.measurements)
        else one
        for one in run.records
    )
    found = shown(replace(run, records=bound))
    told = next(one for one in found.notes if one.startswith("prefill of distilled on "))
    assert "GeForce RTX 4090" in told
    assert told.endswith(": bound by compute, as it is not on H200 SXM: its share is of another ceiling")


def test_a_second_device_widens_the_bar_and_is_shown() -> None:
    """An H100 has 0.698 of the bandwidth; a step that took as long as on the H200 was projected 1.43× too slow."""
    second = run_on("NVIDIA H100 80GB HBM3")
    found = shown(run_on(), {"h100-sxm": second})
    assert (DEVICES["h100-sxm"], "distilled", "decode", "8 frames, batch 1, 32 tokens", "1.4×", "1.04×") in found.held
    assert cells(found, "h100-sxm")[1] == ("6.57 ms", "measured")
    assert cells(found, "jetson-orin-nano-8gb")[1][0] == "≈ 30.9–447 ms", "309 · 1.01 · 1.43"
    told = next(one for one in found.assumptions if one.startswith("decode: "))
    assert "against other workloads and H100 SXM 80 GB the share missed by at most 1.4×" in told
    assert "over least times up to 1.4× apart; they are carried to 2.4× to 47× of H200 SXM’s" in told


def test_a_cpu_is_not_projected_to_a_gpu() -> None:
    found = shown(run_on("AMD EPYC", "cpu"))
    assert found.label.startswith("No projection to other devices: it was measured on a CPU (AMD EPYC)")
    assert found.tables == ()


def test_a_device_without_a_data_sheet_is_not_projected_from() -> None:
    found = shown(run_on("NVIDIA H200 MIG 1g.18gb"))
    assert "measured on NVIDIA H200 MIG 1g.18gb, which harness/measure/devices.yaml does not list" in found.label
    assert found.tables == ()


def test_one_workload_has_no_bar_and_so_no_projection() -> None:
    run = run_on()
    found = shown(replace(run, records=tuple(one for one in run.records if one.workload.get("frames") != 16)))
    assert cells(found, "l4") == (("–", ""), ("–", ""))
    told = [one for one in found.notes if one.startswith("Inter-token of distilled:")]
    assert told == []  # a T4 has another reason
    assert any("no error bar: one workload on one device" in one for one in found.notes)


def test_records_of_before_say_what_is_missing() -> None:
    run = run_on()
    before = tuple(
        replace(one, measurements=tuple(m for m in one.measurements if not m.metric.startswith(("moved", "flops"))))
        for one in run.records
    )
    found = shown(replace(run, records=before))
    assert "Inter-token of distilled: the record does not say its bytes and FLOPs" in " ".join(found.notes)


def test_an_invalid_row_is_not_projected() -> None:
    run = run_on()
    broken = tuple(
        replace(one, valid=False, invalid_reasons=("the clock fell",))
        if "itl" in {m.metric for m in one.measurements}
        else one
        for one in run.records
    )
    found = shown(replace(run, records=broken))
    assert "Inter-token of distilled: not valid: the clock fell" in found.notes
    assert cells(found, "h200")[1] == ("–", "measured here, but not this")


def test_each_figure_has_its_source() -> None:
    found = shown(run_on())
    assert ("H200 SXM", "4800 GB/s", "NVIDIA H200 data sheet: 4.8 TB/s") in found.sources
    assert {name for name, _, _ in found.sources} == set(DEVICES.values())


def test_a_run_without_stages_has_no_section(sample: Run) -> None:
    assert edge(sample, ()) is None


def test_what_cannot_be_held_against_it_is_refused() -> None:
    run, other = run_on(), run_on("NVIDIA H100 80GB HBM3")
    with pytest.raises(UsageError, match=r"h1000: no such device; there are jetson-orin-nano-8gb, "):
        shown(run, {"h1000": other})
    with pytest.raises(UsageError, match="h200: the run itself was measured there"):
        shown(run, {"h200": other})
    with pytest.raises(RecordError, match="h100-sxm: its run was measured on a CPU, AMD EPYC"):
        shown(run, {"h100-sxm": run_on("AMD EPYC", "cpu")})
    stranger = replace(other, environment={**other.environment, "pair": {"name": "tiny"}})
    with pytest.raises(RecordError, match="h100-sxm: its run is of another pair, tiny and not real"):
        shown(run, {"h100-sxm": stranger})
