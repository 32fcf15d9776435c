r"""A booktabs table for a paper: \input it where \usepackage{booktabs} is; no other package, any engine.

Text of a record is set as it is: what TeX would read is escaped, the signs of this report become commands, accented
letters their ASCII commands, and a character that no font of plain LaTeX has is named, as [U+4E2D].
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from harness.errors import oneline
from harness.report import figures
from harness.report.across import Across
from harness.report.beside import identity
from harness.report.between import Between, Ratio
from harness.report.sections import Cell
from harness.report.summary import Summary

_COMMANDS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\ensuremath{<}", ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}", '"': r"\char34{}", "'": "{'}", "`": "{`}", "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}",
    "×": r"\ensuremath{\times}", "–": "--", "—": "---", "−": r"\ensuremath{-}", "κ": r"\ensuremath{\kappa}",
    "·": r"\ensuremath{\cdot}", "…": r"\ldots{}", "’": "'", "‘": "`", "“": "``", "”": "''", "→": r"\ensuremath{\to}",
    "≈": r"\ensuremath{\approx}", "≤": r"\ensuremath{\le}", "≥": r"\ensuremath{\ge}", "±": r"\ensuremath{\pm}",
    "µ": r"\ensuremath{\mu}", "μ": r"\ensuremath{\mu}", "²": r"\ensuremath{^2}", "°": r"\ensuremath{^\circ}",
    "✓": r"\ensuremath{\surd}", "✗": r"\ensuremath{\times}", "\N{NO-BREAK SPACE}": "~",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}",
}  # fmt: skip
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`", "\N{COMBINING ACUTE ACCENT}": "'", "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~", "\N{COMBINING DIAERESIS}": '"', "\N{COMBINING MACRON}": "=",
    "\N{COMBINING DOT ABOVE}": ".", "\N{COMBINING CARON}": "v", "\N{COMBINING BREVE}": "u",
    "\N{COMBINING CEDILLA}": "c", "\N{COMBINING RING ABOVE}": "r", "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
}  # fmt: skip
_UNIT = re.compile(r" ([^\d\s]\S*)$")


def render(found: Across) -> str:
    """A table of the runs' variants, and of runs of one pair their ratios; ending in a newline."""
    made = [_table(found), *(_ratios(found, held) for held in found.between if not held.refused)]
    return "\n\n".join(made) + "\n"


def escaped(text: object, limit: int = 1000) -> str:
    """Text that TeX sets as it is: ASCII, on one line, with balanced braces."""
    return "".join(_set(c) for c in oneline(text, limit))


def _set(c: str) -> str:
    if c in _COMMANDS:
        return _COMMANDS[c]
    if c.isascii():
        return c
    base, *marks = list(unicodedata.normalize("NFD", c))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    return f"{{[}}U+{ord(c):04X}{{]}}"


def _table(found: Across) -> str:
    runs, several = found.runs, len(found.runs) > 1
    units = [_unit(runs, place) for place in range(len(figures.COLUMNS))]
    controls = any(row.control for one in runs for row in one.table.rows)
    absent = any(cell.note is not None for one in runs for row in one.table.rows for cell in row.cells)
    body: list[str] = []
    for place, one in enumerate(runs, 1):
        if several:
            title = oneline(f"Run {place}: {one.name}", 60)
            body += [r"\midrule"] * (place > 1)
            body.append(rf"\multicolumn{{{len(units) + 1}}}{{@{{}}l}}{{\textit{{{escaped(title)}}}}} \\")
        for row in one.table.rows:
            name = escaped(row.name, 60) + (r"\ensuremath{^\dagger}" if row.control else "")
            name = rf"\textbf{{{name}}}" if row.shipped else name
            body += _pair(name, [_cell(cell, unit) for cell, unit in zip(row.cells, units, strict=True)])
    said = " ".join(
        [
            *(escaped(f"Measured: {'; '.join((', '.join(one.origin), *one.basis))}.") for one in runs if not several),
            *(
                escaped(f"Run {place}: {'; '.join((', '.join(one.origin[1:]), *one.basis))}.")
                for place, one in enumerate(runs, 1)
                if several
            ),
            r"In brackets 95\,\% intervals. Bold: the one to ship.",
            *([r"\ensuremath{^\dagger}: a control, never shipped."] if controls else []),
            *(escaped(f"{heading}: {how}.", 200) for heading, how in runs[0].ways),
            *(["--: not measured, for the reason that the report gives."] if absent else []),
        ]
    )
    headings = [figures.metric(name).heading for name in figures.COLUMNS]
    return _float(f"{escaped(found.headline)} {said}", _label(found, "variants"), headings, units, body)


def _ratios(found: Across, held: Between) -> str:
    body: list[str] = []
    for variant in held.variants:
        rows = [held.of(variant, metric) for metric in figures.COLUMNS]
        cells = [("--", "") if one is None else _ratio(one) for one in rows]
        body += _pair(escaped(variant, 60), cells)
    headings = [figures.metric(name).heading for name in figures.COLUMNS]
    caption = (
        f"Run {held.later + 1} against run {held.earlier + 1}: ratios, of shares differences; "
        r"in brackets 95\,\% intervals."
    )
    units = ["pt" if figures.metric(name).kind == "share" else "" for name in figures.COLUMNS]
    return _float(caption, _label(found, f"{held.later + 1}-{held.earlier + 1}"), headings, units, body)


def _ratio(one: Ratio) -> tuple[str, str]:
    value, interval = one.value.removesuffix(" pt"), one.interval.removesuffix(" pt")
    return escaped(value), f"({escaped(interval)})" if interval else ""


def _float(caption: str, label: str, headings: Sequence[str], units: Sequence[str], body: Sequence[str]) -> str:
    heads = [escaped(name) for name in headings]
    under = [rf"{{\scriptsize {escaped(unit)}}}" if unit else "" for unit in units]
    lines = [
        "% made by `firstsight report --format latex`; needs \\usepackage{booktabs}",
        r"\begin{table}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(heads)}@{{}}}}",
        r"\toprule",
        rf"Variant & {' & '.join(heads)} \\",
        *([rf" & {' & '.join(under)} \\"] if any(under) else []),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _pair(name: str, cells: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A row of figures, and beneath it its intervals."""
    yield rf"{name} & {' & '.join(value for value, _ in cells)} \\"
    if any(interval for _, interval in cells):
        small = [rf"{{\scriptsize {interval}}}" if interval else "" for _, interval in cells]
        yield rf" & {' & '.join(small)} \\"
    yield r"\addlinespace[1pt]"


def _cell(cell: Cell, unit: str) -> tuple[str, str]:
    value = cell.value.removesuffix(f" {unit}") if unit else cell.value
    return escaped(value, 60), f"({escaped(cell.interval, 60)})" if cell.interval else ""


def _unit(runs: Sequence[Summary], place: int) -> str:
    """The unit that all figures of a column have; empty where they differ: then each figure has its own."""
    values = [row.cells[place].value for one in runs for row in one.table.rows if row.cells[place].note is None]
    units = {found[1] if (found := _UNIT.search(value)) else "" for value in values}
    return units.pop() if len(units) == 1 else ""


def _label(found: Across, what: str) -> str:
    return f"tab:firstsight-{identity(found.runs[0].run)[:8]}-{what}"
