"""One NVIDIA card through NVML. Every answer is a value with its unit, or the reason why there is none.

    card = card_of(torch.device("cuda:0"))        # or Card.open("GPU-…"), without torch
    card.memory().value                           # Memory(used=…, total=…) in bytes, or None
    card.joules().absent                          # "NVML gives no energy of this device: Not Supported", or None

A card is known by its UUID: NVML counts cards by their place on the bus, CUDA only those that it is shown. On a part of
a card (MIG) memory and processes are the part's own; clocks, throttling, temperature and power are the whole card's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.errors import oneline

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

# NVML's bits for why clocks are not at their highest (nvml.h, nvmlClocksEventReason…), in the order they are told.
THROTTLE_NAMES = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "SW power cap",
    0x8: "HW slowdown",
    0x10: "sync boost",
    0x20: "SW thermal slowdown",
    0x40: "HW thermal slowdown",
    0x80: "HW power brake",
    0x100: "display clock setting",
    0x200: "board limit",
}
# Those that make a round another card's round: heat, a failing supply, or a neighbour's clocks. The power cap is how a
# card is specified (dense work on an H100 meets it all day), and the others are settings.
BREAKING = frozenset(
    ("HW slowdown", "sync boost", "SW thermal slowdown", "HW thermal slowdown", "HW power brake", "board limit")
)


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What NVML said, or `absent`: why it said nothing, in one line."""

    value: T | None
    absent: str | None = None


@dataclass(frozen=True)
class Memory:
    """Bytes of the device, of all processes together."""

    used: int
    total: int


@dataclass(frozen=True)
class Process:
    """A compute process on the device, by the pid that NVML knows it by (the host's); bytes where NVML tells them."""

    pid: int
    used: int | None


@dataclass(frozen=True)
class Clocks:
    """MHz, now and at most."""

    sm: int
    memory: int
    sm_max: int
    memory_max: int


@dataclass(frozen=True)
class Power:
    """Watts that the card may draw, as set and as shipped."""

    limit: float
    default: float


@dataclass(frozen=True)
class Card:
    """A device that NVML knows by `uuid`, or `absent`: why it does not."""

    uuid: str
    absent: str | None = None
    _handle: Any = None  # the device, or the part of one
    _whole: Any = None  # the card that it is, or is a part of

    @classmethod
    def open(cls, uuid: str) -> Card:
        """The card of a UUID, with or without its GPU- or MIG- (torch leaves it off). Never raises."""
        import pynvml

        prefixed = uuid.startswith(("GPU-", "MIG-"))
        fault = ""
        for name in (uuid,) if prefixed else (f"GPU-{uuid}", f"MIG-{uuid}"):
            try:
                pynvml.nvmlInit()
                handle = pynvml.nvmlDeviceGetHandleByUUID(name)
                is_part = name.startswith("MIG-")
                whole = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle) if is_part else handle
                return cls(name, None, handle, whole)
            except pynvml.NVMLError as error:
                fault = fault or f"NVML does not know {oneline(name, 60)}: {error}"
        return cls(uuid, fault)

    @property
    def is_part(self) -> bool:
        """Is it a part of a card (MIG)?"""
        return self.uuid.startswith("MIG-")

    def memory(self) -> Reading[Memory]:
        """Bytes in use by everybody, and in all. What the driver keeps for itself counts as used."""

        def ask(nvml: Any) -> Memory:
            found = nvml.nvmlDeviceGetMemoryInfo(self._handle)
            return Memory(int(found.used), int(found.total))

        return self._ask("memory", ask)

    def processes(self) -> Reading[tuple[Process, ...]]:
        """Every compute process on the device."""

        def ask(nvml: Any) -> tuple[Process, ...]:
            found = nvml.nvmlDeviceGetComputeRunningProcesses_v3(self._handle)
            return tuple(
                Process(int(one.pid), None if one.usedGpuMemory is None else int(one.usedGpuMemory)) for one in found
            )

        return self._ask("processes", ask)

    def memory_of(self, pid: int | None = None) -> Reading[int]:
        """Bytes of one process (None: this one), CUDA context included.

        Absent where NVML lists no such pid: in a private pid namespace it lists the host's, and ours is none of them.
        """
        pid = os.getpid() if pid is None else pid
        listed = self.processes()
        if listed.value is None:
            return Reading(None, listed.absent)
        found = [one.used for one in listed.value if one.pid == pid]
        if not found:
            pids = ", ".join(str(one.pid) for one in listed.value[:8])
            others = f"only {pids}, as the host counts them" if pids else "nobody at all"
            return Reading(None, f"NVML lists no process {pid} on the device, {others}: a private pid namespace")
        if any(used is None for used in found):
            return Reading(None, f"NVML lists process {pid} without its memory (N/A)")
        return Reading(sum(used for used in found if used is not None))  # a process of several parts has several lines

    def joules(self) -> Reading[float]:
        """Energy since the driver was loaded, of the whole card; a part of a card has no counter."""
        return self._ask("energy", lambda nvml: nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3)

    def clocks(self) -> Reading[Clocks]:
        """Of the streaming multiprocessors and of the memory."""

        def ask(nvml: Any) -> Clocks:
            sm, memory = nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM
            sm_now, memory_now = (int(nvml.nvmlDeviceGetClockInfo(self._whole, kind)) for kind in (sm, memory))
            return Clocks(sm_now, memory_now, *self._max_clocks)

        return self._ask("clocks", ask)

    def throttled(self) -> Reading[tuple[str, ...]]:
        """Names of what holds the clocks down at this moment; those in BREAKING are faults."""

        def ask(nvml: Any) -> tuple[str, ...]:
            try:
                bits = int(nvml.nvmlDeviceGetCurrentClocksEventReasons(self._whole))
            except nvml.NVMLError_FunctionNotFound:  # drivers before 535 know it by its older name only
                bits = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._whole))
            unknown = bits & ~sum(THROTTLE_NAMES)
            named = [name for bit, name in THROTTLE_NAMES.items() if bits & bit]
            return (*named, *([f"unknown reason {unknown:#x}"] if unknown else ()))

        return self._ask("throttle reasons", ask)

    def temperature(self) -> Reading[int]:
        """Degrees Celsius of the chip."""
        return self._ask(
            "temperature", lambda nvml: int(nvml.nvmlDeviceGetTemperature(self._whole, nvml.NVML_TEMPERATURE_GPU))
        )

    def power(self) -> Reading[Power]:
        """What the card may draw."""

        def ask(nvml: Any) -> Power:
            limit = nvml.nvmlDeviceGetPowerManagementLimit(self._whole) / 1e3
            return Power(limit, nvml.nvmlDeviceGetPowerManagementDefaultLimit(self._whole) / 1e3)

        return self._ask("power limit", ask)

    def mig(self) -> Reading[bool]:
        """Is the card divided into parts?"""
        return self._ask("MIG mode", lambda nvml: bool(nvml.nvmlDeviceGetMigMode(self._whole)[0]))

    def name(self) -> Reading[str]:
        """What the vendor calls the card."""
        return self._ask("name", lambda nvml: str(nvml.nvmlDeviceGetName(self._whole)))

    def persistence(self) -> Reading[bool]:
        """Does the driver stay loaded while no process uses the card?"""
        return self._ask("persistence mode", lambda nvml: bool(nvml.nvmlDeviceGetPersistenceMode(self._whole)))

    def driver(self) -> Reading[str]:
        """The driver's version."""
        return self._ask("driver version", lambda nvml: str(nvml.nvmlSystemGetDriverVersion()))

    @cached_property
    def _max_clocks(self) -> tuple[int, int]:
        import pynvml

        kinds = (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM)
        sm, memory = (int(pynvml.nvmlDeviceGetMaxClockInfo(self._whole, kind)) for kind in kinds)
        return sm, memory

    def _ask(self, what: str, question: Callable[[Any], T]) -> Reading[T]:
        if self.absent is not None:
            return Reading(None, self.absent)
        import pynvml

        try:
            return Reading(question(pynvml))
        except pynvml.NVMLError as error:
            return Reading(None, f"NVML gives no {what} of this device: {oneline(error, 200)}")


def first_card() -> Card:
    """The first card on the bus, for those who have no torch to ask; an absent one where there is none."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return Card.open(str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0))))
    except pynvml.NVMLError as error:
        return Card("", f"NVML names no card: {oneline(error, 200)}")


def card_of(device: torch.device) -> Card:
    """The card of a CUDA device, by the UUID that torch tells; of any other device, an absent one."""
    if device.type != "cuda":
        return Card("", f"no GPU: NVML knows NVIDIA's cards, not a {device.type.upper()}")
    import torch

    return Card.open(str(torch.cuda.get_device_properties(device).uuid))
