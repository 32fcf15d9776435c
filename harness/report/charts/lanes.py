"""Horizontal bars in panels, one panel a variant, all on one scale: two panels beside each other where it is wide.

shown = lanes(len(views), len(stages), wide, left=92, right=70)
canvas = Canvas(id, shown.width, shown.height, title, says)
scale(canvas, shown, [(0.0, "0"), (0.5, "10")], "ms")       # gridlines at shares of the scale, 0 to 1
heading(canvas, shown.boxes[0], "int8", "hue1", shown)
shown.x(box, 0.25), shown.middle(box, row)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.charts.svg import NARROW, WIDE, Box, Canvas, clipped

ROW = 19.0  # px from bar to bar
_HEAD, _GAP, _FOOT, _BETWEEN = 24.0, 14.0, 38.0, 40.0


@dataclass(frozen=True)
class Lanes:
    """Where the panels are: `boxes` are their bars' grounds, `left` and `right` the room beside for words."""

    boxes: tuple[Box, ...]
    lowest: tuple[Box, ...]  # of each column, where its scale stands
    width: float
    height: float
    left: float
    right: float

    def x(self, box: Box, share: float) -> float:
        """Where a share of the scale is, 0 its beginning and 1 its end."""
        return box.left + share * (box.right - box.left)

    def middle(self, box: Box, row: int) -> float:
        """The height of a row's bar."""
        return box.top + ROW * (row + 0.5)


def lanes(panels: int, rows: int, wide: bool, left: float, right: float, over: float = 0.0) -> Lanes:
    """Panels of as many rows each; `over`: px above the first ones, for what stands over the whole scale."""
    width = float(WIDE if wide else NARROW)
    columns = 2 if wide and panels > 1 else 1
    each = (width - _BETWEEN * (columns - 1)) / columns
    boxes = []
    for panel in range(panels):
        x = (panel % columns) * (each + _BETWEEN)
        top = over + _HEAD + (panel // columns) * (_HEAD + ROW * rows + _GAP)
        boxes.append(Box(x + left, top, x + each - right, top + ROW * rows))
    bottom = max(box.bottom for box in boxes)
    lowest = tuple(max(boxes[column::columns], key=lambda box: box.bottom) for column in range(columns))
    return Lanes(tuple(boxes), lowest, width, bottom + _FOOT, left, right)


def scale(canvas: Canvas, shown: Lanes, ticks: Sequence[tuple[float, str]], title: str) -> None:
    """Gridlines in every panel, the axis with its words beneath the last of each column."""
    for box in shown.boxes:
        for share, _ in ticks:
            canvas.line(shown.x(box, share), box.top, shown.x(box, share), box.bottom, "grid")
        canvas.line(box.left, box.top, box.left, box.bottom, "axis")
    for box in shown.lowest:
        for share, words in ticks:
            canvas.text(shown.x(box, share), box.bottom + 15, words, "middle", class_="tick")
        canvas.text((box.left + box.right) / 2, box.bottom + 32, title, "middle", class_="axis-title")


def heading(canvas: Canvas, box: Box, name: str, kind: str, shown: Lanes, room: float = 0.0) -> None:
    """A panel's variant, over its bars; `room`: px at the right that other words need."""
    space = box.right - box.left + shown.left + shown.right - room
    canvas.text(box.left - shown.left + 1, box.top - 8, clipped(name, space / 1.06), class_=f"label ink {kind}")
