"""Energy that a GPU has used, from its own counter: the difference of two readings, never polled power.

    counter = energy_counter(torch.device("cuda:0"))
    before = counter.joules()
    ...
    counter.joules() - before

What an answer takes, beyond what the card draws while it does nothing (a CPU's is absent, with its reason):

    idle = idle_power(counter)                                    # 2 s: the device must have nothing to do
    found = energy_per_answer(counter, idle, answer, new_tokens=32)
    energy_measurements([found])                                  # joules_per_answer, joules_per_token

`answer(n)` answers once with n new tokens, waits for the device, and returns how many answers that was (the batch).
A device without a counter is told by its reason; the counter counts the whole card since its driver was loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from scipy import special

from harness.errors import ResourceError
from harness.measure.nvml import Card, Reading, card_of
from harness.record import Measurement

if TYPE_CHECKING:
    import torch

ENERGY_HOW = "NVML total energy of the whole card, difference from the phase's begin to its end"

# The counter is brought up to date every 20 to 100 ms, by the card. A block therefore begins and ends with such a
# moment, and must be long beside what remains uncertain about it.
LEAST_BLOCK_S = 1.0
REFRESH_S = 0.3  # a counter that stands still for so long is not waited for
BLOCK_S, BLOCKS, IDLE_S = 2.0, 3, 2.0


@dataclass(frozen=True)
class EnergyCounter:
    """A card's counter, or `absent`: why there is none."""

    absent: str | None = None
    _card: Card | None = None

    def joules(self) -> float:
        """Since the driver was loaded. Only for a counter that is not absent; ResourceError where the card was lost."""
        found = Reading[float](None, self.absent or "no card") if self._card is None else self._card.joules()
        if found.value is None:
            raise ResourceError(found.absent)
        return found.value


def energy_counter(device: torch.device) -> EnergyCounter:
    """The counter of a CUDA device. A part of a card (MIG) has none of its own, and cards before Volta have none."""
    if device.type != "cuda":
        return EnergyCounter(f"no GPU: NVML counts the energy of NVIDIA's cards, not of a {device.type.upper()}")
    card = card_of(device)
    absent = card.joules().absent
    return EnergyCounter(absent) if absent is not None else EnergyCounter(None, card)


@dataclass(frozen=True)
class Metered:
    """A block of work: joules of the whole card from one refresh of its counter to another, and the seconds between."""

    joules: float
    seconds: float
    answers: int

    def above(self, idle_watts: float) -> float:
        """Joules an answer, without what the card would have drawn anyway."""
        return (self.joules - idle_watts * self.seconds) / self.answers


@dataclass(frozen=True)
class AnswerEnergy:
    """Joules above idle, one number a block; or `absent`: why there are none. Plain JSON by `vars`."""

    per_answer: tuple[float, ...]
    per_token: tuple[float, ...]
    how: str
    absent: str | None = None
    token_absent: str | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> AnswerEnergy:
        """What JSON made of `vars(energy)`."""
        per_answer, per_token = tuple(raw["per_answer"]), tuple(raw["per_token"])
        return cls(per_answer, per_token, raw["how"], raw["absent"], raw["token_absent"])


def idle_power(counter: EnergyCounter, seconds: float = IDLE_S) -> Reading[float]:
    """Watts of the card while nothing is asked of it: by its counter, over at least LEAST_BLOCK_S."""
    if counter.absent is not None:
        return Reading(None, counter.absent)
    found = _block(counter, _nothing, max(seconds, LEAST_BLOCK_S))
    return found if isinstance(found, Reading) else Reading(found.joules / found.seconds)


def energy_per_answer(
    counter: EnergyCounter,
    idle: Reading[float],
    answer: Callable[[int], int],
    *,
    new_tokens: int,
    blocks: int = BLOCKS,
    block_seconds: float = BLOCK_S,
) -> AnswerEnergy:
    """Blocks of answers of `new_tokens` tokens and of one token, in turn; a token's share is their difference.

    It takes 2 · blocks · block_seconds. Absent with its reason: on a device without a counter, for blocks shorter than
    the counter can tell, and where a block drew no more than an idle card does.
    """
    how = (
        f"NVML's energy counter of the whole card over blocks of {block_seconds:g} s or more, each from one refresh of "
        "the counter to another, "
    )
    absent = counter.absent or idle.absent
    if absent is None and block_seconds < LEAST_BLOCK_S:
        absent = f"blocks of {block_seconds:g} s: the counter, refreshed every 20 to 100 ms, needs {LEAST_BLOCK_S:g} s"
    if absent is not None or idle.value is None:
        return AnswerEnergy((), (), how + "less what it draws idle", absent or "idle power was not measured")
    how += f"less the {idle.value:.1f} W that it drew before, idle with the model loaded, for as long"
    whole: list[float] = []
    first: list[float] = []
    for _ in range(blocks):
        for kept, tokens in ((whole, new_tokens), (first, 1)):
            found = _block(counter, lambda asked=tokens: answer(asked), block_seconds)  # type: ignore[misc]
            if isinstance(found, Reading):
                return AnswerEnergy((), (), how, found.absent)
            kept.append(found.above(idle.value))
    if min(whole) <= 0:
        return AnswerEnergy((), (), how, f"a block drew no more than the {idle.value:.1f} W of an idle card")
    if new_tokens < 2:
        return AnswerEnergy(tuple(whole), (), how, None, "answers of one token have no further token")
    each = tuple((long - short) / (new_tokens - 1) for long, short in zip(whole, first, strict=True))
    if fmean(each) <= 0:
        return AnswerEnergy(tuple(whole), (), how, None, "longer answers drew no more than those of one token")
    return AnswerEnergy(tuple(whole), each, how)


def energy_measurements(found: Sequence[AnswerEnergy]) -> tuple[Measurement, Measurement]:
    """joules_per_answer and joules_per_token, of one process or of several (their means are then the observations)."""
    whole_how, token_how = (f"{found[0].how if found else 'not measured'}; {what}" for what in TOLD)
    absent = next((one.absent for one in found if one.absent), None if found else "no process measured energy")
    lacking = absent or next((one.token_absent for one in found if one.token_absent), None)
    return (
        _measurement("joules_per_answer", [one.per_answer for one in found], whole_how, absent),
        _measurement("joules_per_token", [one.per_token for one in found], token_how, lacking),
    )


TOLD = (
    "an answer from its media to its last token",
    "answers of all tokens less answers of one, by the tokens between",
)


def _measurement(metric: str, groups: Sequence[Sequence[float]], how: str, absent: str | None) -> Measurement:
    if absent is not None:
        return Measurement(metric, None, "J", 0, None, None, False, how, absent=absent)
    samples = [sample for group in groups for sample in group]
    seen = [fmean(group) for group in groups] if len(groups) > 1 else samples
    value, half = fmean(seen), None
    if len(seen) > 1:
        half = float(special.stdtrit(len(seen) - 1, 0.975)) * stdev(seen) / len(seen) ** 0.5
    low, high = (None, None) if half is None else (value - half, value + half)
    over = f"{len(groups)} processes" if len(groups) > 1 else f"{len(samples)} blocks"
    how = f"{how}; mean of {over}, 95 % interval by Student's t"
    sizes = tuple(map(len, groups)) if len(groups) > 1 else ()
    return Measurement(metric, value, "J", len(samples), low, high, False, how, tuple(samples), groups=sizes)


def _nothing() -> int:
    time.sleep(0.05)
    return 1


def _block(counter: EnergyCounter, work: Callable[[], int], seconds: float) -> Metered | Reading[float]:
    """Repeat `work` for so long, between two refreshes of the counter; or the reason why that cannot be told."""
    try:
        begun, began = _refreshed(counter)
        answers = 0
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            answers += work()
        worked = counter.joules()
        ended, end = _refreshed(counter)
    except ResourceError as error:
        return Reading(None, str(error))
    if worked <= begun:
        return Reading(None, f"the card's energy counter did not move in a block of {seconds:g} s")
    return Metered(ended - begun, end - began, answers)


def _refreshed(counter: EnergyCounter) -> tuple[float, float]:
    """Joules and the clock's seconds at the counter's next refresh, or now where none comes."""
    before, until = counter.joules(), time.perf_counter() + REFRESH_S
    while (now := counter.joules()) == before and time.perf_counter() < until:
        time.sleep(0.001)
    return now, time.perf_counter()
