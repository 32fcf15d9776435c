"""A chart's figures for a spreadsheet: plain numbers, units in the header, text that is not taken for a formula.

    Data(("Variant", *heads("TTFT", "ms")), (("int8", *bounds(ttft)),)).csv()

A field that is not known is empty, never zero.
"""

import csv
import io
from dataclasses import dataclass
from typing import TypeAlias

from harness.record import Measurement

Cell: TypeAlias = str | float | int | None

# What begins a formula in one spreadsheet or another (OWASP, "CSV injection"), full-width forms included.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_BOM = "\ufeff"


@dataclass(frozen=True)
class Data:
    """A header and rows of as many cells."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def csv(self) -> bytes:
        """RFC 4180 in UTF-8. A byte-order mark only where a letter needs one: Excel reads it as UTF-8 then, and a
        program that knows nothing of such marks is spared it otherwise.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        for row in (self.header, *self.rows):
            writer.writerow([_field(cell) for cell in row])
        text = out.getvalue()
        return ((_BOM if not text.isascii() else "") + text).encode("utf-8", "replace")


def heads(name: str, unit: str) -> tuple[str, str, str]:
    """Headings of a value and its 95 % interval, each with the unit; a plain number has none."""
    told = f" ({unit})" if unit not in ("", "1") else ""
    return f"{name}{told}", f"{name}, low{told}", f"{name}, high{told}"


def share_heads(name: str) -> tuple[str, str, str]:
    """As `heads`, of a share."""
    return heads(name, "0 to 1")


def bounds(measurement: Measurement) -> tuple[Cell, Cell, Cell]:
    """A value and its interval; empty where there is none."""
    return measurement.value, measurement.low, measurement.high


def _field(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        # An apostrophe is how a spreadsheet itself marks text; blanks before a sign do not hide it from all of them.
        return f"'{cell}" if cell.lstrip(" ")[:1] in _FORMULA and cell.strip(" ") else cell
    return str(cell) if isinstance(cell, int) else repr(float(f"{cell:.6g}")).removesuffix(".0")
