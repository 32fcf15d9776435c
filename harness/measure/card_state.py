"""A card at one moment of a run, and what of it does not change: what a round's validity is judged by.

state_of(card).throttled, setting_of(card).notes        # card: harness/measure/nvml.py
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.measure.nvml import Card


@dataclass(frozen=True)
class CardState:
    """A card at one moment. MHz, °C; pids as NVML knows them; `absent`: why any of them is None."""

    sm_mhz: int | None
    memory_mhz: int | None
    throttled: tuple[str, ...]
    temperature_c: int | None
    pids: tuple[int, ...] | None
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class CardSetting:
    """What of a card does not change in a run: told, never a fault. Watts, MHz."""

    power_limit_w: float | None
    power_default_w: float | None
    sm_max_mhz: int | None
    mig: bool | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of this card before comparing it with another."""
        found = []
        limit, default = self.power_limit_w, self.power_default_w
        if limit is not None and default is not None and limit < default:
            found.append(f"the card's power is capped at {limit:g} W of {default:g} W")
        if self.mig:
            found.append("the card is divided into parts (MIG): neighbours share its power and its memory's bandwidth")
        return tuple(found)


def state_of(card: Card) -> CardState:
    """Read now; what NVML does not give is None, with its reason."""
    clocks, throttled, temperature = card.clocks(), card.throttled(), card.temperature()
    processes = card.processes()
    found, now = (clocks.absent, throttled.absent, temperature.absent, processes.absent), clocks.value
    return CardState(
        now.sm if now else None,
        now.memory if now else None,
        throttled.value or (),
        temperature.value,
        None if processes.value is None else tuple(one.pid for one in processes.value),
        tuple(dict.fromkeys(reason for reason in found if reason is not None)),
    )


def setting_of(card: Card) -> CardSetting:
    """Read once a run."""
    power, clocks = card.power().value, card.clocks().value
    return CardSetting(
        power.limit if power else None,
        power.default if power else None,
        clocks.sm_max if clocks else None,
        card.mig().value,
    )
