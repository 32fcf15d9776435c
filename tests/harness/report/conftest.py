"""The synthetic run, made once, and a browser where Debian's Chromium is installed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.record import Run
from harness.report import page
from tests.harness.report.sample import sample_run, whole_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Chromium looks for updates and the like by itself; a test of "no network" must not be about that.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def sample() -> Run:
    """The whole synthetic run, its figures untouched."""
    return sample_run()


@pytest.fixture(scope="session")
def html(sample: Run) -> str:
    """The page of the synthetic run."""
    return page.render(sample)


@pytest.fixture(scope="session")
def report(sample: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the synthetic run as a file."""
    return page.write(sample, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def whole() -> Run:
    """The sample run with stages, floors and a sweep of frames as well."""
    return whole_run()


@pytest.fixture(scope="session")
def whole_report(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page as a file."""
    return page.write(whole, tmp_path_factory.mktemp("whole") / "report.html")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Headless Chromium; skipped, with the remedy, where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium (the report was not opened in a browser)")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e .[dev]")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()
