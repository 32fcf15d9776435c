"""devices.yaml → the devices that times are projected to: bandwidth, rates, memory, each with its source. No torch.

    devices = load_devices()                    # or load_devices(Path("mine.yaml")), a file of one's own
    devices["h200"].least(work)                 # the roofline of some work on it, by the vendor's figures
    reported_as(devices, "NVIDIA H200")         # the device that a record was measured on

A figure of a data sheet is a peak that nothing reaches. It serves to hold two devices against each other, never as the
ceiling that a measured time is judged by: that one is measured (ceilings.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UsageError, oneline

FILE = Path(__file__).with_name("devices.yaml")
TYPES = ("fp32", "bf16", "int8")  # of matrix products
CLASSES = ("jetson", "laptop", "desktop", "server")
KEYS = (
    *("name", "class", "reported_as", "memory_gb", "shared_memory", "bandwidth_gb_s", "dense_tflops"),
    *("lacks", "note"),
)
OPTIONAL = ("lacks", "note")
MOST = 1e9  # of any figure: what is beyond it was typed in another unit


@dataclass(frozen=True)
class Figure:
    """A number of a data sheet: bytes, bytes a second or FLOP a second; `source` says which sheet."""

    value: float
    source: str


@dataclass(frozen=True)
class Work:
    """What one stage must do, a whole batch of it: bytes moved, FLOPs by the type of the product."""

    moved: int
    flops: Mapping[str, int]


@dataclass(frozen=True)
class Least:
    """The roofline's time (Williams, Waterman and Patterson 2009): max(bytes / bandwidth, Σ FLOPs / rate)."""

    seconds: float
    binds: str  # "bandwidth" or "compute"


@dataclass(frozen=True)
class Cannot:
    """Why there is no number."""

    why: str


@dataclass(frozen=True)
class Device:
    """What a vendor says of a device. `rates`: dense products by type; `lacks`: types without any, and why."""

    id: str
    name: str
    kind: str
    reported_as: tuple[str, ...]
    memory: Figure
    shared_memory: bool
    bandwidth: Figure
    rates: Mapping[str, Figure]
    lacks: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def least(self, work: Work) -> Least | Cannot:
        """The least time of some work; Cannot where it holds products of a type that the device has none of."""
        for kind, count in work.flops.items():
            if count and kind not in self.rates:
                return Cannot(f"no products of {kind}: {self.lacks.get(kind, 'its rate is not known')}")
        moving = work.moved / self.bandwidth.value
        computing = sum(count / self.rates[kind].value for kind, count in work.flops.items() if count)
        return Least(max(moving, computing), "bandwidth" if moving >= computing else "compute")


def load_devices(path: Path = FILE) -> dict[str, Device]:
    """Every device of a file by its id, in the file's order. UsageError in one line, with the path of the key."""
    shown = oneline(path if path != FILE else "harness/measure/devices.yaml", 120)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{shown}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that is none is a ValueError
        raise UsageError(f"{shown}: not YAML: {oneline(error, 100)}") from None
    return devices_from(raw, shown)


def devices_from(raw: object, shown: str) -> dict[str, Device]:
    """The devices in what YAML holds. UsageError as `load_devices`."""
    if not isinstance(raw, dict) or not raw:
        raise UsageError(f"{shown}: must map ids to devices, as harness/measure/devices.yaml does")
    found: dict[str, Device] = {}
    for name, entry in raw.items():
        where = f"{shown}: {oneline(name, 64) if isinstance(name, str) else _told(name)}"
        if not isinstance(name, str) or re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name, re.ASCII) is None:
            raise UsageError(f"{where}: an id is of small letters, digits and hyphens")
        found[name] = _device(name, _mapping(entry, where, KEYS, OPTIONAL), where)
    names: dict[str, str] = {}
    for device in found.values():
        for one in device.reported_as:
            if one in names:
                twice = f"{names[one]} is {_told(one)} too: which of them was measured?"
                raise UsageError(f"{shown}: {device.id}.reported_as: {twice}")
            names[one] = device.id
    return found


def reported_as(devices: Mapping[str, Device], name: str) -> Device | None:
    """The device that torch calls by this name; None for one that no entry names."""
    return next((device for device in devices.values() if name in device.reported_as), None)


def _device(name: str, row: Mapping[str, Any], where: str) -> Device:
    rates = _mapping(row["dense_tflops"], f"{where}.dense_tflops", TYPES, TYPES)
    lacks = _mapping(row.get("lacks", {}), f"{where}.lacks", TYPES, TYPES)
    for kind in TYPES:
        if (kind in rates) == (kind in lacks):
            both = (
                "both a rate and lacked" if kind in rates else "neither in dense_tflops nor in lacks, with the reason"
            )
            raise UsageError(f"{where}: {kind} is {both}")
    if row["class"] not in CLASSES:
        raise UsageError(f"{where}.class: {_told(row['class'])}: one of {', '.join(CLASSES)}")
    if not isinstance(row["shared_memory"], bool):
        raise UsageError(f"{where}.shared_memory: must be true or false, not {_told(row['shared_memory'])}")
    reported = row["reported_as"]
    if not isinstance(reported, list):
        raise UsageError(f"{where}.reported_as: must be a list of names, not {_told(reported)}")
    return Device(
        id=name,
        name=_text(row["name"], f"{where}.name"),
        kind=row["class"],
        reported_as=tuple(dict.fromkeys(_text(one, f"{where}.reported_as") for one in reported)),  # twice is once
        memory=_figure(row["memory_gb"], f"{where}.memory_gb", 1e9),
        shared_memory=row["shared_memory"],
        bandwidth=_figure(row["bandwidth_gb_s"], f"{where}.bandwidth_gb_s", 1e9),
        rates={kind: _figure(one, f"{where}.dense_tflops.{kind}", 1e12) for kind, one in rates.items()},
        lacks={kind: _text(why, f"{where}.lacks.{kind}") for kind, why in lacks.items()},
        note=_text(row["note"], f"{where}.note") if "note" in row else "",
    )


def _figure(raw: object, where: str, unit: float) -> Figure:
    row = _mapping(raw, where, ("value", "source"))
    value = row["value"]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (0 < value < MOST and math.isfinite(value)):
        raise UsageError(f"{where}.value: must be a number above zero, not {_told(value)}")
    return Figure(float(value) * unit, _text(row["source"], f"{where}.source"))


def _mapping(raw: object, where: str, known: Iterable[str], optional: Iterable[str] = ()) -> Mapping[str, Any]:
    keys = tuple(known)
    if not isinstance(raw, dict):
        raise UsageError(f"{where}: must be a mapping with {', '.join(keys)}, not {_told(raw)}")
    for key in raw:
        if key not in keys:
            close = get_close_matches(key[:60], keys, n=1) if isinstance(key, str) else []
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(keys)}"
            raise UsageError(f"{where}.{oneline(key, 60) if isinstance(key, str) else _told(key)}: unknown key; {hint}")
    if missing := [key for key in keys if key not in raw and key not in optional]:
        raise UsageError(f"{where}: lacks {', '.join(missing)}")
    return raw


def _text(raw: object, where: str) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise UsageError(f"{where}: must be text that is not empty, not {_told(raw)}")
    return oneline(raw, 300)


def _told(raw: object) -> str:
    """What was found, in a few words; of a list or mapping only that it is one: it may be endless."""
    if isinstance(raw, int) and abs(raw) > 1e18:
        return "so large a number"  # Python refuses to write the largest
    return oneline(repr(raw), 40) if isinstance(raw, (str, int, float)) or raw is None else f"a {type(raw).__name__}"
