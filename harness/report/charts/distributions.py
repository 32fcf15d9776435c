"""Every round of every latency as a dot, with its quartiles, median and p90: not only means.

A round far beyond the others is drawn at the edge and counted in words, so that it neither hides nor flattens
the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from harness.record import Run
from harness.report import figures
from harness.report.charts.data import Cell, Data
from harness.report.charts.svg import HUES, NARROW, Canvas, Chart, clipped, element, text_width, ticks
from harness.report.view import variants

METRICS = ("ttft", "itl", "answer")
PANEL = 508  # px, two beside each other on a desktop
MOST_DOTS = 200
_ROW, _HEAD, _FOOT = 34, 34, 40


@dataclass(frozen=True)
class Row:
    """One variant's rounds."""

    name: str
    hue: int
    rounds: tuple[float, ...]

    def quantile(self, q: float) -> float:
        """A quantile of the rounds."""
        return float(np.quantile(self.rounds, q))


def distributions(run: Run) -> tuple[Chart, ...]:
    """A panel for each latency and batch size that has raw rounds."""
    views = variants(run)
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    batches = sorted({batch for view in views for batch in view.batches()})
    panels = []
    for metric in METRICS:
        for batch in batches:
            measured = [(view.name, view.get(metric, batch)) for view in views if batch in view.batches()]
            rows = [Row(name, hues[name], m.samples) for name, m in measured if m.samples]
            if rows:
                unit = next(m.unit for _, m in measured if m.samples)
                panels.append(_panel(metric, batch, rows, unit))
    return tuple(panels)


def _panel(metric: str, batch: int, rows: list[Row], unit: str) -> Chart:
    name = figures.metric(metric)
    title = f"{name.heading}, batch {batch}"
    medians = sorted(rows, key=lambda row: row.quantile(0.5))
    quickest, slowest = medians[0], medians[-1]
    says = f"{name.words.capitalize()} in {unit}, a dot a round, at batch {batch}."
    if len(rows) > 1:
        says = (
            f"Quickest in the median: {quickest.name} with {figures.digits(quickest.quantile(0.5))} {unit}; "
            f"slowest: {slowest.name} with {figures.digits(slowest.quantile(0.5))} {unit}."
        )
    edge = _edge(rows)
    beyond = [
        f"{_count(row, edge)} of {row.name} (up to {figures.digits(max(row.rounds))} {unit})"
        for row in rows
        if _count(row, edge)
    ]
    note = f"Beyond the edge, as triangles: {figures.listed(beyond)}." if beyond else ""
    many = max(len(row.rounds) for row in rows)
    if many > MOST_DOTS:
        note += f" Of {figures.count(many)} rounds, {MOST_DOTS} evenly spaced by rank are drawn."
    drawn = [
        _draw(f"{metric}-{batch}-{size[0]}", title, says, rows, unit, edge, width)
        for size, width in (("wide", PANEL), ("narrow", NARROW))
    ]
    named = {"min": 0.0, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "max": 1.0}
    table = tuple(
        (
            row.name,
            figures.count(len(row.rounds)),
            *(figures.digits(row.quantile(q)) for q in named.values()),
            unit,
        )
        for row in rows
    )
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (row.name, len(row.rounds), *(row.quantile(q) for q in named.values())) for row in rows
    )
    return Chart(
        f"{metric}-{batch}",
        title,
        says,
        drawn[0].svg("wide"),
        drawn[1].svg("narrow"),
        ("Variant", "rounds", *named, "unit"),
        table,
        note.strip(),
        Data(("Variant", "Rounds", *(f"{place} ({unit})" for place in named)), cells),
    )


def _draw(id: str, title: str, says: str, rows: list[Row], unit: str, edge: float, width: float) -> Canvas:
    height = _HEAD + _ROW * len(rows) + _FOOT
    canvas = Canvas(id, width, height, title, says)
    names = [clipped(row.name, 118) for row in rows]
    left = max(text_width(name) for name in names) + 10
    right, top, bottom = width - 62.0, float(_HEAD), height - float(_FOOT)

    def x_of(value: float) -> float:
        return left + min(value, edge) / edge * (right - left - 8)

    for tick in ticks(0, edge, max(3, int((right - left) / 62))):
        canvas.line(x_of(tick), top - 4, x_of(tick), bottom, "grid")
        canvas.text(x_of(tick), bottom + 16, f"{tick:.6g}", "middle", class_="tick")
    canvas.line(left, bottom, right, bottom, "axis")
    canvas.text((left + right) / 2, height - 7, unit, "middle", class_="axis-title")
    canvas.text(width - 2, top - 12, f"p50, {unit}", "end", class_="axis-title")
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        middle, kind = top + _ROW * (i + 0.5), f"hue{row.hue}"
        canvas.text(left - 8, middle + 4, name, "end", class_="label")
        low, high = x_of(row.quantile(0.25)), x_of(row.quantile(0.75))
        canvas.add("rect", x=low, y=middle - 10, width=max(1.0, high - low), height=20.0, rx=2, class_=f"box {kind}")
        canvas.parts.append(_dots(row, edge, x_of, middle))
        canvas.line(x_of(row.quantile(0.9)), middle - 6, x_of(row.quantile(0.9)), middle + 6, f"tail {kind}")
        canvas.line(x_of(row.quantile(0.5)), middle - 12, x_of(row.quantile(0.5)), middle + 12, f"median {kind}")
        canvas.text(width - 2, middle + 4, figures.digits(row.quantile(0.5)), "end", class_="label strong")
    return canvas


def _dots(row: Row, edge: float, x_of: Callable[[float], float], middle: float) -> Markup:
    """All rounds as one path of round dots; the height is a low-discrepancy jitter, the same every time."""
    values = sorted(row.rounds)
    if len(values) > MOST_DOTS:
        values = [values[round(i * (len(values) - 1) / (MOST_DOTS - 1))] for i in range(MOST_DOTS)]
    near, far = [], []
    for i, value in enumerate(values):
        y = middle + ((i * 0.618034) % 1 - 0.5) * 15
        x = x_of(value)
        if value > edge:
            far.append(f"M{x + 1:.1f} {middle - 4:.1f}l6 4l-6 4z")
        else:
            near.append(f"M{x:.1f} {y:.1f}h0")
    drawn = element("path", d="".join(near), class_=f"dots hue{row.hue}")
    return drawn + element("path", d=far[0], class_=f"beyond hue{row.hue}") if far else drawn


def _edge(rows: list[Row]) -> float:
    """Where the axis ends: at the longest round, or not far beyond the largest p90 when one is far out."""
    longest, usual = max(max(row.rounds) for row in rows), max(row.quantile(0.9) for row in rows)
    edge = longest if longest <= 1.4 * usual else 1.15 * usual
    return edge * 1.02 if edge > 0 else 1.0


def _count(row: Row, edge: float) -> int:
    return sum(value > edge for value in row.rounds)
