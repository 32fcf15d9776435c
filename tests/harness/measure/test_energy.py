"""The energy counter: by the card's UUID, in joules, with a reason where there is none; and what an answer takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.errors import ResourceError
from harness.measure import energy
from harness.measure.energy import (
    AnswerEnergy,
    EnergyCounter,
    energy_counter,
    energy_measurements,
    energy_per_answer,
    idle_power,
)
from harness.measure.nvml import Reading

REFRESH_S = 0.02


class Clock:
    """A clock that goes on by itself a little at every look, so that a wait for it ends."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        self.now += 1e-5
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Card(EnergyCounter):
    """A counter of 60 W at rest, refreshed every 20 ms, to which work adds."""

    def joules(self) -> float:
        return WORKED[0] + 60.0 * (CLOCK[0].now // REFRESH_S * REFRESH_S)


WORKED, CLOCK = [0.0], [Clock()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    CLOCK[0], WORKED[0] = Clock(), 0.0
    monkeypatch.setattr(energy, "time", CLOCK[0])
    return CLOCK[0]


def answering(clock: Clock, first: float, further: float, batch: int = 1) -> Callable[[int], int]:
    """Answers that take so many joules for the first and for each further token, and 10 ms a token."""

    def answer(new_tokens: int) -> int:
        clock.sleep(0.01 * new_tokens)
        WORKED[0] += batch * (first + further * (new_tokens - 1))
        return batch

    return answer


def test_a_cpu_has_no_counter_and_its_answers_no_joules() -> None:
    counter = energy_counter(torch.device("cpu"))
    assert "no GPU" in str(counter.absent)
    found = energy_per_answer(counter, idle_power(counter), lambda n: 1, new_tokens=8)
    for one in energy_measurements([found]):
        assert one.value is None
        assert one.absent == "no GPU: NVML counts the energy of NVIDIA's cards, not of a CPU"


def test_a_cards_counter_is_read_in_joules(nvml: Any) -> None:
    nvml.says("joules 123.456")
    program = """
from harness.measure import energy
energy.card_of = lambda device: card
from types import SimpleNamespace
counter = energy.energy_counter(SimpleNamespace(type="cuda"))
show([counter.absent, counter.joules()])
"""
    assert nvml.told(program) == [None, 123.456]


def test_a_card_without_one_says_so_and_a_lost_one_is_an_error_of_one_line(nvml: Any) -> None:
    nvml.says("error nvmlDeviceGetTotalEnergyConsumption 3")
    program = """
from harness.measure import energy
energy.card_of = lambda device: card
from types import SimpleNamespace
show(energy.energy_counter(SimpleNamespace(type="cuda")).absent)
"""
    assert nvml.told(program) == "NVML gives no energy of this device: Not Supported"
    with pytest.raises(ResourceError, match="no card"):
        EnergyCounter().joules()


def test_idle_power_is_what_the_card_draws_at_rest(clock: Clock) -> None:
    assert idle_power(Card()).value == pytest.approx(60, rel=0.01)


def test_an_answer_is_what_its_block_drew_above_idle_and_a_token_the_difference_of_two(clock: Clock) -> None:
    answer = answering(clock, first=30.0, further=2.0, batch=4)
    found = energy_per_answer(Card(), Reading(60.0), answer, new_tokens=11, blocks=3)
    whole, token = energy_measurements([found])
    assert (whole.metric, whole.unit, whole.n) == ("joules_per_answer", "J", 3)
    assert whole.value == pytest.approx(30 + 10 * 2, rel=0.03)
    assert token.metric == "joules_per_token"
    assert token.value == pytest.approx(2.0, rel=0.1)
    assert whole.low is not None
    assert whole.low <= whole.value <= (whole.high or 0)
    assert "60.0 W" in whole.how


def test_a_block_shorter_than_the_counter_can_tell_is_refused(clock: Clock) -> None:
    found = energy_per_answer(Card(), Reading(60.0), lambda n: 1, new_tokens=8, block_seconds=0.3)
    assert "needs 1 s" in str(found.absent)


def test_a_counter_that_stands_still_is_an_absence_and_not_zero(clock: Clock) -> None:
    class Still(EnergyCounter):
        def joules(self) -> float:
            return 5.0

    found = energy_per_answer(Still(), Reading(60.0), answering(clock, 1, 1), new_tokens=8)
    assert "did not move" in str(found.absent)


def test_a_block_that_drew_less_than_an_idle_card_is_an_absence(clock: Clock) -> None:
    found = energy_per_answer(Card(), Reading(90.0), answering(clock, 0.01, 0.0), new_tokens=8)
    assert "no more than the 90.0 W of an idle card" in str(found.absent)


def test_answers_of_one_token_have_no_joules_a_token(clock: Clock) -> None:
    whole, token = energy_measurements(
        [energy_per_answer(Card(), Reading(60.0), answering(clock, 9.0, 0), new_tokens=1)]
    )
    assert whole.value == pytest.approx(9, rel=0.05)
    assert token.absent == "answers of one token have no further token"


def test_several_processes_are_several_observations() -> None:
    found = [AnswerEnergy((10.0, 12.0), (1.0, 1.2), "how"), AnswerEnergy((14.0, 14.0), (1.4, 1.4), "how")]
    again = [AnswerEnergy.from_json(json.loads(json.dumps(vars(one)))) for one in found]
    assert again == found
    whole, _ = energy_measurements(again)
    assert (whole.value, whole.groups, whole.samples) == (12.5, (2, 2), (10.0, 12.0, 14.0, 14.0))
    assert "2 processes" in whole.how


def test_a_card_that_is_lost_while_it_is_measured_is_a_reason(nvml: Any) -> None:
    nvml.says("watts 100")
    program = """
import os
from harness.measure.energy import EnergyCounter, energy_per_answer
from harness.measure.nvml import Reading
def answer(tokens):
    open(os.environ["NVML_STUB"], "a").write("error nvmlDeviceGetTotalEnergyConsumption 15\\n")
    return 1
show(energy_per_answer(EnergyCounter(None, card), Reading(60.0), answer, new_tokens=8, block_seconds=1.0).absent)
"""
    assert nvml.told(program) == "NVML gives no energy of this device: GPU is lost"


def test_a_cards_answers_are_measured_from_idle_to_joules_a_token(nvml: Any) -> None:
    """By the clock, through NVML: a card of 50 W at rest, and 3 J for each token of an answer."""
    nvml.says("watts 50")
    program = """
import os, time
from pathlib import Path
from harness.measure.energy import EnergyCounter, energy_measurements, energy_per_answer, idle_power
counter, used = EnergyCounter(None, card), [0]
def answer(tokens):
    time.sleep(0.02)
    used[0] += 3 * tokens
    aside = Path(os.environ["NVML_STUB"] + ".new")
    aside.write_text(f"watts 50\\njoules {used[0]}\\n")
    aside.rename(os.environ["NVML_STUB"])
    return 1
found = energy_per_answer(counter, idle_power(counter, 1.0), answer, new_tokens=5, blocks=1, block_seconds=1.0)
show([one.value for one in energy_measurements([found])])
"""
    answer, token = nvml.told(program)
    assert answer == pytest.approx(15, rel=0.1)
    assert token == pytest.approx(3, rel=0.2)
