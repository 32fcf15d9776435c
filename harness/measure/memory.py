"""Peak memory by phase, in a fresh process for each variant, so that nothing is inherited.

    echo '{...}' | python -m harness.measure.memory      # what `in_fresh_process` runs: one JSON line out

On a GPU: the allocator's peak and what NVML sees of this process (or of the device, and named so, where process ids are
those of another namespace). On a CPU: resident memory (VmHWM of /proc/self/status, reset between phases), named so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ModelError, oneline
from harness.qa.items import Clip, Frames
from harness.record import Measurement

MB = 1e6
PHASES = ("libraries", "load", "prefill", "decode")


@dataclass(frozen=True)
class MemorySpec:
    """What the fresh process loads and asks. `clip` is what `write_clip` wrote."""

    variant: str
    architecture: str
    loader: str  # "module:function" of the variant's loading function, as `harness/variants.py` names it
    folder: str
    device: str
    told: dict[str, Any]  # what the pair file says of the checkpoint
    clip: str
    question: str
    new_tokens: int


def in_fresh_process(spec: MemorySpec, timeout_s: float = 1800) -> dict[str, Any]:
    """Run one request in a new interpreter and return its peaks in bytes. ModelError with its last line if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "harness.measure.memory"],
        input=json.dumps(asdict(spec)),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=Path(__file__).resolve().parents[2],
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
        raise ModelError(f"measuring the memory of {spec.variant} failed: {oneline(last)}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def write_clip(clip: Clip, path: Path) -> None:
    """A clip's frames and sound as one .npz file, for the fresh process."""
    sound = clip.sound()
    arrays: dict[str, Any] = {f"frame{at:04d}": frame for at, frame in enumerate(clip.frames())}
    if sound is not None:
        arrays["sound"] = sound
    np.savez(path, still=np.array(clip.still), **arrays)


def read_clip(path: Path) -> Clip:
    """What `write_clip` wrote."""
    held = np.load(path, allow_pickle=False)
    frames = tuple(held[name] for name in sorted(held.files) if name.startswith("frame"))
    still = bool(held["still"])
    sound = held["sound"] if "sound" in held.files else None
    shown: Frames = frames if still else np.stack(frames)
    return Clip("memory", str(path), lambda: shown, still=still, load_sound=lambda: sound)


def measurements(peaks: dict[str, Any]) -> tuple[Measurement, ...]:
    """memory_libraries, memory_load, memory_prefill, memory_decode, memory_peak and weights, in MB (10⁶ bytes)."""
    how = peaks["how"]
    found = [
        _megabytes(f"memory_{phase}", peaks["phases"][phase], f"{how}; peak during {told}")
        for phase, told in (
            ("libraries", "importing the libraries, before any weights"),
            ("load", "loading the weights"),
            ("prefill", "vision and prefill of one request"),
            ("decode", f"decoding {peaks['new_tokens'] - 1} further tokens"),
        )
    ]
    found.append(_megabytes("memory_peak", max(peaks["phases"].values()), f"{how}; the largest of all phases"))
    if "allocator" in peaks:
        found.append(_megabytes("memory_allocator", peaks["allocator"], "torch's CUDA allocator, peak of all phases"))
    found.append(
        _megabytes("weights", peaks["weights"], "bytes of every parameter and buffer as loaded, int8 scales included")
    )
    return tuple(found)


def _megabytes(metric: str, count: int, how: str) -> Measurement:
    return Measurement(metric, count / MB, "MB", 1, None, None, False, how)


def weight_bytes(model: Any) -> int:
    """Bytes of parameters and buffers, a tied tensor once, with the scales that hang on quantised weights.

    bitsandbytes moves int8 scales from the weight to its layer's state at the first forward pass.
    """
    held = [*model.parameters(), *model.buffers()]
    for owner in (*held, *(getattr(module, "state", None) for module in model.modules())):
        held += [getattr(owner, "SCB", None), getattr(getattr(owner, "quant_state", None), "absmax", None)]
    sizes = {one.data_ptr(): one.numel() * one.element_size() for one in held if one is not None}
    return sum(sizes.values())


class _Resident:
    """Peak resident memory of this process: VmHWM, which Linux lets us reset."""

    how = "resident memory of a fresh process (Linux VmHWM, reset before each phase)"

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to what is resident now
        yield
        line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
        self.peaks[name] = int(line.split()[1]) * 1024


class _Device:
    """Peak of the CUDA device: the allocator's own, on top of what NVML says is in use beside it."""

    def __init__(self, device: str) -> None:
        import pynvml
        import torch

        pynvml.nvmlInit()
        self._nvml, self._torch = pynvml, torch
        # By its UUID: NVML counts cards by their place on the bus, CUDA only those that it is shown.
        uuid = torch.cuda.get_device_properties(torch.device(device)).uuid
        self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        self._before = pynvml.nvmlDeviceGetMemoryInfo(self._handle).used
        self.peaks: dict[str, int] = {}
        self.allocator = 0
        self.how = (
            "NVML memory in use on the device above what was in use before this process (device delta: no other "
            "process may run), plus the allocator's peak above its present reserve"
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        cuda = self._torch.cuda
        cuda.reset_peak_memory_stats()
        yield
        cuda.synchronize()
        used = int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used) - self._before
        # Segments the allocator gave back before NVML was read: their peak is known to the allocator alone.
        self.peaks[name] = max(0, used + cuda.max_memory_reserved() - cuda.memory_reserved())
        self.allocator = max(self.allocator, int(cuda.max_memory_allocated()))


def measure(spec: MemorySpec) -> dict[str, Any]:
    """Load, prefill, decode one request, reading the peak of each phase. To be run in a fresh process."""
    meter: _Resident | _Device = _Device(spec.device) if spec.device.startswith("cuda") else _Resident()
    with meter.phase("libraries"):
        import torch

        from harness.measure.timing import Answering, Workload
        from harness.qa.items import QAItem
        from models.interface import architecture

        torch.zeros(1, device=spec.device)
    device = torch.device(spec.device)
    module, function = spec.loader.split(":")
    load = getattr(import_module(module), function)
    with meter.phase("load"):
        model = load(architecture(spec.architecture), Path(spec.folder), device, spec.told)
    clip = read_clip(Path(spec.clip))
    item = QAItem("memory/0", clip, spec.question, "", "memory", "memory")
    answering = Answering(model, [item], Workload(1, spec.new_tokens, len(clip.frames())))
    with meter.phase("prefill"):
        state, tokens = answering.first_token(answering.next_requests())
    with meter.phase("decode"):
        answering.decode(state, tokens)
    peaks: dict[str, Any] = {
        "how": meter.how,
        "phases": meter.peaks,
        "weights": weight_bytes(model.model),
        "new_tokens": spec.new_tokens,
    }
    if isinstance(meter, _Device):
        peaks["allocator"] = meter.allocator
    return peaks


if __name__ == "__main__":
    print(json.dumps(measure(MemorySpec(**json.load(sys.stdin)))))
