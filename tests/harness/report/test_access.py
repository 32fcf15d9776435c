"""Can everybody read it? axe-core at three widths, in light and dark, with everything unfolded; the keyboard; paper."""

from pathlib import Path
from typing import Any

import pytest

from tests.harness.report.states import STATES, page_of
from tests.harness.report.test_browser import opened

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e .[dev]")
from playwright.sync_api import Browser

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: pip install -e .[dev]")

pytestmark = pytest.mark.browser


def violations(shown: Any) -> list[str]:
    """What axe-core (WCAG 2.2 A and AA, and its best practices) finds that is serious, a line each."""
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = axe.Axe().run(shown).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (768, "dark"), (1280, "light"), (1280, "dark")])
def test_axe_finds_nothing_serious(browser: Browser, report: Path, width: int, scheme: str) -> None:
    shown, _, _ = opened(browser, report, width, scheme)
    assert violations(shown) == []
    shown.context.close()


@pytest.mark.parametrize("state", STATES)
def test_nor_on_the_page_of_a_run_that_is_not_whole(browser: Browser, tmp_path: Path, state: str) -> None:
    shown, said, _ = opened(browser, page_of(state, tmp_path), 360, "light")
    assert violations(shown) == []
    assert said == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    shown.context.close()


def test_every_control_is_reached_by_the_tab_key_and_shows_that_it_is(browser: Browser, report: Path) -> None:
    shown, _, _ = opened(browser, report, 1280, "light")
    names = "a[href], summary, input, [tabindex='0']"
    focusable = shown.evaluate(f'[...document.querySelectorAll("{names}")].filter(e => e.checkVisibility()).length')
    seen = set()
    for _ in range(focusable + 5):
        shown.keyboard.press("Tab")
        at = shown.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e.closest('label') || e);"
            " return [[...document.querySelectorAll('*')].indexOf(e), e.tagName, s.outlineStyle, e.type || ''] })()"
        )
        if at[1] != "BODY":
            assert at[2] != "none", f"{at[1]} has the focus and does not show it"
            seen.add(at[0])
    radios = shown.evaluate("document.querySelectorAll('input[type=radio]').length")
    groups = shown.evaluate("new Set([...document.querySelectorAll('input[type=radio]')].map(e => e.name)).size")
    assert len(seen) >= focusable - radios + groups  # the arrow keys move within a group
    shown.context.close()


def test_on_paper_no_figure_is_cut_and_nothing_leaves_the_sheet(browser: Browser, report: Path, tmp_path: Path) -> None:
    """A4 at 96 px an inch: what is taller than a sheet would be cut, what is wider would be lost."""
    shown, _, _ = opened(browser, report, 1280, "dark")
    shown.emulate_media(media="print")
    width, height = round((210 - 20) / 25.4 * 96), round((297 - 20) / 25.4 * 96)
    shown.set_viewport_size({"width": width, "height": height})
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    tall = shown.evaluate(
        "[...document.querySelectorAll('figure, .flips li')].filter(e => e.getClientRects().length)"
        ".map(e => [e.id || e.className, getComputedStyle(e).breakInside, e.getBoundingClientRect().height])"
    )
    assert tall
    for name, breaks, size in tall:
        assert breaks == "avoid", name
        assert size <= height, name
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"), "ink is for what is said"
    if browser.browser_type.name == "chromium":
        printed = tmp_path / "report.pdf"
        shown.pdf(path=printed, format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "10mm"))
        assert printed.read_bytes().startswith(b"%PDF-")
    shown.context.close()


def test_the_verdict_and_its_table_are_on_the_first_sheet_of_paper(browser: Browser, report: Path) -> None:
    """A table, not the phone's blocks, which took three sheets; within the page's own margins."""
    shown, _, _ = opened(browser, report, 1280, "light")
    shown.emulate_media(media="print")
    width, height = round((210 - 24) / 25.4 * 96), round((297 - 28) / 25.4 * 96)
    shown.set_viewport_size({"width": width, "height": height})
    head, row, right, bottom = shown.evaluate(
        "(() => { const t = document.querySelector('.overview'), b = t.getBoundingClientRect();"
        " const shows = e => getComputedStyle(e).display;"
        " return [shows(t.querySelector('thead')), shows(t.querySelector('tbody tr')), b.right, b.bottom] })()"
    )
    assert (head, row) == ("table-header-group", "table-row")
    assert right <= width
    assert bottom <= height
    shown.context.close()
