"""Calibration of a student against the teacher: of the answers that it was so sure of, how many are the teacher's?

Answers are sorted into ten bins of equal width by the probability that the variant gave its own answer. The expected
calibration error (ECE) is the mean over bins of |share that agrees - mean probability|, each bin weighed by its
answers: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks" (ICML), equations 2 to 5;
there the event is a right answer, here it is the teacher's answer. Its estimate is never below zero, so a small sample
of a perfectly calibrated model shows some as well: `by_chance` is how much, from answers drawn at their own
probabilities, each for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.record import Run
from harness.report import figures
from harness.report.charts.data import Cell, Data, share_heads
from harness.report.charts.svg import HUES, NARROW, WIDE, Box, Canvas, Chart, NoChart, clipped, text_width
from harness.report.view import BASELINE, Item, VariantView, variants
from harness.stats import wilson_clustered

BINS = 10
DRAWS = 400
TITLE = "How sure, and how often it agrees"
_COLUMNS, _BETWEEN = 3, 34.0
_TOLD = 5  # variants that a sentence bears
_LOW = 190.0  # px that a panel is high on a phone
_LEFT, _TOP, _FOOT, _LARGEST = 50.0, 46.0, 46.0, 9.0


@dataclass(frozen=True)
class Bin:
    """Answers that a variant gave a probability from `low` to `high`; shares from 0 to 1."""

    low: float
    high: float
    n: int
    sure: float
    agrees: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """One variant: its bins that hold answers, its ECE, and the ECE of chance alone: mean, 95 % quantile."""

    name: str
    hue: int
    bins: tuple[Bin, ...]
    n: int
    ece: float
    by_chance: tuple[float, float]

    @property
    def leans(self) -> float:
        """Mean probability less the share that agrees: above zero it is surer than it should be."""
        return sum(found.n * (found.sure - found.agrees) for found in self.bins) / self.n


def calibration(run: Run) -> Chart | NoChart:
    """The chart of every variant that could be shipped but the teacher itself, or why there is none."""
    views = variants(run)
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    asked = [view for view in views if view.items and view.name != BASELINE and not view.control]
    if not asked:
        silent = next((view.silent for view in views if view.silent), "no variant but the teacher was asked")
        return NoChart(f"How sure the variants were of their answers is not shown: {silent}.")
    found = [one for one in (calibrated(view, hues[view.name]) for view in asked) if one]
    if not found:
        return NoChart(
            "How sure the variants were of their answers is not in this run’s records: they are of before it was kept."
        )
    says = _says(found)
    missing = [view.name for view in asked if view.name not in {one.name for one in found}]
    drawn = [_draw(found, says, wide) for wide in (True, False)]
    return Chart(
        "calibration",
        TITLE,
        says,
        drawn[0].svg("wide"),
        drawn[1].svg("narrow"),
        ("Variant", "Sure", "answers", "Mean", "Agrees", "interval"),
        tuple(row for one in found for row in _rows(one)),
        _note(missing),
        _data(found),
    )


def calibrated(view: VariantView, hue: int) -> Calibration | None:
    """Bins and ECE of the answers whose probability is known; None where none is."""
    known = [(item, item.sure) for item in view.items if item.sure is not None]
    if not known:
        return None
    members: dict[int, list[tuple[Item, float]]] = {}
    for item, sure in known:
        members.setdefault(min(BINS - 1, int(sure * BINS)), []).append((item, sure))
    bins = tuple(_bin(at, members[at]) for at in sorted(members))
    sures = np.array([sure for _, sure in known])
    return Calibration(view.name, hue, bins, len(known), _ece(bins), _by_chance(sures))


def _bin(at: int, members: Sequence[tuple[Item, float]]) -> Bin:
    hits = [item.agrees for item, _ in members]
    mean = sum(sure for _, sure in members) / len(members)
    interval = wilson_clustered(hits, [item.clip for item, _ in members])
    return Bin(at / BINS, (at + 1) / BINS, len(members), mean, sum(hits) / len(hits), interval)


def _ece(bins: Sequence[Bin]) -> float:
    return sum(found.n * abs(found.agrees - found.sure) for found in bins) / sum(found.n for found in bins)


def _by_chance(sures: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, float]:
    """The ECE where every answer agrees with just its own probability: mean and 95 % quantile, the same each time."""
    dice = np.random.default_rng(0)
    at = np.minimum(BINS - 1, (sures * BINS).astype(np.int64))
    inside = np.eye(BINS)[at]  # answers × bins
    gaps = ((dice.random((DRAWS, len(sures))) < sures) - sures) @ inside
    errors = np.abs(gaps).sum(1) / len(sures)
    return float(errors.mean()), float(np.quantile(errors, 0.95))


def _says(found: list[Calibration]) -> str:
    counts, others = {one.n for one in found}, ""
    if len(found) > _TOLD:
        ordered = sorted(found, key=lambda one: one.ece)
        others, found = f"; {len(found) - 2} others between", [ordered[0], ordered[-1]]
    told = [
        f"{one.name} {figures.percent(one.ece)}" + (f" (n = {figures.count(one.n)})" if len(counts) > 1 else "")
        for one in found
    ]
    of = f", of {figures.count(found[0].n)} answers each" if len(counts) == 1 else ""
    text = f"Expected calibration error against the teacher{of}: {figures.listed(told)}{others}."
    for one in found:
        if one.ece <= one.by_chance[1]:
            text += f" {one.name} is not told from a perfectly calibrated one, which shows {_chance(one)} by chance."
        elif abs(one.leans) >= 0.5 * one.ece:
            more, by = "less" if one.leans > 0 else "more", figures.points(abs(one.leans)).lstrip("+")
            text += f" {one.name} agrees {more} often than it is sure, by {by} on average."
    return text


def _chance(one: Calibration) -> str:
    mean, most = map(figures.percent, one.by_chance)
    return f"{mean} (seldom above {most})"


def _note(missing: list[str]) -> str:
    note = (
        "On the dashed line a variant agrees as often as it is sure; above it more often, below it less: too sure. "
        "A dot is a tenth of the scale, its area the number of answers, its whisker the 95 % interval (Wilson’s, "
        "clustered by clip). An exact copy of the teacher lies at the top: it always agrees, however sure."
    )
    return note + (f" Not kept, so not drawn: how sure {figures.listed(missing)} was." if missing else "")


def _rows(one: Calibration) -> list[tuple[str, ...]]:
    rows = [
        (
            one.name,
            f"{100 * found.low:.0f}–{100 * found.high:.0f} %",
            figures.count(found.n),
            figures.percent(found.sure),
            figures.percent(found.agrees),
            figures.span("agreement", *found.interval),
        )
        for found in one.bins
    ]
    chance = f"ECE {figures.percent(one.ece)}"
    return [*rows, (one.name, chance, figures.count(one.n), "by chance", figures.percent(one.by_chance[0]), "")]


def _data(found: list[Calibration]) -> Data:
    header = ("Variant", "Sure, from (0 to 1)", "Sure, to (0 to 1)", "Answers", "Mean probability (0 to 1)",
              *share_heads("Agrees"), "ECE (0 to 1)",
              "ECE by chance (0 to 1)", "ECE by chance, 95 % quantile (0 to 1)")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        rows += [(one.name, b.low, b.high, b.n, b.sure, b.agrees, *b.interval, None, None, None) for b in one.bins]
        sure, agrees = (sum(b.n * getattr(b, of) for b in one.bins) / one.n for of in ("sure", "agrees"))
        rows.append((one.name, 0, 1, one.n, sure, agrees, None, None, one.ece, *one.by_chance))
    return Data(header, tuple(rows))


def _draw(found: list[Calibration], says: str, wide: bool) -> Canvas:
    columns = _COLUMNS if wide else 1
    width = float(WIDE if wide else NARROW)
    each = (WIDE - _BETWEEN * (_COLUMNS - 1)) / _COLUMNS if wide else width
    side = each - _LEFT - 12 if wide else _LOW
    high = _TOP + side + _FOOT
    across = min(columns, len(found))
    width = across * each + _BETWEEN * (across - 1)
    canvas = Canvas(f"calibration-{'w' if wide else 'n'}", width, -(-len(found) // columns) * high, TITLE, says)
    most = max(b.n for one in found for b in one.bins)
    for i, one in enumerate(found):
        left, top = (i % columns) * (each + _BETWEEN), (i // columns) * high
        _panel(canvas, one, Box(left + _LEFT, top + _TOP, left + each - 12, top + _TOP + side), most)
    return canvas


def _panel(canvas: Canvas, one: Calibration, box: Box, most: int) -> None:
    kind, wide, high = f"hue{one.hue}", box.right - box.left, box.bottom - box.top
    facts = f"ECE {figures.percent(one.ece)}, n = {figures.count(one.n)}"
    room = box.right - box.left + _LEFT - text_width(facts, 11) - 10
    canvas.text(box.left - _LEFT + 1, box.top - 30, clipped(one.name, room / 1.06), class_=f"label ink {kind}")
    canvas.text(box.right, box.top - 30, facts, "end", class_="small")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = box.left + tick * wide, box.bottom - tick * high
        canvas.line(box.left, y, box.right, y, "grid")
        canvas.line(x, box.top, x, box.bottom, "grid")
        canvas.text(box.left - 6, y + 4, f"{100 * tick:.0f} %", "end", class_="tick")
        if tick in (0.0, 0.5, 1.0):
            anchor = "end" if tick == 1 else "middle"
            canvas.text(x, box.bottom + 16, f"{100 * tick:.0f} %", anchor, class_="tick")
    canvas.line(box.left, box.bottom, box.right, box.bottom, "axis")
    canvas.line(box.left, box.bottom, box.right, box.top, "budget")
    canvas.text(box.left - _LEFT + 1, box.top - 11, "agrees with the teacher", class_="axis-title")
    canvas.text((box.left + box.right) / 2, box.bottom + 34, "how sure of its answer", "middle", class_="axis-title")
    for found in one.bins:
        x, *ends = box.left + found.sure * wide, *(box.bottom - end * high for end in found.interval)
        canvas.line(x, ends[0], x, ends[1], f"reach {kind}")
        radius = max(2.5, _LARGEST * (found.n / most) ** 0.5)
        canvas.add("circle", cx=x, cy=box.bottom - found.agrees * high, r=radius, class_=f"spot {kind}")
