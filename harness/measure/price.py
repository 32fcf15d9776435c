"""What a phase of a distillation costs: seconds, peak memory, joules, and how much of the device it used.

    with priced(device) as price:
        ...
    meta["price"] = {"train": priced_json(price, tokens=tokens, flops=flops, ceiling=matmul_ceiling(device, dtype))}

Phases may lie within each other. A price can be read while its phase still runs: what a checkpoint keeps, and hands to
`priced_json` as `before` when the phase is taken up again. A number that cannot be had is absent with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness.measure.ceilings import Ceiling
from harness.measure.energy import ENERGY_HOW, EnergyCounter, energy_counter
from harness.measure.timing import synchronise
from harness.record import JSON, Measurement

CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESIDENT = "resident memory of the whole process, libraries included (Linux VmHWM, reset when the phase began)"
ALLOCATED = "torch's CUDA allocator: most bytes allocated at once since the phase began, without the CUDA context"


@dataclass
class Price:
    """Filled while a phase runs, as of the last `read`. `processes`: of one training, each with a device of its own."""

    device: torch.device
    processes: int = 1
    seconds: float = 0.0
    peak_bytes: int | None = None
    joules: float | None = None
    absent: dict[str, str] = field(default_factory=dict)
    _running: _Running | None = field(default=None, repr=False)

    @property
    def peak_how(self) -> str:
        return ALLOCATED if self.device.type == "cuda" else RESIDENT

    def read(self) -> None:
        """Bring the numbers up to now, if the phase still runs."""
        if self._running is not None:
            self._running.read()


@dataclass
class _Running:
    """A phase that has not ended."""

    price: Price
    energy: EnergyCounter
    began: float
    joules: float | None

    def read(self) -> None:
        synchronise(self.price.device)
        self.price.seconds = time.perf_counter() - self.began
        if self.joules is not None:
            self.price.joules = self.energy.joules() - self.joules
        _note_peak(self.price.device)


_running: list[_Running] = []  # innermost last; peaks are the process's own, so a phase's reset is told to all others


@contextmanager
def priced(device: torch.device) -> Iterator[Price]:
    """Price what runs inside. An exception leaves the price of what ran until then."""
    if str(device) == "cuda":  # of no index: the current one, by which phases within each other know their device
        device = torch.device("cuda", torch.cuda.current_device())
    price = Price(device, _processes())
    energy = energy_counter(device)
    absent = energy.absent
    if price.processes > 1 and absent is None:
        absent = f"one card was read, {price.processes} were held"
    if absent is not None:
        price.absent["joules"] = absent
    synchronise(device)
    _note_peak(device)
    if (reason := _reset_peak(device)) is not None:
        price.absent["peak_bytes"] = reason
    phase = _Running(price, energy, time.perf_counter(), energy.joules() if absent is None else None)
    price._running = phase
    _running.append(phase)
    try:
        yield price
    finally:
        phase.read()
        price._running = None
        _running.remove(phase)


def priced_json(
    price: Price, *, tokens: int, flops: int | None, ceiling: Ceiling | None, before: Mapping[str, Any] | None = None
) -> dict[str, JSON]:
    """The price as plain JSON; `tokens` and `flops` are of all processes, the ceiling of one device.

    `before`: the same of an interrupted run of this phase, which is added (its peak: the larger of both counts).
    """
    price.read()
    told = _Told()
    cuda = price.device.type == "cuda"
    told.add("seconds", price.seconds, "", before)
    held = price.seconds * price.processes if cuda else None
    told.add("device_seconds", held, "no GPU was held", before)
    told.add("tokens", tokens, "", before)
    told.add("flops", flops, "floating-point operations were not counted", before)
    told.add("joules", price.joules, price.absent.get("joules", ""), before)
    told.add("peak_bytes", price.peak_bytes, price.absent.get("peak_bytes", ""), before, largest=True)
    told.ratio("tokens_per_second", "tokens", "seconds")
    told.ratio("flops_per_second", "flops", "seconds")
    told.ratio("joules_per_token", "joules", "tokens")
    best = None if ceiling is None else ceiling.flops_per_second * price.processes
    told.add("ceiling_flops_per_second", best, "no ceiling of the device was measured")
    told.ratio("mfu", "flops_per_second", "ceiling_flops_per_second")
    if ceiling is not None:
        times = f", times {price.processes} devices" if price.processes > 1 else ""
        told.found["ceiling_how"] = ceiling.how + times
    if "peak_bytes" in told.found:
        told.found["peak_how"] = price.peak_how
    return {**told.found, "absent": dict(told.absent)}


def joined_json(prices: Sequence[Mapping[str, Any]]) -> dict[str, JSON]:
    """Of a phase that several jobs shared: what they took together, the largest peak, the first one's ceiling."""
    told = _Told()
    for name in ("seconds", "device_seconds", "tokens", "flops", "joules", "peak_bytes"):
        lacking = next((one for one in prices if one.get(name) is None), None)
        if lacking is not None:
            told.add(name, None, str(lacking.get("absent", {}).get(name, "not told")))
        else:
            told.add(name, (max if name == "peak_bytes" else sum)(one[name] for one in prices), "")
    told.ratio("tokens_per_second", "tokens", "seconds")
    told.ratio("flops_per_second", "flops", "seconds")
    told.ratio("joules_per_token", "joules", "tokens")
    first = prices[0]
    told.add("ceiling_flops_per_second", first.get("ceiling_flops_per_second"), "no ceiling of the device was measured")
    told.ratio("mfu", "flops_per_second", "ceiling_flops_per_second")
    words = {name: first[name] for name in ("ceiling_how", "peak_how") if name in first}
    return {**told.found, **words, "absent": dict(told.absent)}


class _Told:
    """Numbers that are there, and why the others are not."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.absent: dict[str, str] = {}

    def add(
        self,
        name: str,
        value: float | None,
        reason: str,
        before: Mapping[str, Any] | None = None,
        *,
        largest: bool = False,
    ) -> None:
        if value is not None and before:
            earlier = before.get(name)
            if earlier is None:
                value, reason = None, f"the interrupted run has none: {before.get('absent', {}).get(name, 'not told')}"
            else:
                value = max(value, earlier) if largest else value + earlier
        if value is None:
            self.absent[name] = reason or "not measured"
        else:
            self.found[name] = value

    def ratio(self, name: str, over: str, under: str) -> None:
        lacking = next((part for part in (over, under) if part not in self.found), None)
        if lacking is not None:
            self.absent[name] = self.absent[lacking]
        elif not self.found[under]:
            self.absent[name] = f"there were no {under.replace('_', ' ')}"
        else:
            self.found[name] = self.found[over] / self.found[under]


def _processes() -> int:
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if there else 1


def _reset_peak(device: torch.device) -> str | None:
    """Let the peak begin anew; the reason where the system does not let us."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return None
    try:
        CLEAR.write_text("5")  # VmHWM is then what is resident now
        _peak(device)
    except OSError as error:
        return f"the peak of resident memory cannot be had here: {error.filename}: {error.strerror}"
    except LookupError:
        return f"the peak of resident memory cannot be had here: {STATUS} has no VmHWM"
    return None


def _note_peak(device: torch.device) -> None:
    """Give the peak so far to every phase that runs on this device."""
    phases = [phase.price for phase in _running if phase.price.device == device]
    for price in (one for one in phases if "peak_bytes" not in one.absent):
        price.peak_bytes = max(price.peak_bytes or 0, _peak(device))


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024


# --- what the suite records ------------------------------------------------------------------------

PHASES = {"targets": "the teacher's answers and states", "features": "frozen features", "train": "training"}
NEEDED = ("targets", "train")  # features are kept only where the tower is frozen
PRICED = {  # metric: phase (None: the sum of all), key of its price, unit, size of a unit, more is better
    "distil_seconds": (None, "seconds", "s", 1.0, False),
    "joules": (None, "joules", "J", 1.0, False),
    "tokens_per_second": ("train", "tokens_per_second", "tokens/s", 1.0, True),
    "mfu": ("train", "mfu", "1", 1.0, True),
    "peak_training_memory": ("train", "peak_bytes", "MB", 1e6, False),
    "peak_teacher_memory": ("targets", "peak_bytes", "MB", 1e6, False),
}
LEARNT = {  # metric: key of `held_out` (of the curve's points: val_key), unit, more is better, how
    "held_out_kl": ("kl", "nats/token", False, "KL from the teacher at T = 1 along its answers"),
    "top1_agreement": ("token_agreement", "1", True, "answer tokens whose top-1 is the teacher's, teacher-forced"),
    "free_running_agreement": ("free_agreement", "1", True, "greedy answers that are the teacher's, token by token"),
}


def measurements(meta: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """A trained student's price and what it learnt, as its artifact tells; what an older one does not is absent."""
    prices, best, found = meta.get("price") or {}, meta.get("best_step"), []
    for metric, (phase, key, unit, size, more) in PRICED.items():
        parts = [name for name in PHASES if name in (*NEEDED, *prices)] if phase is None else [phase]
        lacking = next((name for name in parts if prices.get(name, {}).get(key) is None), None)
        if lacking is None:
            value = sum(prices[name][key] for name in parts) / size
            how = f"{', '.join(PHASES[name] for name in parts)}: {_how(key, prices[parts[0]])}"
            found.append(Measurement(metric, value, unit, 1, None, None, more, how))
        else:
            untold = f"the artifact tells no price of {PHASES[lacking]}: made before it was measured"
            reason = prices.get(lacking, {}).get("absent", {}).get(key, untold)
            found.append(Measurement(metric, None, unit, 0, None, None, more, "not measured", absent=str(reason)))
    points = [point for point in meta.get("curve") or () if point.get("step") == best]
    kept = meta.get("held_out") or {key.removeprefix("val_"): one for point in points for key, one in point.items()}
    for metric, (key, unit, more, how) in LEARNT.items():
        value, told = kept.get(key), f"{how}; on the held-out clips of val, at the step that was kept ({best})"
        why = None if value is not None else f"the artifact tells no {key} of the step that was kept"
        found.append(Measurement(metric, value, unit, int(value is not None), None, None, more, told, absent=why))
    return tuple(found)


def _how(key: str, price: Mapping[str, Any]) -> str:
    """In words, what a price's number is."""
    if key == "mfu":
        return f"model FLOPs a second, nothing recomputed counted, over the {price.get('ceiling_how', 'ceiling')}"
    told = {"seconds": "wall clock", "joules": ENERGY_HOW, "peak_bytes": str(price.get("peak_how"))}
    return told.get(key, "tokens of the rows learnt from, by the wall clock of the whole phase")
