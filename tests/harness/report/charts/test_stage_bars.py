"""Stages as bars, their floors within; without floors the bars alone, and said so."""

from dataclasses import replace
from xml.etree import ElementTree

from harness.record import Run
from harness.report import page
from harness.report.charts import Chart, NoChart, stage_bars
from tests.harness.report.sample import mapped


def chart(run: Run) -> Chart:
    found = stage_bars(run)
    assert isinstance(found, Chart)
    return found


def widths(found: Chart, kind: str) -> list[float]:
    rects = ElementTree.fromstring(str(found.wide)).iter("rect")
    return [float(r.get("width") or 0) for r in rects if (r.get("class") or "").startswith(kind)]


def test_every_stage_has_a_bar_and_the_floor_is_its_share_of_it(whole: Run) -> None:
    found = chart(whole)
    assert found.title == "Stages and their floors"
    assert [row[:2] for row in found.rows[:5]] == [
        ("baseline", "Media"), ("baseline", "Prepare"), ("baseline", "Vision"), ("baseline", "Prefill"),
        ("baseline", "Decode, a token"),
    ]  # fmt: skip
    assert found.rows[3][2:] == ("2.55 ms", "2.47–2.68", "0.210 ms", "8.2 %", "7.8–8.5")
    assert "prefill of baseline (2.55 ms), int8" in found.says
    assert "at 4 frames, batch 1, 8 tokens" in found.says
    assert len(widths(found, "area")) == 20
    bars, floors = widths(found, "area")[2:4], widths(found, "floor")[:2]
    for bar, floor, row in zip(bars, floors, found.rows[2:4], strict=True):
        assert abs(floor / bar - float(row[5].removesuffix(" %")) / 100) < 0.01


def test_without_floors_the_bars_stand_alone_and_it_is_said(whole: Run) -> None:
    bare = tuple(
        replace(r, measurements=tuple(m for m in r.measurements if not m.metric.startswith(("floor", "light"))))
        for r in whole.records
    )
    found = chart(replace(whole, records=bare))
    assert found.title == "Stages"
    assert found.says.endswith("Floors were not measured, so the bars stand alone.")
    assert found.header == ("Variant", "Stage", "Median", "interval")
    assert widths(found, "floor") == []


def test_faster_than_the_floor_is_told_and_drawn_beyond_the_bar(whole: Run) -> None:
    run = mapped(whole, "int8", "floor_decode", value=6.0)
    told = "faster than the floor: 4.1 ms measured, but at least 6 ms needed"
    run = mapped(run, "int8", "light_decode", value=None, low=None, high=None, absent=told)
    row = next(row for row in chart(run).rows if row[:2] == ("int8", "Decode, a token"))
    assert row[4:6] == ("6.00 ms", "faster")


def test_a_stage_that_is_not_valid_is_a_gap(whole: Run) -> None:
    run = mapped(whole, "int8", "vision", value=None, low=None, high=None, absent="broken")
    row = next(row for row in chart(run).rows if row[:2] == ("int8", "Vision"))
    assert row[2] == "–"


def test_runs_of_before_say_why_there_is_none(sample: Run) -> None:
    found = stage_bars(sample)
    assert isinstance(found, NoChart)
    assert found.reason == "No stage of an answer was timed in this run."
    assert 'id="stage-bars"' not in page.render(sample)
