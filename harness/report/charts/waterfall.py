"""What each variant's memory peak is made of: a part begins where the one before ends, and the last ends at the peak.

On a card its sold sizes are drawn where they are near, and the sentence says which is the smallest that holds it. Where
one part dwarfs the others (the libraries of a toy), the scale is cut, marked and said.
"""

from dataclasses import dataclass

from harness.measure.waterfall import STEPS
from harness.plan.cards import CARDS, size_in_bytes
from harness.record import Run
from harness.report import figures
from harness.report.charts.data import Cell, Data
from harness.report.charts.lanes import Lanes, heading, lanes, scale
from harness.report.charts.svg import HUES, Box, Canvas, Chart, NoChart, text_width, ticks
from harness.report.view import VariantView, on_cpu, variants

TITLE = "What the memory peak is made of"
NAMES = {
    "context": "Context",
    "weights": "Weights",
    "vision": "Vision",
    "kv_cache": "KV cache",
    "activations": "Activations",
    "slack": "Slack",
}
_DWARFS = 0.6  # of the largest peak: where the least first part is more, the scale begins shortly before it
_NEAR = 1.6  # times the largest peak: how far away the next card may be and still be drawn
_LEFT, _RIGHT, _OVER = 88.0, 78.0, 28.0
_LINES = (24.0, 11.0)  # heights of the cards' words, which may collide in one


@dataclass(frozen=True)
class Fall:
    """One variant: the MB of each part that is known, in order, and the peak they add up to."""

    name: str
    hue: int
    parts: tuple[tuple[str, float], ...]
    peak: float


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` MB, with the cards between; `unit` 1000 where it is written in GB."""

    low: float
    high: float
    unit: float
    cards: tuple[float, ...]

    def share(self, megabytes: float) -> float:
        """Where on the scale, 0 to 1."""
        return (megabytes - self.low) / (self.high - self.low)

    def words(self, megabytes: float) -> str:
        """14.1 MB or 17.25 GB: as many decimals everywhere, so that the parts are seen to add up."""
        places, unit = (2, "GB") if self.unit > 1 else (1, "MB")
        text, least = f"{megabytes / self.unit:.{places}f}", f"{10**-places:.{places}f}"
        return f"{text if float(text) or not megabytes else f'< {least}'} {unit}"


def waterfall(run: Run) -> Chart | NoChart:
    """The chart, or why no peak can be taken apart."""
    views = variants(run)
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    falls, gaps = [], dict[str, list[str]]()
    for view in views:
        found = _fall(view, hues[view.name])
        if isinstance(found, Fall):
            falls.append(found)
        elif not view.control:
            gaps.setdefault(found, []).append(view.name)
    told = "; ".join(f"{figures.listed(names)}: {reason}" for reason, names in gaps.items())
    if not falls:
        return NoChart(
            f"No peak is taken apart in this run. {told}." if told else "No peak is taken apart in this run."
        )
    cpu = on_cpu(run)
    axis, names = _axis(falls, cpu), {**NAMES, **({"context": "Libraries"} if cpu else {})}
    says, note = _says(falls, axis, cpu), _note(axis, cpu, told)
    drawn = [_draw(falls, axis, names, says, wide) for wide in (True, False)]
    header = ("Variant", *names.values(), "Peak")
    rows = tuple((fall.name, *(_cell(fall, step) for step in names), _shown(fall.peak)) for fall in falls)
    cells: list[tuple[Cell, ...]] = [
        (fall.name, *(dict(fall.parts).get(step) for step in names), fall.peak, _smallest(fall.peak, cpu))
        for fall in falls
    ]
    data = Data(
        ("Variant", *(f"{name} (MB)" for name in (*names.values(), "Peak")), "Smallest card (GB)"), tuple(cells)
    )
    return Chart("waterfall", TITLE, says, drawn[0].svg("wide"), drawn[1].svg("narrow"), header, rows, note, data)


def _fall(view: VariantView, hue: int) -> Fall | str:
    """The parts of a variant's peak, or why there are none."""
    peak = view.get("memory_peak")
    found = {step: view.get(f"waterfall_{step}") for step in STEPS}
    parts = tuple((step, part.value) for step, part in found.items() if part.value is not None)
    if peak.value is not None and parts:
        return Fall(view.name, hue, parts, peak.value)
    if peak.value is None:
        return peak.absent or "its peak was not measured"
    if "waterfall_context" not in view.metrics():
        return "its record is of before peaks were taken apart"
    return found["context"].absent or "its peak could not be taken apart"


def _axis(falls: list[Fall], cpu: bool) -> Axis:
    most, least = max(fall.peak for fall in falls), min(fall.parts[0][1] for fall in falls)
    low, high = 0.0, most * 1.04
    if least > _DWARFS * most:
        steps = ticks(0, least - 0.12 * (most - least), max(4, int(most / max(1e-9, most - least)) * 2))
        low, high = steps[-1], most + 0.03 * (most - steps[-1])
    cards = [] if cpu else [_megabytes(card) for card in CARDS]
    above = [card for card in cards if card >= most]
    if above and above[0] <= _NEAR * most and low == 0:
        high = max(high, above[0] * 1.03)
    return Axis(low, high, 1000.0 if high >= 2000 else 1.0, tuple(card for card in cards if low < card <= high))


def _megabytes(card: str) -> float:
    return (size_in_bytes(card) or 0) / 1e6


def _smallest(peak: float, cpu: bool) -> int | None:
    """The smallest card that holds a peak, in GB; None on a CPU, or where none does."""
    return next((round(_megabytes(card) / 1000) for card in CARDS if not cpu and _megabytes(card) >= peak), None)


def _says(falls: list[Fall], axis: Axis, cpu: bool) -> str:
    if cpu:
        peaks = sorted(falls, key=lambda fall: fall.peak)
        low, high = peaks[0], peaks[-1]
        text = f"{low.name} peaks at {axis.words(low.peak)} of resident memory"
        if low is not high:
            text = f"Resident memory peaks between {axis.words(low.peak)} ({low.name})"
            text += f" and {axis.words(high.peak)} ({high.name})"
        own = max(falls, key=lambda fall: fall.peak - fall.parts[0][1])
        return f"{text}; beyond the libraries it is at most {axis.words(own.peak - own.parts[0][1])} ({own.name})."
    groups: dict[int | None, list[str]] = {}
    for fall in falls:
        groups.setdefault(_smallest(fall.peak, cpu), []).append(f"{fall.name} ({axis.words(fall.peak)})")
    told = []
    for card in sorted(groups, key=lambda size: size or 10**6):
        none = f"no card of up to {CARDS[-1].removesuffix('GB')} GB holds {figures.listed(groups[card])}"
        told.append(none if card is None else f"{card} GB for {figures.listed(groups[card])}")
    return f"The smallest card that holds each peak: {'; '.join(told)}."


def _note(axis: Axis, cpu: bool, gaps: str) -> str:
    note = "Each part is what it raises the peak by, after all above it."
    if cpu:
        note += " A CPU’s memory says nothing of a card’s, so no sizes of cards are drawn."
    elif axis.cards:
        note += " Dashed: sizes of cards, in units of 10⁹ bytes."
    else:
        note += " The next card lies far beyond the scale."
    if axis.low:
        note += f" The scale is cut: it begins at {axis.low / axis.unit:g} {'GB' if axis.unit > 1 else 'MB'}."
    return note + (f" Not drawn: {gaps}." if gaps else "")


def _cell(fall: Fall, step: str) -> str:
    found = dict(fall.parts).get(step)
    return "–" if found is None else _shown(found)


def _shown(megabytes: float) -> str:
    return figures.amount("memory_peak", megabytes, "MB")


def _draw(falls: list[Fall], axis: Axis, names: dict[str, str], says: str, wide: bool) -> Canvas:
    steps = [step for step in names if any(step in dict(fall.parts) for fall in falls)]
    over = _OVER if axis.cards else 0.0
    shown = lanes(len(falls), len(steps) + 1, wide, _LEFT, _RIGHT, over)
    canvas = Canvas(f"waterfall-{'w' if wide else 'n'}", shown.width, shown.height, TITLE, says)
    span = (axis.high - axis.low) / axis.unit
    marks = ticks(axis.low / axis.unit, axis.high / axis.unit, 6 if wide else 3)
    unit = "GB" if axis.unit > 1 else "MB"
    title = f"memory, {unit}" + (f", from {axis.low / axis.unit:g}" if axis.low else "")
    scale(canvas, shown, [((mark - axis.low / axis.unit) / span, f"{mark:g}") for mark in marks], title)
    _cards(canvas, falls, axis, shown)
    for fall, box in zip(falls, shown.boxes, strict=True):
        heading(canvas, box, fall.name, f"hue{fall.hue}", shown)
        _fall_of(canvas, fall, (box, shown, axis), steps, names)
    return canvas


def _fall_of(
    canvas: Canvas, fall: Fall, place: tuple[Box, Lanes, Axis], steps: list[str], names: dict[str, str]
) -> None:
    box, shown, axis = place
    sizes, mark, kind = dict(fall.parts), 0.0, f"hue{fall.hue}"
    for row, step in enumerate(steps):
        middle = shown.middle(box, row)
        canvas.text(box.left - 7, middle + 4, names[step], "end", class_="label")
        if step not in sizes:
            canvas.text(box.right + 7, middle + 4, "–", class_="label dim")
            continue
        _bar(canvas, (box, shown, axis), middle, (mark, mark + sizes[step]), f"step {kind}")
        mark += sizes[step]
        x = shown.x(box, axis.share(mark))
        canvas.line(x, middle, x, shown.middle(box, row + 1), "joint")
        size = axis.words(sizes[step])
        words = size if row == 0 or size.startswith("<") else f"+ {size}"
        canvas.text(box.right + shown.right, middle + 4, words, "end", class_="label")
    middle = shown.middle(box, len(steps))
    canvas.text(box.left - 7, middle + 4, "Peak", "end", class_="label strong")
    _bar(canvas, (box, shown, axis), middle, (0.0, fall.peak), f"whole {kind}")
    canvas.text(box.right + shown.right, middle + 4, axis.words(fall.peak), "end", class_="label strong")


def _bar(canvas: Canvas, place: tuple[Box, Lanes, Axis], middle: float, ends: tuple[float, float], kind: str) -> None:
    """A bar between two sizes; one that begins before the scale shows that it is cut."""
    box, shown, axis = place
    low, high = (shown.x(box, max(0.0, axis.share(end))) for end in ends)
    canvas.add("rect", x=low, y=middle - 6, width=max(1.5, high - low), height=12.0, class_=kind)
    if ends[0] < axis.low < ends[1]:
        canvas.add("path", d=f"M{low + 8:.1f} {middle + 8:.1f}l5 -16h4l-5 16z", class_="cut")


def _cards(canvas: Canvas, falls: list[Fall], axis: Axis, shown: Lanes) -> None:
    """The sizes of cards through every panel; words over the first row, those that hold a variant before the others."""
    holds = {_smallest(fall.peak, False) for fall in falls}
    for box in shown.boxes:
        taken: list[tuple[float, float]] = []
        for card in sorted(axis.cards, key=lambda size: (round(size / 1000) not in holds, size)):
            x, words = shown.x(box, axis.share(card)), f"{card / 1000:g} GB"
            apart = text_width(words, 11) + 4
            line = next((y for y in _LINES if all(abs(x - near) >= apart or y != at for near, at in taken)), None)
            if line is None:
                continue
            taken.append((x, line))
            canvas.line(x, box.top, x, box.bottom, "budget")
            if box.top <= _OVER + 25:
                canvas.text(x, line, words, "middle", class_="small")
