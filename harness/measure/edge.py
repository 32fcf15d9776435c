"""Times of a stage on a device that was not measured: a projection, with its assumptions and an error bar. No torch.

    found = project(own, source, target, [leave_one_out(timed, source)])     # Projected, or Cannot with the reason
    found.low, found.high, found.share, found.rest, found.least

A stage took t on a device whose data sheet's roofline needs `least`. Two opposite assumptions carry that to another:

- *share*: the stage reaches the same share of the roofline there: t · least(there) / least.
- *rest*: what lies beyond the roofline is not the device's (launches, Python) and stays: least(there) + t - least.

The bar reaches over both. Each is widened by its own worst miss where it could be tried: every workload of the sweep is
predicted from the others on the measured device (Stone 1974, leave-one-out), and every workload that a second device
measured too is predicted there. It is no confidence interval: nothing says how often it holds. It never ends below the
roofline of the data sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from harness.measure.devices import Cannot, Device, Least, Work

METRICS = {"vision": "vision", "prefill": "prefill", "decode": "itl"}  # a stage that has a roofline → its median's name


@dataclass(frozen=True)
class Timed:
    """One stage as it was measured: what it had to do, and seconds with the median's interval."""

    workload: str
    work: Work
    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class Missed:
    """How far predictions were from what was measured: the worst as factors of at least 1, of `n` predictions by each
    assumption.

    `spanned`: the largest least time over the smallest among them (of a second device: there over here, or turned
    over): the range over which they were really tried.
    """

    share: float
    rest: float
    n: int
    spanned: float
    against: str  # "other workloads", or the device they were held against


@dataclass(frozen=True)
class Held:
    """A workload that two devices were measured at: projected over measured, on the second, by each assumption.

    `reach`: its least time over the first's.
    """

    workload: str
    share: float
    rest: float
    reach: float


@dataclass(frozen=True)
class Projected:
    """Seconds on the target, from `low` to `high`; by each assumption; `least`: what its data sheet allows at best.

    `reach`: the target's least time over the measured device's, to be held against what a Missed spanned.
    """

    low: float
    high: float
    share: float
    rest: float
    least: float
    reach: float
    binds: str
    bound_otherwise: bool = False  # another ceiling binds on the measured device: its share is of that one


def project(own: Timed, source: Device, target: Device, misses: Sequence[Missed]) -> Projected | Cannot:
    """A stage that was measured on `source` as it may be on `target`. Cannot, with the reason, where a type of product
    is missing, the stage was faster than the data sheet allows, or nothing says how well this predicts.
    """
    here, there = source.least(own.work), target.least(own.work)
    if isinstance(here, Cannot):
        return Cannot(f"{source.name}: {here.why}")
    if isinstance(there, Cannot):
        return Cannot(f"{target.name}: {there.why}")
    if own.seconds < here.seconds:
        return Cannot(
            f"measured in {own.seconds * 1e3:.3g} ms on {source.name}, faster than the {here.seconds * 1e3:.3g} ms of "
            "its data sheet's roofline: a cache holds what it reads, or less was done; there is no share to carry over"
        )
    if not misses:
        return Cannot(
            "no error bar: one workload on one device says nothing of how well it predicts; measure a sweep "
            "(suites/workloads.yaml) or a second device"
        )
    by_share, by_rest = max(one.share for one in misses), max(one.rest for one in misses)

    def carried(seconds: float) -> tuple[float, float]:
        return _carried(seconds, here.seconds, there.seconds)

    (least_share, least_rest), (most_share, most_rest) = carried(own.low), carried(own.high)
    return Projected(
        max(there.seconds, min(least_share / by_share, least_rest / by_rest)),
        max(most_share * by_share, most_rest * by_rest),
        *carried(own.seconds),
        least=there.seconds,
        reach=there.seconds / here.seconds,
        binds=there.binds,
        bound_otherwise=here.binds != there.binds,
    )


def leave_one_out(timed: Sequence[Timed], source: Device) -> Missed | None:
    """Each workload predicted from the others: from the geometric mean of their shares, and the mean of their rests.
    Workloads that ask the same work of a stage (other lengths of the answer, to a prefill) count as one: a twin would
    predict itself. None below two of them, or where some work is not in the data sheet.
    """
    alike: dict[tuple[object, ...], tuple[float, list[float]]] = {}
    for one in timed:
        found = source.least(one.work)
        if isinstance(found, Cannot):
            return None
        same = (one.work.moved, *sorted(one.work.flops.items()))
        alike.setdefault(same, (found.seconds, []))[1].append(one.seconds)
    if len(alike) < 2:
        return None
    taken = [(least, geometric_mean(seconds)) for least, seconds in alike.values()]
    shares, rests = [], []
    for at, (least, seconds) in enumerate(taken):
        others = taken[:at] + taken[at + 1 :]
        share = geometric_mean([one / took for one, took in others])
        rest = fmean(max(0.0, took - one) for one, took in others)
        shares.append(least / share / seconds)
        rests.append((least + rest) / seconds)
    spanned = max(taken)[0] / min(taken)[0]
    return Missed(_worst(shares), _worst(rests), len(taken), spanned, "other workloads")


def held_against(timed: Sequence[Timed], source: Device, measured: Sequence[Timed], target: Device) -> tuple[Held, ...]:
    """Each workload that both devices were measured at. One that did not ask the same work of both (another prompt,
    other frames) is left out: it would say nothing of the devices.
    """
    by_workload = {one.workload: one for one in measured}
    found = []
    for one in timed:
        other = by_workload.get(one.workload)
        if other is None or other.work != one.work:
            continue
        here, there = source.least(one.work), target.least(one.work)
        if isinstance(here, Least) and isinstance(there, Least):
            share, rest = _carried(one.seconds, here.seconds, there.seconds)
            reach = there.seconds / here.seconds
            found.append(Held(one.workload, share / other.seconds, rest / other.seconds, reach))
    return tuple(found)


def missed_on(held: Sequence[Held], target: Device) -> Missed | None:
    """The worst of what `held_against` found; None without any."""
    if not held:
        return None
    shares, rests = [one.share for one in held], [one.rest for one in held]
    spanned = max(max(one.reach, 1 / one.reach) for one in held)
    return Missed(_worst(shares), _worst(rests), len(held), spanned, target.name)


def _carried(seconds: float, here: float, there: float) -> tuple[float, float]:
    """By the share, and by the rest."""
    return seconds * there / here, there + max(0.0, seconds - here)


def _worst(ratios: Sequence[float]) -> float:
    return math.exp(max(abs(math.log(ratio)) for ratio in ratios))


def together(parts: Sequence[Projected | Cannot]) -> Projected | Cannot:
    """Stages one after another: sums of the times and, as they may all miss to the same side, of the bars' ends."""
    stages = [one for one in parts if isinstance(one, Projected)]
    if len(stages) < len(parts):
        return next(one for one in parts if isinstance(one, Cannot))
    if not stages:
        return Cannot("no stage was measured")
    longest = max(stages, key=lambda one: one.share)
    return Projected(
        low=math.fsum(one.low for one in stages),
        high=math.fsum(one.high for one in stages),
        share=math.fsum(one.share for one in stages),
        rest=math.fsum(one.rest for one in stages),
        least=math.fsum(one.least for one in stages),
        reach=longest.reach,
        binds=longest.binds,
        bound_otherwise=any(one.bound_otherwise for one in stages),
    )


def room(needed: float, device: Device) -> Cannot | None:
    """Cannot where so many bytes (weights, KV cache, activations, context) have no room; None where they have."""
    if needed <= device.memory.value:
        return None
    return Cannot(f"needs {needed / 1e9:.3g} GB, has {device.memory.value / 1e9:g} GB")


def work_of(found: Mapping[str, float], stage: str) -> Work | Cannot:
    """The work of a stage from a record's numbers by metric: `moved_decode` (bytes), `flops_bf16_decode` …"""
    moved = found.get(f"moved_{stage}")
    named = {name.split("_")[1]: int(value) for name, value in found.items() if _is_flops(name, stage)}
    if moved is None or not named:
        return Cannot("the record does not say its bytes and FLOPs, as those of before do not: measure again")
    return Work(int(moved), named)


def _is_flops(name: str, stage: str) -> bool:
    words = name.split("_")
    return len(words) == 3 and words[0] == "flops" and words[2] == stage
