"""Does the place of an option sway it? Multiple-choice questions asked in several orders of their options, in words.

Read from `option_consistency` and `position_bias` of an agreement record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report import figures
from harness.report.view import VariantView

BIAS, SAME = "position_bias", "option_consistency"


@dataclass(frozen=True)
class Places:
    """A row a variant: the share that keeps its option, the bias of places; each with its interval and count."""

    rows: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    sentences: tuple[str, ...]
    absent: str


def places(views: Sequence[VariantView]) -> Places | None:
    """None where nothing was answered; `absent` says why there is no figure."""
    answered = [view for view in views if view.items]
    if not answered:
        return None
    measured = [view for view in answered if any(view.get(name).value is not None for name in (SAME, BIAS))]
    if not measured:
        return Places((), (), answered[0].get(BIAS).absent or "no record of this run holds it")
    rows = []
    for view in measured:
        found = [view.get(name) for name in (SAME, BIAS)]
        rows.append(
            (
                view.name,
                tuple(
                    (figures.shown(one), figures.interval(one), f"n = {figures.count(one.n)}" if one.n else "")
                    for one in found
                ),
            )
        )
    return Places(tuple(rows), tuple(filter(None, map(_said, (v for v in measured if not v.control)))), "")


def _said(view: VariantView) -> str:
    """distilled chooses the same option in every order on 80 % of questions, so that a fifth hangs on the place."""
    same, bias = view.get(SAME), view.get(BIAS)
    said = []
    if same.value is not None:
        said.append(f"chooses the same option in every order on {figures.percent(same.value)} of questions")
    if bias.value is not None:
        said.append(f"would have to move {figures.percent(bias.value)} of its choices to favour no place")
    return f"{view.name} {' and '.join(said)}." if said else ""
