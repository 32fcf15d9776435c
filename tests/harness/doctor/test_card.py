"""A card as NVML might tell it. Fake: the card (through NVML itself: tests/harness/measure/test_nvml.py)."""

from __future__ import annotations

from typing import Any

import pytest

from harness.doctor import card
from harness.measure.nvml import Card, Clocks, Memory, Power, Process, Reading


class FakeCard(Card):
    """A card that says what a test wants; what is left out is as it should be."""

    def __init__(self, **says: Any) -> None:
        super().__init__("GPU-1", says.pop("absent", None))
        object.__setattr__(self, "says", says)

    def _ask(self, what: str, question: Any) -> Reading[Any]:
        usual = {
            "name": "H100",
            "memory": Memory(1 << 30, 80 << 30),
            "processes": (),
            "persistence mode": True,
            "power limit": Power(700, 700),
            "MIG mode": False,
            "clocks": Clocks(1980, 2619, 1980, 2619),
            "throttle reasons": (),
            "temperature": 40,
            "energy": 1.5e6,
        }
        value = (usual | self.says)[what]  # type: ignore[attr-defined]
        return Reading(None, f"NVML gives no {what}") if value is None else Reading(value)


@pytest.mark.parametrize(
    ("says", "line", "status", "said"),
    [
        ({}, "memory", "ok", "H100: 84.8 of 85.9 GB free"),
        ({}, "others on it", "ok", "nobody"),
        ({"processes": (Process(7, 2_000_000_000), Process(8, None))}, "others on it", "warning", "7 (2.0 GB), 8"),
        ({"persistence mode": False}, "persistence", "warning", "loaded anew"),
        ({"persistence mode": None}, "persistence", "not here", "NVML gives no persistence mode"),
        ({"power limit": Power(350, 700)}, "power, MIG", "warning", "capped at 350 W of 700 W"),
        ({"MIG mode": True}, "power, MIG", "warning", "divided into parts"),
        ({"throttle reasons": ("HW thermal slowdown",)}, "clocks", "warning", "held down by HW thermal slowdown"),
        ({"throttle reasons": ("idle",)}, "clocks", "ok", "held down by idle"),
        ({"clocks": None}, "clocks", "warning", "NVML gives no clocks"),
        ({"energy": None}, "energy counter", "not here", "joules will be absent"),
        ({"memory": None}, "memory", "warning", "NVML gives no memory"),
        ({"absent": "NVML does not know GPU-1"}, "card", "warning", "does not know"),
    ],
)
def test_a_card(says: Any, line: str, status: str, said: str) -> None:
    found = {one.name: one for one in card.examined(FakeCard(**says))}
    assert (found[line].status, said in found[line].found) == (status, True), found[line]
