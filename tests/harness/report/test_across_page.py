"""The page of several runs, and the index: quiet, whole at any width, with links that lead to the right report."""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.record import Run, load_run, load_runs
from harness.report import page
from harness.report.across import gather
from harness.report.across_page import render, render_index
from harness.report.beside import link, report_of
from tests.harness.gate import made
from tests.harness.report.sample import as_json, without
from tests.harness.report.several import EVIL, of_commit, of_device, poisoned

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PUBLISHED = Path(__file__).resolve().parents[3] / "results" / "published"


@pytest.fixture(scope="module")
def runs(sample: Run) -> list[Run]:
    """Two commits on one device, another device, another pair, and gaps."""
    measured = made.run(1), made.run(2, slower={"itl": 1.2}, commit="ffff0000", day=2)
    with_a_gap = without(of_commit(sample, "abcdef01", 3), "int8", "latency")
    return [sample, with_a_gap, of_device(sample, "Some GPU"), *measured]


@pytest.fixture(scope="module")
def html(runs: list[Run]) -> str:
    return render(gather(runs))


def saved(run: Run, folder: Path, name: str = "0001_x.json") -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(as_json(run)))
    return load_run(folder / name)


def test_verdicts_come_first_then_one_table_then_ratios(html: str, runs: list[Run]) -> None:
    order = [
        "<h1", "Ship distilled-int8: it answers", "All runs, all variants", "Run 5: synthetic on Synthetic CPU",
        "How runs of one pair stand to each other", "Not held against each other", "What is traded for what",
    ]  # fmt: skip
    places = [html.index(part) for part in order]
    assert places == sorted(places)
    assert html == render(gather(runs[::-1]))


def test_it_needs_nothing_from_outside_and_names_nothing_twice(html: str) -> None:
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert not re.search(r'(?:src|href)="(?!data:|#|\./|\.\./)', html)
    names = re.findall(r'\bid="([^"]+)"', html)
    assert len(names) == len(set(names))
    for labels in re.findall(r'aria-labelledby="([^"]+)"', html):
        assert set(labels.split()) <= set(names)
    assert len(html) < 2_000_000


def test_a_reason_has_one_number_over_all_runs(html: str) -> None:
    notes = re.findall(r'<li id="note-(\d+)">([^<]+)', html)
    assert len({text for _, text in notes}) == len(notes)
    assert {f"#note-{number}" for number, _ in notes} == set(re.findall(r'href="(#note-\d+)"', html))
    assert "the latency suite has no record of it in this run" in html


def test_a_ratio_stands_with_its_interval_and_a_refusal_with_its_reason(html: str) -> None:
    assert "Run 2 against run 1" in html
    said = r'×1\.[12]\d\d</span><span class="under">1\.\d+–1\.\d+</span><span class="under missed">slower'
    assert re.search(said, html)
    assert "they differ in device" in html


def test_a_run_s_own_report_is_linked_only_if_it_is_that_run_s(sample: Run, tmp_path: Path) -> None:
    one = saved(sample, tmp_path / "a & b")
    other = saved(of_commit(sample, "abcdef01", 3), tmp_path / "b" / "Linux-CPython-3.11-64bit")
    assert "its report" not in render(gather([one, other]), tmp_path)
    page.write(one, tmp_path / "a & b" / "report.html")
    page.write(one, tmp_path / "b" / "report.html")  # of another run: no link
    html = render(gather([one, other]), tmp_path)
    assert re.findall(r'href="([^"#]+html)"', html) == ["./a%20%26%20b/report.html"]
    page.write(other, tmp_path / "b" / "report.html")
    assert report_of(other) == tmp_path / "b" / "report.html"
    assert '"../b/report.html"' in render(gather([one, other]), tmp_path / "c")


def test_a_name_makes_no_address(tmp_path: Path) -> None:
    assert link(tmp_path / "javascript:alert(1)", tmp_path) == "./javascript%3Aalert%281%29"
    assert link(tmp_path / 'x".html', tmp_path / "deep" / "er") == "../../x%22.html"


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_is_escaped(evil: str, sample: Run) -> None:
    html = render(gather([poisoned(evil), of_commit(poisoned(evil), "abcdef01", 3)]))
    assert "<script" not in html
    assert "<svg onload" not in html
    assert html.encode()


# --- the index


def test_the_index_lists_every_record_with_the_way_to_it(sample: Run, tmp_path: Path) -> None:
    saved(sample, tmp_path / "cpu" / "synthetic")
    newer = saved(of_commit(sample, "abcdef01", 3), tmp_path / "cpu" / "synthetic", "0002_y.json")
    page.write(newer, tmp_path / "cpu" / "synthetic" / "report.html")
    html = render_index(load_runs(tmp_path), tmp_path)
    assert re.findall(r'href="(\./[^"]+)"', html) == [
        "./cpu/synthetic/0002_y.json", "./cpu/synthetic/report.html", "./cpu/synthetic/0001_x.json"
    ]  # fmt: skip
    assert html.count("Ship distilled-int8:") == 2
    assert "firstsight report cpu/synthetic/0001_x.json" in html
    assert html == render_index(load_runs(tmp_path)[::-1], tmp_path)


def test_the_published_index_is_of_what_is_published(tmp_path: Path) -> None:
    """Of the records alone: a report that someone rendered beside one is no part of the repository. The style may have
    changed since; what is said may not.
    """
    shutil.copytree(PUBLISHED, tmp_path / "published", ignore=shutil.ignore_patterns("*.html"))
    made = render_index(load_runs(tmp_path / "published"), tmp_path / "published")
    committed = (PUBLISHED / "index.html").read_text(encoding="utf-8")
    assert made.partition("<body>")[2] == committed.partition("<body>")[2], (
        "firstsight report --index results/published, with no report beside the records"
    )


# --- in a browser


@pytest.fixture(scope="module", params=["across", "index", "hostile"])
def file(request: pytest.FixtureRequest, runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of that kind."""
    folder = tmp_path_factory.mktemp("across")
    if request.param == "index":
        text = render_index([saved(run, folder / str(place)) for place, run in enumerate(runs[:2])], folder)
    else:
        hostile = [poisoned(EVIL[0] * 9), poisoned("x" * 200)]
        text = render(gather(runs if request.param == "across" else [*hostile, *runs]), folder)
    (folder / "page.html").write_text(text)
    return folder / "page.html"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_opens_quietly_and_fits(browser: "Browser", file: Path, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown, said, asked = context.new_page(), list[str](), list[str]()
    shown.on("console", lambda message: said.append(message.text))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(file.as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert shown.locator("h1").count() == 1
    context.close()
