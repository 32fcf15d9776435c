"""Figures over commits: a lane a variant on a scale of its own, its intervals shaded, changes marked by their commit.

Lanes, because a variant three times as slow as another would press the changes of both flat.
"""

from collections.abc import Callable
from dataclasses import dataclass

from harness.record import Measurement
from harness.report import figures
from harness.report.charts.data import Data, bounds, heads, share_heads
from harness.report.charts.svg import HUES, NARROW, WIDE, Box, Canvas, Chart, clipped, text_width
from harness.report.history import History, Panel, Series

_LANE, _HEAD, _FOOT = 74.0, 2.0, 30.0
_LEAST_SPAN = 0.06  # of the middle: a calm figure is drawn calm


@dataclass(frozen=True)
class Frame:
    """Where a lane is drawn: its box, and where a run stands in it."""

    box: Box
    x_of: Callable[[int], float]


def history(shown: History) -> tuple[Chart, ...]:
    """A chart a metric."""
    return tuple(_chart(shown, panel) for panel in shown.panels)


def _chart(shown: History, panel: Panel) -> Chart:
    name = figures.metric(panel.metric)
    title = f"{name.heading} over commits"
    drawn = [_draw(f"history-{panel.metric}-{size}", title, shown, panel, size == "w") for size in ("w", "n")]
    header = ("Run", *(one.variant for one in panel.series))
    rows = tuple(
        (label, *(_cell(one.points[place]) for one in panel.series)) for place, label in enumerate(shown.labels)
    )
    note = "Each variant has a scale of its own, whose ends stand beside it. Shaded: 95 % intervals."
    if any(one.shifts for one in panel.series):
        note += " Dashed: from this commit on, another level."
    return Chart(
        f"history-{panel.metric}",
        title,
        panel.says,
        drawn[0].svg("wide"),
        drawn[1].svg("narrow"),
        header,
        rows,
        " ".join(filter(None, (note, shown.note))),
        _data(shown, panel),
    )


def _data(shown: History, panel: Panel) -> Data:
    """A row a run and variant."""
    known = [
        (label, one.variant, point)
        for one in panel.series
        for label, point in zip(shown.labels, one.points, strict=True)
        if point is not None
    ]
    name, unit = figures.metric(panel.metric), next((point.unit for *_, point in known), "1")
    told = share_heads(name.heading) if name.kind == "share" else heads(name.heading, unit)
    return Data(("Run", "Variant", *told), tuple((label, variant, *bounds(point)) for label, variant, point in known))


def _cell(point: Measurement | None) -> str:
    if point is None:
        return "–"
    bounds = figures.interval(point)
    return figures.shown(point) + (f" ({bounds})" if bounds else "")


def _draw(id: str, title: str, shown: History, panel: Panel, wide: bool) -> Canvas:
    width = float(WIDE if wide else NARROW)
    height = _HEAD + _LANE * len(panel.series) + _FOOT
    canvas = Canvas(id, width, height, title, panel.says)
    left, right, last = 74.0, width - 82.0, max(1, len(shown.labels) - 1)

    def x_of(place: int) -> float:
        return left + 8 + place / last * (right - left - 16)

    for lane, one in enumerate(panel.series):
        top = _HEAD + lane * _LANE
        _lane(canvas, one, Frame(Box(left, top + 18, right, top + _LANE - 10), x_of))
    bottom = height - _FOOT
    canvas.line(left, bottom, right, bottom, "axis")
    for place in _places(len(shown.labels), 9 if wide else 3):
        anchor = "start" if place == 0 else "end" if place == last else "middle"
        canvas.text(x_of(place), bottom + 17, clipped(shown.labels[place].split()[-1], 70), anchor, class_="tick")
    return canvas


def _lane(canvas: Canvas, one: Series, frame: Frame) -> None:
    box, kind = frame.box, f"hue{one.hue % HUES}"
    known = [(place, point) for place, point in enumerate(one.points) if point is not None and point.value is not None]
    low, high = _range([point for _, point in known])

    def y_of(value: float) -> float:
        return box.bottom - (value - low) / (high - low) * (box.bottom - box.top)

    last = known[-1][1]
    canvas.text(box.left, box.top - 6, clipped(one.variant, 190), class_=f"label ink {kind}")
    for end, y in ((high, box.top), (low, box.bottom)):
        canvas.line(box.left, y, box.right, y, "grid")
        text = figures.amount(last.metric, min(end, 1.0) if last.unit == "1" else end, last.unit)
        canvas.text(box.left - 6, y + 4, clipped(text, box.left - 8, 11), "end", class_="tick")
    free = box.left + text_width(clipped(one.variant, 190)) + 12  # of the name, then of the labels before
    for shift in one.shifts:
        x = (frame.x_of(shift.index - 1) + frame.x_of(shift.index)) / 2
        canvas.line(x, box.top, x, box.bottom, "budget")
        size = text_width(shift.short, 11)
        start = min(max(free, x - size / 2), box.right + 76 - size)
        if start >= free:  # without room, the sentence above names it
            canvas.text(start, box.top - 6, shift.short, class_="small")
            free = start + size + 8
    for part in _bands(known):
        edge = [(frame.x_of(place), y_of(min(high, top))) for place, _, top in part]
        edge += [(frame.x_of(place), y_of(max(low, bottom))) for place, bottom, _ in reversed(part)]
        canvas.add("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in edge) + "z", class_=f"box {kind}")
    spots = [(frame.x_of(place), y_of(point.value)) for place, point in known if point.value is not None]
    canvas.add("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots), class_=f"leader {kind}", fill="none")
    canvas.add("path", d="".join(f"M{x:.1f} {y:.1f}h0" for x, y in spots), class_=f"dots {kind}")
    canvas.text(box.right + 8, spots[-1][1] + 4, clipped(figures.shown(last), 74), class_="label strong")


def _bands(known: list[tuple[int, Measurement]]) -> list[list[tuple[int, float, float]]]:
    """Runs after one another that have an interval: place, low, high."""
    parts: list[list[tuple[int, float, float]]] = []
    for place, point in known:
        if point.low is not None and point.high is not None:
            if not parts or parts[-1][-1][0] != place - 1:
                parts.append([])
            parts[-1].append((place, point.low, point.high))
    return parts


def _range(points: list[Measurement]) -> tuple[float, float]:
    """What a lane spans: all values, their intervals as far as three times that, and never next to nothing."""
    values = [point.value for point in points if point.value is not None]
    low, high = min(values), max(values)
    room = max(high - low, _LEAST_SPAN * abs(high + low) / 2) or 1.0
    ends = [end for point in points for end in (point.low, point.high) if end is not None]
    low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    spare = (room - (high - low)) / 2
    return (low - spare, high + spare) if spare > 0 else (low, high)


def _places(count: int, most: int) -> list[int]:
    """Evenly spaced places, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
