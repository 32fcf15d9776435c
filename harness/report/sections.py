"""What stands in each part of the page, as plain rows of text: the template only sets it."""

from dataclasses import dataclass

from harness.report import figures
from harness.report.budgets import Check
from harness.report.compare import baseline_of, relative
from harness.report.verdict import Verdict
from harness.report.view import VariantView
from harness.stats import wilson_clustered

_MARKS = {"met": "✓", "missed": "✗", "cannot tell": "?", "not measured": "–"}

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cell:
    """A figure with what stands beneath it; `note` numbers the reason of its absence."""

    heading: str
    value: str
    interval: str
    beside: str
    status: str
    mark: str
    note: int | None


@dataclass(frozen=True)
class Row:
    """One variant of the first table."""

    name: str
    control: bool
    shipped: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Overview:
    """The first table: headings with their budgets, rows, reasons of the gaps."""

    headings: Pairs
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TypeCell:
    """Agreement on one type of question; `shade` 0–10 for its ground."""

    value: str
    interval: str
    shade: int


@dataclass(frozen=True)
class ByType:
    """Agreement by type of question and variant."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[TypeCell, ...]], ...]
    says: str


def overview(views: tuple[VariantView, ...], verdict: Verdict) -> Overview:
    """The first table."""
    baseline, reasons = baseline_of(views), dict[str, int]()
    checks = {(judged.variant, check.metric): check for judged in verdict.table for check in judged.checks}
    asked = {check.metric: check.asked for judged in verdict.table for check in judged.checks}
    rows = []
    for view in views:
        cells = []
        for metric in figures.COLUMNS:
            found, beside = view.get(metric), relative(view, baseline, metric)
            note = reasons.setdefault(found.absent or "", len(reasons) + 1) if found.value is None else None
            check = None if view.control else checks.get((view.name, metric))
            cells.append(
                Cell(
                    heading=figures.metric(metric).heading,
                    value=figures.shown(found),
                    interval=figures.interval(found),
                    beside=beside.words if beside else "",
                    status=check.status if check else "",
                    mark=_MARKS[check.status] if check else "",
                    note=note,
                )
            )
        rows.append(Row(view.name, view.control, view.name == verdict.ship, tuple(cells)))
    headings = tuple((figures.metric(name).heading, asked.get(name, "")) for name in figures.COLUMNS)
    return Overview(headings, tuple(rows), tuple(reasons))


def held(verdict: Verdict) -> tuple[str, tuple[tuple[str, str, str, str], ...]]:
    """Whose budgets the first screen shows; of each status, mark, heading, by how much. Nothing without a verdict."""
    one = verdict.held
    if one is None:
        return "", ()
    who = f"{one.variant} meets" if one.variant == verdict.ship else f"{one.variant}, the nearest"
    rows = []
    for check in one.checks:
        words = {"not measured": "not measured", "cannot tell": f"{figures.shown(check.measurement)}, cannot be told"}
        by = words.get(check.status, check.margin_briefly)
        rows.append((check.status, _MARKS[check.status], figures.metric(check.metric).heading, by))
    return who, tuple(rows)


def budget_table(
    verdict: Verdict,
) -> tuple[Pairs, tuple[tuple[str, bool, tuple[tuple[str, str, str, str], ...]], ...]]:
    """Headings with what is asked, and per variant: status, its mark, the figure, the margin."""
    if not verdict.table or not verdict.table[0].checks:
        return (), ()
    headings = tuple((figures.metric(c.metric).heading, c.asked) for c in verdict.table[0].checks)
    rows = tuple(
        (judged.variant, judged.control, tuple(_held(check) for check in judged.checks)) for judged in verdict.table
    )
    return headings, rows


def by_type(views: tuple[VariantView, ...], shown: VariantView | None) -> ByType | None:
    """Agreement by type; None without answers. The sentence is about the variant shown."""
    answered = [view for view in views if view.items and view.name != "baseline"]
    types = sorted({item.type for view in answered for item in view.items})
    if not types:
        return None
    rows = []
    for kind in types:
        most = max(sum(item.type == kind for item in view.items) for view in answered)
        rows.append((kind, figures.count(most), tuple(_type_cell(view, kind) for view in answered)))
    says = "How often each variant answers like the teacher, by type of question."
    if shown is not None and shown.items:
        rates = {kind: _rate(shown, kind) for kind in types}
        known = {kind: rate for kind, rate in rates.items() if rate is not None}
        worst, best = min(known, key=lambda k: known[k]), max(known, key=lambda k: known[k])
        if known[worst] == known[best]:
            says += f" {shown.name} does so alike on every type ({figures.percent(known[best])})."
        else:
            says += f" {shown.name} is weakest on {worst} ({figures.percent(known[worst])})"
            says += f" and strongest on {best} ({figures.percent(known[best])})."
    return ByType(tuple(view.name for view in answered), tuple(rows), says)


def _held(check: Check) -> tuple[str, str, str, str]:
    margin = check.margin_words
    if check.status == "not measured":
        margin = check.measurement.absent or ""
    elif check.status == "cannot tell":
        bounds = figures.interval(check.measurement)  # of the value there would be room to spare, and nobody can tell
        margin = "; ".join(filter(None, (f"interval {bounds}" if bounds else "", check.settled_by)))
    return check.status, _MARKS[check.status], figures.shown(check.measurement), margin


def _type_cell(view: VariantView, kind: str) -> TypeCell:
    items = [item for item in view.items if item.type == kind]
    if not items:
        return TypeCell("–", "", 0)
    hits = [item.agrees for item in items]
    low, high = wilson_clustered(hits, [item.clip for item in items])
    share = sum(hits) / len(hits)
    return TypeCell(
        figures.percent(share, 0),
        figures.span("agreement", round(low, 2), round(high, 2)).replace(".0", ""),
        round(10 * share),
    )


def _rate(view: VariantView, kind: str) -> float | None:
    hits = [item.agrees for item in view.items if item.type == kind]
    return sum(hits) / len(hits) if hits else None
