"""Projections against numbers worked out by hand, and what a projection must never be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.devices import Cannot, Device, Figure, Work
from harness.measure.edge import (
    METRICS,
    Held,
    Missed,
    Projected,
    Timed,
    held_against,
    leave_one_out,
    missed_on,
    project,
    room,
    together,
    work_of,
)

TRIED = Missed(1.1, 1.2, 3, 2.0, "other workloads")
TIME = st.floats(1e-4, 10)


def device(name: str, bandwidth: float, bf16: float = 100e12, memory: float = 24e9, **rates: float) -> Device:
    figures = {kind: Figure(rate, "a sheet") for kind, rate in {"bf16": bf16, **rates}.items()}
    return Device(
        name, name, "server", (name,), Figure(memory, "a sheet"), False, Figure(bandwidth, "a sheet"), figures
    )


FAST, SLOW = device("fast", 4e12), device("slow", 0.1e12)
STEP = Work(3_200_000_000, {"bf16": 3_200_000_000})  # 0.8 ms on fast, 32 ms on slow


def timed(seconds: float, work: Work = STEP, workload: str = "w", spread: float = 1.0) -> Timed:
    return Timed(workload, work, seconds, seconds / spread, seconds * spread)


def projected(own: Timed, source: Device = FAST, target: Device = SLOW, missed: Missed = TRIED) -> Projected:
    found = project(own, source, target, [missed])
    assert isinstance(found, Projected)
    return found


def test_share_and_rest_by_hand() -> None:
    """8 ms where 0.8 are needed is a tenth; at a tenth 32 ms become 320. Is the rest the host's, they become 39.2."""
    found = projected(timed(8e-3))
    assert found.share == pytest.approx(320e-3)
    assert found.rest == pytest.approx(39.2e-3)
    assert found.low == pytest.approx(39.2e-3 / 1.2)
    assert found.high == pytest.approx(320e-3 * 1.1)
    assert found.least == pytest.approx(32e-3)
    assert found.reach == pytest.approx(40)
    assert (found.binds, found.bound_otherwise) == ("bandwidth", False)


def test_to_a_faster_device_the_rest_is_the_worse_end() -> None:
    found = projected(timed(40e-3), SLOW, FAST)
    assert (found.share, found.rest) == (pytest.approx(1e-3), pytest.approx(8.8e-3))
    assert found.high == pytest.approx(8.8e-3 * 1.2)
    assert found.low == pytest.approx(1e-3 / 1.1)
    assert projected(timed(33e-3), SLOW, FAST).low == pytest.approx(0.8e-3), "not below the roofline"


def test_the_medians_interval_is_in_the_bar() -> None:
    found = projected(timed(8e-3, spread=1.1))
    assert found.high == pytest.approx(320e-3 * 1.1 * 1.1)
    assert found.low == pytest.approx(max(32e-3, (32e-3 + 8e-3 / 1.1 - 0.8e-3) / 1.2))


def test_the_worst_miss_is_the_bars() -> None:
    found = project(timed(8e-3), FAST, SLOW, [TRIED, Missed(2.0, 1.0, 1, 1.4, "another")])
    assert isinstance(found, Projected)
    assert (found.low, found.high) == (pytest.approx(39.2e-3 / 1.2), pytest.approx(640e-3))


def test_without_anything_that_tried_it_there_is_no_projection() -> None:
    found = project(timed(8e-3), FAST, SLOW, [])
    assert isinstance(found, Cannot)
    assert found.why.startswith("no error bar: ")


def test_faster_than_the_data_sheet_is_not_carried_over() -> None:
    found = project(timed(0.5e-3), FAST, SLOW, [TRIED])
    assert isinstance(found, Cannot)
    assert "measured in 0.5 ms on fast, faster than the 0.8 ms of its data sheet's roofline" in found.why


def test_a_type_that_either_lacks_is_said() -> None:
    int8 = Work(1000, {"bf16": 10, "int8": 10})
    for source, target in ((FAST, device("has", 1e12, int8=1e12)), (device("has", 1e12, int8=1e12), FAST)):
        found = project(timed(1.0, int8), source, target, [TRIED])
        assert isinstance(found, Cannot)
        assert found.why.startswith("fast: no products of int8: its rate is not known")


def test_another_ceiling_is_told() -> None:
    weak = device("weak", 1e12, bf16=0.5e12)
    found = projected(timed(8e-3), FAST, weak)
    assert (found.binds, found.bound_otherwise) == ("compute", True)


def test_each_workload_is_predicted_from_the_others() -> None:
    """Shares 0.5, 0.5 and 0.25: the last is predicted at 0.5, twice as fast as it was. Rests are 1, 2 and 12 ms: the
    first is predicted at 1 + 7 = 8 ms, and took 2.
    """
    works = [Work(size * 4_000_000_000, {"bf16": 1}) for size in (1, 2, 4)]
    found = leave_one_out([timed(2e-3, works[0]), timed(4e-3, works[1]), timed(16e-3, works[2])], FAST)
    assert found == Missed(pytest.approx(2), pytest.approx(4), 3, pytest.approx(4), "other workloads")


def test_a_twin_does_not_predict_itself() -> None:
    other = Work(8_000_000_000, {"bf16": 1})
    alone = leave_one_out([timed(8e-3), timed(4e-3, other)], FAST)
    twins = leave_one_out([timed(8e-3), timed(8e-3, workload="longer answer"), timed(4e-3, other)], FAST)
    assert alone is not None
    assert twins is not None
    assert alone.share == pytest.approx(5), "a tenth and a half"
    assert (twins.share, twins.rest, twins.n) == (pytest.approx(alone.share), pytest.approx(alone.rest), 2)
    assert leave_one_out([timed(8e-3), timed(8e-3, workload="longer answer")], FAST) is None
    assert leave_one_out([], FAST) is None
    assert leave_one_out([timed(1, Work(1, {"fp32": 1})), timed(2, Work(2, {"fp32": 1}))], FAST) is None


def test_a_second_device_says_how_far_it_missed() -> None:
    """Work a: 8 ms become 320 by share and 39.2 by rest, and took 160; b asks twice as much: 640 and 78.4, and 800."""
    other = Work(6_400_000_000, {"bf16": 1})
    here = [timed(8e-3, workload="a"), timed(16e-3, other, "b"), timed(1.0, workload="c")]
    there = [timed(160e-3, workload="a"), timed(800e-3, other, "b"), timed(1.0, other, "c")]
    held = held_against(here, FAST, there, SLOW)
    assert [(one.workload, one.reach) for one in held] == [("a", pytest.approx(40)), ("b", pytest.approx(40))]
    assert [one.share for one in held] == [pytest.approx(2), pytest.approx(0.8)]
    assert [one.rest for one in held] == [pytest.approx(0.245), pytest.approx(0.098)]
    assert missed_on(held, SLOW) == Missed(pytest.approx(2), pytest.approx(1 / 0.098), 2, pytest.approx(40), "slow")
    assert missed_on([], SLOW) is None
    assert missed_on([Held("a", 0.25, 2, 0.1)], SLOW) == Missed(pytest.approx(4), 2, 1, pytest.approx(10), "slow")


def test_stages_together_are_their_sums() -> None:
    one = projected(timed(8e-3))
    both = together([one, one])
    assert isinstance(both, Projected)
    assert (both.low, both.high) == (2 * one.low, 2 * one.high)
    assert (both.share, both.rest, both.least) == (2 * one.share, 2 * one.rest, 2 * one.least)
    assert together([one, Cannot("no vision")]) == Cannot("no vision")
    assert isinstance(together([]), Cannot)


def test_room_is_weights_cache_and_activations() -> None:
    assert room(24e9, FAST) is None
    assert room(24.1e9, FAST) == Cannot("needs 24.1 GB, has 24 GB")


def test_work_is_read_from_a_records_metrics() -> None:
    row = {
        "itl": 3.0,
        "moved_decode": 10.0,
        "flops_bf16_decode": 20.0,
        "flops_int8_decode": 5.0,
        "flops_bf16_vision": 1.0,
    }
    assert work_of(row, "decode") == Work(10, {"bf16": 20, "int8": 5})
    assert isinstance(work_of(row, "vision"), Cannot)
    assert isinstance(work_of({"moved_decode": 10.0}, "decode"), Cannot)


def test_the_measuring_side_writes_what_is_read_here() -> None:
    from harness.measure.floors import MEDIANS, Floor, work_measurements

    assert MEDIANS == METRICS
    floor = Floor("decode", 25, 10, 0.0, 1.0, "by the test", {"bf16": 20, "int8": 5})
    found = work_measurements({"decode": floor})
    assert {one.unit for one in found} == {"B", "FLOP"}
    read = {one.metric: one.value for one in found if one.value is not None}
    assert work_of(read, "decode") == Work(10, {"bf16": 20, "int8": 5})


@pytest.mark.parametrize(("name", "kinds"), [("native", {"fp32"}), ("int8", {"fp32", "int8"}), ("bf16", {"bf16"})])
def test_a_row_of_a_real_model_says_its_work(name: str, kinds: set[str]) -> None:
    """Beside each stage's time, in the types that the format multiplies in; together the FLOPs of the floor."""
    from harness.measure.beside import beside
    from harness.measure.ceilings import Bandwidth, Ceiling, Ceilings, Unmeasured
    from harness.measure.floors import stage_floors
    from harness.measure.replicates import Timed as TimedRows
    from harness.measure.timing import Workload
    from harness.pair import load_pair
    from harness.plan.shapes import shapes_of
    from harness.record import Measurement

    pair = load_pair("egogpt-qwen2vl-tiny")
    shapes, asked = shapes_of(pair.student, pair.data), Workload(8, 2, 4)
    ceilings = Ceilings(Bandwidth(1e12, "a copy", 1), {"bfloat16": Ceiling(1e14, "a product")}, Unmeasured("not here"))
    rows = TimedRows(asked, [{"still": False, "frame_size": [112, 140], "prompt_tokens": 90}])
    floors = stage_floors(shapes, name, ceilings, frames=8, size=(112, 140), prompt_tokens=90, new_tokens=4, batch=2)
    for stage, metric in METRICS.items():
        median = Measurement(metric, 5.0, "ms", 12, None, None, False, "a median")
        found = beside(metric, rows, median, ceilings, shapes, name)
        work = work_of({one.metric: one.value for one in found if one.value is not None}, stage)
        assert isinstance(work, Work)
        assert set(work.flops) == kinds
        assert (work.moved, sum(work.flops.values())) == (floors[stage].moved, floors[stage].flops)


@given(TIME, st.floats(1, 3), st.floats(0.05, 20), st.floats(0.05, 20), st.floats(1, 5), st.floats(1, 5))
def test_a_bar_holds_both_assumptions_and_stays_above_the_roofline(
    seconds: float, spread: float, wide: float, fast: float, share: float, rest: float
) -> None:
    target = device("target", 4e12 * wide, 100e12 * fast)
    own = timed(seconds, Work(400_000_000, {"bf16": 10_000_000_000}), spread=spread)  # 0.1 ms each
    found = projected(own, FAST, target, Missed(share, rest, 2, 1.0, "x"))
    less, more = 1 - 1e-9, 1 + 1e-9
    assert found.least * less <= found.low <= min(found.share, found.rest) * more
    assert max(found.share, found.rest) <= found.high * more


@given(st.lists(TIME, min_size=2, max_size=8), st.floats(0.1, 10))
def test_a_share_misses_by_as_much_on_a_slower_clock(times: list[float], scale: float) -> None:
    works = [Work(4_000_000_000 * (1 + at), {"bf16": 1}) for at in range(len(times))]
    one, other = (
        leave_one_out([timed(by * seconds, work) for seconds, work in zip(times, works, strict=True)], FAST)
        for by in (1.0, scale)
    )
    assert one is not None
    assert other is not None
    assert math.isclose(one.share, other.share, rel_tol=1e-9)
    assert min(one.share, one.rest) >= 1


@given(st.floats(0.01, 0.99), TIME)
def test_one_share_throughout_is_predicted_exactly(share: float, unit: float) -> None:
    works = [Work(round(unit * 1e12) * (1 + at), {"bf16": 1}) for at in range(4)]
    found = leave_one_out([timed(work.moved / 4e12 / share, work) for work in works], FAST)
    assert found is not None
    assert found.share == pytest.approx(1)


@given(TIME, TIME)
def test_one_rest_throughout_is_predicted_exactly(rest: float, unit: float) -> None:
    works = [Work(round(unit * 1e12) * (1 + at), {"bf16": 1}) for at in range(4)]
    found = leave_one_out([timed(work.moved / 4e12 + rest, work) for work in works], FAST)
    assert found is not None
    assert found.rest == pytest.approx(1)
