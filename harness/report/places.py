"""Does the place of an option sway it? Multiple-choice questions asked in several orders of their options, in words.

Read from `option_consistency` and `position_bias` of an agreement record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report import figures
from harness.report.view import BASELINE, VariantView

BIAS, SAME = "position_bias", "option_consistency"


@dataclass(frozen=True)
class Places:
    """A row a variant: the share that keeps its option, the bias of places; each with its interval and count."""

    rows: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    sentences: tuple[str, ...]
    absent: str


def places(views: Sequence[VariantView], ship: str | None) -> Places | None:
    """None where nothing was answered; `absent` says why there is no figure. In words: the shipped variant (the last
    that was measured, where there is none), and baseline.
    """
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
    told = [view for view in measured if view.name == (ship or measured[-1].name)]
    told += [view for view in measured if view.name == BASELINE and view not in told]
    return Places(tuple(rows), tuple(filter(None, map(_said, told))), "")


def _said(view: VariantView) -> str:
    same, bias = view.get(SAME), view.get(BIAS)
    said = []
    if same.value is not None:
        share, n = figures.percent(same.value), figures.count(same.n)
        said.append(f"on {share} of {n} questions it keeps to one option in every order")
    if bias.value is not None:
        share, n = figures.percent(bias.value), figures.count(bias.n)
        said.append(f"{share} of its {n} choices would have to move for every place to be chosen alike")
    return f"{view.name}: {'; '.join(said)}." if said else ""
