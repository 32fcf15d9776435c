"""A clock that replays what was timed elsewhere, so that pytest-benchmark keeps a row for it.

    @pytest.mark.benchmark(timer=REPLAY)
    def test_row(benchmark):
        benchmark.pedantic(REPLAY.next, rounds=REPLAY.load([0.012, 0.011]))

The processes that time the variants are not pytest's; its rows, statistics, storage and comparison are of their rounds.
"""

from __future__ import annotations

from collections.abc import Sequence


class Replay:
    """Stands still but for `next`, which moves it on by the next of the loaded seconds."""

    def __init__(self) -> None:
        self._now = 0.0
        self._coming: list[float] = []

    def __call__(self) -> float:
        return self._now

    def load(self, seconds: Sequence[float]) -> int:
        """How many rounds there are to replay."""
        self._coming = list(seconds)[::-1]
        return len(self._coming)

    def next(self) -> None:
        """One round passes; none is left under --benchmark-disable, where a target runs that nobody times."""
        self._now = self._coming.pop() if self._coming else 0.0

    def begin(self) -> None:
        """Back to zero, before a round: differences of large sums would lose digits."""
        self._now = 0.0


REPLAY = Replay()
