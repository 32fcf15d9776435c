"""What a run's rounds were measured under, for its record: the load; of a card its clocks, heat and power limit.

    machine_state(judged.states)      # {"load": [0.1, 0.2, 0.4], "sm_mhz": [1410, 1410, 1410], …}: least, median, most

Told, never judged (`validity.py` does that): so that a reader of the record can see what the card did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median

from harness.measure.validity import RoundState
from harness.record import JSON

OF_CARD = ("sm_mhz", "memory_mhz", "temperature_c")


def machine_state(states: Sequence[RoundState]) -> dict[str, JSON]:
    """Least, median and most of each reading around the rounds; what could not be read is left out. MHz, °C, W."""
    found: dict[str, JSON] = _three("load", (state.load for state in states))
    moments = [moment for state in states for moment in (state.before, state.after) if moment is not None]
    for name in OF_CARD:
        found |= _three(name, (getattr(moment, name) for moment in moments))
    setting = states[0].setting if states else None
    if setting is not None:
        found |= {name: value for name, value in asdict(setting).items() if value is not None}
    return found


def _three(name: str, values: Iterable[float | None]) -> dict[str, JSON]:
    known = [value for value in values if value is not None]
    return {name: [min(known), median(known), max(known)]} if known else {}
