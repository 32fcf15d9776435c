"""How long each stage of an answer takes, a bar a stage, and in it the least that this device would need (its floor).

The share that the floor has of the median, the speed of light, stands beside. A run without floors (no ceilings were
measured) has bars alone, and says so.
"""

from dataclasses import dataclass

from harness.record import Measurement, Run
from harness.report import figures
from harness.report.charts.data import Data, bounds, heads, share_heads
from harness.report.charts.lanes import Lanes, heading, lanes, scale
from harness.report.charts.svg import HUES, Box, Canvas, Chart, NoChart, ticks
from harness.report.stages import FASTER, SPLIT, workload_of
from harness.report.view import VariantView, variants

TITLE = "Stages and their floors"
ALONE = "Stages"
MEDIA, DECODE = "Media", "Decode, a token"
STAGES = (  # label, metric, the stage whose floor it has
    (MEDIA, "media", "media"),
    ("Prepare", "prepare", "prepare"),
    ("Vision", "vision", "vision"),
    ("Prefill", "prefill", "prefill"),
    (DECODE, "itl", "decode"),
)
_LEFT, _VALUE, _LIGHT = 106.0, 60.0, 52.0


@dataclass(frozen=True)
class Bar:
    """One stage of one variant; None: its record has no such row."""

    label: str
    median: Measurement
    floor: Measurement | None
    light: Measurement | None

    @property
    def longest(self) -> float:
        """Where the bar, its interval or its floor ends, in ms."""
        floor = self.floor.value if self.floor else None
        return max(self.median.value or 0.0, self.median.high or 0.0, floor or 0.0)


@dataclass(frozen=True)
class Staged:
    """One variant's bars."""

    name: str
    hue: int
    bars: tuple[Bar, ...]


def stage_bars(run: Run) -> Chart | NoChart:
    """The chart at the headline's workload, or why there is none."""
    views = variants(run)
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    timed = [view for view in views if any(view.get(metric).value is not None for metric in SPLIT)]
    if not timed:
        return NoChart("No stage of an answer was timed in this run.")
    rows = [row for row in STAGES if any(view.get(row[1]).value is not None for view in timed)]
    shown = [Staged(view.name, hues[view.name], tuple(_bar(view, *row) for row in rows)) for view in timed]
    floors = any(bar.floor is not None and bar.floor.value is not None for one in shown for bar in one.bars)
    title = TITLE if floors else ALONE
    says = _says(shown, floors, workload_of(timed[0]))
    drawn = [_draw(shown, title, says, floors, wide) for wide in (True, False)]
    header = ("Variant", "Stage", "Median", "interval", *(("Floor", "Speed of light", "interval") if floors else ()))
    table = tuple((one.name, *_row(bar, floors)) for one in shown for bar in one.bars)
    columns = ("Variant", "Stage", *heads("Median", "ms"), "Floor (ms)", *share_heads("Speed of light"))
    data = Data(
        columns,
        tuple(
            (
                one.name,
                bar.label,
                *bounds(bar.median),
                _value(bar.floor),
                *(bounds(bar.light) if bar.light else [None] * 3),
            )
            for one in shown
            for bar in one.bars
        ),
    )
    return Chart(
        "stage-bars", title, says, drawn[0].svg("wide"), drawn[1].svg("narrow"), header, table, _note(floors), data
    )


def _bar(view: VariantView, label: str, metric: str, stage: str) -> Bar:
    named = view.metrics()
    floor, light = (view.get(name) if name in named else None for name in (f"floor_{stage}", f"light_{stage}"))
    return Bar(label, view.get(metric), floor, light)


def _value(measurement: Measurement | None) -> float | None:
    return measurement.value if measurement else None


def _row(bar: Bar, floors: bool) -> tuple[str, ...]:
    timed = (bar.label, figures.shown(bar.median), figures.interval(bar.median))
    if not floors:
        return timed
    floor = figures.shown(bar.floor) if bar.floor else "–"
    return (*timed, floor, _light(bar) or "–", figures.interval(bar.light) if bar.light else "")


def _light(bar: Bar) -> str:
    """The speed of light as written; empty where the stage has none."""
    if bar.light is None:
        return ""
    if (bar.light.absent or "").startswith(FASTER):
        return "faster"
    return figures.shown(bar.light) if bar.light.value is not None else ""


def _says(shown: list[Staged], floors: bool, workload: str) -> str:
    longest: dict[str, list[str]] = {}
    for one in shown:
        known = [bar for bar in one.bars if bar.median.value is not None and bar.label not in (MEDIA, DECODE)]
        bar = max(known or one.bars, key=lambda found: found.median.value or 0.0)
        longest.setdefault(bar.label.lower(), []).append(f"{one.name} ({figures.shown(bar.median)})")
    told = "; ".join(f"{label} of {figures.listed(names)}" for label, names in longest.items())
    text = f"Longest on the way to the first token{f' at {workload}' if workload else ''}: {told}."
    lights = [
        (bar.light.value, bar, one.name)
        for one in shown
        for bar in one.bars
        if bar.light is not None and bar.light.value is not None
    ]
    if lights:
        value, bar, name = max(lights, key=lambda found: found[0])
        at = figures.percent(value)
        text += f" Nearest to its floor is {bar.label.lower()} of {name}, at {at} of the speed of light."
    return text if floors else f"{text} Floors were not measured, so the bars stand alone."


def _note(floors: bool) -> str:
    note = "Light bars: medians, with their 95 % intervals. Decode is of one token: each further one adds it."
    if floors:
        note += (
            " Solid within: the floor, the least that this device would need; at the right its share of the median. "
            "The host’s stages have no floor."
        )
    return note


def _draw(shown: list[Staged], title: str, says: str, floors: bool, wide: bool) -> Canvas:
    right = _VALUE + (_LIGHT if floors else 0.0)
    place = lanes(len(shown), len(shown[0].bars), wide, _LEFT, right)
    canvas = Canvas(f"stage-bars-{'w' if wide else 'n'}", place.width, place.height, title, says)
    end = max(bar.longest for one in shown for bar in one.bars) * 1.03 or 1.0
    scale(canvas, place, [(tick / end, f"{tick:g}") for tick in ticks(0, end, 6 if wide else 3)], "ms")
    for one, box in zip(shown, place.boxes, strict=True):
        heading(canvas, box, one.name, f"hue{one.hue}", place, right)
        canvas.text(box.right + _VALUE, box.top - 8, "median", "end", class_="tick")
        if floors:
            canvas.text(box.right + right, box.top - 8, "of light", "end", class_="tick")
        for row, bar in enumerate(one.bars):
            _stage(canvas, bar, (box, place), row, (end, f"hue{one.hue}"))
    return canvas


def _stage(canvas: Canvas, bar: Bar, where: tuple[Box, Lanes], row: int, how: tuple[float, str]) -> None:
    (box, place), (end, kind) = where, how
    middle = place.middle(box, row)
    canvas.text(box.left - 7, middle + 4, bar.label, "end", class_="label")
    value = bar.median.value
    canvas.text(
        box.right + _VALUE, middle + 4, figures.shown(bar.median), "end", class_=f"label {'strong' if value else 'dim'}"
    )
    if value is None:
        return
    low, high = (
        place.x(box, (edge if edge is not None else value) / end) for edge in (bar.median.low, bar.median.high)
    )
    canvas.add("rect", x=box.left, y=middle - 7, width=max(1.0, place.x(box, value / end) - box.left), height=14.0,
               class_=f"area {kind}")  # fmt: skip
    if bar.floor is not None and bar.floor.value is not None:
        wide = max(1.5, place.x(box, bar.floor.value / end) - box.left)
        canvas.add("rect", x=box.left, y=middle - 3.5, width=wide, height=7.0, class_=f"floor {kind}")
    canvas.line(low, middle, high, middle, f"whisker {kind}")
    if place.right > _VALUE:
        canvas.text(box.right + place.right, middle + 4, _light(bar) or "–", "end", class_="label")
