"""The verdict as a badge for a README: an SVG of one's own, or the JSON that img.shields.io/endpoint draws one from.

FirstSight | ship distilled-int8 · agrees ≥ 88.8 % · 2.6× smaller
"""

import json

from markupsafe import Markup

from harness.errors import UsageError, oneline
from harness.report import figures
from harness.report.across import Across
from harness.report.charts.svg import clipped
from harness.report.compare import baseline_of, relative
from harness.report.summary import Summary
from harness.report.view import BASELINE
from harness.report.wording import OBJECTIVES

LABEL = "FirstSight"
# White on each has a contrast of more than 5.
SHIP, NONE, SILENT, GROUND = "#0a6b50", "#a63a00", "#5d6066", "#34363b"
_MOST = 420.0  # px of text
_SIZE, _PAD, _HIGH = 11, 7, 20
# Advance widths of Verdana in thousandths of its size, by the characters that have them; others are as wide as "m".
_WIDTHS = {
    351: "ijl|'", 394: "fIt-.,:;/ ·()[]J!", 480: "rst\"cz*", 600: "aeky?_xvFLgTbdhnopqu", 636: "0123456789×–−~$#+<>=",
    690: "ABCEKPRSVXYZ…", 780: "DGHNOQU&", 973: "m%MWw@",
}  # fmt: skip
_WIDE = {c: width for width, letters in _WIDTHS.items() for c in letters}
_BADGE = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{high}" role="img" aria-labelledby="t">'
    '<title id="t">{title}</title>'
    '<clipPath id="r"><rect width="{width}" height="{high}" rx="3"/></clipPath>'
    '<g clip-path="url(#r)"><rect width="{left}" height="{high}" fill="{ground}"/>'
    '<rect x="{left}" width="{right}" height="{high}" fill="{colour}"/></g>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{size}" aria-hidden="true">'
    '<text x="{pad}" y="14" textLength="{label_width}">{label}</text>'
    '<text x="{at}" y="14" textLength="{message_width}">{message}</text></g></svg>\n'
)


def render(found: Across) -> str:
    """The SVG; UsageError for several runs, since a badge says one thing."""
    one = _only(found)
    message = clipped(oneline(_message(one), 200), _MOST, _SIZE)
    left, right = (round(_width(text)) + 2 * _PAD for text in (LABEL, message))
    drawn = _BADGE.format(
        width=left + right, high=_HIGH, left=left, right=right, ground=GROUND, colour=_colour(one), size=_SIZE,
        pad=_PAD, at=left + _PAD, label=LABEL, message=message, title=f"{LABEL}: {message}",
        label_width=left - 2 * _PAD, message_width=right - 2 * _PAD,
    )  # fmt: skip
    return str(drawn)


def endpoint(found: Across) -> str:
    """The JSON of https://shields.io/badges/endpoint-badge; ending in a newline."""
    one = _only(found)
    message = oneline(_message(one), 200)
    told = {"schemaVersion": 1, "label": LABEL, "message": message, "color": _colour(one).lstrip("#")}
    return json.dumps(told, indent=1) + "\n"


def _only(found: Across) -> Summary:
    if len(found.runs) != 1:
        raise UsageError(f"a badge says what one run ships, and {len(found.runs)} are given; give one")
    return found.runs[0]


def _message(one: Summary) -> str:
    """Ship distilled-int8 · agrees ≥ 88.8 % · 2.6× smaller: agreement by its lower end, as budgets have it;
    only what the verdict's own sentence may claim.
    """
    if one.verdict.ship is None:
        return "ship none" if one.has_verdict else "no verdict"
    view = next(view for view in one.views if view.name == one.verdict.ship)
    metric = OBJECTIVES[one.verdict.objective]
    agreement, names = view.get("agreement"), figures.metric(metric)
    parts = [f"ship {view.name}"]
    if view.name != BASELINE and agreement.value is not None:
        floor = agreement.value if agreement.low is None else agreement.low
        parts.append(f"agrees {'' if agreement.low is None else '≥ '}{figures.percent(floor)}")
    beside = None if metric == "agreement" else relative(view, baseline_of(one.views), metric)
    if beside is not None and beside.words.endswith((names.less, names.more)):
        parts.append(f"{beside.words} memory" if metric == "memory_peak" else beside.words)
    return " · ".join(parts)


def _colour(one: Summary) -> str:
    return SHIP if one.verdict.ship else NONE if one.has_verdict else SILENT


def _width(text: str) -> float:
    """As wide as Verdana sets it; `textLength` makes other fonts as wide."""
    return _SIZE * sum(_WIDE.get(c, 973) for c in text) / 1000
