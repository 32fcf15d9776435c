"""A record says under which clocks, heat and load its rounds were taken."""

from __future__ import annotations

from harness.measure.card_state import CardSetting, CardState
from harness.measure.machine_state import machine_state
from harness.measure.validity import RoundState


def state(load: float | None, mhz: int | None = None, celsius: int | None = None) -> RoundState:
    card = None if mhz is None else CardState(mhz, 1593, (), celsius, ())
    setting = None if mhz is None else CardSetting(250.0, 400.0, 1410, False)
    return RoundState(1.0, (), 0.0, 0, 9, 0, load, card, card, setting)


def test_of_a_card_the_least_the_median_and_the_most_are_told() -> None:
    found = machine_state([state(0.1, 1410, 40), state(0.3, 1395, 44), state(0.2, 1410, 52)])
    assert found["load"] == [0.1, 0.2, 0.3]
    assert found["sm_mhz"] == [1395, 1410, 1410]
    assert found["temperature_c"] == [40, 44, 52]
    assert (found["power_limit_w"], found["power_default_w"], found["mig"]) == (250.0, 400.0, False)


def test_what_could_not_be_read_is_left_out() -> None:
    assert machine_state([state(None), state(None)]) == {}
    assert machine_state([]) == {}
