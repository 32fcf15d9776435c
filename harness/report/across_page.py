"""The page of several runs, and the index of a folder of them: from records alone, by the rules of `page.py`.

html = render(gather(runs), at=Path("results"))       # `at`: where it will lie; links are seen from there
html = render_index(runs, Path("results/published"))
"""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from harness.record import Run
from harness.report import charts, figures
from harness.report.across import Across
from harness.report.beside import link, report_of
from harness.report.between import Between, Ratio
from harness.report.charts import Chart
from harness.report.page import style, template
from harness.report.sections import Row
from harness.report.summary import Summary, summarise

_NAMES = re.compile(r'(?<= id=")[^"]+|(?<= aria-labelledby=")[^"]+')


@dataclass(frozen=True)
class Shown:
    """One run on the page: its place from 1 on, where its own report is, its rows with notes numbered over all runs."""

    number: int
    summary: Summary
    report: str  # empty: there is none beside its record
    record: str
    rows: tuple[Row, ...]
    asked: tuple[tuple[str, str], ...]  # heading, budget; of the budgets that the pair states
    chart: Chart | None
    command: str  # the record as one types it in the page's folder


@dataclass(frozen=True)
class Held:
    """A run against an earlier one, as a table of variants and metrics."""

    later: int
    earlier: int
    rows: tuple[tuple[str, tuple[tuple[str, Ratio | None], ...]], ...]
    told: Between


def render(found: Across, at: Path | None = None) -> str:
    """The whole page; without `at` it has no links."""
    reasons: dict[str, int] = {}
    page = template("across.html.j2").render(
        **style(),
        found=found,
        title=f"{len(found.runs)} runs: {found.spread}",
        ships=any(one.verdict.ship for one in found.runs),
        runs=[_shown(place, one, at, reasons) for place, one in enumerate(found.runs)],
        headings=[figures.metric(name).heading for name in figures.COLUMNS],
        notes=list(reasons),
        held=[_held(one) for one in found.between if not one.refused],
        refused=[(one.later + 1, one.earlier + 1, one.refused) for one in found.between if one.refused],
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def render_index(runs: Sequence[Run], folder: Path) -> str:
    """A folder's runs, newest first, with links to their records and to the reports beside them."""
    brief = sorted((summarise(run) for run in runs), key=lambda one: (one.run.datetime, one.name), reverse=True)
    brief.sort(key=lambda one: (one.pair, one.device))
    page = template("index.html.j2").render(
        **style(), runs=[_shown(place, one, folder, {}) for place, one in enumerate(brief)]
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _shown(place: int, one: Summary, at: Path | None, reasons: dict[str, int]) -> Shown:
    report, record = report_of(one.run), one.run.path
    chart = charts.pareto(one.run, one.verdict)
    return Shown(
        number=place + 1,
        summary=one,
        report=link(report, at) if report and at else "",
        record=link(record, at) if record and at else "",
        rows=tuple(_renumbered(row, one.table.notes, reasons) for row in one.table.rows),
        asked=one.asked,
        chart=None if chart is None else _own(chart, place + 1, one),
        command=shlex.quote(os.path.relpath(record, at)) if record and at else "",
    )


def _renumbered(row: Row, notes: tuple[str, ...], reasons: dict[str, int]) -> Row:
    """A row whose notes count over the whole page: one reason has one number."""

    def number(note: int | None) -> int | None:
        return None if note is None else reasons.setdefault(notes[note - 1], len(reasons) + 1)

    return replace(row, cells=tuple(replace(cell, note=number(cell.note)) for cell in row.cells))


def _own(chart: Chart, number: int, one: Summary) -> Chart:
    """The chart with names of its own: an id may stand once in a page."""

    def renamed(drawing: Markup) -> Markup:
        return Markup(_NAMES.sub(lambda found: " ".join(f"r{number}-{name}" for name in found[0].split()), drawing))

    title = f"Run {number}: {one.name}, {one.commit}"
    return replace(
        chart, id=f"r{number}-{chart.id}", title=title, wide=renamed(chart.wide), narrow=renamed(chart.narrow)
    )


def _held(one: Between) -> Held:
    rows = tuple(
        (name, tuple((figures.metric(metric).heading, one.of(name, metric)) for metric in figures.COLUMNS))
        for name in one.variants
    )
    return Held(one.later + 1, one.earlier + 1, rows, one)
