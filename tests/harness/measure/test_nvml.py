"""A card through NVML, against a library that says what it is told: values with units, or one-line reasons."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from harness.measure.nvml import BREAKING, THROTTLE_NAMES, Card, card_of


def test_a_machine_without_a_driver_says_so_at_every_question() -> None:
    card = Card.open("GPU-1234")
    assert "NVML does not know GPU-1234: NVML Shared Library Not Found" in str(card.absent)
    assert card.memory().value is None
    assert card.joules().absent == card.absent


def test_a_cpu_is_no_card() -> None:
    assert "no GPU" in str(card_of(torch.device("cpu")).absent)


def test_everything_has_its_unit(nvml: Any) -> None:
    nvml.says("used 5e9", "total 80e9", "sm 1410", "sm_max 1980", "temperature 61", "limit 500000", "driver 570.1")
    found = nvml.told(
        "show([one().value for one in (card.memory, card.clocks, card.temperature, card.power, card.mig, card.driver)])"
    )
    assert found == [
        {"used": 5_000_000_000, "total": 80_000_000_000},
        {"sm": 1410, "memory": 2619, "sm_max": 1980, "memory_max": 2619},
        61,
        {"limit": 500.0, "default": 700.0},
        False,
        "570.1",
    ]


def test_torch_leaves_the_prefix_of_a_uuid_off(nvml: Any) -> None:
    assert nvml.told("show([Card.open('1234').uuid, Card.open('12').absent])") == [
        "GPU-1234",
        "NVML does not know GPU-12: Not Found",
    ]


def test_this_process_is_found_by_its_pid(nvml: Any) -> None:
    nvml.says("process 77 9000", "process self 3000")
    assert nvml.told("show(vars(card.memory_of()))") == {"value": 3000, "absent": None}


@pytest.mark.parametrize(
    ("processes", "reason"),
    [
        (("process 77 9000",), "only 77, as the host counts them: a private pid namespace"),
        ((), "nobody at all: a private pid namespace"),
        (("process self -1",), "without its memory (N/A)"),
    ],
)
def test_a_process_that_is_not_found_has_no_memory_and_not_zero(nvml: Any, processes: Any, reason: str) -> None:
    nvml.says(*processes)
    found = nvml.told("show(vars(card.memory_of()))")
    assert found["value"] is None
    assert reason in found["absent"]


def test_energy_is_told_in_joules_and_grows(nvml: Any) -> None:
    nvml.says("watts 200", "refresh 10")
    program = "import time\nbefore = card.joules().value; time.sleep(0.5); show(card.joules().value - before)"
    assert 90 < nvml.told(program) < 200  # 100 J, and the time that a busy machine takes to wake up


def test_what_holds_the_clocks_is_named(nvml: Any) -> None:
    nvml.says(f"throttle {0x4 | 0x40 | 0x400}")
    assert nvml.told("show(card.throttled().value)") == ["SW power cap", "HW thermal slowdown", "unknown reason 0x400"]


def test_an_older_driver_knows_it_by_its_older_name(nvml: Any) -> None:
    nvml.says("throttle 1", "error nvmlDeviceGetCurrentClocksEventReasons 13")
    assert nvml.told("show(card.throttled().value)") == ["idle"]


def test_heat_breaks_a_round_but_a_power_cap_and_a_setting_do_not() -> None:
    assert set(THROTTLE_NAMES.values()) > BREAKING
    assert not BREAKING & {"SW power cap", "idle", "application clocks", "display clock setting"}


def test_what_is_not_supported_is_absent(nvml: Any) -> None:
    nvml.says("error nvmlDeviceGetTemperature 3", "error nvmlDeviceGetTotalEnergyConsumption 3")
    assert nvml.told("show([card.temperature().absent, card.joules().absent, card.clocks().absent])") == [
        "NVML gives no temperature of this device: Not Supported",
        "NVML gives no energy of this device: Not Supported",
        None,
    ]


def test_a_lost_card_is_one_line(nvml: Any) -> None:
    nvml.says("error nvmlDeviceGetMemoryInfo 15")
    assert nvml.told("show(card.memory().absent)") == "NVML gives no memory of this device: GPU is lost"


def test_a_part_of_a_card_has_the_whole_cards_clocks_and_no_energy(nvml: Any) -> None:
    nvml.says("uuid MIG-55", "mig 1", "sm 1200")
    found = nvml.told(
        "card = Card.open('55')\nshow([card.uuid, card.is_part, card.mig().value, card.clocks().value.sm, "
        "card.joules().absent])"
    )
    assert found == ["MIG-55", True, True, 1200, "NVML gives no energy of this device: Not Supported"]


def test_a_card_is_read_without_torch() -> None:
    program = "import sys, harness.measure.nvml\nprint('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"


def test_a_card_without_torch_is_the_first_and_says_its_name_and_persistence(nvml: Any) -> None:
    nvml.says("name Orin", "persistence 0")
    program = (
        "from harness.measure.nvml import first_card\ncard = first_card()\n"
        "show([card.uuid, card.name().value, card.persistence().value])"
    )
    assert nvml.told(program) == ["GPU-1234", "Orin", False]
    nvml.says("error nvmlDeviceGetHandleByIndex_v2 15")
    assert nvml.told("from harness.measure.nvml import first_card\nshow(first_card().absent)").endswith("GPU is lost")
