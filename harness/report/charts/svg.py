"""The pen and ruler of the charts: a canvas that escapes what is written on it, nice ticks, labels that do
not collide.
"""

import math
import unicodedata
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from harness.report.charts.data import Data

FONT = 12  # px; charts are shown at their own size, so this is the size a reader sees
NARROW, WIDE = 328, 1056
# candidate hues that the page defines; a shape or a direct label always tells the same
HUES = 8


@dataclass(frozen=True)
class Chart:
    """One figure of the page; `data`: its figures as plain numbers, else the rows are what a CSV holds."""

    id: str
    title: str
    says: str
    wide: Markup
    narrow: Markup
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    data: Data | None = None


@dataclass(frozen=True)
class NoChart:
    """Why a figure is not there."""

    reason: str


@dataclass(frozen=True)
class Box:
    """A rectangle that something occupies."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """The shared area."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)


@dataclass
class Canvas:
    """An SVG being drawn; text and attributes are escaped, coordinates rounded to a tenth."""

    id: str
    width: float
    height: float
    title: str
    desc: str
    parts: list[Markup] = field(default_factory=list)

    def add(self, tag: str, content: str = "", **attributes: object) -> None:
        """One element; `class_` and `text_anchor` lose the underscore as SVG wants them."""
        self.parts.append(element(tag, content, **attributes))

    def text(self, x: float, y: float, content: str, anchor: str = "start", **attributes: object) -> None:
        """A line of text on its baseline."""
        self.add("text", content, x=x, y=y, text_anchor=anchor, **attributes)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line of a class."""
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)

    def svg(self, size: str) -> Markup:
        """The finished drawing; `size` is the class by which the page shows one of the two."""
        head = Markup(
            '<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" '
            'role="img" aria-labelledby="{}-t {}-d">'
            '<title id="{}-t">{}</title><desc id="{}-d">{}</desc>'
        ).format(
            size, _tenth(self.width), _tenth(self.height), _tenth(self.width), _tenth(self.height),
            self.id, self.id, self.id, self.title, self.id, self.desc,
        )  # fmt: skip
        return head + Markup("").join(self.parts) + Markup("</svg>")


def element(tag: str, content: str = "", **attributes: object) -> Markup:
    """One escaped SVG element."""
    inside = Markup("").join(
        Markup(' {}="{}"').format(
            name.rstrip("_").replace("_", "-"), _tenth(value) if isinstance(value, float) else value
        )
        for name, value in attributes.items()
    )
    return Markup("<{}{}>{}</{}>").format(Markup(tag), inside, escape(content), Markup(tag))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2, 2.5, 5 × 10ⁿ) from low to high, at most so many."""
    width = high - low
    if not width > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(width / most))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if width / (power * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, math.floor(high / step + 1e-9) + 1)]


def text_width(text: str, size: float = FONT) -> float:
    """A width that the text surely fits in, whichever the reader's font."""
    return size * sum(map(_em, text))


def _em(letter: str) -> float:
    """The room of a letter, of the font's size: by DejaVu Sans, the widest of the usual ones."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.05
    return 1.05 if letter in "WMmw@%…" else 0.84 if letter.isupper() else 0.64


def clipped(text: str, room: float, size: float = FONT) -> str:
    """The text, cut with an ellipsis where it would not fit."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    while plain and text_width(plain, size) > room:
        plain = plain[:-2].rstrip() + "…" if len(plain) > 2 else ""
    return plain


def place(
    anchor: tuple[float, float], reach: float, size: tuple[float, float], taken: list[Box], inside: Box
) -> tuple[Box, bool]:
    """Where a label of a size goes beside a mark: the nearest free place around it, and whether it needs a
    leader.

    Right and left are tried first, then the diagonals, then above and below, then farther out.
    """
    x, y = anchor
    wide, high = size
    best: tuple[float, Box, bool] | None = None
    for ring in range(8):
        gap = reach + 5 + 12 * ring
        slant = gap * 0.75
        for dx, dy in (
            (gap, -high / 2), (-gap - wide, -high / 2), (slant, -slant - high), (slant, slant),
            (-slant - wide, -slant - high), (-slant - wide, slant),
            (-wide / 2, -gap - high), (-wide / 2, gap),
        ):  # fmt: skip
            box = Box(x + dx, y + dy, x + dx + wide, y + dy + high)
            outside = wide * high - box.overlap(inside)
            cost = outside * 10 + sum(box.overlap(other) for other in taken)
            if best is None or cost < best[0] - 1e-9:
                best = (cost, box, ring > 0)
            if cost <= 1e-9:
                return box, ring > 0
    assert best is not None
    return best[1], best[2]


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, `gap` apart, in the same order, within bounds where they fit."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    floor = low
    for i in order:
        placed[i] = max(wanted[i], floor)
        floor = placed[i] + gap
    ceiling = high
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def _tenth(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, (int, float)) else str(value)
    return text.removesuffix(".0")
