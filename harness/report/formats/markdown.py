"""GitHub-flavoured Markdown for a pull request: verdict, table, what it was measured on. Whatever a record holds is
shown, and does nothing (`harness/report/marked.py`).
"""

from collections.abc import Iterator, Sequence

from harness.report import figures
from harness.report.across import Across
from harness.report.between import Between
from harness.report.counterfactual import what_would_change
from harness.report.marked import escaped
from harness.report.sections import Cell
from harness.report.summary import Summary

_LEGEND = (
    "Medians and shares with 95 % intervals; then against baseline of the same run. "
    "✓ meets its budget, ✗ misses it, ? cannot be told."
)


def render(found: Across) -> str:
    """The whole text, ending in a newline."""
    several = len(found.runs) > 1
    lines = [f"**{escaped(found.headline)}**", ""]
    if several:
        said = [f"{_origin(one)}: {escaped(one.verdict.sentence)}" for one in found.runs]
        lines += [*(f"{place}. {line}" for place, line in enumerate(said, 1)), ""]
    reasons: dict[str, int] = {}
    headings = _headings(found.runs)
    lines += _table(("Run", *headings) if several else headings, list(_rows(found.runs, reasons, several)))
    lines += ["", _LEGEND, "", *(f"- ({number}) {escaped(why)}" for why, number in reasons.items())]
    if several:
        lines += [f"- Run {place}: {escaped('; '.join(one.basis))}" for place, one in enumerate(found.runs, 1)]
    else:
        one = found.runs[0]
        lines += [f"- {escaped(line)}" for line in (*one.beyond, *one.verdict.reasons)]
        lines += [f"- What would change the answer: {escaped(line)}" for line in what_would_change(one.run).says]
        lines += [f"- Measured: {_origin(one)}; {escaped('; '.join(one.basis))}"]
    for held in found.between:
        lines += ["", *_between(held)]
    return "\n".join(lines).encode("utf-8", "replace").decode("utf-8") + "\n"


def _origin(one: Summary) -> str:
    return ", ".join(escaped(part, 200) for part in one.origin)


def _headings(runs: Sequence[Summary]) -> tuple[str, ...]:
    """The columns, with what the pair asks of them where that is the same for all runs."""
    columns = [heading for heading, _ in runs[0].table.headings]
    asked = {heading: {dict(one.table.headings).get(heading, "") for one in runs} for heading in columns}
    return (
        "Variant",
        *(
            f"{heading}, {escaped(next(iter(limits)))}" if len(limits) == 1 and any(limits) else heading
            for heading, limits in asked.items()
        ),
    )


def _rows(runs: Sequence[Summary], reasons: dict[str, int], several: bool) -> Iterator[tuple[str, ...]]:
    for place, one in enumerate(runs, 1):
        for row in one.table.rows:
            name = escaped(row.name, 60)
            name = f"**{name}** (ship)" if row.shipped else f"{name} (control)" if row.control else name
            cells = [_cell(cell, one.table.notes, reasons) for cell in row.cells]
            yield (str(place), name, *cells) if several else (name, *cells)


def _cell(cell: Cell, notes: tuple[str, ...], reasons: dict[str, int]) -> str:
    if cell.note is not None:
        return f"– ({reasons.setdefault(notes[cell.note - 1], len(reasons) + 1)})"
    mark = f"{cell.mark} " if cell.mark else ""
    interval = f" ({cell.interval})" if cell.interval else ""
    beside = f"; {cell.beside}" if cell.beside else ""
    return mark + escaped(f"{cell.value}{interval}{beside}", 120)


def _between(held: Between) -> list[str]:
    title = f"Run {held.later + 1} against run {held.earlier + 1}"
    if held.refused:
        return [f"{title}: not compared, {escaped(held.refused)}."]
    headings = [figures.metric(name).heading for name in figures.COLUMNS]
    rows = []
    for variant in held.variants:
        found = [held.of(variant, metric) for metric in figures.COLUMNS]
        said = [
            "–" if one is None else f"{one.value}{f' ({one.interval})' if one.interval else ''} {one.words}"
            for one in found
        ]
        rows.append((escaped(variant, 60), *(escaped(one, 120) for one in said)))
    said_first = f"**{title}**: ratios, of shares differences, with 95 % intervals; A is run {held.earlier + 1}, B run "
    lines = [f"- {escaped(line)}" for line in (*held.doubts, *held.notes)]
    return [f"{said_first}{held.later + 1}", "", *_table(("Variant", *headings), rows), "", *lines]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)]
