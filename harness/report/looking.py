"""Does it look? What each variant still answers without its frames, and with them in another order, in words.

Read from `accuracy_blind_frames`, `accuracy_shuffled_frames`, their changes and `unchanged_…` of an agreement record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.record import Measurement
from harness.report import figures
from harness.report.view import BASELINE, VariantView

WAYS = (("blind_frames", "Without its frames"), ("shuffled_frames", "Frames shuffled"))


@dataclass(frozen=True)
class Looks:
    """A row a variant, cells of a figure and its interval; what each way says; and why something is not there."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    sentences: tuple[str, ...]
    asked: str
    absent: str


def looks(views: Sequence[VariantView], ship: str | None) -> Looks:
    """Of what could be shipped; where nothing was measured, `absent` says why and the table is empty. In words: the
    shipped variant (the last, where there is none), and baseline.
    """
    asked = [view for view in views if not view.control and view.items]
    ways = [(way, title) for way, title in WAYS if any(_accuracy(view, way).value is not None for view in asked)]
    gone = [f"{title.lower()}: {_why(asked, way)}" for way, title in WAYS if (way, title) not in ways]
    if not ways:
        return Looks((), (), (), "", _why(asked, WAYS[0][0]))
    rows = []
    for view in asked:
        cells = []
        for way, _ in ways:
            found, change, same = _accuracy(view, way), view.get(f"accuracy_{way}_change"), view.get(f"unchanged_{way}")
            cells += [(figures.shown(found), figures.interval(found)), _points(change)]
            cells.append((figures.shown(same), figures.interval(same)))
        rows.append((view.name, tuple(cells)))
    told = [view for view in asked if view.name == (ship or asked[-1].name)]
    told += [view for view in asked if view.name == BASELINE and view not in told]
    counted = [
        f"{title.lower()} {figures.count(n)}"
        for way, title in ways
        if (n := max(_accuracy(view, way).n for view in asked))
    ]
    return Looks(
        headings=tuple(text for _, title in ways for text in (title, "Change", "Same answer")),
        rows=tuple(rows),
        sentences=tuple(filter(None, (_said(view, way) for way, _ in ways for view in told))),
        asked=f"Questions: {', '.join(counted)}.",
        absent="; ".join(gone),
    )


def _accuracy(view: VariantView, way: str) -> Measurement:
    return view.get(f"accuracy_{way}")


def _said(view: VariantView, way: str) -> str:
    """One sentence: how often it is right, by how much that is less, and what that allows to be said."""
    found, change = _accuracy(view, way), view.get(f"accuracy_{way}_change")
    if found.value is None or change.value is None:
        return ""
    told = change.low is not None and change.high is not None and (change.low > 0 or change.high < 0)
    opening = "Without its frames" if way == "blind_frames" else "With its frames in another order"
    before, points = figures.percent(found.value - change.value), figures.points(change.value)
    said = f"{opening} {view.name} is right on {figures.percent(found.value)} instead of {before} ({points})"
    if not told:
        reading = "that it looks is not shown" if way == "blind_frames" else "that their order matters is not shown"
    elif change.value > 0:
        reading = "it answers better so"
    else:
        reading = "it looks" if way == "blind_frames" else "their order matters to it"
    return f"{said}: {reading}."


def _points(change: Measurement) -> tuple[str, str]:
    if change.value is None:
        return "–", ""
    if change.low is None or change.high is None:
        return figures.points(change.value), ""
    low, high = (figures.points(end).removesuffix(" pt") for end in (change.low, change.high))
    return figures.points(change.value), f"{low} to {high}"


def _why(asked: Sequence[VariantView], way: str) -> str:
    if not asked:
        return "no answers in this run"
    return _accuracy(asked[0], way).absent or "no record of this run holds it"
