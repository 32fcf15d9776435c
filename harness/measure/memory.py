"""Peak memory by phase and the cold start, in a fresh process for each variant, so that nothing is inherited.

    peaks = in_fresh_process(spec)      # spec: of harness/measure/memory_request.py, which it runs
    measurements(peaks)                 # memory_peak, memory_vision, …, waterfall_…, cold_load, cold_first_answer

On a GPU: what NVML sees of this process (or of the device, and named so, where process ids are those of another
namespace) and the allocator's peak. On a CPU: resident memory, named so. How either is read: memory_meters.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.errors import FirstSightError, ModelError, oneline
from harness.measure.memory_request import MemorySpec, read_clip, weight_bytes, write_clip
from harness.measure.waterfall import STEPS, NoWaterfall, Waterfall, waterfall
from harness.measure.worker_process import how_it_ended
from harness.plan.inference import needed
from harness.plan.shapes import Shapes
from harness.record import Measurement
from models.interface import ModelFault, architecture, saved_dtype

__all__ = [
    "PHASES",
    "MemorySpec",
    "in_fresh_process",
    "measurements",
    "planned",
    "read_clip",
    "weight_bytes",
    "write_clip",
]

MB = 1e6
PHASES = {
    "libraries": "importing the libraries and opening the device, before any weights",
    "load": "loading the weights",
    "vision": "vision (and hearing) of one request, its pixels included",
    "prefill": "prefill of one request",
    "decode": "decoding {further} further tokens",
}


def in_fresh_process(spec: MemorySpec, timeout_s: float = 1800) -> dict[str, Any]:
    """Run one request in a new interpreter and return its peaks in bytes and its cold start in seconds, with what was
    planned. ModelError with the interpreter's last line if it fails, or with the signal or timeout that ended it.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.measure.memory_request"],
            input=json.dumps(asdict(spec)),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=Path(__file__).resolve().parents[2],
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"measuring the memory of {spec.variant} was not done in {timeout_s:.0f} s; killed") from None
    if done.returncode:
        raise ModelError(
            f"measuring the memory of {spec.variant} {''.join(how_it_ended(done.returncode, done.stderr))}"
        )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "planned": planned(spec)}


def measurements(peaks: dict[str, Any]) -> tuple[Measurement, ...]:
    """Peaks by phase and their waterfall, weights, KV cache and what was planned, in MB (10⁶ bytes); cold_load in s and
    cold_first_answer in ms.
    """
    how, further, absent = peaks["how"], peaks["new_tokens"] - 1, peaks["absent"]
    found = []
    for phase, told in PHASES.items():
        at = f"{how}; peak during {told.format(further=further)}"
        found.append(_megabytes(f"memory_{phase}", peaks["peaks"][phase], at, absent))
    most = None if absent else max(peaks["peaks"].values())
    found.append(_megabytes("memory_peak", most, f"{how}; the largest of all phases", absent))
    if peaks["allocator"] is not None:
        found.append(
            _megabytes(
                "memory_allocator", peaks["allocator"], "torch's CUDA allocator, peak of all phases: bytes in use"
            )
        )
    found.append(
        _megabytes("weights", peaks["weights"], "bytes of every parameter and buffer as loaded, int8 scales included")
    )
    tokens = f"keys and values of {peaks['cached_tokens']:,} tokens in {peaks['cache_dtype']}"
    found.append(_megabytes("kv_cache", peaks["kv_cache"], f"bytes of the cache's tensors after the answer: {tokens}"))
    found += _steps(peaks, most)
    plan = peaks["planned"]
    found.append(_megabytes("memory_planned", plan["bytes"], plan["how"], plan["absent"]))
    seconds = peaks["seconds"]
    loaded = (
        "from the weights' files to weights on the device, files as cached as they were; libraries are imported before"
    )
    answered = f"the process's first answer, {peaks['new_tokens']} tokens: the sum of its stages from pixels on"
    if peaks.get("threads"):
        answered += f"; {peaks['threads']} CPU threads"
    found.append(Measurement("cold_load", seconds["load"], "s", 1, None, None, False, loaded))
    found.append(Measurement("cold_first_answer", 1e3 * seconds["answer"], "ms", 1, None, None, False, answered))
    return tuple(found)


def _megabytes(metric: str, count: int | None, how: str, absent: str | None = None) -> Measurement:
    if count is None:
        return Measurement(metric, None, "MB", 0, None, None, False, how, absent=absent or "not measured")
    return Measurement(metric, count / MB, "MB", 1, None, None, False, how)


def _steps(peaks: dict[str, Any], most: int | None) -> list[Measurement]:
    """waterfall_context … waterfall_slack, in MB: together the peak, to the byte; or all absent with the reason."""
    allocator = peaks["allocator"] is not None
    reason = peaks["absent"]
    if most is None or peaks["base"] is None:
        taken: Waterfall | NoWaterfall = NoWaterfall(reason or "no peak was measured")
    else:
        taken = waterfall(most, peaks["base"], peaks["above"], peaks["kv_cache"], allocator=allocator)
    told = {
        "context": "CUDA context and libraries on the device" if allocator else "interpreter and libraries",
        "weights": f"loading; the weights themselves are {peaks['weights'] / MB:.1f} MB",
        "vision": "vision and hearing",
        "kv_cache": f"the KV cache's {peaks['kv_cache'] / MB:.3f} MB, as far as they found no room given back",
        "activations": "prefill and decode, without the KV cache",
        "slack": "what the device held and nobody had allocated: reserved segments, workspaces, kernels loaded late",
    }
    found = []
    for step in STEPS:
        count, why = (taken.steps.get(step), None) if isinstance(taken, Waterfall) else (None, taken.reason)
        if count is None and why is None:
            why = "resident memory does not tell what is in use from what is only held"
        how = f"by how much it raises the peak, after all before it: {told[step]}"
        found.append(_megabytes(f"waterfall_{step}", count, how, why))
    return found


def planned(spec: MemorySpec) -> dict[str, Any]:
    """What harness/plan says of the same request: `bytes`, `how`, and `absent`: why it cannot say."""
    how = "harness/plan for the same clip, tokens and format"
    clip = read_clip(Path(spec.clip))
    frames = clip.frames()
    if clip.still:
        return {"bytes": None, "how": how, "absent": f"plan counts videos: this clip is {len(frames)} stills"}
    kind, folder = architecture(spec.architecture), Path(spec.folder)
    height, width = frames[0].shape[:2]
    try:
        network = kind.shapes_in(folder, spec.told)
        shapes = Shapes(kind, network, network.config, saved_dtype(folder).itemsize)
        tokens = spec.new_tokens
        need = needed(shapes, spec.format, frames=len(frames), size=(height, width), batch=1, new_tokens=tokens)
    except (FirstSightError, ModelFault) as error:
        return {"bytes": None, "how": how, "absent": oneline(error)}
    if not spec.device.startswith("cuda"):
        need, how = replace(need, context=0), f"{how}, without the libraries, whose resident memory no plan knows"
    parts = {"weights": need.weights, "KV cache": need.kv_cache, "activations": need.activations}
    parts |= {"CUDA context (assumed)": need.context} if need.context else {}
    told = " + ".join(f"{name} {size / MB:,.3f} MB" for name, size in parts.items())
    return {"bytes": need.total, "how": f"{how}: {told}", "absent": None}
