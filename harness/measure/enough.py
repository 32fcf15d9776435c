"""When has a process timed a variant for long enough? When its rounds say that their median is known.

    enough = Enough(rounds=12, least_seconds=0.25, precision=0.01)
    while not enough(taken): taken.append(stages.round())
    enough.error        # what was reached: the largest standard error of the rows watched, as a share

Of rounds of a few ms twelve are one moment of what else the machine does, and processes then differ by the moment that
each met. On a calm machine that moment is like every other, and more rounds would be waste; on a shared one it takes
seconds to meet the usual mixture. So rounds go on until the median is known within `precision`, for MOST_SECONDS at
most. What decides is within the process; intervals are over processes, so that stopping early narrows none of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from harness.stats.batch_means import median_error

if TYPE_CHECKING:
    from harness.measure.timing import Round

LEAST_SECONDS, MOST_SECONDS = 0.25, 2.0
ANY = 1.0  # a precision that is always reached
WATCHED = ("itl", "ttft", "answer")  # what budgets and the gate are held against; the other stages are parts of them
GROWTH = 1.1  # asked again after a tenth more rounds: asked after each it would be a part of what it waits for


class Enough:
    """Asked before each round; `precision`: a share, such as 0.01 for 1 %."""

    def __init__(self, rounds: int, least_seconds: float, precision: float, most_seconds: float = MOST_SECONDS) -> None:
        self._rounds, self._least, self._most, self._precision = rounds, least_seconds, most_seconds, precision
        self._seconds, self._ask_at = 0.0, 0
        self._watched: dict[str, list[float]] = {row: [] for row in WATCHED}
        self.error = math.inf

    def __call__(self, taken: Sequence[Round]) -> bool:
        """Whether these rounds, those of the last call and what came since, are enough."""
        for one in taken[len(self._watched["answer"]) :]:
            self._seconds += one.media + one.answer
            for row, of_rounds in self._watched.items():
                of_rounds.append(median(one.seconds(row)))
        if len(taken) < self._rounds or self._seconds < self._least:
            return False
        if len(taken) < self._ask_at and self._seconds < self._most:
            return False
        self._ask_at = math.ceil(GROWTH * len(taken))
        self.error = max(map(median_error, self._watched.values()))
        return self.error <= self._precision or self._seconds >= self._most or self._precision >= ANY
