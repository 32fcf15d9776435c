"""Charts as files: an SVG that stands alone, a CSV, both out of the page itself without JavaScript."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from harness.record import Run
from harness.report import page
from harness.report.charts import charts_of
from harness.report.charts.download import csv_uri, file_name, standalone, svg_uri
from tests.harness.report.sample import whole_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SVG = "{http://www.w3.org/2000/svg}"


def decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(";base64,")[2], validate=True)


@pytest.fixture(scope="module", params=[False, True], ids=["cpu", "card"])
def run(request: pytest.FixtureRequest) -> Run:
    return whole_run(card=request.param)


def test_every_svg_stands_alone_with_the_same_text(run: Run) -> None:
    for chart in charts_of(run):
        root = ElementTree.fromstring(standalone(chart))
        assert root.tag == f"{SVG}svg"
        inside = [element.text for element in ElementTree.fromstring(str(chart.wide)).iter("text")]
        assert [element.text for element in root.iter(f"{SVG}text")] == inside
        style = root.find(f"{SVG}style")
        assert style is not None
        assert "var(" not in (style.text or "")
        assert "currentColor" not in (style.text or "")
        defined = set(re.findall(r"\.([\w-]+)\{", style.text or ""))
        used = [element.get("class") for element in root.iter() if element.get("class")]
        assert set(used) == defined
        assert all(" " not in (one or "") for one in used), "office programs know one class an element"
        ground = root.find(f"{SVG}rect")
        assert ground is not None
        assert (ground.get("width"), ground.get("fill")) == ("100%", "#ffffff")
        assert not re.search(rb"(?:href|src|url\(|@import)", standalone(chart))


def test_every_csv_has_a_header_and_as_many_fields_a_row(run: Run) -> None:
    for chart in charts_of(run):
        assert chart.data is not None, f"{chart.id} has words where a spreadsheet wants numbers"
        header, *rows = csv.reader(io.StringIO(decoded(csv_uri(chart)).decode("utf-8-sig"), newline=""))
        assert rows
        assert {len(row) for row in rows} == {len(header)}
        numbers = [field for row in rows for field in row if re.fullmatch(r"-?[\d.]+(?:e-?\d+)?", field)]
        assert len(numbers) >= len(rows), "numbers a spreadsheet reads"
        assert not any(re.search(r"\d\s?(?:ms|MB|%)$", field) for row in rows for field in row), (
            "units are in the header"
        )


def test_marks_keep_the_pages_light_colours(whole: Run) -> None:
    text = standalone(charts_of(whole)[0]).decode()
    assert ".circle" not in text
    assert re.search(r"\.dot-hue2\{fill:#0b62a4\}", text)
    assert ".text-label-strong{fill:#1c1d1f;font-weight:600}" in text
    assert "#fdfcf9" not in text, "the page's paper is no white"


def test_a_name_that_xml_cannot_hold_stays_a_picture(sample: Run) -> None:
    records = tuple(replace(r, variant="a\x08\ud800</svg>=1") if r.variant == "int8" else r for r in sample.records)
    for chart in charts_of(replace(sample, records=records)):
        ElementTree.fromstring(decoded(svg_uri(chart)))
        decoded(csv_uri(chart)).decode("utf-8")


def test_a_file_name_is_one_that_every_system_takes(sample: Run) -> None:
    chart = charts_of(sample)[0]
    assert file_name(chart, "svg") == "pareto.svg"
    assert file_name(replace(chart, id="../a b\x00é"), "csv") == "a-b.csv"
    assert file_name(replace(chart, id="…"), "csv") == "chart.csv"


def test_the_page_holds_the_charts_in_their_order(run: Run) -> None:
    html = page.render(run)
    assert re.findall(r'<figure id="([^"]+)"', html) == [chart.id for chart in charts_of(run)]
    assert html.count(' download="') == 2 * len(charts_of(run))
    assert len(html) < 2_000_000


@pytest.mark.browser
def test_both_files_come_out_of_the_page_by_a_click(browser: Browser, whole_report: Path, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    shown = context.new_page()
    shown.goto(whole_report.as_uri())
    names = [link.get_attribute("download") for link in shown.locator("a[download]").all()]
    assert len(set(names)) == len(names) >= 26
    for name in ("pareto.svg", "pareto.csv", "calibration.svg", "waterfall.csv"):
        with shown.expect_download() as waiting:
            shown.locator(f"a[download='{name}']").click()
        assert waiting.value.suggested_filename == name
        waiting.value.save_as(tmp_path / name)
    assert ElementTree.parse(tmp_path / "pareto.svg").getroot().tag == f"{SVG}svg"
    assert (tmp_path / "waterfall.csv").read_text().startswith("Variant,Libraries (MB),Weights (MB)")
    assert shown.url == whole_report.as_uri(), "the page stays where it is"
    context.close()


@pytest.mark.browser
def test_the_file_looks_like_the_page(browser: Browser, whole: Run, whole_report: Path, tmp_path: Path) -> None:
    """Each mark has the fill, stroke and size of letters that it has in the page's light style."""
    look = """svg => [...svg.querySelectorAll('text, rect[class], circle, line, path')].map(e => {
      const s = getComputedStyle(e);
      return [e.tagName, s.fill, s.fillOpacity, s.stroke, s.strokeWidth, s.strokeDasharray, s.strokeOpacity, s.opacity,
              e.tagName === 'text' ? s.fontSize + s.fontWeight : ''].join(' ')
        .replace('rgb(253, 252, 249)', 'rgb(255, 255, 255)') })"""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    shown, alone = context.new_page(), context.new_page()
    shown.goto(whole_report.as_uri())
    for chart in charts_of(whole):
        (tmp_path / "chart.svg").write_bytes(standalone(chart))
        alone.goto((tmp_path / "chart.svg").as_uri())
        in_page = shown.locator(f"#{chart.id} svg.wide").evaluate(look)
        assert alone.locator("svg").evaluate(look) == in_page, chart.id
    context.close()
