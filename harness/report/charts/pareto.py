"""Agreement against time to the first token: whiskers are intervals, area is memory, grey is beaten."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from harness.record import Measurement, Run
from harness.report import figures
from harness.report.charts.data import Data, bounds, heads, share_heads
from harness.report.charts.svg import (
    FONT,
    HUES,
    NARROW,
    WIDE,
    Box,
    Canvas,
    Chart,
    clipped,
    place,
    text_width,
    ticks,
)
from harness.report.verdict import Verdict
from harness.report.view import variants

Axis = Callable[[float], float]
TITLE = "Agreement against time to the first token"


@dataclass(frozen=True)
class Mark:
    """One variant on the chart."""

    name: str
    hue: int
    x: Measurement
    y: Measurement
    size: Measurement
    beaten_by: str

    @property
    def at(self) -> tuple[float, float]:
        """TTFT in ms, agreement."""
        assert self.x.value is not None
        assert self.y.value is not None
        return self.x.value, self.y.value


def pareto(run: Run, verdict: Verdict) -> Chart | None:
    """The chart, or None when no variant has both figures."""
    views = variants(run)
    sized = "memory_peak"
    full = [v for v in views if v.get("ttft").value is not None and v.get("agreement").value is not None]
    if not full:
        return None
    if any(v.get(sized).value is None for v in full):
        sized = "weights"
    spots = [(v.name, v.get("ttft"), v.get("agreement"), v.get(sized)) for v in full]
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    marks = [Mark(name, hues[name], x, y, size, _beater(name, x, y, spots)) for name, x, y, size in spots]
    limits = {check.budget: check.limit for judged in verdict.table for check in judged.checks}
    says = _says(marks, verdict)
    absent = [view.name for view in views if view.name not in {mark.name for mark in marks}]
    has_area = all(mark.size.value for mark in marks)
    note = (
        f"Area: {figures.metric(sized).words}, {_from_to(marks)}."
        if has_area
        else "Areas are equal: neither memory nor size is known of all."
    )
    note += " Whiskers: 95 % intervals. Grey and dashed: another is no worse in either and surely better in one."
    note += " The second ring marks the one to ship." if verdict.ship else ""
    if absent:
        note += f" Not drawn, for want of a TTFT or an agreement: {figures.listed(absent)}."
    drawn = [_draw(marks, limits, says, wide, has_area, verdict.ship) for wide in (True, False)]
    header = (
        "Variant",
        "TTFT",
        "interval",
        "Agreement",
        "interval",
        figures.metric(sized).heading,
        "Beaten by",
    )
    rows = tuple(
        (m.name, figures.shown(m.x), figures.interval(m.x), figures.shown(m.y), figures.interval(m.y),
         figures.shown(m.size), m.beaten_by or "none")
        for m in marks
    )  # fmt: skip
    data = Data(
        ("Variant", *heads("TTFT", "ms"), *share_heads("Agreement"), heads(figures.metric(sized).heading, "MB")[0],
         "Beaten by"),
        tuple((m.name, *bounds(m.x), *bounds(m.y), m.size.value, m.beaten_by) for m in marks),
    )  # fmt: skip
    return Chart("pareto", TITLE, says, drawn[0].svg("wide"), drawn[1].svg("narrow"), header, rows, note, data)


def _from_to(marks: list[Mark]) -> str:
    low, high = (of(marks, key=lambda mark: mark.size.value or 0.0).size for of in (min, max))
    return f"from {figures.shown(low)} to {figures.shown(high)}" if low.value != high.value else figures.shown(low)


def _beater(
    name: str, x: Measurement, y: Measurement, spots: list[tuple[str, Measurement, Measurement, Measurement]]
) -> str:
    """Another that is no slower and agrees no less, and whose interval is clear of this one's in either."""
    for other, ox, oy, _ in spots:
        if other == name or None in (x.value, y.value, ox.value, oy.value):
            continue
        no_worse = ox.value <= x.value and oy.value >= y.value  # type: ignore[operator]
        faster = _high(ox) < _low(x)
        closer = _low(oy) > _high(y)
        if no_worse and (faster or closer):
            return other
    return ""


def _says(marks: list[Mark], verdict: Verdict) -> str:
    front = [mark.name for mark in marks if not mark.beaten_by]
    beaten = [f"{mark.name} (by {mark.beaten_by})" for mark in marks if mark.beaten_by]
    if len(marks) == 1:
        return f"Up and left is better. {marks[0].name} stands alone: of no other both figures were measured."
    text = f"Up and left is better. On the front: {figures.listed(front)}"
    text += f"; beaten here: {figures.listed(beaten)}." if beaten else "; none of them beats another."
    if any(mark.beaten_by and mark.name == verdict.ship for mark in marks):
        text += f" {verdict.ship} is shipped all the same: it meets every budget and {verdict.objective} decides."
    return text


def _draw(
    marks: list[Mark], limits: dict[str, float], says: str, wide: bool, has_area: bool, ship: str | None
) -> Canvas:
    width, height = (WIDE, 440) if wide else (NARROW, 340)
    canvas = Canvas(f"pareto-{'w' if wide else 'n'}", width, height, TITLE, says)
    largest = 20.0 if wide else 13.0
    left, right, top, bottom = 52.0, width - 16.0, 30.0, height - 46.0
    x_top = max(_high(mark.x) for mark in marks) * 1.08 or 1.0
    floor = min(_low(mark.y) for mark in marks)
    limit = limits.get("agreement")
    if limit is not None and floor - 0.12 < limit <= 1:
        floor = min(floor, limit)
    floor = max(0.0, math.floor((floor - 0.01) * 20) / 20)
    inset = largest + 4

    def x_of(value: float) -> float:
        return left + value / x_top * (right - left - inset)

    def y_of(value: float) -> float:
        return bottom - inset / 2 - (value - floor) / max(1e-9, 1 - floor) * (bottom - top - 1.5 * inset)

    for tick in ticks(0, x_top, 8 if wide else 4):
        canvas.line(x_of(tick), top, x_of(tick), bottom, "grid")
        canvas.text(x_of(tick), bottom + 17, f"{tick:.6g}", "middle", class_="tick")
    for tick in ticks(floor, 1, 6):
        canvas.line(left, y_of(tick), right, y_of(tick), "grid")
        canvas.text(left - 7, y_of(tick) + 4, f"{100 * tick:.4g} %", "end", class_="tick")
    canvas.line(left, bottom, right, bottom, "axis")
    canvas.text((left + right) / 2, height - 8, "time to the first token, p50, ms", "middle", class_="axis-title")
    canvas.text(4, 14, "agreement with the teacher", class_="axis-title")

    taken = _budget_lines(canvas, limits, x_of, y_of, Box(left, top, right, bottom), floor, x_top)
    radii = [_radius(mark, marks, largest, has_area) for mark in marks]
    for mark, radius in zip(marks, radii, strict=True):
        x, y = x_of(mark.at[0]), y_of(mark.at[1])
        taken.append(Box(x - radius, y - radius, x + radius, y + radius))
        taken.append(Box(x - 2, y_of(_high(mark.y)) - 2, x + 2, y_of(_low(mark.y)) + 2))
        taken.append(Box(x_of(_low(mark.x)) - 2, y - 2, x_of(_high(mark.x)) + 2, y + 2))
    _front(canvas, [mark for mark in marks if not mark.beaten_by], x_of, y_of, taken)
    for mark, radius in zip(marks, radii, strict=True):
        _mark(canvas, mark, radius, x_of, y_of)
    inside = Box(left, 18, float(width), bottom)
    for mark, radius in zip(marks, radii, strict=True):
        x, y = x_of(mark.at[0]), y_of(mark.at[1])
        if mark.name == ship:
            radius += 3
            canvas.add("circle", cx=x, cy=y, r=radius, class_="shipped-ring")
        _label(canvas, mark, radius, (x, y), (taken, inside, wide))
    return canvas


def _mark(canvas: Canvas, mark: Mark, radius: float, x_of: Axis, y_of: Axis) -> None:
    x, y = x_of(mark.at[0]), y_of(mark.at[1])
    kind = "beaten" if mark.beaten_by else f"hue{mark.hue}"
    canvas.add("circle", cx=x, cy=y, r=radius, class_=f"area {kind}")
    canvas.line(x, y_of(_high(mark.y)), x, y_of(_low(mark.y)), f"whisker {kind}")
    canvas.line(x_of(_low(mark.x)), y, x_of(_high(mark.x)), y, f"whisker {kind}")
    canvas.add("circle", cx=x, cy=y, r=3.2, class_=f"dot {kind}")


def _label(
    canvas: Canvas, mark: Mark, radius: float, at: tuple[float, float], room: tuple[list[Box], Box, bool]
) -> None:
    """Name, figures and, where there is room, what its area says."""
    taken, inside, wide = room
    whole = clipped(mark.name, 170)
    facts = ", ".join(
        [figures.percent(mark.at[1]), figures.shown(mark.x), *([figures.shown(mark.size)] if wide else [])]
    )
    # Where it is crowded, less must do: the figures are in the table, and the whole name too.
    for name, under in ((whole, facts), (whole, ""), (clipped(mark.name, 90), ""), (clipped(mark.name, 56), "")):
        size = max(text_width(name) * 1.06, text_width(under, 11)), FONT + (17.0 if under else 3.0)
        box, leader = place(at, radius, size, taken, inside)
        if sum(box.overlap(other) for other in taken) <= 1:
            break
    taken.append(box)
    if leader:
        near = min(max(at[0], box.left), box.right), min(max(at[1], box.top), box.bottom)
        canvas.line(at[0], at[1], near[0], near[1], "leader")
    anchor, x = ("start", box.left + 1) if box.left >= at[0] - 1 else ("end", box.right - 1)
    if box.left < at[0] < box.right:
        anchor, x = "middle", (box.left + box.right) / 2
    canvas.text(x, box.top + 12, name, anchor, class_="label strong" + (" dim" if mark.beaten_by else ""))
    if under:
        canvas.text(x, box.top + 26, under, anchor, class_="label small")


def _front(canvas: Canvas, front: list[Mark], x_of: Axis, y_of: Axis, taken: list[Box]) -> None:
    """The staircase below which a variant would be beaten."""
    ordered = sorted(front, key=lambda mark: mark.at)
    for one, other in pairwise(ordered):
        x1, y1, x2, y2 = x_of(one.at[0]), y_of(one.at[1]), x_of(other.at[0]), y_of(other.at[1])
        canvas.line(x1, y1, x2, y1, "front")
        canvas.line(x2, y1, x2, y2, "front")
        taken += [Box(x1, y1 - 1, x2, y1 + 1), Box(x2 - 1, min(y1, y2), x2 + 1, max(y1, y2))]


def _budget_lines(
    canvas: Canvas, limits: dict[str, float], x_of: Axis, y_of: Axis, plot: Box, floor: float, x_top: float
) -> list[Box]:
    """The budgets that lie within the plot, as dashed lines with their words."""
    taken = []
    agreement, ttft = limits.get("agreement"), limits.get("ttft_ms")
    if agreement is not None and floor <= agreement <= 1:
        y, words = y_of(agreement), f"budget: at least {100 * agreement:.4g} %"
        canvas.line(plot.left, y, plot.right, y, "budget")
        canvas.text(plot.right, y - 5, words, "end", class_="label small")
        taken += [
            Box(plot.left, y - 1, plot.right, y + 1),
            Box(plot.right - text_width(words, 11), y - 16, plot.right, y),
        ]
    if ttft is not None and ttft <= x_top:
        x, words = x_of(ttft), f"budget: {ttft:.4g} ms"
        canvas.line(x, plot.top, x, plot.bottom, "budget")
        canvas.text(x - 5, plot.bottom - 8, words, "end", class_="label small")
        room = text_width(words, 11)
        taken += [
            Box(x - 1, plot.top, x + 1, plot.bottom),
            Box(x - 5 - room, plot.bottom - 20, x, plot.bottom - 4),
        ]
    return taken


def _radius(mark: Mark, marks: list[Mark], largest: float, has_area: bool) -> float:
    most = max(other.size.value or 0.0 for other in marks)
    return largest * math.sqrt((mark.size.value or 0.0) / most) if has_area else largest / 2


def _low(measurement: Measurement) -> float:
    return measurement.low if measurement.low is not None else measurement.value or 0.0


def _high(measurement: Measurement) -> float:
    return measurement.high if measurement.high is not None else measurement.value or 0.0
