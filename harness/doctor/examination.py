"""All checks, in the order in which they are told. The probes run beside the others, which wait for nothing.

examine(Asked(pair="tiny", cache="/scratch/artifacts"))
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.doctor import card, device, libraries, machine, places
from harness.doctor.finding import Finding, guarded
from harness.doctor.probing import Probing, Told
from harness.measure.nvml import Card, first_card
from harness.measure.proc import Processor, Spent

if TYPE_CHECKING:
    from harness.image import Driver

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds that a probe may take: two as a rule, with CUDA ten, on a cold network disk a minute


@dataclass(frozen=True)
class Asked:
    """What the command line says; `options`: what chooses a pair's data, as `harness.options.open_pair` reads it."""

    pair: str | None = None
    cache: str | None = None
    results: str | None = None
    random: bool = False
    options: Any = None


def examine(asked: Asked) -> list[Finding]:
    """Every finding. Raises nothing that a check can cause."""
    began, spent = time.monotonic(), _spent()
    found: list[Finding] = []

    def add(area: str, name: str, check: Callable[[], Finding | Iterable[Finding]]) -> None:
        found.extend(guarded(area, name, check))

    asked_python, requirements = _requirements(found)
    on_device = _probe(found, "device")
    light = [one.module for one in requirements if one.name not in libraries.LATER]
    on_libraries = _probe(found, "libraries", *light)
    usable = _usable()
    of_machine: list[Finding] = []
    for area, name, check in _of_machine(usable):  # read before the probes make it busy
        of_machine.extend(guarded(area, name, check))
    # What waits for no probe is done while they run: with a pair it takes as long as they do.
    seen = _driver()
    of_pair: list[Finding] = []
    pair, needed = _opened(asked, of_pair) if asked.pair else (None, None)
    cache = Path(asked.cache or os.environ.get("FIRSTSIGHT_CACHE") or ROOT / "artifacts")
    results = Path(asked.results or os.environ.get("FIRSTSIGHT_RESULTS") or ROOT / "results")
    of_places: list[Finding] = []
    for area, name, check in _of_places(cache, results, needed):
        of_places.extend(guarded(area, name, check))
    told, read = (_told(probe) for probe in (on_device, on_libraries))

    add(libraries.AREA, "Python", lambda: libraries.python(sys.version_info[:3], asked_python))
    add(libraries.AREA, "dependencies", lambda: libraries.dependencies(requirements, read))
    add(libraries.AREA, "video", lambda: libraries.video(read))
    ranges = libraries.versions(requirements)
    add(device.AREA, "torch", lambda: device.torch(told, ranges.get("torch", "torch")))
    add(device.AREA, "models run on", lambda: device.device(told, seen))
    add(device.AREA, "int8, nf4", lambda: device.formats(told))
    add(card.AREA, "driver", lambda: card.driver(seen))
    if not isinstance(seen, str) and seen.cards:
        add(card.AREA, "card", lambda: card.examined(_card(told)))
    add("image", "image", _image)
    found.extend(of_machine)
    if spent is not None:
        seconds, now = time.monotonic() - began, _spent()
        if now is not None:
            add(machine.AREA, "hypervisor", lambda: machine.stolen(spent, now, seconds, usable))
    found.extend(of_places)
    found.extend(of_pair)
    if pair is not None:
        add("pair", asked.pair or "pair", lambda: _of_pair(pair, told, asked.random))
    return found


def _requirements(found: list[Finding]) -> tuple[str, list[libraries.Requirement]]:
    try:
        return libraries.asked_of(ROOT)
    except (OSError, ValueError, LookupError, ImportError) as error:
        said = f"{type(error).__name__}: {error}"
        remedy = "run it from a checkout, or install the package: pip install -e ."
        found.append(Finding(libraries.AREA, "pyproject.toml", "warning", f"cannot be read: {said}", remedy))
        return ">=3.11", []


def _probe(found: list[Finding], *arguments: str) -> Probing | None:
    try:
        return Probing.start(*arguments)
    except OSError as error:
        remedy = "is there memory, and may this user start processes (ulimit -u)?"
        found.append(Finding(device.AREA, "processes", "will not work", f"none can be started: {error}", remedy))
        return None


def _told(probe: Probing | None) -> Told:
    return Told({}, "no process could be started") if probe is None else probe.told(PATIENCE)


def _of_machine(usable: int) -> Iterable[tuple[str, str, Callable[[], Finding | Iterable[Finding]]]]:
    area, allowed = machine.AREA, machine.limits()
    cores = os.cpu_count() or usable
    yield area, "load", lambda: machine.load(usable)
    yield area, "CPU", lambda: machine.processor(_cpu_name(), cores, usable, allowed)
    yield area, "threads", lambda: machine.threads(usable)
    yield area, "memory", lambda: machine.memory(allowed)


def _of_places(
    cache: Path, results: Path, needed: int | None
) -> Iterable[tuple[str, str, Callable[[], Finding | Iterable[Finding]]]]:
    where = "--results DIR or $FIRSTSIGHT_RESULTS"
    yield (
        places.AREA,
        "cache",
        lambda: places.folder("cache", cache, "--cache DIR or $FIRSTSIGHT_CACHE", needed),
    )
    yield places.AREA, "results", lambda: places.folder("results", results, where)
    yield places.TOOLS, "commit", _commit
    yield places.TOOLS, "chromium", places.browser
    yield places.TOOLS, "cluster", places.cluster


def _usable() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_name() -> str:
    lines = machine.PROC.joinpath("cpuinfo").read_text(errors="replace").splitlines()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _spent() -> Spent | None:
    try:
        return Processor().spent()
    except (OSError, ValueError, LookupError):  # no /proc, or another's: nothing is told of a hypervisor
        return None


def _driver() -> Driver | str:
    try:
        from harness.image import node_driver

        return node_driver()
    except ImportError as error:
        return f"NVML cannot be asked ({type(error).__name__}: {error})"


def _card(told: Told) -> Card:
    """The card that torch computes on, else the first."""
    uuid = told.steps.get("device", {}).get("uuid")
    return Card.open(str(uuid)) if uuid else first_card()


def _image() -> Iterable[Finding]:
    """In an image of ours: does it fit this node, and can records name it?"""
    from harness.image import ROOT as CODE
    from harness.image import built_as, check_start, require_sha256

    variant = built_as(CODE)
    if variant is None:
        return
    check_start()
    require_sha256()
    yield Finding("image", "image", "ok", f"variant {variant}, and records can name it")


def _commit() -> Finding:
    from harness.gate.commit import commit_of

    return places.git(commit_of(ROOT), shutil.which("git") is not None)


def _opened(asked: Asked, found: list[Finding]) -> tuple[Any, int | None]:
    """The pair and the bytes that its artifacts take; None where it cannot be opened, which is told."""
    kept: list[Any] = []

    def opened() -> Finding:
        from harness.options import open_pair

        pair = open_pair(asked.options)
        kept.append(pair)
        return Finding("pair", "pair file", "ok", f"{pair.name}: {pair.description}")

    found.extend(guarded("pair", "pair file", opened))
    if not kept:
        return None, None
    sizes: list[int] = []

    def counted() -> list[Finding]:
        from harness.doctor.of_pair import disk_of

        sizes.append(disk_of(kept[0]))
        return []

    refused = guarded("pair", "disk", counted)
    # What cannot be counted for want of weights or libraries is told by the lines that follow, of the same shapes.
    found.extend(one for one in refused if one.found.startswith("the check itself failed"))
    return kept[0], sizes[0] if sizes else None


def _of_pair(pair: Any, told: Told, random: bool) -> Iterable[Finding]:
    from harness.doctor.of_pair import Room, of_pair

    seen = told.steps.get("device", {})
    if seen.get("kind") == "cuda":
        return of_pair(pair, Room(int(seen["free"]), is_card=True), random=random)
    import psutil

    return of_pair(pair, Room(int(psutil.virtual_memory().available), is_card=False), random=random)
