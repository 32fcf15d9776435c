"""devices.yaml as it is shipped, and what is refused: in one line, with the path of the key."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.measure.devices import CLASSES, FILE, Cannot, Least, Work, devices_from, load_devices, reported_as

SHIPPED = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates()
ANY = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALAR, inner, max_size=4))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The shipped H200 alone, with a key set; a value of ... takes it away."""
    raw: dict[str, Any] = {"h200": copy.deepcopy(SHIPPED["h200"])}
    *above, last = path.split(".")
    at = raw["h200"]
    for key in above:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return raw


def test_what_is_shipped_covers_the_issue_and_names_its_sources() -> None:
    devices = load_devices()
    assert {one.kind for one in devices.values()} == set(CLASSES)
    wanted = {"jetson-orin-nano-8gb", "jetson-agx-orin-64gb", "a100-40gb", "a100-80gb", "h100-sxm", "h200"}
    assert wanted <= set(devices)
    for one in devices.values():
        figures = [one.memory, one.bandwidth, *one.rates.values()]
        assert all(len(figure.source) > 8 for figure in figures)
        assert 1e10 < one.bandwidth.value < 1e13
        if {"bf16", "int8"} <= set(one.rates):  # dense: in no device of these is int8 more than four times bf16
            assert 1.9 < one.rates["int8"].value / one.rates["bf16"].value < 4.1


def test_units_are_bytes_and_flops() -> None:
    h200 = load_devices()["h200"]
    assert (h200.memory.value, h200.bandwidth.value, h200.rates["bf16"].value) == (141e9, 4.8e12, 989.5e12)


def test_a_device_is_found_by_what_torch_calls_it() -> None:
    devices = load_devices()
    found = reported_as(devices, "NVIDIA H200")
    assert found is not None
    assert found.id == "h200"
    assert reported_as(devices, "NVIDIA H200 MIG 1g.18gb") is None
    assert reported_as(devices, "Orin") is None, "it names neither the module nor the power mode"


def test_the_roofline_by_hand() -> None:
    """A decode step of Qwen2-VL-2B, 3.12 GB and 3.26 GFLOP: 0.65 ms on an H200, 30.6 ms on an Orin Nano."""
    devices, step = load_devices(), Work(3_120_000_000, {"bf16": 3_260_000_000})
    for name, seconds in (("h200", 0.65e-3), ("jetson-orin-nano-8gb", 30.6e-3)):
        found = devices[name].least(step)
        assert isinstance(found, Least)
        assert found.seconds == pytest.approx(seconds, rel=1e-3)
        assert found.binds == "bandwidth"
    found = devices["h200"].least(Work(1, {"bf16": 989_500_000_000, "int8": 1_979_000_000_000}))
    assert found == Least(pytest.approx(2e-3), "compute")


def test_what_a_device_cannot_multiply_is_said() -> None:
    t4 = load_devices()["t4"]
    found = t4.least(Work(10, {"bf16": 1}))
    assert isinstance(found, Cannot)
    assert found.why.startswith("no products of bf16: Turing")
    assert isinstance(t4.least(Work(10, {"int8": 1, "bf16": 0})), Least)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("bandwith_gb_s", {}, "mine.yaml: h200.bandwith_gb_s: unknown key; did you mean bandwidth_gb_s?"),
        ("bandwidth_gb_s.sorce", "x", "mine.yaml: h200.bandwidth_gb_s.sorce: unknown key; did you mean source?"),
        ("bandwidth_gb_s.source", ..., "mine.yaml: h200.bandwidth_gb_s: lacks source"),
        ("bandwidth_gb_s", 4800, "mine.yaml: h200.bandwidth_gb_s: must be a mapping with value, source, not 4800"),
        ("bandwidth_gb_s.value", 0, "mine.yaml: h200.bandwidth_gb_s.value: must be a number above zero, not 0"),
        ("memory_gb.value", True, "mine.yaml: h200.memory_gb.value: must be a number above zero, not True"),
        ("memory_gb.value", float("nan"), "mine.yaml: h200.memory_gb.value: must be a number above zero, not nan"),
        ("memory_gb.value", 10**400, "mine.yaml: h200.memory_gb.value: must be a number above zero, not so large"),
        ("memory_gb.source", " ", "mine.yaml: h200.memory_gb.source: must be text that is not empty, not ' '"),
        ("name", ..., "mine.yaml: h200: lacks name"),
        ("class", "phone", "mine.yaml: h200.class: 'phone': one of jetson, laptop, desktop, server"),
        ("shared_memory", "no", "mine.yaml: h200.shared_memory: must be true or false, not 'no'"),
        ("reported_as", "NVIDIA H200", "mine.yaml: h200.reported_as: must be a list of names"),
        ("dense_tflops.fp8", {}, "mine.yaml: h200.dense_tflops.fp8: unknown key"),
        ("dense_tflops.int8", ..., "mine.yaml: h200: int8 is neither in dense_tflops nor in lacks, with the reason"),
        ("lacks", {"int8": "no"}, "mine.yaml: h200: int8 is both a rate and lacked"),
    ],
)
def test_a_fault_is_one_line_with_its_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        devices_from(changed(path, value), "mine.yaml")
    assert str(refused.value).startswith(message)


def test_one_name_is_one_device() -> None:
    twice = {"a": SHIPPED["h200"], "b": SHIPPED["h200"]}
    with pytest.raises(UsageError, match=r"^mine.yaml: b\.reported_as: a is 'NVIDIA H200' too: which of them was"):
        devices_from(twice, "mine.yaml")


def test_a_name_told_twice_of_one_device_is_told_once() -> None:
    found = devices_from(changed("reported_as", ["NVIDIA H200"] * 2), "mine.yaml")
    assert found["h200"].reported_as == ("NVIDIA H200",)


def test_a_file_that_cannot_be_read_or_is_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read \(No such file"):
        load_devices(tmp_path / "none.yaml")
    file = tmp_path / "mine.yaml"
    for text in ("a: [", "2026-99-99", "!!python/object:os.system {}", "[" * 5000, "- 1"):
        file.write_text(text)
        with pytest.raises(UsageError, match=r"mine\.yaml: "):
            load_devices(file)


def refusal(raw: object) -> str:
    """Why it is refused; empty where it is not."""
    try:
        devices_from(raw, "mine.yaml")
    except UsageError as error:
        return str(error)
    return ""


@given(ANY)
def test_anything_that_yaml_holds_is_refused_in_one_line(raw: object) -> None:
    assert refusal(raw).startswith("mine.yaml: ")
    assert refusal(raw).isprintable()


@given(st.sampled_from(["name", "memory_gb", "dense_tflops", "dense_tflops.bf16", "lacks", "note", "reported_as"]), ANY)
def test_any_value_of_any_key_is_taken_or_refused_in_one_line(path: str, value: object) -> None:
    raw = changed(path, value)
    why = refusal(raw)
    assert why.isprintable()
    if why:
        assert why.startswith("mine.yaml: h200")
    else:
        found = devices_from(raw, "mine.yaml")["h200"]
        assert all(one.value > 0 for one in (found.memory, found.bandwidth, *found.rates.values()))
