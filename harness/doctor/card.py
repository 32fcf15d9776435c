"""An NVIDIA card as timings need it: alone on it, cool, at its full power, its energy counted. Through NVML, no torch.

list(examined(Card.open("GPU-…")))
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.measure.card_state import setting_of, state_of
from harness.measure.nvml import BREAKING, Card

AREA = "GPU"


def driver(found: object) -> Finding:
    """The driver as image.node_driver() tells it: a Driver, or in words why there is none."""
    from harness.image import Driver

    if not isinstance(found, Driver):
        return Finding(AREA, "driver", "not here", f"{found}: models run on the CPU")
    cards = f"{found.cards} card" + ("" if found.cards == 1 else "s")
    cuda = ".".join(map(str, found.cuda))
    return Finding(AREA, "driver", "ok", f"{found.version}, for CUDA up to {cuda}; {cards}")


def examined(card: Card) -> Iterator[Finding]:
    """A line each for memory, company, settings, clocks and the energy counter."""
    if card.absent is not None:
        remedy = "memory, energy and clocks will be absent, with this reason; does nvidia-smi work here?"
        yield Finding(AREA, "card", "warning", card.absent, remedy)
        return
    yield _memory(card)
    yield _company(card)
    yield _persistence(card)
    yield _setting(card)
    yield _clocks(card)
    yield _energy(card)


def _memory(card: Card) -> Finding:
    name, memory = card.name().value or "card", card.memory()
    if memory.value is None:
        return Finding(AREA, "memory", "warning", str(memory.absent), "peak memory will be absent, with this reason")
    free = memory.value.total - memory.value.used
    told = f"{name}: {free / 1e9:.1f} of {memory.value.total / 1e9:.1f} GB free"
    return Finding(AREA, "memory", "ok", told)


def _company(card: Card) -> Finding:
    """Ours ended before this is asked: whoever is there is somebody else."""
    found = card.processes()
    if found.value is None:
        return Finding(AREA, "others on it", "warning", str(found.absent), "look at nvidia-smi before timing")
    if not found.value:
        return Finding(AREA, "others on it", "ok", "nobody")
    pids = ", ".join(
        f"{one.pid}" + ("" if one.used is None else f" ({one.used / 1e9:.1f} GB)") for one in found.value[:6]
    )
    remedy = "end them, or take another card (CUDA_VISIBLE_DEVICES): rounds beside them are left out"
    return Finding(AREA, "others on it", "warning", f"{len(found.value)} by pid: {pids}", remedy)


def _persistence(card: Card) -> Finding:
    mode = card.persistence()
    if mode.value is None:
        return Finding(AREA, "persistence", "not here", str(mode.absent))
    if mode.value:
        return Finding(AREA, "persistence", "ok", "on: the driver stays loaded")
    remedy = "sudo nvidia-smi -pm 1 (cold starts are seconds longer without)"
    return Finding(AREA, "persistence", "warning", "off: the driver is loaded anew by every process", remedy)


def _setting(card: Card) -> Finding:
    setting = setting_of(card)
    if setting.notes:
        remedy = "nothing is wrong; compare with runs of the same setting only (nvidia-smi -q -d POWER)"
        return Finding(AREA, "power, MIG", "warning", "; ".join(setting.notes), remedy)
    if setting.power_limit_w is None:
        return Finding(AREA, "power, MIG", "not here", str(card.power().absent))
    return Finding(AREA, "power, MIG", "ok", f"{setting.power_limit_w:g} W, as shipped; not divided")


def _clocks(card: Card) -> Finding:
    state, most = state_of(card), setting_of(card).sm_max_mhz
    if state.sm_mhz is None:
        return Finding(AREA, "clocks", "warning", "; ".join(state.absent), "a clock that drops will not be noticed")
    heat = "" if state.temperature_c is None else f", {state.temperature_c} °C"
    held = f", held down by {', '.join(state.throttled)}" if state.throttled else ""
    words = f"SM {state.sm_mhz} of {most} MHz{heat}{held}"
    if faults := BREAKING & {*state.throttled}:
        remedy = f"cool the card, look at its supply: rounds under {', '.join(sorted(faults))} are left out"
        return Finding(AREA, "clocks", "warning", words, remedy)
    return Finding(AREA, "clocks", "ok", words)


def _energy(card: Card) -> Finding:
    joules = card.joules()
    if joules.value is None:
        return Finding(AREA, "energy counter", "not here", f"{joules.absent}: joules will be absent, with this reason")
    return Finding(AREA, "energy counter", "ok", f"{joules.value / 1e6:.2f} MJ since the driver was loaded")
