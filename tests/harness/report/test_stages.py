"""Stages beside their floors, and times over workloads, on the page: on rows as the latency suite records them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.record import Measurement, Record, Run
from harness.report import page, table
from harness.report.stages import sweep, where_time_goes
from harness.report.verdict import decide
from harness.report.view import variants

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMED = ("baseline", "int8", "distilled", "distilled-int8")
HEADLINE = {"frames": 4, "batch": 1, "new_tokens": 8}
LIMIT = "bandwidth binds: 3.12 GB at 4.8 TB/s (best copy), measured in this run; 3.26 GFLOP would take 0.005 ms"
# metric: median, its interval, floor in ms (None: the host's), and which ceiling binds
STAGES: dict[str, tuple[float, float, float, float | None, str]] = {
    "media": (12.0, 11.0, 13.0, None, ""),
    "prepare": (3.0, 2.9, 3.2, None, ""),
    "vision": (8.0, 7.5, 8.4, 2.0, "compute binds: 3 TFLOP at 700 TFLOP/s (best product), measured in this run"),
    "prefill": (20.0, 19.0, 21.0, 9.0, "compute binds: 9 TFLOP at 700 TFLOP/s (best product), measured in this run"),
    "itl": (2.0, 1.6, 2.5, 0.65, LIMIT),
}


def stage_rows(variant: str, workload: Mapping[str, int] = HEADLINE, **changed: float) -> list[Record]:
    """A record a stage, with its floor and share beside it."""
    made = []
    for metric, (value, low, high, floor, limit) in STAGES.items():
        scale = changed.get(metric, 1.0)
        found = [Measurement(metric, value * scale, "ms", 20, low * scale, high * scale, False, "timed")]
        stage = "decode" if metric == "itl" else metric
        if floor is None:
            why = "the host’s work, of which no ceiling is measured"
            found.append(Measurement(f"floor_{stage}", None, "ms", 0, None, None, False, "host", absent=why))
        else:
            found.append(Measurement(f"floor_{stage}", floor, "ms", 1, None, None, False, limit))
            share, how = floor / (value * scale), f"floor of {stage} over its median"
            light = Measurement(
                f"light_{stage}", share, "1", 20, floor / (high * scale), floor / (low * scale), True, how
            )
            if share > 1:
                why = f"faster than the floor: {value * scale:.3g} ms measured, but at least {floor} ms needed; {limit}"
                light = replace(light, value=None, low=None, high=None, absent=why)
            found.append(light)
        details: dict[str, Any] = {"row": metric}
        made.append(Record("synthetic", variant, "latency", dict(workload), tuple(found), True, (), {}, details))
    return made


def with_stages(run: Run, **changed: float) -> Run:
    """The run with stages of every timed variant; `changed`: factors on the shipped one's medians."""
    rows = [
        row for name in TIMED for row in stage_rows(name, **(changed if name == "distilled-int8" else {"prefill": 1.0}))
    ]
    kept = [r for r in run.records if not (r.suite == "latency" and r.workload["batch"] != 1)]
    without_itl = [
        replace(r, measurements=tuple(m for m in r.measurements if m.metric != "itl")) if r.suite == "latency" else r
        for r in kept
    ]
    return replace(run, records=(*without_itl, *rows))


def section(html: str, name: str, until: str) -> str:
    """A part of the page as text, cells apart by bars."""
    part = html[html.index(f'id="{name}"') : html.index(f'id="{until}"')]
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"(<[^>]+>)+", "|", part)).replace("\N{NO-BREAK SPACE}", " ")


def test_stages_stand_beside_their_floors(sample: Run) -> None:
    text = section(page.render(with_stages(sample)), "stages", "latency")
    assert "at 4 frames, batch 1, 8 tokens." in text
    for name in TIMED:
        assert f"|{name}|" in text
    assert "|Vision|Median|8.00 ms|7.50–8.40|Floor|2.00 ms|compute|Speed of light|25.0 %|23.8–26.7|" in text
    decode = "|Decode, per token|Median|2.00 ms|1.60–2.50|Floor|0.650 ms|bandwidth|Speed of light|32.5 %|26.0–40.6|"
    assert decode in text
    assert "|Media, floor: the host’s work, of which no ceiling is measured|" in text  # of all, so of none by name
    assert "|TTFT|Median|4.7" in text
    assert text.count("|Whole answer|") == 4


def test_faster_than_light_is_told_where_it_stands(sample: Run) -> None:
    text = section(page.render(with_stages(sample, itl=0.25)), "stages", "latency")
    assert "|Floor|0.650 ms|bandwidth|Speed of light|faster than the floor|see below|" in text
    assert (
        "|Decode, per token, speed of light of distilled-int8: faster than the floor: 0.5 ms measured, but at least "
        "0.65 ms needed; bandwidth binds" in text
    )


def test_runs_of_before_say_that_no_stage_was_timed(sample: Run, html: str) -> None:
    assert where_time_goes(variants(sample)) is None
    assert "|No stage of an answer was timed in this run.|" in section(html, "stages", "latency")


def test_stages_without_floors_have_one_column(sample: Run) -> None:
    run = with_stages(sample)
    bare = tuple(
        replace(r, measurements=tuple(m for m in r.measurements if not m.metric.startswith(("floor", "light"))))
        for r in run.records
    )
    found = where_time_goes(variants(replace(run, records=bare)))
    assert found is not None
    assert found.headings == ("Median",)
    assert not found.has_floors
    assert found.notes == ()


def test_a_broken_stage_is_a_gap_with_its_reason(sample: Run) -> None:
    run = with_stages(sample)
    records = tuple(
        replace(r, valid=False, invalid_reasons=("the clock fell",))
        if r.variant == "int8" and any(m.metric == "vision" for m in r.measurements)
        else r
        for r in run.records
    )
    found = where_time_goes(variants(replace(run, records=records)))
    assert found is not None
    row = next(cells for name, cells in next(t for t in found.tables if t.variant == "int8").rows if name == "Vision")
    assert [value for value, _ in row] == ["–", "–", "–"]
    assert "Vision of int8: not valid: the clock fell" in found.notes


def test_a_variant_without_any_valid_time_has_one_line_of_reasons(sample: Run) -> None:
    rows = [replace(row, valid=False, invalid_reasons=("others held the CPU",)) for row in stage_rows("int8")]
    found = where_time_goes(variants(replace(sample, records=(*stage_rows("baseline"), *rows))))
    assert found is not None
    about = [line for line in found.notes if "others held the CPU" in line]
    assert len(about) == 1
    assert "others of int8: not valid: others held the CPU" in about[0]


def test_nothing_that_is_judged_changes_by_stages(sample: Run) -> None:
    """Verdict and terminal's table read TTFT and inter-token latency as before."""
    rows = tuple(row for name in TIMED for row in stage_rows(name) if row.details["row"] != "itl")
    run = replace(sample, records=(*sample.records, *rows))
    assert decide(run) == decide(sample)
    assert table.render(run) == table.render(sample)


def test_workloads_are_told_apart(sample: Run, html: str) -> None:
    found = sweep(variants(sample))
    assert found is not None
    assert found.names == TIMED
    assert [one.heading for one in found.tables] == ["TTFT", "Inter-token", "Whole answer"]
    labels = [label for label, _ in found.tables[0].rows]
    assert labels == ["4 frames, batch 1, 8 tokens", "4 frames, batch 4, 8 tokens"]
    assert found.notes == ()
    text = section(html, "latency", "types")
    assert "|Over workloads|" in text
    assert "|4 frames, batch 4, 8 tokens|" in text


def test_one_workload_is_no_sweep(sample: Run) -> None:
    one = replace(sample, records=tuple(r for r in sample.records if r.workload.get("batch") != 4))
    assert sweep(variants(one)) is None
    assert "Over workloads" not in page.render(one)


def test_a_workload_that_one_variant_lacks_is_a_gap(sample: Run) -> None:
    lacking = tuple(
        r for r in sample.records if (r.variant, r.suite, r.workload.get("batch")) != ("int8", "latency", 4)
    )
    found = sweep(variants(replace(sample, records=lacking)))
    assert found is not None
    assert found.tables[0].rows[1][1][1] == ("–", "")
    assert "TTFT at 4 frames, batch 4, 8 tokens of int8: not measured" in found.notes


def test_a_variants_name_stays_text(sample: Run) -> None:
    run = with_stages(sample)
    evil = "<script>alert(1)</script>"
    records = tuple(replace(r, variant=evil) if r.variant == "int8" else r for r in run.records)
    html = page.render(replace(run, records=records))
    assert evil not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html[html.index('id="stages"') : html.index('id="latency"')]


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_tables_fit_a_phone(browser: Browser, sample: Run, tmp_path: Path, width: int) -> None:
    run = with_stages(sample, itl=0.25)
    records = tuple(replace(r, variant="x" * 120) if r.variant == "int8" else r for r in run.records)
    file = page.write(replace(run, records=records), tmp_path / "stages.html")
    context = browser.new_context(viewport={"width": width, "height": 800})
    shown = context.new_page()
    shown.goto(file.as_uri())
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.locator("#stages table.stages").count() == 4
    context.close()
