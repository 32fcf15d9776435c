"""Where they answer otherwise: the most telling questions with their frames, filtered by radio buttons and CSS alone.

    found = flips(views, verdict.ship)

A filter's name on the page is its place (`ft0`, `fv1`, `fo2`), never a record's text; `templates/css/4-flips.css` has a
rule for each place there can be. All disagreements, without frames, are in the linked file (`disagreements.py`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.report import figures
from harness.report.disagreements import Disagreement, counts, disagreements
from harness.report.view import Flip, VariantView
from harness.telling import OUTCOMES, Candidate, most_telling

MOST = 50  # cards
FRAMES_BYTES = 1_150_000  # of all frames, as they stand in the page: with the rest it stays below 2 MB
PER_CARD = (8, 6, 4, 3, 2, 1)  # frames of a card, at most: the first that keeps to it
MOST_TYPES, MOST_VARIANTS = 24, 8  # that the style sheet has filters for
QUESTION, ANSWER, NAME = 600, 300, 80  # characters of a text that are shown; the linked file has all
_FRAME = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class FlipCard:
    """A question with its frames, and every variant that answers it otherwise than the teacher."""

    question: str
    type: str
    id: str
    options: tuple[str, ...]
    gold: str
    teacher: str
    teacher_sure: str
    answers: tuple[tuple[str, str, str, str], ...]  # variant, answer, how sure, what became of it
    frames: tuple[str, ...]
    unseen: int  # frames that are no pictures
    heavy: int  # frames left out as the page would be too large
    filters: str  # classes, by place


@dataclass(frozen=True)
class Filter:
    """One radio button: its id, what it says, how many of the cards it leaves."""

    id: str
    label: str
    count: int


@dataclass(frozen=True)
class Flips:
    """The section: cards, filters by what they are of, how many there are in all, and what was left out."""

    cards: tuple[FlipCard, ...]
    filters: tuple[tuple[str, tuple[Filter, ...]], ...]
    totals: tuple[tuple[str, tuple[str, ...]], ...]  # variant: questions, that differ, of each outcome
    total: int
    kept: int  # of these, those that the records hold with frames: what is shown is chosen from them
    shipped: str  # whose come first; empty where none is to be shipped
    fewer: int  # frames a card has at most, where some had to go; else 0
    anything: bool  # is there a disagreement of any variant, so that the linked file is worth a link


def flips(views: Sequence[VariantView], ship: str | None) -> Flips:
    """At most 50 questions on which a variant that could be shipped differs from the teacher (`harness/telling.py`)."""
    everything = disagreements(views)
    found: dict[str, list[Disagreement]] = {}
    for one in everything:
        if not one.control and one.seed == 0:
            found.setdefault(one.id, []).append(one)
    kept: dict[str, Flip] = {}
    for view in views:
        for flip in () if view.control else view.flips:
            if flip.id not in kept or not kept[flip.id].frames:
                kept[flip.id] = flip
    candidates = [_candidate(kept[id], found[id], ship) for id in kept if id in found]
    chosen = [candidates[at].id for at in most_telling(candidates, MOST)]
    types = _most_frequent((kept[id].type for id in chosen), MOST_TYPES)
    variants = [view.name for view in views if not view.control][:MOST_VARIANTS]
    cards = tuple(_card(kept[id], found[id], types, variants) for id in chosen)
    cards, fewer = _lightened(cards)
    return Flips(
        cards=cards,
        filters=_filters(cards, types, variants),
        totals=tuple(_totals(view, everything) for view in views if not view.control and (view.items or view.flips)),
        total=len(found),
        kept=len(candidates),
        shipped=ship if ship and any(one.variant == ship for id in chosen for one in found[id]) else "",
        fewer=fewer,
        anything=bool(everything),
    )


def _candidate(flip: Flip, found: Sequence[Disagreement], ship: str | None) -> Candidate:
    """A question by what became of it with the shipped variant, else with the one that is surest of its own answer."""
    lead = max(found, key=lambda one: (one.variant == ship, one.answer_p or 0.0))
    return Candidate(
        id=flip.id,
        clip=flip.clip,
        type=flip.type,
        outcome=lead.outcome or OUTCOMES[2],
        sure=(lead.teacher_p or 0.0) * (lead.answer_p or 0.0),
        first=lead.variant == ship,
    )


def _card(flip: Flip, found: Sequence[Disagreement], types: Sequence[str], variants: Sequence[str]) -> FlipCard:
    frames = tuple(frame for frame in flip.frames if _FRAME.fullmatch(frame))
    places = [f"ft{_place(flip.type, types)}"]
    for one in found:
        outcome = f"fo{OUTCOMES.index(one.outcome)}" if one.outcome else ""
        variant = f"fv{variants.index(one.variant)}" if one.variant in variants else ""
        places += [outcome, variant, variant and outcome and variant + outcome]
    return FlipCard(
        question=_short(flip.question, QUESTION),
        type=_short(flip.type, NAME),
        id=_short(flip.id, NAME),
        options=tuple(_short(option, ANSWER) for option in flip.options[:26]),
        gold=_short(flip.gold, ANSWER),
        teacher=_short(flip.teacher, ANSWER),
        teacher_sure=_sure(next((one.teacher_p for one in found if one.teacher_p is not None), None)),
        answers=tuple(
            (_short(one.variant, NAME), _short(one.answer or "–", ANSWER), _sure(one.answer_p), one.outcome or "")
            for one in found
        ),
        frames=frames,
        unseen=len(flip.frames) - len(frames),
        heavy=0,
        filters=" ".join(dict.fromkeys(filter(None, places))),
    )


def _lightened(cards: tuple[FlipCard, ...]) -> tuple[tuple[FlipCard, ...], int]:
    """As many frames a card as keep within the bytes, evenly spread; where one each is too much, the last have none.

    And how many a card has at most, where any was left out for that.
    """
    most = max((len(card.frames) for card in cards), default=0)
    each = next((n for n in PER_CARD if _bytes(cards, n) <= FRAMES_BYTES), 1)
    left, lighter = FRAMES_BYTES, []
    for card in cards:
        frames = evenly(card.frames, each)
        frames = frames if sum(map(len, frames)) <= left else ()
        left -= sum(map(len, frames))
        lighter.append(replace(card, frames=frames, heavy=len(card.frames) - len(frames)))
    return tuple(lighter), each if each < most else 0


def evenly(frames: tuple[str, ...], most: int) -> tuple[str, ...]:
    """At most `most` of them, the first and the last among them; of one, the middle."""
    if len(frames) <= most:
        return frames
    if most == 1:
        return (frames[(len(frames) - 1) // 2],)
    return tuple(frames[round(at * (len(frames) - 1) / (most - 1))] for at in range(most))


def _bytes(cards: Iterable[FlipCard], each: int) -> int:
    return sum(len(frame) for card in cards for frame in evenly(card.frames, each))


def _filters(
    cards: Sequence[FlipCard], types: Sequence[str], variants: Sequence[str]
) -> tuple[tuple[str, tuple[Filter, ...]], ...]:
    """What became of it, which variant, which type: those that the cards hold, where there is a choice."""
    there = Counter(name for card in cards for name in card.filters.split())
    groups = []
    for legend, letter, names in (
        ("What became of the teacher’s answer", "o", OUTCOMES),
        ("Which variant differs", "v", variants),
        ("Type of question", "t", types),
    ):
        found = [
            Filter(f"f{letter}{at}", _short(name, NAME), there[f"f{letter}{at}"])
            for at, name in enumerate(names)
            if there[f"f{letter}{at}"]
        ]
        if len(found) > 1:
            groups.append((legend, (Filter(f"f{letter}", "all", len(cards)), *found)))
    return tuple(groups)


def _most_frequent(found: Iterable[str], most: int) -> list[str]:
    """The types in the order of their names; where there are too many, the last stands for the rare ones."""
    count = Counter(found)
    if len(count) <= most:
        return sorted(count)
    frequent = sorted(count, key=lambda name: (-count[name], name))[: most - 1]
    return [*sorted(frequent), f"{len(count) - len(frequent)} rarer types"]


def _place(type: str, types: Sequence[str]) -> int:
    return types.index(type) if type in types else len(types) - 1


def _totals(view: VariantView, everything: Sequence[Disagreement]) -> tuple[str, tuple[str, ...]]:
    mine = [one for one in everything if one.variant == view.name and one.seed == 0]
    by_outcome = counts(mine)
    known = sum(by_outcome.values()) == len(mine)
    told = [figures.count(by_outcome[name]) if known else "–" for name in OUTCOMES]
    questions = figures.count(len(view.items)) if view.items else "–"
    return _short(view.name, NAME), (questions, figures.count(len(mine)) if view.items else "–", *told)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _sure(p: float | None) -> str:
    return "" if p is None else f"{100 * min(1.0, max(0.0, p)):.0f} %"
