"""The least time each stage could take on this device: the roofline (Williams, Waterman and Patterson 2009).

    floors = stage_floors(shapes, "int8", ceilings, frames=8, size=(432, 768), prompt_tokens=1700, new_tokens=32)
    floors["decode"].seconds, floors["decode"].binds          # 0.00034, "bandwidth"
    floor_measurements(floors) + share_measurements(floors, {"itl": …, "prefill": …, "vision": …})

A stage can end no sooner than its bytes can be moved, nor than its products can be computed: the floor is the larger of
both times. Bytes and FLOPs are counted from shapes (`harness/plan/flops.py`), rates are measured (`ceilings.py`).

- Bytes are the least: weights in their format once a batch, the KV cache, what a stage is handed and hands on. Nothing
  that lies between is counted, nor NF4 made whole before a product: a fused kernel would do without.
- The bandwidth is that of a copy, which reads half of its bytes and writes half. A decode step mostly reads; it is
  assumed that reading alone is no faster. Some memories do read a tenth faster than they copy.
- int8's Linears count at the int8 rate, or at the floating-point one where that is faster; NF4's at the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.measure.ceilings import Bandwidth, Ceiling, Ceilings
from harness.plan.flops import (
    activation_bytes,
    decode_bytes,
    decode_flops,
    hearing_bytes,
    hearing_flops,
    prefill_bytes,
    prefill_flops,
    quantised_flops,
    vision_bytes,
    vision_flops,
)
from harness.plan.shapes import Shapes
from harness.plan.weights import known_format
from harness.record import Measurement

MEDIANS = {"vision": "vision", "prefill": "prefill", "decode": "itl"}  # stage → the metric whose median it is held by
HOST = {  # stages that have no floor, and why
    "media": "decoding files is the host's work, by codecs of which no ceiling is measured",
    "prepare": "resizing and tokenising are the host's work, of which no ceiling is measured",
}
TYPES = {2: "bf16", 4: "fp32"}  # of a floating-point product, by the bytes of an activation
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Floor:
    """The least time of one stage, a whole batch of it. `flops` and `moved` (bytes) are what it was made from."""

    stage: str
    flops: int
    moved: int
    computing: float  # seconds that the FLOPs take at the matrix products' rate
    moving: float  # seconds that the bytes take at the copy's rate
    how: str
    products: Mapping[str, int] = field(default_factory=dict)  # the FLOPs by the type of the product: bf16, int8

    @property
    def seconds(self) -> float:
        return max(self.computing, self.moving)

    @property
    def binds(self) -> str:
        """Which ceiling the stage would meet: "bandwidth" or "compute"."""
        return "bandwidth" if self.moving >= self.computing else "compute"


def stage_floors(
    shapes: Shapes,
    format_name: str,
    ceilings: Ceilings,
    *,
    frames: int,
    size: tuple[int, int],
    prompt_tokens: int,
    new_tokens: int,
    batch: int = 1,
) -> dict[str, Floor]:
    """The floors of `vision` (with hearing), `prefill` and `decode` (one token, in the middle of the answer).

    `batch` clips of so many frames of (height, width), each with one prompt of so many tokens as the request was
    prepared; where requests differ, the shortest prompt and smallest frame keep this a floor. ModelError for an unknown
    format.
    """
    quantised = quantised_flops(shapes, format_name, frames, size, prompt_tokens, batch)
    int8 = known_format(format_name).bits == 8
    context = prompt_tokens + max(1, new_tokens // 2)
    cached = decode_bytes(shapes, format_name, context) - decode_bytes(shapes, format_name, 0)
    width = activation_bytes(shapes, format_name)
    floating = TYPES.get(width, f"fp{8 * width}")

    def floor(stage: str, flops: int, of_int8: int, moved: int) -> Floor:
        whole = of_int8 if int8 else 0
        products = {floating: flops - whole, "int8": whole}
        return replace(_floor(stage, flops, whole, moved, ceilings), products={k: n for k, n in products.items() if n})

    return {
        "vision": floor(
            "vision",
            batch * (vision_flops(shapes, frames, size) + hearing_flops(shapes)),
            quantised.vision + quantised.hearing,
            vision_bytes(shapes, format_name, frames, size, batch) + hearing_bytes(shapes, format_name, batch),
        ),
        "prefill": floor(
            "prefill",
            batch * prefill_flops(shapes, prompt_tokens),
            quantised.prefill,
            prefill_bytes(shapes, format_name, prompt_tokens, batch),
        ),
        "decode": floor(
            "decode",
            batch * decode_flops(shapes, context),
            quantised.decode,
            decode_bytes(shapes, format_name, 0) + batch * cached,
        ),
    }


def floor_measurements(floors: Mapping[str, Floor]) -> tuple[Measurement, ...]:
    """`floor_vision`, `floor_prefill`, `floor_decode` in ms; `floor_media` and `floor_prepare`, absent with the reason.

    `how` begins with the ceiling that binds: "bandwidth binds: …".
    """
    found = [_measurement(f"floor_{stage}", floor.seconds * 1e3, "ms", 1, floor.how) for stage, floor in floors.items()]
    return (*found, *(_absent(f"floor_{stage}", "ms", "a stage of the host", why) for stage, why in HOST.items()))


def work_measurements(floors: Mapping[str, Floor]) -> tuple[Measurement, ...]:
    """What a floor was made from, for whoever asks about another device: `moved_vision` … in B, and by the type of the
    product `flops_bf16_vision`, `flops_int8_vision` … in FLOP.
    """
    found = []
    for stage, floor in floors.items():
        found.append(_measurement(f"moved_{stage}", floor.moved, "B", 1, f"the least bytes of {stage}, from shapes"))
        for kind, count in floor.products.items():
            how = f"matrix products of {stage} in {kind}, 2·m·n·k each, from shapes"
            found.append(_measurement(f"flops_{kind}_{stage}", count, "FLOP", 1, how))
    return tuple(found)


def share_measurements(floors: Mapping[str, Floor], medians: Mapping[str, Measurement]) -> tuple[Measurement, ...]:
    """`light_vision`, `light_prefill`, `light_decode`: floor / measured median, a share of the speed of light.

    `medians`: by metric as recorded (`vision`, `prefill`, `itl`), in ms. The interval is the median's, turned over; a
    floor has none. A share above 1 cannot be: some ceiling was measured too low, or some work was not done. It is
    absent, and says so.
    """
    return tuple(
        _share(stage, floor, medians.get(MEDIANS[stage])) for stage, floor in floors.items() if stage in MEDIANS
    )


def _share(stage: str, floor: Floor, median: Measurement | None) -> Measurement:
    name, how = (
        f"light_{stage}",
        f"the floor of {stage} over the median of {MEDIANS[stage]}, interval from the median's",
    )
    if median is None or median.value is None:
        why = "the stage was not measured" if median is None else f"no median: {median.absent}"
        return _absent(name, "1", how, why)
    if median.unit != "ms" or median.value <= 0:
        return _absent(name, "1", how, f"a median of {median.value:g} {median.unit}, but a time in ms is needed")
    least = floor.seconds * 1e3
    if median.value < least:
        why = f"faster than the floor: {median.value:.3g} ms measured, but at least {least:.3g} ms needed; {floor.how}"
        return _absent(name, "1", how, why)
    low = least / median.high if median.high is not None and median.high > 0 else None
    high = least / median.low if median.low is not None and median.low > 0 else None
    return Measurement(name, least / median.value, "1", median.n, low, high, True, how)


def _floor(stage: str, flops: int, of_int8: int, moved: int, ceilings: Ceilings) -> Floor:
    floating, quantised, copy = ceilings.floating, ceilings.quantised, ceilings.copy
    computing = (flops - of_int8) / floating.flops_per_second + of_int8 / quantised.flops_per_second
    moving = moved / copy.bytes_per_second
    compute = _computed(flops, floating)
    if of_int8 and quantised is not floating:
        compute = f"{_computed(of_int8, quantised)} and {_computed(flops - of_int8, floating)}"
    told = {"bandwidth": (_moved(moved, copy), compute, computing), "compute": (compute, _moved(moved, copy), moving)}
    binds = "bandwidth" if moving >= computing else "compute"
    bound, other, seconds = told[binds]
    how = f"{binds} binds: {bound}, measured in this run; {other} would take {seconds * 1e3:.2g} ms"
    return Floor(stage, flops, moved, computing, moving, how)


def _moved(moved: int, copy: Bandwidth) -> str:
    cached = "" if moved >= copy.block else "; so few bytes a cache may hold, and move faster"
    return f"{_scaled(moved)}B at {_scaled(copy.bytes_per_second)}B/s ({copy.how}{cached})"


def _computed(flops: int, ceiling: Ceiling) -> str:
    return f"{_scaled(flops)}FLOP at {_scaled(ceiling.flops_per_second)}FLOP/s ({ceiling.how})"


def _scaled(number: float) -> str:
    size, prefix = next(((size, prefix) for size, prefix in PREFIXES if number >= size), (1.0, ""))
    return f"{number / size:.3g} {prefix}"


def _measurement(name: str, value: float, unit: str, n: int, how: str) -> Measurement:
    return Measurement(name, value, unit, n, None, None, False, how)


def _absent(name: str, unit: str, how: str, why: str) -> Measurement:
    return Measurement(name, None, unit, 0, None, None, unit == "1", how, absent=why)
