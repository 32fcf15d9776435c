"""How sure, and how often the teacher's answer: bins, the expected calibration error, and what chance shows."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.record import Run
from harness.report import page
from harness.report.charts import Chart, NoChart
from harness.report.charts.calibration import calibrated, calibration
from harness.report.view import Item, VariantView, variants
from tests.harness.report.sample import sample_run


def view(answers: list[tuple[float, bool]], clips: int = 40) -> VariantView:
    """A variant that gave answers so sure of them, and whether each was the teacher's."""
    items = tuple(
        Item(f"q{i}", f"clip {i % clips}", "count", agrees, agrees, sure) for i, (sure, agrees) in enumerate(answers)
    )
    return VariantView("student", False, (), items, (), None, None)


def test_the_error_by_hand() -> None:
    """Three of four alike at 0.9, none of one at 0.5: (4 · |0.75 - 0.9| + 1 · |0 - 0.5|) / 5."""
    found = calibrated(view([(0.9, True), (0.9, True), (0.9, True), (0.9, False), (0.5, False)]), 0)
    assert found is not None
    assert found.ece == pytest.approx((4 * 0.15 + 0.5) / 5)
    assert [(one.low, one.high, one.n) for one in found.bins] == [(0.5, 0.6, 1), (0.9, 1.0, 4)]
    assert found.leans > 0, "surer than it should be"


def test_quite_sure_belongs_to_the_last_bin() -> None:
    found = calibrated(view([(1.0, True), (0.0, False)]), 0)
    assert found is not None
    assert [one.low for one in found.bins] == [0.0, 0.9]
    assert found.ece == 0


def test_a_perfectly_calibrated_one_shows_what_chance_shows() -> None:
    dice = random.Random(0)
    sures = [dice.random() for _ in range(3000)]
    honest = calibrated(view([(sure, dice.random() < sure) for sure in sures]), 0)
    boastful = calibrated(view([(sure, dice.random() < sure**2) for sure in sures]), 0)
    assert honest is not None
    assert boastful is not None
    assert honest.ece < honest.by_chance[1] < 0.05 < boastful.ece
    assert boastful.leans == pytest.approx(boastful.ece, rel=0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_is_a_share_and_every_answer_is_in_one_bin(answers: list[tuple[float, bool]]) -> None:
    found = calibrated(view(answers), 0)
    assert found is not None
    assert 0 <= found.ece <= 1
    assert sum(one.n for one in found.bins) == found.n == len(answers)
    assert all(one.low - 1e-9 <= one.sure <= one.high + 1e-9 for one in found.bins)
    assert all(one.interval[0] <= one.agrees <= one.interval[1] for one in found.bins)
    assert abs(found.leans) <= found.ece + 1e-9


def test_the_chart_is_of_what_could_be_shipped_with_n_and_interval(sample: Run) -> None:
    found = calibration(sample)
    assert isinstance(found, Chart)
    assert list(dict.fromkeys(row[0] for row in found.rows)) == ["int8", "distilled", "distilled-int8"]
    assert found.says.startswith("Expected calibration error against the teacher, of 600 answers each: int8 ")
    assert found.rows[-1][1].startswith("ECE ")
    assert "Wilson’s, clustered by clip" in found.note
    assert calibration(sample_run()) == found, "the same each time"


def test_records_of_before_say_why_there_is_none(sample: Run) -> None:
    def older(details: Any) -> Any:
        rows = [{key: value for key, value in row.items() if key != "sure"} for row in details.get("items") or []]
        return {**details, "items": rows}

    before = replace(sample, records=tuple(replace(r, details=older(r.details)) for r in sample.records))
    found = calibration(before)
    assert isinstance(found, NoChart)
    assert "of before it was kept" in found.reason
    assert "they are of before it was kept" in page.render(before)
    random_weights = replace(sample, environment={**sample.environment, "weights": "random"})
    assert "the weights are random" in str(calibration(random_weights))


@pytest.mark.parametrize("sure", [1.5, -0.1, "0.5"])
def test_what_is_no_probability_is_named(sample: Run, sure: Any) -> None:
    record = next(r for r in sample.records if r.suite == "agreement")
    rows: Any = [{**dict(record.details["items"][0]), "sure": sure}]  # type: ignore[index, arg-type, call-overload]
    with pytest.raises(RecordError, match=r"items\[0\]: sure must be a"):
        variants(replace(sample, records=(replace(record, details={"items": rows}),)))
