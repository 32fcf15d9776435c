"""Questions about a scene: over 50 templates of 11 types, each with its answers from the ground truth.

A `Kind` of question has one or more wordings; a wording of a kind is a template. "start" is the first keyframe, "end"
the last. Which of all possible questions are asked is `scenes.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.qa.world import COLOURS, COLUMNS, HANDS, KINDS, PLACES, ROWS, VERBS, Event, Place, Scene, Thing

NUMBERS = ("zero", "one", "two", "three", "four", "five")
DONE = dict(zip(VERBS, ("picked", "put", "moved", "given", "taken", "poured", "touched"), strict=True))
Domain = Literal["kind", "colour", "verb", ""]  # what wrong options a multiple choice draws from
DOMAINS: dict[Domain, tuple[str, ...]] = {"kind": KINDS, "colour": COLOURS, "verb": VERBS}

Found = Iterator[tuple[tuple[str, ...], str]]  # what fills the wording's blanks, and the answer


@dataclass(frozen=True)
class Kind:
    """One thing to know about a scene, asked in one or more wordings with `{}` for the blanks."""

    name: str
    type: str
    wordings: tuple[str, ...]
    answers: Callable[[Scene], Found]
    domain: Domain = ""


@dataclass(frozen=True)
class Asked:
    """One possible question on a scene."""

    template: str
    type: str
    question: str
    answer: str
    domain: Domain = ""


def asked_of(scene: Scene) -> list[Asked]:
    """Everything that can be asked of this scene, in every wording."""
    return [
        Asked(f"{kind.name}-{number}", kind.type, wording.format(*blanks), answer, kind.domain)
        for kind in ASKED
        for blanks, answer in kind.answers(scene)
        for number, wording in enumerate(kind.wordings)
    ]


def template_names() -> tuple[str, ...]:
    """One name for each wording of each kind."""
    return tuple(f"{kind.name}-{number}" for kind in ASKED for number in range(len(kind.wordings)))


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _name(thing: Thing | None) -> str:
    return thing.kind if thing else "nothing"


def _where(place: Place) -> str:
    return f"{ROWS[place[1]]} {COLUMNS[place[0]]}"


def _held(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: (((hand,), _name(scene.keyframes[moment].held[hand])) for hand in HANDS)


def _held_colour(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: (
        ((hand,), thing.colour) for hand in HANDS if (thing := scene.keyframes[moment].held[hand]) is not None
    )


def _empty(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: (((hand,), _yes(scene.keyframes[moment].held[hand] is None)) for hand in HANDS)


def _hand_at(moment: int) -> Callable[[Scene], Found]:
    def found(scene: Scene) -> Found:
        for hand in HANDS:
            place = scene.keyframes[moment].reach[hand]
            yield (hand,), "rest" if place is None else _where(place)

    return found


def _others(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: iter([((), _name(scene.keyframes[moment].others_thing))])


def _others_colour(moment: int) -> Callable[[Scene], Found]:
    def found(scene: Scene) -> Found:
        if (thing := scene.keyframes[moment].others_thing) is not None:
            yield (), thing.colour

    return found


def _on_table(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: iter([((), NUMBERS[len(scene.keyframes[moment].on_table)])])


def _full_hands(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: iter([((), NUMBERS[sum(t is not None for t in scene.keyframes[moment].held.values())])])


def _lies(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: (((t.kind,), _yes(scene.place_of(t, moment) is not None)) for t in scene.things)


def _at_place(moment: int) -> Callable[[Scene], Found]:
    return lambda scene: (((_where(p),), _name(scene.keyframes[moment].on_table.get(p))) for p in PLACES)


def _event(index: int, answer: Callable[[Event], str]) -> Callable[[Scene], Found]:
    return lambda scene: iter([((), answer(scene.events[index]))])


def _around(known: int, asked: int, answer: Callable[[Event], str]) -> Callable[[Scene], Found]:
    """Blanks from one event, the answer from the other."""

    def found(scene: Scene) -> Found:
        event = scene.events[known]
        yield (event.thing.kind, DONE[event.verb]), answer(scene.events[asked])

    return found


def _either(answer: Callable[[Event], str]) -> Callable[[Scene], Found]:
    """Both orders of naming the two events; the first one is the answer."""

    def found(scene: Scene) -> Found:
        one, two = (answer(event) for event in scene.events)
        if one != two:
            yield (one, two), one
            yield (two, one), one

    return found


def _exists(scene: Scene) -> Found:
    return (((kind,), _yes(any(t.kind == kind for t in scene.things))) for kind in KINDS)


def _other_person(scene: Scene) -> Found:
    yield (), _yes(any(keyframe.others_hand for keyframe in scene.keyframes))


def _object_of_verb(scene: Scene) -> Found:
    return (((DONE[event.verb],), event.thing.kind) for event in scene.events)


def _poured_into(scene: Scene) -> Found:
    return (((e.thing.kind,), e.target.kind) for e in scene.events if e.target is not None)


def _verb(event: Event) -> str:
    return event.verb


def _kind(event: Event) -> str:
    return event.thing.kind


def _colour(event: Event) -> str:
    return event.thing.colour


def _hand(event: Event) -> str:
    return event.hand


ASKED: tuple[Kind, ...] = (
    Kind(
        "held-start",
        "held object",
        ("what is in the {} hand at the start?", "what does the {} hand hold at first?"),
        _held(0),
        "kind",
    ),
    Kind(
        "held-end",
        "held object",
        ("what is in the {} hand at the end?", "what does the {} hand hold finally?"),
        _held(3),
        "kind",
    ),
    Kind("others-start", "held object", ("what does the other person hold at the start?",), _others(0), "kind"),
    Kind("others-end", "held object", ("what does the other person hold at the end?",), _others(3), "kind"),
    Kind("hand-first", "which hand", ("which hand acts first?", "which hand is used first?"), _event(0, _hand)),
    Kind("hand-last", "which hand", ("which hand acts last?", "which hand is used last?"), _event(1, _hand)),
    Kind(
        "held-colour-start",
        "colour",
        ("what colour is the thing in the {} hand at the start?",),
        _held_colour(0),
        "colour",
    ),
    Kind(
        "held-colour-end", "colour", ("what colour is the thing in the {} hand at the end?",), _held_colour(3), "colour"
    ),
    Kind(
        "handled-colour-first",
        "colour",
        ("what colour is the thing handled first?", "what colour is the first thing used?"),
        _event(0, _colour),
        "colour",
    ),
    Kind(
        "handled-colour-last",
        "colour",
        ("what colour is the thing handled last?", "what colour is the last thing used?"),
        _event(1, _colour),
        "colour",
    ),
    Kind(
        "others-colour-start",
        "colour",
        ("what colour is the thing of the other person at the start?",),
        _others_colour(0),
        "colour",
    ),
    Kind(
        "others-colour-end",
        "colour",
        ("what colour is the thing of the other person at the end?",),
        _others_colour(3),
        "colour",
    ),
    Kind("on-table-start", "count", ("how many things are on the table at the start?",), _on_table(0)),
    Kind("on-table-end", "count", ("how many things are on the table at the end?",), _on_table(3)),
    Kind("full-hands-start", "count", ("how many hands hold something at the start?",), _full_hands(0)),
    Kind("full-hands-end", "count", ("how many hands hold something at the end?",), _full_hands(3)),
    Kind(
        "things",
        "count",
        ("how many things are there in all?", "how many things can be seen?"),
        lambda scene: iter([((), NUMBERS[len(scene.things)])]),
    ),
    Kind("exists", "existence", ("is there a {}?",), _exists),
    Kind("lies-start", "existence", ("is the {} on the table at the start?",), _lies(0)),
    Kind("lies-end", "existence", ("is the {} on the table at the end?",), _lies(3)),
    Kind("empty-start", "existence", ("is the {} hand empty at the start?",), _empty(0)),
    Kind("empty-end", "existence", ("is the {} hand empty at the end?",), _empty(3)),
    Kind("other-person", "existence", ("does the other person appear?", "is there another person?"), _other_person),
    Kind("hand-at-start", "place", ("where is the {} hand at the start?",), _hand_at(0)),
    Kind("hand-at-end", "place", ("where is the {} hand at the end?",), _hand_at(3)),
    Kind(
        "at-place-start",
        "relation",
        ("what is at the {} at the start?",),
        _at_place(0),
        "kind",
    ),
    Kind(
        "at-place-end",
        "relation",
        ("what is at the {} at the end?",),
        _at_place(3),
        "kind",
    ),
    Kind("happens-first", "action", ("what happens first?", "what is done first?"), _event(0, _verb), "verb"),
    Kind("happens-last", "action", ("what happens last?", "what is done last?"), _event(1, _verb), "verb"),
    Kind(
        "handled-first",
        "object of action",
        ("what is handled first?", "what is the first thing used?"),
        _event(0, _kind),
        "kind",
    ),
    Kind(
        "handled-last",
        "object of action",
        ("what is handled last?", "what is the last thing used?"),
        _event(1, _kind),
        "kind",
    ),
    Kind("object-of-verb", "object of action", ("what is {}?",), _object_of_verb, "kind"),
    Kind("poured-into", "object of action", ("what is the {} poured into?",), _poured_into, "kind"),
    Kind(
        "happens-next",
        "what next",
        ("what happens after the {} is {}?", "what is done once the {} is {}?"),
        _around(0, 1, _verb),
        "verb",
    ),
    Kind("handled-next", "what next", ("what is handled after the {} is {}?",), _around(0, 1, _kind), "kind"),
    Kind("happened-before", "what next", ("what happens before the {} is {}?",), _around(1, 0, _verb), "verb"),
    Kind("handled-before", "what next", ("what is handled before the {} is {}?",), _around(1, 0, _kind), "kind"),
    Kind(
        "which-first",
        "order of events",
        ("what happens first: {} or {}?", "which comes first: {} or {}?"),
        _either(_verb),
    ),
    Kind(
        "which-handled-first",
        "order of events",
        ("what is handled first: {} or {}?", "which is used first: {} or {}?"),
        _either(_kind),
    ),
)


def captions(scene: Scene) -> list[tuple[str, str]]:
    """Each keyframe told place by place: one word depends on one patch, which teaches a tower to see."""
    told = []
    for moment, keyframe in enumerate(scene.keyframes):
        words = [_told(keyframe.on_table.get(place)) for place in PLACES]
        for hand in HANDS:
            words.append(_told(keyframe.held[hand]))
            reach = keyframe.reach[hand]
            words.append("rest" if reach is None else _where(reach))
        words.append(_told(keyframe.others_thing))
        told.append((f"describe moment {NUMBERS[moment + 1]}", " ".join(words)))
    return told


def stories(scene: Scene) -> list[tuple[str, str]]:
    """The same clip told thing by thing and event by event: look a kind up, then say all about it."""
    starts = " ".join(f"{thing.kind} {_whereabouts(scene, thing, 0)}" for thing in scene.things)
    ends = " ".join(f"{thing.kind} {_whereabouts(scene, thing, 3)}" for thing in scene.things)
    done = " ".join(f"{thing.kind} {thing.colour} {_done_to(scene, thing)}" for thing in scene.things)
    events = " ".join(f"{event.hand} {event.verb} {_told(event.thing)}" for event in scene.events)
    return [
        ("describe where things start", starts),
        ("describe where things end", ends),
        ("describe what is done to things", done),
        ("describe what happens", events),
    ]


def _told(thing: Thing | None) -> str:
    return f"{thing.kind} {thing.colour}" if thing else "nothing"


def _whereabouts(scene: Scene, thing: Thing, moment: int) -> str:
    if place := scene.place_of(thing, moment):
        return _where(place)
    holder = scene.holder_of(thing, moment)
    return f"{holder} hand" if holder else "other person"


def _done_to(scene: Scene, thing: Thing) -> str:
    done = [f"{event.verb} {event.hand}" for event in scene.events if event.thing == thing]
    return done[0] if done else "nothing"
