"""How times, and memory where it is known, grow with the number of frames: a line a variant, whiskers its intervals.

Taken are rows that differ from the headline's workload in nothing but their frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.record import Measurement, Record, Run
from harness.report import figures
from harness.report.charts.data import Cell, Data, bounds, heads
from harness.report.charts.svg import (
    HUES,
    NARROW,
    WIDE,
    Canvas,
    Chart,
    NoChart,
    clipped,
    spread,
    text_width,
    ticks,
)
from harness.report.view import VariantView, variants

METRICS = (("ttft", "latency"), ("memory_peak", "vram"))
_ASIDE = 3.0  # px from variant to variant, so that intervals at one number of frames do not hide each other
_SPREAD = 15.0  # and of all together at most
_TOLD = 5  # variants that a sentence bears
_NAME_ROOM = {True: 170.0, False: 112.0}


@dataclass(frozen=True)
class Line:
    """One variant: its figure at each number of frames, fewest first."""

    name: str
    hue: int
    points: tuple[tuple[int, Measurement], ...]


def frames(run: Run) -> tuple[Chart, ...] | NoChart:
    """A chart for each figure that was measured at two numbers of frames or more, or why there is none."""
    views = variants(run)
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    charts = []
    for metric, suite in METRICS:
        found = [Line(view.name, hues[view.name], _points(view, metric, suite)) for view in views]
        lines = [line for line in found if len(line.points) > 1]
        if lines:
            charts.append(_chart(metric, lines))
    if charts:
        return tuple(charts)
    known = sorted({count for view in views for count, _ in _points(view, "ttft", "latency")})
    if not known:
        return NoChart("How times grow with the frames is not known: no row says how many frames it was timed at.")
    return NoChart(
        f"How times grow with the frames is not known: every row was timed at {known[0]}. A sweep is asked for in "
        "suites/workloads.yaml."
    )


def _points(view: VariantView, metric: str, suite: str) -> tuple[tuple[int, Measurement], ...]:
    """The valid figures of rows that are as the headline but for their frames."""
    batch = min(view.batches(), default=None)
    found: dict[int, Measurement] = {}
    for record in view.records:
        count = record.workload.get("frames")
        if record.suite != suite or not record.valid or isinstance(count, bool) or not isinstance(count, int):
            continue
        if suite == "latency" and not _alike(record, view, batch):
            continue
        for one in record.measurements:
            if one.metric == metric and one.value is not None:
                found.setdefault(count, one)
    return tuple(sorted(found.items()))


def _alike(record: Record, view: VariantView, batch: int | None) -> bool:
    tokens = record.workload.get("new_tokens")
    return record.workload.get("batch", 1) == batch and view.headline.get("new_tokens", tokens) == tokens


def _chart(metric: str, lines: list[Line]) -> Chart:
    name = figures.metric(metric)
    unit = lines[0].points[0][1].unit
    title = f"{name.heading} by number of frames"
    says = _says(name.words, lines)
    drawn = [_draw(metric, title, says, lines, wide) for wide in (True, False)]
    counts = sorted({count for line in lines for count, _ in line.points})
    rows = tuple((str(count), *(_cell(dict(line.points).get(count)) for line in lines)) for count in counts)
    cells: list[tuple[Cell, ...]] = [
        (line.name, count, *bounds(found), found.n) for line in lines for count, found in line.points
    ]
    data = Data(("Variant", "Frames", *heads(name.heading, unit), "n"), tuple(cells))
    whiskers = any(found.low is not None for line in lines for _, found in line.points)
    note = "Whiskers: 95 % intervals. Lines lead the eye from one measured number of frames to the next."
    return Chart(
        f"frames-{metric}",
        title,
        says,
        drawn[0].svg("wide"),
        drawn[1].svg("narrow"),
        ("Frames", *(line.name for line in lines)),
        rows,
        note if whiskers else note.partition(". ")[2],
        data,
    )


def _says(words: str, lines: list[Line]) -> str:
    told, others = [], ""
    if len(lines) > _TOLD:
        ordered = sorted(lines, key=lambda line: line.points[-1][1].value or 0.0)
        others = f"; {len(lines) - 2} others between"
        lines = [ordered[0], ordered[-1]]
    for line in lines:
        (least, first), (most, last) = line.points[0], line.points[-1]
        ratio = f", {figures.times((last.value or 0.0) / first.value)}" if first.value else ""
        told.append(f"{line.name} from {figures.shown(first)} to {figures.shown(last)}{ratio}")
    spans = {(line.points[0][0], line.points[-1][0]) for line in lines}
    between = f"from {least} to {most} frames" if len(spans) == 1 else "from the fewest frames to the most"
    return f"{words[:1].upper()}{words[1:]} {between}: {figures.listed(told)}{others}."


def _cell(found: Measurement | None) -> str:
    if found is None:
        return "–"
    bound = figures.interval(found)
    return figures.shown(found) + (f" ({bound})" if bound else "")


def _draw(metric: str, title: str, says: str, lines: Sequence[Line], wide: bool) -> Canvas:
    width, height = (float(WIDE), 320.0) if wide else (float(NARROW), 280.0)
    canvas = Canvas(f"frames-{metric}-{'w' if wide else 'n'}", width, height, title, says)
    names = [clipped(line.name, _NAME_ROOM[wide]) for line in lines]
    left, top, bottom = 52.0, 28.0, height - 44.0
    right = width - max(text_width(name) * 1.06 for name in names) - 16
    counts = sorted({count for line in lines for count, _ in line.points})
    tallest = max(found.high or found.value or 0.0 for line in lines for _, found in line.points) * 1.04 or 1.0

    def x_of(count: int) -> float:
        return left + count / counts[-1] * (right - left - 12)

    def y_of(value: float) -> float:
        return bottom - value / tallest * (bottom - top)

    for tick in ticks(0, tallest, 5):
        canvas.line(left, y_of(tick), right, y_of(tick), "grid")
        canvas.text(left - 7, y_of(tick) + 4, f"{tick:g}", "end", class_="tick")
    canvas.line(left, bottom, right, bottom, "axis")
    for count in _apart([0, *counts], x_of):
        canvas.line(x_of(count), bottom, x_of(count), bottom + 4, "axis")
        canvas.text(x_of(count), bottom + 17, str(count), "middle", class_="tick")
    canvas.text((left + right) / 2, height - 8, "frames of the clip", "middle", class_="axis-title")
    words = f"{figures.metric(metric).words}, {lines[0].points[0][1].unit}"
    canvas.text(4, 14, words, class_="axis-title")
    ends = [y_of(line.points[-1][1].value or 0.0) for line in lines]
    labels = spread([y + 4 for y in ends], 16, top + 6, bottom)
    for i, line in enumerate(lines):
        kind = f"hue{line.hue}"
        aside = (i - (len(lines) - 1) / 2) * min(_ASIDE, _SPREAD / len(lines))
        spots = [(x_of(count) + aside, y_of(found.value or 0.0)) for count, found in line.points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        canvas.add("path", d=path, class_=f"curve {kind} dash{i % 4}")
        for (x, y), (_, found) in zip(spots, line.points, strict=True):
            if found.low is not None and found.high is not None:
                canvas.line(x, y_of(found.low), x, y_of(found.high), f"whisker {kind}")
            canvas.add("circle", cx=x, cy=y, r=3.5, class_=f"dot {kind}")
        canvas.line(spots[-1][0] + 5, ends[i], right + 4, labels[i] - 4, "leader")
        canvas.text(right + 8, labels[i], names[i], class_=f"label ink {kind}")
    return canvas


def _apart(counts: list[int], x_of: Callable[[int], float]) -> list[int]:
    """Those whose numbers do not run into each other, the largest first."""
    kept: list[int] = []
    for count in sorted(counts, reverse=True):
        if not kept or x_of(kept[-1]) - x_of(count) > text_width(str(kept[-1]), 11) + 4:
            kept.append(count)
    return kept
