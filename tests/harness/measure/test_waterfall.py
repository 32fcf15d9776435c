"""A peak taken apart: each step by what it raises the high-water mark, together the peak to the byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.measure.waterfall import STEPS, NoWaterfall, Waterfall, waterfall

GB = 1_000_000_000


def test_on_a_gpu_every_step_has_its_rise_and_what_is_only_held_is_slack() -> None:
    above = {"load": 15 * GB, "vision": 17 * GB, "prefill": 18 * GB, "decode": 19 * GB}
    found = waterfall(21 * GB, GB // 2, above, GB, allocator=True)
    assert isinstance(found, Waterfall)
    assert found.steps == {
        "context": GB // 2,
        "weights": 15 * GB,
        "vision": 2 * GB,
        "kv_cache": 1 * GB,
        "activations": 1 * GB,
        "slack": GB * 3 // 2,
    }


def test_what_fits_into_memory_that_was_given_back_raises_nothing() -> None:
    """A vision tower over many frames needs more than prefill and decode after it."""
    above = {"load": 5 * GB, "vision": 9 * GB, "prefill": 7 * GB, "decode": 7 * GB}
    found = waterfall(9 * GB, 0, above, GB, allocator=True)
    assert isinstance(found, Waterfall)
    assert (found.steps["vision"], found.steps["kv_cache"], found.steps["activations"]) == (4 * GB, 0, 0)


def test_resident_memory_has_no_slack_to_tell() -> None:
    found = waterfall(7, 5, {"load": 1, "vision": 1, "prefill": 2, "decode": 2}, 4, allocator=False)
    assert isinstance(found, Waterfall)
    assert "slack" not in found.steps
    assert sum(found.steps.values()) == 7


def test_parts_that_are_more_than_the_peak_are_told_and_not_made_to_fit() -> None:
    above = {"load": 5_000_000, "vision": 5_000_000, "prefill": 5_000_000, "decode": 5_000_000}
    found = waterfall(4_000_000, 0, above, 0, allocator=True)
    assert found == NoWaterfall("its parts are 1.0 MB more than the peak: another process gave memory back meanwhile")


@given(st.lists(st.integers(0, 10**11), min_size=7, max_size=7))
def test_the_steps_are_the_peak_to_the_byte(numbers: list[int]) -> None:
    base, kv, slack, *peaks = numbers
    above = dict(zip(("load", "vision", "prefill", "decode"), peaks, strict=True))
    peak = base + max(peaks) + slack
    found = waterfall(peak, base, above, kv, allocator=True)
    assert isinstance(found, Waterfall)
    assert tuple(found.steps) == STEPS
    assert sum(found.steps.values()) == found.peak == peak
    assert min(found.steps.values()) >= 0
