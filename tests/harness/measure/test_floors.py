"""Floors against numbers counted by hand, at toy and at real sizes; shares, and what is faster than light."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import ModelError
from harness.measure.ceilings import Bandwidth, Ceiling, Ceilings, Unmeasured
from harness.measure.floors import Floor, floor_measurements, share_measurements, stage_floors
from harness.plan.flops import decode_bytes, decode_flops, hearing_flops, prefill_flops, quantised_flops, vision_flops
from harness.plan.weights import weight_bytes
from harness.record import Measurement

SIZE = (432, 768)
TOY = (112, 140)
NO_INT8 = Unmeasured("not here")


def ceilings(bandwidth: float, flops: float, int8: float | None = None) -> Ceilings:
    whole = Ceiling(flops, "best product of the test")
    return Ceilings(
        Bandwidth(bandwidth, "best copy of the test", 1 << 20),
        {"bfloat16": whole},
        NO_INT8 if int8 is None else Ceiling(int8, "best int8 of the test"),
    )


H200 = ceilings(4.8e12, 700e12, 1300e12)  # a data sheet's bandwidth; rates in its neighbourhood


@pytest.fixture(scope="module")
def real() -> Any:
    """Shapes of (EgoGPT-7b, Qwen2-VL-2B)."""
    from harness.pair import load_pair
    from harness.plan.shapes import shapes_of

    pair = load_pair("egogpt-qwen2vl")
    return shapes_of(pair.teacher, pair.data), shapes_of(pair.student, pair.data)


@pytest.fixture(scope="module")
def toys() -> Any:
    """The same architectures, ears included, at toy sizes in fp32."""
    from harness.pair import load_pair
    from harness.plan.shapes import shapes_of

    pair = load_pair("egogpt-qwen2vl-tiny")
    return shapes_of(pair.teacher, pair.data), shapes_of(pair.student, pair.data)


def floors(shapes: Any, format_name: str, found: Ceilings, batch: int = 1, **other: Any) -> dict[str, Floor]:
    asked = {"frames": 8, "size": SIZE, "prompt_tokens": 1000, "new_tokens": 32, **other}
    return stage_floors(shapes, format_name, found, batch=batch, **asked)


def test_a_decode_step_of_the_real_student_by_hand(real: Any) -> None:
    """1.544 B parameters in bf16, and 1016 tokens of KV cache at 28 672 bytes, at 4.8 TB/s: 0.65 ms."""
    found = floors(real[1], "native", H200)["decode"]
    assert found.moved == pytest.approx(2 * 1.5437e9 + 1016 * 28_672, rel=1e-3)
    assert found.seconds * 1e3 == pytest.approx(0.65, abs=0.005)
    assert found.binds == "bandwidth"
    assert found.how.startswith("bandwidth binds: 3.12 GB at 4.8 TB/s (best copy of the test), measured in this run; ")
    assert "3.26 GFLOP at 700 TFLOP/s (best product of the test) would take 0.0047 ms" in found.how


def test_a_prefill_of_the_real_student_is_bound_by_products(real: Any) -> None:
    found = floors(real[1], "native", H200)["prefill"]
    assert found.flops == prefill_flops(real[1], 1000)
    assert found.seconds == pytest.approx(found.flops / 700e12)
    assert found.binds == "compute"


def test_int8_halves_what_decode_reads_of_the_layers_and_leaves_the_head(real: Any) -> None:
    whole, half = (floors(real[1], name, H200)["decode"] for name in ("native", "int8"))
    head = 2 * 1536 * 151_936
    cached = 1016 * 28_672
    assert (half.moved - head - cached) == pytest.approx((whole.moved - head - cached) / 2, rel=0.003)  # and its scales
    assert half.seconds == pytest.approx(half.moved / 4.8e12)
    assert floors(real[1], "nf4", H200)["decode"].moved < half.moved


def test_int8_products_count_at_the_int8_rate_where_there_is_one(real: Any) -> None:
    """Attention and the head stay in floating point; so does all else without an int8 rate, and all of NF4."""
    student = real[1]
    of_int8 = quantised_flops(student, "int8", 8, SIZE, 1000)
    assert of_int8.prefill == 2 * 1000 * sum(weights for _, weights in student.products("model.language_model"))
    total = prefill_flops(student, 1000)
    assert of_int8.prefill < total
    found = floors(student, "int8", H200)["prefill"]
    assert found.computing == pytest.approx(of_int8.prefill / 1300e12 + (total - of_int8.prefill) / 700e12)
    assert found.how.count("FLOP/s (") == 2
    assert floors(student, "int8", ceilings(4.8e12, 700e12, 7e12))["prefill"].how.count("FLOP/s (") == 1
    assert floors(student, "int8", ceilings(4.8e12, 700e12))["prefill"].computing == pytest.approx(total / 700e12)
    assert floors(student, "nf4", H200)["prefill"].computing == pytest.approx(total / 700e12)
    assert quantised_flops(student, "native", 8, SIZE, 1000).prefill == 0


@pytest.mark.parametrize("side", [0, 1], ids=["teacher", "student"])
def test_all_of_a_tower_but_attention_and_patches_is_quantised_in_int8(real: Any, side: int) -> None:
    shapes = real[side]
    tower = shapes.vision(8, SIZE)
    attention = 4 * tower.layers * tower.slices * tower.span**2 * tower.width
    patches = 2 * tower.rows * tower.input_width * tower.width
    found = quantised_flops(shapes, "int8", 8, SIZE, 1000)
    assert found.vision == vision_flops(shapes, 8, SIZE) - attention - patches
    assert 0 <= found.hearing < max(1, hearing_flops(shapes))
    assert quantised_flops(shapes, "nf4", 8, SIZE, 1000).vision == 0


def test_a_batch_multiplies_flops_and_cache_not_weights(toys: Any) -> None:
    student = toys[1]
    one, four = (floors(student, "native", H200, batch, size=TOY) for batch in (1, 4))
    for stage in ("vision", "prefill", "decode"):
        assert four[stage].flops == 4 * one[stage].flops
        assert one[stage].moved < four[stage].moved < 4 * one[stage].moved
    cached = 1016 * 2 * student.text.layers * student.text.kv_width * 4
    assert four["decode"].moved - one["decode"].moved == 3 * cached
    assert one["decode"].moved == decode_bytes(student, "native", 1016)
    assert one["decode"].flops == decode_flops(student, 1016)


def test_the_least_bytes_of_a_toy_by_hand(toys: Any) -> None:
    """fp32: weights once; pixels in, tokens out; embedded prompt in, KV cache out; the teacher's ears as well."""
    teacher, student = toys
    for shapes in (teacher, student):
        found, text = floors(shapes, "native", H200, size=TOY), shapes.text
        head = ("language model", "embedding" if shapes.tied else "head")
        weights = weight_bytes(shapes, "native", head).total
        per_token = 4 * (text.width + 2 * text.layers * text.kv_width)
        assert found["prefill"].moved == weights + 1000 * per_token
        tower = shapes.vision(8, TOY)
        seen = 4 * (tower.rows * tower.input_width + shapes.visual_tokens(8, TOY) * text.width)
        parts = weight_bytes(shapes, "native", ("vision", "projector", "newline")).total
        heard = 0
        if (ears := shapes.hearing) is not None:
            heard = weight_bytes(shapes, "native", ("speech encoder", "speech projector")).total
            heard += 4 * (ears.rows * ears.input_width + shapes.speech_tokens * text.width)
        assert found["vision"].moved == parts + seen + heard
        assert found["vision"].flops == vision_flops(shapes, 8, TOY) + hearing_flops(shapes)
    assert teacher.hearing is not None


def test_what_a_cache_may_hold_is_told(toys: Any, real: Any) -> None:
    assert "a cache may hold" in floors(toys[1], "native", H200, size=TOY)["decode"].how
    assert "a cache may hold" not in floors(real[1], "native", H200)["decode"].how


def test_an_unknown_format_is_refused(toys: Any) -> None:
    with pytest.raises(ModelError, match="unknown format 'int3'"):
        floors(toys[1], "int3", H200, size=TOY)


def median(metric: str, value: float | None, low: float | None = None, high: float | None = None) -> Measurement:
    absent = "the round was broken" if value is None else None
    return Measurement(metric, value, "ms", 20, low, high, False, "a median", absent=absent)


def floor(stage: str, milliseconds: float) -> Floor:
    return Floor(stage, 1, 1, 0.0, milliseconds / 1e3, "bandwidth binds: by the test")


def test_floors_are_measurements_and_the_host_has_none(real: Any) -> None:
    found = {one.metric: one for one in floor_measurements(floors(real[1], "native", H200))}
    assert list(found) == ["floor_vision", "floor_prefill", "floor_decode", "floor_media", "floor_prepare"]
    assert found["floor_decode"].value == pytest.approx(0.65, abs=0.005)
    assert (found["floor_decode"].unit, found["floor_decode"].n) == ("ms", 1)
    assert "host" in (found["floor_prepare"].absent or "")


def test_a_share_turns_the_medians_interval_over() -> None:
    (found,) = share_measurements({"decode": floor("decode", 1.0)}, {"itl": median("itl", 2.0, 1.6, 2.5)})
    assert (found.metric, found.value, found.low, found.high, found.unit) == ("light_decode", 0.5, 0.4, 0.625, "1")
    assert found.n == 20
    assert found.higher_is_better
    (open_end,) = share_measurements({"decode": floor("decode", 1.0)}, {"itl": median("itl", 2.0)})
    assert (open_end.value, open_end.low, open_end.high) == (0.5, None, None)


def test_faster_than_the_floor_is_told_not_clipped() -> None:
    (found,) = share_measurements({"prefill": floor("prefill", 1.0)}, {"prefill": median("prefill", 0.8, 0.7, 0.9)})
    assert found.value is None
    assert (found.absent or "").startswith(
        "faster than the floor: 0.8 ms measured, but at least 1 ms needed; bandwidth"
    )


def test_without_a_median_there_is_no_share() -> None:
    both = {"vision": floor("vision", 1.0), "decode": floor("decode", 1.0)}
    vision, decode = share_measurements(both, {"itl": median("itl", None)})
    assert vision.absent == "the stage was not measured"
    assert decode.absent == "no median: the round was broken"
