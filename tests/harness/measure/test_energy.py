"""The energy counter: by the card's UUID, in joules, and with a reason where there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest
import torch

from harness.measure.energy import energy_counter

CARD = torch.device("cuda:0")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A card that torch knows by its UUID; the handles that NVML is asked for."""
    handles: list[str] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12ab-34"))
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: handles.append(uuid) or uuid)
    return handles


def test_a_cpu_has_no_counter() -> None:
    assert "no GPU" in str(energy_counter(torch.device("cpu")).absent)


def test_a_cards_counter_is_read_in_joules(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: 123_456)
    counter = energy_counter(CARD)
    assert counter.absent is None
    assert counter.joules() == 123.456
    assert asked == ["GPU-12ab-34"]


def test_a_card_without_one_says_so(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: object) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    assert "no energy counter of this device: Not Supported" in str(energy_counter(CARD).absent)
