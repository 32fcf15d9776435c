"""Which disagreements with the teacher tell most, for the few that a record keeps with frames and a page shows.

places = most_telling(found, 50)        # places in `found`, the most telling first

The rule: of every five, three that were right and are wrong, one that was wrong and is right, one of which neither or
both are right; of every three of a kind, two of the variant that is to be shipped; among these the type of question
chosen least so far, then the surest; at most one a clip. What one kind lacks, the next in this order gives. No torch.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

OUTCOMES = ("right → wrong", "wrong → right", "wrong → wrong", "right → right")  # the teacher's answer, the variant's
_KIND = {"right → wrong": 0, "wrong → right": 1, "wrong → wrong": 2, "right → right": 2}
_OF_FIVE = (0, 0, 1, 0, 2)
_OF_THREE = (True, True, False)


@dataclass(frozen=True)
class Candidate:
    """A question that is answered otherwise than by the teacher; `first`: by the variant that is to be shipped."""

    id: str
    clip: str
    type: str
    outcome: str
    sure: float  # 0 to 1: the probability that the teacher gave its answer, times the variant's; 0 where unknown
    first: bool = True


def outcome(teacher_right: bool, answer_right: bool) -> str:
    """right → wrong: the teacher's answer is right, the variant's is not."""
    before, after = ("right" if right else "wrong" for right in (teacher_right, answer_right))
    return f"{before} → {after}"


def most_telling(found: Sequence[Candidate], most: int) -> list[int]:
    """At most `most` places in `found`; the shipped one's first, then by outcome as in OUTCOMES, then the surest.

    The same candidates give the same places, in whatever order they come: ids must differ.
    """
    chosen: list[int] = []
    clips, types = set[str](), Counter[str]()
    taken = Counter[int]()
    while len(chosen) < most:
        left = [at for at, one in enumerate(found) if one.clip not in clips]
        if not left:
            break
        kind = _next(_OF_FIVE[len(chosen) % len(_OF_FIVE)], {_KIND[found[at].outcome] for at in left})
        same = [at for at in left if _KIND[found[at].outcome] == kind]
        first = _OF_THREE[taken[kind] % len(_OF_THREE)]
        same = [at for at in same if found[at].first == first] or same
        best = min(same, key=lambda at: (types[found[at].type], -found[at].sure, found[at].id))
        chosen.append(best)
        clips.add(found[best].clip)
        types[found[best].type] += 1
        taken[kind] += 1
    order = {name: at for at, name in enumerate(OUTCOMES)}
    return sorted(chosen, key=lambda at: (not found[at].first, order[found[at].outcome], -found[at].sure, found[at].id))


def _next(wanted: int, there: set[int]) -> int:
    """The kind that is wanted, or the first in order that is there."""
    return wanted if wanted in there else min(there)
