"""The page in headless Chromium: phone and desktop, light and dark, hostile text, no network, nothing cut."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.record import Run
from harness.report import page
from harness.report.charts import charts_of
from tests.harness.report.sample import as_json, sample_run, whole_run

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e .[dev]")
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

# Boxes of the text of each drawing that is shown, and of the drawing.
LABELS = """() => [...document.querySelectorAll('svg')].filter(s => s.getClientRects().length).map(svg => {
  const box = e => { const r = e.getBoundingClientRect();
    return [r.left, r.top, r.right, r.bottom, e.textContent] };
  return [box(svg).slice(0, 4), [...svg.querySelectorAll('text')].map(box)];
})"""
EVIL = [
    "<script>window.hit=1</script>",
    "\"><img src=x onerror='window.hit=1'>",
    "</style><script>window.hit=1</script>",
    "</title></svg><svg onload=window.hit=1>",
    "javascript:window.hit=1",
    "{{ 7*7 }}{% raw %}",
    "' onmouseover='window.hit=1",
    "\u202egnp.exe",
    "<a href=http://example.org/>x</a>",
]


def crowd() -> Run:
    """Ten variants, some of them with names as long or as wide as they come."""
    run = whole_run(card=True)
    odd = {"int8": "x" * 120, "distilled": "W" * 60, "distilled-int8": "蒸留" * 20}
    records = [replace(r, variant=odd.get(r.variant, r.variant)) for r in run.records]
    for i in range(6):
        for r in run.records:
            if r.variant == "distilled":
                grown = (
                    replace(m, value=m.value * (1 + i / 20), low=None, high=None) if m.value and m.unit != "1" else m
                    for m in r.measurements
                )
                records.append(replace(r, variant=f"pruned-distilled-{i}", measurements=tuple(grown)))
    return replace(run, records=tuple(records))


def opened(browser: Browser, file: Path, width: int, scheme: Any) -> tuple[Any, list[str], list[str]]:
    """The page, what it said on the console, what it asked the network for."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(file.as_uri())
    return shown, said, asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_opens_quietly_without_network_or_sideways_scrolling(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    shown, said, asked = opened(browser, report, width, scheme)
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert shown.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(253, 252, 249)", "dark": "rgb(20, 21, 23)"}[scheme]
    shown.context.close()


@pytest.fixture(scope="module", params=["cpu", "card", "crowd"])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The page of a run of that kind, and how many charts the run has."""
    run = crowd() if request.param == "crowd" else whole_run(card=request.param == "card")
    return page.write(run, tmp_path_factory.mktemp("drawn") / "report.html"), len(charts_of(run))


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_labels_of_charts_neither_overlap_nor_leave_the_chart(
    browser: Browser, drawn: tuple[Path, int], width: int
) -> None:
    file, charts = drawn
    shown, _, _ = opened(browser, file, width, "light")
    drawings = shown.evaluate(LABELS)
    assert len(drawings) == charts == 13
    for (left, top, right, bottom), labels in drawings:
        for i, (x1, y1, x2, y2, text) in enumerate(labels):
            assert left - 1 <= x1, text
            assert x2 <= right + 1, text
            assert top - 1 <= y1, text
            assert y2 <= bottom + 1, text
            for a1, b1, a2, b2, other in labels[i + 1 :]:
                across, down = min(x2, a2) - max(x1, a1), min(y2, b2) - max(y1, b1)
                assert across <= 0 or down <= 3, f"{text!r} on {other!r}"  # line boxes are taller than letters
    shown.context.close()


def test_the_first_screen_is_the_verdict_and_the_table(browser: Browser, report: Path) -> None:
    shown, _, _ = opened(browser, report, 1280, "light")
    assert shown.locator("h1").bounding_box()["y"] < 150
    table = shown.locator("table.overview").bounding_box()
    assert table["y"] + table["height"] <= 800
    shown.context.close()


def test_small_text_has_contrast_in_light_and_dark(browser: Browser, report: Path) -> None:
    luminance = """() => { const s = getComputedStyle(document.documentElement);
      const value = name => { const h = s.getPropertyValue(name).trim().slice(1);
        const c = [0, 2, 4].map(i => parseInt(h.slice(i, i + 2), 16) / 255)
          .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
        return .2126 * c[0] + .7152 * c[1] + .0722 * c[2] };
      return Object.fromEntries(['--paper', '--wash', '--ink', '--soft', '--link', '--good', '--bad',
        '--unsure', ...[0, 1, 2, 3, 4, 5, 6, 7].map(i => '--hue' + i)].map(n => [n, value(n)])) }"""
    for scheme in ("light", "dark"):
        shown, _, _ = opened(browser, report, 1280, scheme)
        found = shown.evaluate(luminance)
        for name, value in found.items():
            if name not in ("--paper", "--wash"):
                for ground in ("--paper", "--wash"):
                    low, high = sorted((value, found[ground]))
                    assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {ground}, {scheme}"
        shown.context.close()


def poisoned(value: Any, turn: list[int]) -> Any:
    """A JSON value with every free text replaced by hostile ones in turn; keys and pictures stay."""
    if isinstance(value, dict):
        return {
            k: v if k in ("suite", "metric", "unit", "id", "clip", "frames") else poisoned(v, turn)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [poisoned(v, turn) for v in value]
    if isinstance(value, str):
        turn[0] += 1
        return EVIL[turn[0] % len(EVIL)] + value
    return value


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_text_in_every_field_stays_text(browser: Browser, tmp_path: Path, width: int) -> None:
    run = whole_run()
    whole = json.loads(json.dumps(as_json(run)))
    turn = [0]
    records = tuple(
        replace(
            r,
            variant=EVIL[i % len(EVIL)] + r.variant,
            details=poisoned(json.loads(json.dumps(r.details)), turn),
            artifacts={EVIL[0]: EVIL[1]},
            measurements=tuple(replace(m, how=EVIL[turn[0] % 9] + m.how) for m in r.measurements),
        )
        for i, r in enumerate(run.records)
    )
    environment = poisoned(whole["machine_info"]["firstsight"], turn)
    environment["pair"].update(budgets={"agreement": 0.75}, objective="size")
    evil = Run(records, environment, poisoned(whole["commit_info"], turn), EVIL[3])
    shown, said, asked = opened(browser, page.write(evil, tmp_path / "evil.html"), width, "dark")
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert shown.evaluate("window.hit") is None
    assert shown.locator("script").count() == 0
    assert said == []
    assert len([url for url in asked if not url.startswith("data:")]) == 1
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert "<script>window.hit=1</script>" in shown.locator("body").inner_text()
    shown.context.close()


def test_it_can_be_read_without_javascript(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    shown = context.new_page()
    shown.goto(report.as_uri())
    assert shown.locator("h1").inner_text().startswith("Ship distilled-int8")
    shown.locator("summary").first.click()
    assert shown.locator("details[open]").count() == 1
    context.close()


def test_a_long_name_cuts_nothing_open(browser: Browser, sample: Run, tmp_path: Path) -> None:
    records = tuple(replace(r, variant="x" * 120) if r.variant == "int8" else r for r in sample.records)
    for width in (360, 1280):
        file: Path = page.write(replace(sample, records=records), tmp_path / "long.html")
        shown, _, _ = opened(browser, file, width, "light")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.context.close()


@pytest.mark.parametrize(
    "budgets",
    [
        {"agreement": 0.83, "size_mb": 0.8},  # three changes and a doubt
        {"agreement": 0.83, "size_mb": 0.3, "answer_j": 2.0},  # nothing ships, and the headline says three things
    ],
)
def test_the_first_screen_holds_what_would_change_the_answer_too(
    browser: Browser, tmp_path: Path, budgets: dict[str, float]
) -> None:
    file = page.write(sample_run(budgets=budgets), tmp_path / "report.html")
    shown, _, _ = opened(browser, file, 1280, "light")
    boxes = [shown.locator(name).bounding_box() for name in (".margins", ".change", "table.overview")]
    assert [box["y"] for box in boxes] == sorted(box["y"] for box in boxes)
    assert boxes[-1]["y"] + boxes[-1]["height"] <= 800
    shown.locator(".change a").click()
    assert shown.locator("#what-would-change").bounding_box()["y"] < 800
    shown.context.close()
