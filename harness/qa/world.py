"""The world behind a rendered clip: a table, two hands, another person, objects, and two events in a row.

A clip has four keyframes: start and end of the first event, start and end of the second. The world only knows what is
where; `render.py` draws it, `templates.py` asks about it. Everything is a function of the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

KINDS = ("cup", "bowl", "bottle", "book", "ball", "knife")
COLOURS = ("red", "green", "blue", "yellow", "white")
COLUMNS = ("left", "middle", "right")
ROWS = ("back", "front")
PLACES = tuple((column, row) for row in range(2) for column in range(3))  # (column, row), back row first
HANDS = ("left", "right")
VERBS = ("pick", "put", "move", "give", "take", "pour", "touch")
RARITY = {"take": 3.0, "pour": 6.0, "put": 1.5, "give": 1.3}  # evens out what the state seldom allows
POURERS, FILLED = ("bottle", "cup"), ("bowl", "cup")
OTHERS_PLACE = (1, 0)  # where the other person reaches in: kept free when someone gives or takes

Place = tuple[int, int]


@dataclass(frozen=True)
class Thing:
    """An object: its kind is unique within a clip."""

    kind: str
    colour: str


@dataclass(frozen=True)
class Keyframe:
    """What a camera sees at one moment. Keys of `on_table` are places; `held` and `reach` are by hand."""

    on_table: dict[Place, Thing]
    held: dict[str, Thing | None]
    reach: dict[str, Place | None]  # None: the hand rests at the table's edge
    others_hand: bool = False
    others_thing: Thing | None = None
    pouring: Place | None = None


@dataclass(frozen=True)
class Event:
    """Who did what to which thing; `target` is the vessel poured into."""

    verb: str
    hand: str
    thing: Thing
    source: Place | None = None
    goal: Place | None = None
    target: Thing | None = None


@dataclass(frozen=True)
class Scene:
    """Ground truth of one clip."""

    seed: int
    things: tuple[Thing, ...]
    events: tuple[Event, Event]
    keyframes: tuple[Keyframe, Keyframe, Keyframe, Keyframe]
    light: tuple[float, float]  # direction of the light across the table

    def place_of(self, thing: Thing, moment: int) -> Place | None:
        """Where the thing lies at keyframe `moment`, or None when it is held or gone."""
        return next((p for p, t in self.keyframes[moment].on_table.items() if t == thing), None)

    def holder_of(self, thing: Thing, moment: int) -> str | None:
        """The hand that holds the thing at keyframe `moment`."""
        return next((h for h, t in self.keyframes[moment].held.items() if t == thing), None)


def make_scene(seed: int) -> Scene:
    """Scene number `seed`: 3–5 things, two events that follow from one another's state."""
    rng = np.random.default_rng([7, seed])
    kinds = rng.permutation(KINDS)[: int(rng.integers(3, 6))]
    things = tuple(Thing(str(kind), str(rng.choice(COLOURS))) for kind in kinds)
    now = _first_state(things, rng)
    verbs: list[str] = []
    events: list[Event] = []
    keyframes: list[Keyframe] = []
    for _ in range(2):
        choices = [event for event in _possible(now) if event.verb not in verbs]
        open_verbs = sorted({event.verb for event in choices})
        weights = np.array([RARITY.get(verb, 1.0) for verb in open_verbs])
        verb = str(rng.choice(open_verbs, p=weights / weights.sum()))
        same = [event for event in choices if event.verb == verb]
        event = same[int(rng.integers(len(same)))]
        start, end, now = _act(now, event)
        verbs.append(verb)
        events.append(event)
        keyframes += [start, end]
    light = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
    return Scene(seed, things, (events[0], events[1]), tuple(keyframes), light)  # type: ignore[arg-type]


def _first_state(things: tuple[Thing, ...], rng: np.random.Generator) -> Keyframe:
    """Each hand may hold something, the other person may offer something, the rest lies on the table."""
    left = list(things)
    held: dict[str, Thing | None] = dict.fromkeys(HANDS)
    for hand in rng.permutation(HANDS):
        if len(left) > 2 and rng.random() < 0.45:
            held[str(hand)] = left.pop()
    offers = len(left) > 2 and rng.random() < 0.35
    others = left.pop() if offers else None
    places = [PLACES[i] for i in rng.permutation(len(PLACES)) if PLACES[i] != OTHERS_PLACE]
    on_table = dict(zip(places, left, strict=False))
    return Keyframe(on_table, held, dict.fromkeys(HANDS), others_hand=offers, others_thing=others)


def _possible(now: Keyframe) -> list[Event]:
    """Every event that this state allows."""
    free = [p for p in PLACES if p not in now.on_table and p != OTHERS_PLACE]
    events: list[Event] = []
    for hand in HANDS:
        held = now.held[hand]
        if held is None:
            for place, thing in now.on_table.items():
                events.append(Event("pick", hand, thing, source=place))
                events.append(Event("touch", hand, thing, source=place))
                events += [Event("move", hand, thing, source=place, goal=goal) for goal in free]
            if now.others_thing is not None:
                events.append(Event("take", hand, now.others_thing))
        else:
            events += [Event("put", hand, held, goal=goal) for goal in free]
            if now.others_thing is None:
                events.append(Event("give", hand, held))
            if held.kind in POURERS:
                events += [
                    Event("pour", hand, held, goal=place, target=thing)
                    for place, thing in now.on_table.items()
                    if thing.kind in FILLED
                ]
    return events


def _act(now: Keyframe, event: Event) -> tuple[Keyframe, Keyframe, Keyframe]:
    """Keyframes at start and end of the event, and the state it leaves behind (both hands at rest)."""
    rest = replace(now, reach=dict.fromkeys(HANDS), others_hand=now.others_thing is not None, pouring=None)
    hand, thing = event.hand, event.thing
    without = {p: t for p, t in rest.on_table.items() if t != thing}
    emptied = {**rest.held, hand: None}
    carrying = {**rest.held, hand: thing}

    def reach(place: Place | None) -> dict[str, Place | None]:
        return {**rest.reach, hand: place}

    if event.verb == "pick":
        return (
            replace(rest, reach=reach(event.source)),
            (end := replace(rest, on_table=without, held=carrying)),
            end,
        )
    if event.verb == "touch":
        return rest, replace(rest, reach=reach(event.source)), rest
    if event.verb == "move":
        assert event.goal is not None
        after = replace(rest, on_table={**without, event.goal: thing})
        return replace(rest, reach=reach(event.source)), replace(after, reach=reach(event.goal)), after
    if event.verb == "put":
        assert event.goal is not None
        after = replace(rest, on_table={**without, event.goal: thing}, held=emptied)
        return rest, replace(after, reach=reach(event.goal)), after
    if event.verb == "give":
        after = replace(rest, held=emptied, others_hand=True, others_thing=thing)
        return replace(rest, others_hand=True), after, after
    if event.verb == "take":
        after = replace(rest, held=carrying, others_hand=False, others_thing=None)
        return rest, replace(after, others_hand=True), after
    return rest, replace(rest, reach=reach(event.goal), pouring=event.goal), rest
