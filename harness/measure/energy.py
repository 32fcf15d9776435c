"""Energy that a GPU has used, from its own counter: the difference of two readings, never polled power.

    counter = energy_counter(torch.device("cuda:0"))
    before = counter.joules()
    ...
    counter.joules() - before

A device without such a counter is told by its reason; the counter counts the whole card since its driver was loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

ENERGY_HOW = "NVML total energy of the whole card, difference from the phase's begin to its end"


@dataclass(frozen=True)
class EnergyCounter:
    """A card's counter, or `absent`: why there is none."""

    absent: str | None = None
    _nvml: Any = None
    _handle: Any = None

    def joules(self) -> float:
        """Since the driver was loaded. Only for a counter that is not absent."""
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3  # it counts millijoules


def energy_counter(device: torch.device) -> EnergyCounter:
    """The counter of a CUDA device, by its UUID: NVML counts cards by their place on the bus, CUDA those it is shown.

    A part of a card (MIG) has no counter of its own, and cards before Volta have none.
    """
    if device.type != "cuda":
        return EnergyCounter(f"no GPU: NVML counts the energy of NVIDIA's cards, not of a {device.type.upper()}")
    import pynvml

    uuid = str(torch.cuda.get_device_properties(device).uuid)
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        return EnergyCounter(f"NVML has no energy counter of this device: {error}")
    return EnergyCounter(None, pynvml, handle)
