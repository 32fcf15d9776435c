"""How often the gate is right, on simulated pairs of runs: 6 variants, 3 gated rows each, 9 processes, processes 1 %
apart, rounds 3 %, as many of them as the default precision takes; intervals and floors at their defaults.
"""

import numpy as np
import pytest

from harness.gate import compare
from harness.pair import Latency
from harness.record import Run
from harness.stats import adjusted, replicates
from tests.harness.gate.made import beside_a_neighbour, in_minutes, run

PAIRS, SLOWED = 400, 60
PROCESSES = Latency().processes
ROUNDS = 14  # (1.25 · 3 % / 1 %)², the standard error of a median (harness/measure/enough.py)


@pytest.fixture(autouse=True)
def medians_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same medians, of all processes of a row in one call: a process at a time takes twice as long."""
    groups = [[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]]
    assert at_once(groups).tolist() == replicates.log_medians(groups).tolist()
    monkeypatch.setattr(replicates, "log_medians", at_once)
    monkeypatch.setattr(adjusted, "log_medians", at_once)


def at_once(groups: replicates.Groups) -> replicates.Floats:
    return np.log(np.median(np.asarray(groups), axis=1))


def timed(seed: int, **slower: float) -> Run:
    return run(seed, slower=slower, processes=PROCESSES, rounds=ROUNDS)


def test_equals_are_called_a_regression_in_at_most_one_of_twenty_comparisons() -> None:
    called = sum(compare(timed(2 * i), timed(2 * i + 1)).exit_code == 1 for i in range(PAIRS))
    assert called / PAIRS <= 0.05, f"{called} of {PAIRS}"


def test_decode_slowed_by_five_percent_is_called() -> None:
    codes = [compare(timed(2 * i), timed(2 * i + 1, itl=1.05)).exit_code for i in range(1000, 1000 + SLOWED)]
    assert codes.count(1) / SLOWED >= 0.95, f"{codes.count(1)} of {SLOWED}"


def beside(seed: int, slower: float = 1.0) -> int:
    """The gate's exit code on a core that a neighbour uses too, who slows a tenth to seven tenths of the rounds."""
    shape = {"processes": PROCESSES, "rounds": 80, "within": 0.02}
    before, after = run(2 * seed, **shape), run(2 * seed + 1, slower={"itl": slower}, **shape)
    return compare(beside_a_neighbour(before, 2 * seed), beside_a_neighbour(after, 2 * seed + 1)).exit_code


def test_beside_a_neighbour_equals_are_not_called_and_decode_slowed_by_five_percent_is() -> None:
    assert sum(beside(seed) == 1 for seed in range(40)) <= 1
    assert sum(beside(seed, slower=1.05) == 1 for seed in range(1000, 1020)) >= 19


def drifting(seed: int, slower: float = 1.0) -> int:
    """The gate's exit code for two runs on a machine whose pace rows follow by another exponent than the ruler does."""
    before, after = timed(2 * seed), timed(2 * seed + 1, itl=slower)
    return compare(in_minutes(before, 2 * seed), in_minutes(after, 2 * seed + 1)).exit_code


def test_on_a_machine_that_drifts_equals_are_called_no_more_often() -> None:
    called = sum(drifting(seed) == 1 for seed in range(200))
    assert called / 200 <= 0.05, f"{called} of 200"


def test_on_a_machine_that_drifts_decode_slowed_by_five_percent_is_still_called() -> None:
    called = sum(drifting(seed, slower=1.05) == 1 for seed in range(1000, 1000 + SLOWED))
    assert called / SLOWED >= 0.9, f"{called} of {SLOWED}"
