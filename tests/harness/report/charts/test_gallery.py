"""Every chart of a run in the page's order, its history too."""

import re
from dataclasses import replace

import pytest

from harness.record import Run
from harness.report import page
from harness.report.charts import charts_of


def test_with_runs_before_it_its_history_is_there_too(whole: Run) -> None:
    earlier = [replace(whole, datetime=f"2025-12-0{day}T03:04:05+00:00") for day in (1, 2, 3)]
    found = charts_of(whole, earlier)
    assert [chart.id for chart in found][-3:] == ["history-answer", "history-memory_peak", "history-agreement"]
    assert all(chart.data for chart in found)
    assert re.findall(r'<figure id="([^"]+)"', page.render(whole, earlier)) == [chart.id for chart in found]


def test_names_of_files_are_all_different(whole: Run) -> None:
    ids = [chart.id for chart in charts_of(whole)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("suite", ["latency", "vram", "agreement"])
def test_a_partial_run_has_the_charts_that_it_can_have(whole: Run, suite: str) -> None:
    part = replace(whole, records=tuple(r for r in whole.records if r.suite == suite))
    ids = {chart.id for chart in charts_of(part)}
    assert {"latency": "stage-bars", "vram": "waterfall", "agreement": "calibration"}[suite] in ids
    html = page.render(part)
    reasons = {
        "stage-bars": "No stage of an answer was timed in this run.",
        "waterfall": "No peak is taken apart in this run.",
        "calibration": "How sure the variants were of their answers is not shown",
        "frames-ttft": "How times grow with the frames is not known",
    }
    for chart, reason in reasons.items():
        assert (chart in ids) != (reason in html), chart
