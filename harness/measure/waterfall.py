"""What a memory peak is made of: context, weights, vision, KV cache, activations, allocator slack, exactly to the peak.

    found = waterfall(peak, base, above, kv_bytes)        # bytes of harness/measure/memory_meters.py
    assert sum(found.steps.values()) == found.peak

Each step is by what it raises the high-water mark, in this order: what fits into memory that an earlier phase needed
and gave back raises nothing. The mark's rise by prefill and decode is the KV cache's as far as that has bytes, the rest
are activations. Slack: what the device held beyond all that was allocated (segments that are reserved and not in use,
workspaces of libraries, kernels that were loaded late).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STEPS = ("context", "weights", "vision", "kv_cache", "activations", "slack")


@dataclass(frozen=True)
class Waterfall:
    """Bytes of each step, in the order of STEPS; slack only where an allocator tells it from what is in use."""

    steps: Mapping[str, int]
    peak: int


@dataclass(frozen=True)
class NoWaterfall:
    """Why a peak cannot be taken apart."""

    reason: str


def waterfall(
    peak: int, base: int, above: Mapping[str, int], kv_bytes: int, *, allocator: bool
) -> Waterfall | NoWaterfall:
    """The steps of a peak of `peak` bytes, of which `base` were there before the weights.

    `above`: bytes beyond the base that phases load, vision, prefill and decode needed at their peaks; `kv_bytes`: of
    the cache's tensors at the end of decode; `allocator`: are these bytes in use, told from those that are only held?
    """
    mark, rises = 0, {}
    for phase in ("load", "vision", "prefill", "decode"):
        rises[phase] = max(0, above[phase] - mark)
        mark += rises[phase]
    answering = rises["prefill"] + rises["decode"]
    kv = min(kv_bytes, answering)
    steps = {
        "context": base,
        "weights": rises["load"],
        "vision": rises["vision"],
        "kv_cache": kv,
        "activations": answering - kv,
    }
    slack = peak - sum(steps.values())
    if slack < 0:
        return NoWaterfall(
            f"its parts are {-slack / 1e6:.1f} MB more than the peak: another process gave memory back meanwhile"
        )
    if allocator:
        steps["slack"] = slack
    elif slack:
        return NoWaterfall(f"{slack / 1e6:.1f} MB of the peak belong to no phase")
    return Waterfall(steps, peak)
