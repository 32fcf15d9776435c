"""The same answers graded in other ways: by letter and likelihood, by words and meaning.

Only columns that some variant has a figure for are shown, so a set of open questions has no column of letters.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import figures
from harness.report.view import VariantView

GRADINGS = ("accuracy_letter", "accuracy_likelihood", "exact_match", "token_f1", "similarity")


@dataclass(frozen=True)
class Graded:
    """A row a variant; a cell is a figure, its interval and how many answers it is from."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    absent: tuple[str, ...]


def graded(views: tuple[VariantView, ...]) -> Graded | None:
    """The table; None where no variant was graded in any of these ways."""
    answered = [view for view in views if view.items]
    there = [name for name in GRADINGS if any(view.get(name).value is not None for view in answered)]
    if not there:
        return None
    rows = []
    for view in answered:
        cells = []
        for name in there:
            found = view.get(name)
            n = f"n = {figures.count(found.n)}" if found.value is not None else ""
            cells.append((figures.shown(found), figures.interval(found), n))
        rows.append((view.name, tuple(cells)))
    first = answered[0]
    missing = [name for name in GRADINGS if name not in there]
    absent = tuple(f"{figures.metric(name).heading}: {first.get(name).absent}" for name in missing)
    return Graded(tuple(figures.metric(name).heading for name in there), tuple(rows), absent)
