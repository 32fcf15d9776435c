"""How the students learned: agreement on the validation clips of every trained variant, and the loss of each
step.
"""

from itertools import pairwise

from harness.record import Run
from harness.report import figures
from harness.report.charts.data import Cell, Data
from harness.report.charts.svg import HUES, NARROW, WIDE, Canvas, Chart, clipped, spread, text_width, ticks
from harness.report.view import VariantView, variants

_MOST_ROWS = 200  # of a CSV, which the page carries
Line = tuple[str, int, list[tuple[float, float]], int | None]  # name, hue, points, best step


def training(run: Run) -> tuple[Chart, ...]:
    """The agreement curves of all, then the loss of each kind of student; a curve needs two points."""
    views = variants(run)
    hues = {view.name: i % HUES for i, view in enumerate(views)}
    trained = _distinct([view for view in views if view.training and view.training.curve])
    charts = []
    agreement = [line for line in (_line(v, "val_agreement", hues[v.name]) for v in trained) if line]
    if agreement:
        ends = [f"{name} ends at {figures.percent(points[-1][1])}" for name, _, points, _ in agreement]
        says = f"Agreement with the teacher on the validation clips by optimizer step: {figures.listed(ends)}."
        charts.append(_chart("training", "Agreement while training", says, agreement, share=True))
    loss = [line for line in (_line(v, "loss", hues[v.name]) for v in trained) if line]
    if loss:
        falls = [f"{name} from {figures.digits(p[0][1])} to {figures.digits(p[-1][1])}" for name, _, p, _ in loss]
        says = f"The training loss by optimizer step: {figures.listed(falls)}."
        says += " Losses on different labels are not alike in scale."
        charts.append(_chart("loss", "Loss while training", says, loss, share=False))
    return tuple(charts)


def _distinct(trained: list[VariantView]) -> list[VariantView]:
    """A quantised student carries its parent's training; one line stands for both."""
    kept: list[VariantView] = []
    for view in trained:
        if all(view.training != other.training for other in kept):
            kept.append(view)
    return kept


def _line(view: VariantView, field: str, hue: int) -> Line | None:
    assert view.training is not None
    points = [(float(p.step), getattr(p, field)) for p in view.training.curve if getattr(p, field) is not None]
    return (view.name, hue, points, view.training.best_step) if len(points) > 1 else None


def _chart(id: str, title: str, says: str, lines: list[Line], share: bool) -> Chart:
    drawn = [_draw(f"{id}-{size}", title, says, lines, share, size == "w") for size in ("w", "n")]
    every = sorted({x for _, _, points, _ in lines for x, _ in points})
    steps = _thinned(every, 40)  # a table for reading; every step is in the run's JSON
    known = [dict(points) for _, _, points, _ in lines]
    rows = tuple(
        (
            f"{step:.0f}",
            *("" if step not in k else figures.percent(k[step]) if share else figures.digits(k[step]) for k in known),
        )
        for step in steps
    )
    note = (
        "The ring marks the step whose weights were kept."
        if share and any(best is not None for *_, best in lines)
        else ""
    )
    return Chart(
        id,
        title,
        says,
        drawn[0].svg("wide"),
        drawn[1].svg("narrow"),
        ("Step", *(line[0] for line in lines)),
        rows,
        note,
        _data(lines, _thinned(every, _MOST_ROWS), share),
    )


def _thinned(steps: list[float], most: int) -> list[float]:
    """At most so many of them, evenly spaced, the first and the last among them."""
    if len(steps) <= most:
        return steps
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]


def _data(lines: list[Line], steps: list[float], share: bool) -> Data:
    unit = "agreement, 0 to 1" if share else "loss"
    cells: list[tuple[Cell, ...]] = [
        (int(step), *(dict(points).get(step) for _, _, points, _ in lines)) for step in steps
    ]
    return Data(("Optimizer step", *(f"{name} ({unit})" for name, *_ in lines)), tuple(cells))


def _draw(id: str, title: str, says: str, lines: list[Line], share: bool, wide: bool) -> Canvas:
    width, height = (float(WIDE), 300.0) if wide else (float(NARROW), 260.0)
    canvas = Canvas(id, width, height, title, says)
    names = [clipped(line[0], 118 if wide else 104) for line in lines]
    left, top, bottom = 52.0, 28.0, height - 44.0
    right = width - max(text_width(name) for name in names) - 14
    x_high = max(x for _, _, points, _ in lines for x, _ in points) or 1.0
    y_high = 1.0 if share else max(y for _, _, points, _ in lines for _, y in points) or 1.0

    def x_of(value: float) -> float:
        return left + value / x_high * (right - left - 6)

    def y_of(value: float) -> float:
        return bottom - max(0.0, value) / y_high * (bottom - top)

    for tick in ticks(0, y_high, 5):
        canvas.line(left, y_of(tick), right, y_of(tick), "grid")
        canvas.text(left - 7, y_of(tick) + 4, f"{100 * tick:.0f} %" if share else f"{tick:.4g}", "end", class_="tick")
    for tick in ticks(0, x_high, 8 if wide else 4):
        canvas.text(x_of(tick), bottom + 17, f"{tick:.0f}", "middle", class_="tick")
    canvas.line(left, bottom, right, bottom, "axis")
    canvas.text((left + right) / 2, height - 8, "optimizer step", "middle", class_="axis-title")
    canvas.text(4, 14, "agreement with the teacher, validation" if share else "training loss", class_="axis-title")
    ends = [y_of(points[-1][1]) for _, _, points, _ in lines]
    labels = spread([end + 4 for end in ends], 15, top + 4, bottom)
    for i, ((_, hue, points, best), name) in enumerate(zip(lines, names, strict=True)):
        path = "M" + "L".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in points)
        canvas.add("path", d=path, class_=f"curve hue{hue} dash{i % 4}")
        kept = next((y for x, y in points if best is not None and x == best), None)
        if share and kept is not None and best is not None:
            canvas.add("circle", cx=x_of(best), cy=y_of(kept), r=5.0, class_=f"ring hue{hue}")
        x_end = x_of(points[-1][0])
        for (x1, y1), (x2, y2) in pairwise([(x_end + 3, ends[i]), (right + 3, labels[i] - 4)]):
            canvas.line(x1, y1, x2, y2, "leader")
        canvas.text(right + 7, labels[i], name, class_=f"label ink hue{hue}")
    return canvas
