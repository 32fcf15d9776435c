"""Which disagreements are chosen: the telling ones first, no kind and no type left out, one a clip."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from harness.telling import OUTCOMES, Candidate, most_telling, outcome


def many(n: int, **fixed: object) -> list[Candidate]:
    """Questions of as many clips, the surer the later, in turn over outcomes and three types."""
    return [
        Candidate(
            **{  # type: ignore[arg-type]
                "id": f"{at:03d}",
                "clip": f"clip{at}",
                "type": "abc"[at % 3],
                "outcome": OUTCOMES[at % 4],
                "sure": at / n,
                **fixed,
            }
        )
        for at in range(n)
    ]


def test_of_every_five_three_are_right_to_wrong() -> None:
    found = many(100)
    count = Counter(found[at].outcome for at in most_telling(found, 20))
    assert count["right → wrong"] == 12
    assert count["wrong → right"] == 4
    assert count["wrong → wrong"] + count["right → right"] == 4


def test_what_one_kind_lacks_the_others_give() -> None:
    found = many(30, outcome="wrong → wrong")
    assert len(most_telling(found, 20)) == 20
    assert most_telling([], 20) == []


def test_the_shipped_ones_come_first_and_leave_room_for_the_others() -> None:
    found = [*many(60, outcome=OUTCOMES[0], first=False)]
    found += [Candidate(f"s{at}", f"other{at}", "a", OUTCOMES[0], 0.1, first=True) for at in range(60)]
    chosen = [found[at].first for at in most_telling(found, 30)]
    assert chosen == [True] * 20 + [False] * 10


def test_types_are_taken_in_turn_and_the_surest_of_each() -> None:
    found = many(90, outcome=OUTCOMES[0])
    found = [Candidate(c.id, c.clip, "a" if at < 80 else c.type, c.outcome, c.sure) for at, c in enumerate(found)]
    chosen = [found[at] for at in most_telling(found, 9)]
    assert Counter(one.type for one in chosen) == {"a": 3, "b": 3, "c": 3}
    assert min(one.sure for one in chosen) > 0.8


def test_the_surest_of_a_clip_stands_for_it() -> None:
    found = [Candidate(str(at), "one clip", "t", OUTCOMES[0], sure) for at, sure in enumerate((0.2, 0.9, 0.5))]
    assert most_telling(found, 5) == [1]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from(OUTCOMES), st.floats(0, 1), st.booleans()),
        max_size=40,
    ),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
def test_the_same_whatever_the_order_at_most_so_many_one_a_clip(
    rows: list[tuple[int, str, str, float, bool]], most: int, dice: random.Random
) -> None:
    found = [Candidate(str(at), f"c{row[0]}", *row[1:]) for at, row in enumerate(rows)]
    chosen = [found[at] for at in most_telling(found, most)]
    assert len(chosen) == min(most, len({one.clip for one in found}))
    assert len({one.clip for one in chosen}) == len(chosen)
    turned = found[:]
    dice.shuffle(turned)
    assert [turned[at] for at in most_telling(turned, most)] == chosen


def test_outcomes_are_named_by_teacher_and_variant() -> None:
    assert outcome(True, False) == "right → wrong"
    assert {outcome(a, b) for a in (True, False) for b in (True, False)} == set(OUTCOMES)
