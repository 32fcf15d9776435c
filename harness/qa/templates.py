"""Questions about a scene: 50 templates over 11 types, each giving (question, answer) pairs from the ground truth.

A template is a function from a scene to its possible instances; which of them are asked is `balance.py`'s business.
"start" is the first keyframe, "end" the last. Answers are lower-case words; yes/no where the question asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.qa.world import COLOURS, COLUMNS, HANDS, KINDS, PLACES, ROWS, VERBS, Event, Place, Scene, Thing

NUMBERS = ("zero", "one", "two", "three", "four", "five")
DONE = dict(zip(VERBS, ("picked", "put", "moved", "given", "taken", "poured", "touched"), strict=True))
MOMENTS: tuple[tuple[str, int], ...] = (("start", 0), ("end", 3))
Domain = Literal["kind", "colour", "verb", "place", ""]  # what wrong options a multiple choice draws from
DOMAINS: dict[Domain, tuple[str, ...]] = {
    "kind": KINDS,
    "colour": COLOURS,
    "verb": VERBS,
    "place": tuple(f"{ROWS[row]} {COLUMNS[column]}" for column, row in PLACES),
}


@dataclass(frozen=True)
class Asked:
    """One possible question on a scene."""

    template: str
    type: str
    question: str
    answer: str
    domain: Domain = ""


Pairs = Iterator[tuple[str, str]]
_TEMPLATES: list[tuple[str, str, Domain, Callable[[Scene], Pairs]]] = []


def _template(type: str, domain: Domain = "") -> Callable[[Callable[[Scene], Pairs]], Callable[[Scene], Pairs]]:
    def register(function: Callable[[Scene], Pairs]) -> Callable[[Scene], Pairs]:
        _TEMPLATES.append((function.__name__, type, domain, function))
        return function

    return register


def asked_of(scene: Scene) -> list[Asked]:
    """Everything that can be asked of this scene."""
    return [
        Asked(name, type, question, answer, domain)
        for name, type, domain, function in _TEMPLATES
        for question, answer in function(scene)
    ]


def template_names() -> tuple[str, ...]:
    return tuple(name for name, *_ in _TEMPLATES)


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _name(thing: Thing | None) -> str:
    return thing.kind if thing else "nothing"


def _where(place: Place) -> str:
    return f"{ROWS[place[1]]} {COLUMNS[place[0]]}"


def _done(event: Event) -> str:
    return DONE[event.verb]


# Several templates differ only in the moment or the event they ask about: they are registered in loops.
for _when, _moment in MOMENTS:

    def _held(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for hand in HANDS:
            yield f"what is in the {hand} hand at the {when}?", _name(scene.keyframes[moment].held[hand])

    def _others(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        yield f"what does the other person hold at the {when}?", _name(scene.keyframes[moment].others_thing)

    def _holder(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for thing in scene.things:
            yield (
                f"which hand holds the {thing.kind} at the {when}?",
                scene.holder_of(thing, moment) or "neither",
            )

    def _held_colour(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for hand in HANDS:
            if thing := scene.keyframes[moment].held[hand]:
                yield f"what colour is the thing in the {hand} hand at the {when}?", thing.colour

    def _on_table(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        yield (
            f"how many things are on the table at the {when}?",
            NUMBERS[len(scene.keyframes[moment].on_table)],
        )

    def _full_hands(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        full = sum(thing is not None for thing in scene.keyframes[moment].held.values())
        yield f"how many hands hold something at the {when}?", NUMBERS[full]

    def _empty(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for hand in HANDS:
            yield f"is the {hand} hand empty at the {when}?", _yes(scene.keyframes[moment].held[hand] is None)

    def _column(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for place, thing in scene.keyframes[moment].on_table.items():
            yield f"in which column is the {thing.kind} at the {when}?", COLUMNS[place[0]]

    def _row(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for place, thing in scene.keyframes[moment].on_table.items():
            yield f"in which row is the {thing.kind} at the {when}?", ROWS[place[1]]

    def _place(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for place, thing in scene.keyframes[moment].on_table.items():
            yield f"where is the {thing.kind} at the {when}?", _where(place)

    def _at_place(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for place in PLACES:
            yield (
                f"what is at the {_where(place)} at the {when}?",
                _name(scene.keyframes[moment].on_table.get(place)),
            )

    def _lies(scene: Scene, when: str = _when, moment: int = _moment) -> Pairs:
        for thing in scene.things:
            lies = scene.place_of(thing, moment) is not None
            yield f"is the {thing.kind} on the table at the {when}?", _yes(lies)

    for _type, _domain, _function in (
        ("held object", "kind", _held),
        ("held object", "kind", _others),
        ("which hand", "", _holder),
        ("colour", "colour", _held_colour),
        ("count", "", _on_table),
        ("count", "", _full_hands),
        ("existence", "", _empty),
        ("place", "", _column),
        ("place", "", _row),
        ("place", "place", _place),
        ("relation", "kind", _at_place),
        ("existence", "", _lies),
    ):
        _TEMPLATES.append((f"{_function.__name__[1:]}_{_when}", _type, _domain, _function))  # type: ignore[arg-type]

for _rank, _index in (("first", 0), ("last", 1)):

    def _acting(scene: Scene, rank: str = _rank, index: int = _index) -> Pairs:
        yield f"which hand acts {rank}?", scene.events[index].hand

    def _handled(scene: Scene, rank: str = _rank, index: int = _index) -> Pairs:
        yield f"what is handled {rank}?", scene.events[index].thing.kind

    def _handled_colour(scene: Scene, rank: str = _rank, index: int = _index) -> Pairs:
        yield f"what colour is the thing handled {rank}?", scene.events[index].thing.colour

    def _happens(scene: Scene, rank: str = _rank, index: int = _index) -> Pairs:
        yield f"what happens {rank}?", scene.events[index].verb

    for _kind, _options, _asks in (
        ("which hand", "", _acting),
        ("object of action", "kind", _handled),
        ("colour", "colour", _handled_colour),
        ("action", "verb", _happens),
    ):
        _TEMPLATES.append((f"{_asks.__name__[1:]}_{_rank}", _kind, _options, _asks))  # type: ignore[arg-type]


@_template("which hand")
def hand_of_event(scene: Scene) -> Pairs:
    for event in scene.events:
        yield f"which hand is used when the {event.thing.kind} is {_done(event)}?", event.hand


@_template("colour", "colour")
def colour(scene: Scene) -> Pairs:
    for thing in scene.things:
        yield f"what colour is the {thing.kind}?", thing.colour


@_template("colour", "colour")
def colour_at_place(scene: Scene) -> Pairs:
    for place, thing in scene.keyframes[0].on_table.items():
        yield f"what colour is the thing at the {_where(place)} at the start?", thing.colour


@_template("count")
def things(scene: Scene) -> Pairs:
    yield "how many things are there in all?", NUMBERS[len(scene.things)]


@_template("count")
def coloured_things(scene: Scene) -> Pairs:
    for name in COLOURS:
        yield f"how many {name} things are there?", NUMBERS[sum(t.colour == name for t in scene.things)]


@_template("existence")
def exists(scene: Scene) -> Pairs:
    for kind in KINDS:
        yield f"is there a {kind}?", _yes(any(t.kind == kind for t in scene.things))


@_template("existence")
def exists_colour(scene: Scene) -> Pairs:
    for name in COLOURS:
        yield f"is there anything {name}?", _yes(any(t.colour == name for t in scene.things))


@_template("existence")
def other_person(scene: Scene) -> Pairs:
    yield "does the other person appear?", _yes(any(k.others_hand for k in scene.keyframes))


@_template("place", "place")
def goal(scene: Scene) -> Pairs:
    for event in scene.events:
        if event.verb in ("put", "move") and event.goal is not None:
            yield f"where does the {event.thing.kind} go?", _where(event.goal)


@_template("place", "place")
def source(scene: Scene) -> Pairs:
    for event in scene.events:
        if event.verb in ("pick", "move") and event.source is not None:
            yield f"where does the {event.thing.kind} come from?", _where(event.source)


@_template("relation")
def left_of(scene: Scene) -> Pairs:
    table = scene.keyframes[0].on_table
    for one, thing in table.items():
        for other, reference in table.items():
            if one[0] != other[0]:
                question = f"is the {thing.kind} left of the {reference.kind} at the start?"
                yield question, _yes(one[0] < other[0])


@_template("relation")
def behind(scene: Scene) -> Pairs:
    table = scene.keyframes[0].on_table
    for one, thing in table.items():
        for other, reference in table.items():
            if one[1] != other[1]:
                yield (
                    f"is the {thing.kind} behind the {reference.kind} at the start?",
                    _yes(one[1] < other[1]),
                )


@_template("action", "verb")
def hand_does(scene: Scene) -> Pairs:
    for hand in HANDS:
        verbs = [event.verb for event in scene.events if event.hand == hand]
        yield f"what does the {hand} hand do first?", verbs[0] if verbs else "nothing"


@_template("action", "verb")
def done_to(scene: Scene) -> Pairs:
    for thing in scene.things:
        verbs = [event.verb for event in scene.events if event.thing == thing]
        yield f"what is done to the {thing.kind} first?", verbs[0] if verbs else "nothing"


@_template("object of action", "kind")
def object_of_verb(scene: Scene) -> Pairs:
    for event in scene.events:
        yield f"what is {_done(event)}?", event.thing.kind


@_template("object of action", "kind")
def object_of_hand(scene: Scene) -> Pairs:
    for hand in HANDS:
        kinds = [event.thing.kind for event in scene.events if event.hand == hand]
        yield f"what does the {hand} hand handle first?", kinds[0] if kinds else "nothing"


@_template("object of action", "kind")
def poured_into(scene: Scene) -> Pairs:
    for event in scene.events:
        if event.target is not None:
            yield f"what is the {event.thing.kind} poured into?", event.target.kind


@_template("what next", "verb")
def happens_next(scene: Scene) -> Pairs:
    one, two = scene.events
    yield f"what happens after the {one.thing.kind} is {_done(one)}?", two.verb


@_template("what next", "kind")
def handled_next(scene: Scene) -> Pairs:
    one, two = scene.events
    yield f"what is handled after the {one.thing.kind} is {_done(one)}?", two.thing.kind


@_template("what next", "verb")
def happens_before(scene: Scene) -> Pairs:
    one, two = scene.events
    yield f"what happens before the {two.thing.kind} is {_done(two)}?", one.verb


@_template("order of events")
def which_first(scene: Scene) -> Pairs:
    one, two = scene.events
    yield f"what happens first: {one.verb} or {two.verb}?", one.verb
    yield f"what happens first: {two.verb} or {one.verb}?", one.verb


@_template("order of events")
def before(scene: Scene) -> Pairs:
    one, two = scene.events
    if one.thing != two.thing:
        yield f"is the {one.thing.kind} handled before the {two.thing.kind}?", "yes"
        yield f"is the {two.thing.kind} handled before the {one.thing.kind}?", "no"


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
