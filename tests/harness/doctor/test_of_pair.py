"""A pair against the room there is. Fake: its plan."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.doctor import of_pair
from harness.doctor.of_pair import Room


@pytest.mark.parametrize(
    ("free", "answer", "train"),
    [(100e9, "ok", "ok"), (9e9, "will not work", "will not work"), (18.2e9, "warning", "ok")],
)
def test_a_pair_against_the_room_there_is(free: float, answer: str, train: str) -> None:
    def need(total: float) -> Any:
        return SimpleNamespace(total=total, context=5e8)

    forms = [("baseline", 18e9), ("int8", 18.5e9)]
    planned: Any = SimpleNamespace(
        pair="p",
        mode="full",
        gradient_checkpointing=True,
        forms=[SimpleNamespace(form=SimpleNamespace(name=name), need=need(total)) for name, total in forms],
        training=[SimpleNamespace(mode="full", checkpointed=True, memory=SimpleNamespace(total=17e9, state=1e9))],
    )
    room = Room(int(free), is_card=True)
    assert (of_pair.fits(planned, room).status, of_pair.fits_to_train(planned, room).status) == (answer, train)
