"""How often the gate is right, on simulated pairs of runs: 6 variants, 3 gated rows each, 7 processes of 12 rounds,
processes 1 % apart, rounds 3 %; intervals and floors at their defaults.
"""

import numpy as np
import pytest

from harness.gate import compare
from harness.stats import replicates
from tests.harness.gate.made import run

PAIRS, SLOWED = 400, 60


@pytest.fixture(autouse=True)
def medians_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same medians, of all processes of a row in one call: a process at a time takes twice as long."""
    groups = [[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]]
    assert at_once(groups).tolist() == replicates._log_medians(groups).tolist()
    monkeypatch.setattr(replicates, "_log_medians", at_once)


def at_once(groups: replicates.Groups) -> replicates.Floats:
    return np.log(np.median(np.asarray(groups), axis=1))


def test_equals_are_called_a_regression_in_at_most_one_of_twenty_comparisons() -> None:
    called = sum(compare(run(2 * i), run(2 * i + 1)).exit_code == 1 for i in range(PAIRS))
    assert called / PAIRS <= 0.05, f"{called} of {PAIRS}"


def test_decode_slowed_by_five_percent_is_called() -> None:
    codes = [compare(run(2 * i), run(2 * i + 1, slower={"itl": 1.05})).exit_code for i in range(1000, 1000 + SLOWED)]
    assert codes.count(1) / SLOWED >= 0.95, f"{codes.count(1)} of {SLOWED}"
