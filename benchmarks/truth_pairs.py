"""Two ways of timing one thing, round beside round: the ratio's median, its interval, and what it says.

    found = compared(in_pairs(ours, theirs, rounds=250), limit=0.01)      # for `benchmarks/truth.py`

Pairs of rounds stand next to one another and take turns in going first, so that what slows the machine slows both. Of
each pair there is one ratio; shown is their median with its 95 % interval between order statistics, which assumes no
law. A pair in which either round waited for a CPU is left out, by a reading of Linux's counter that is the same for
both and lies outside of both clocks; the table says how many are left.
"""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import stats

WARMUP = 8  # pairs
LEAST_MS = 1.0  # below it a clock's own microseconds count, and no row is judged
WAITED = 0.02  # of a round: more, and another process was in it
LEAST_PAIRS = 30  # with fewer undisturbed ones all are taken, and the table says so
ORDER = ("prepare", "vision", "prefill", "itl", "per token", "ttft", "answer", "generate")

Taken = dict[str, float]  # row → seconds, of one round
Pairs = list[tuple[Taken, Taken]]


class Waiting:
    """How long this thread was ready and did not run."""

    def __init__(self) -> None:
        path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._open = os.open(path, os.O_RDONLY) if path.exists() else None

    @contextmanager
    def told(self, taken: Taken) -> Iterator[None]:
        """`taken` gets the wall time of what is within, and the share of it that was waited for a CPU."""
        before, began = self._read(), time.perf_counter()
        yield
        taken["wall"] = time.perf_counter() - began
        taken["waited"] = (self._read() - before) / 1e9 / taken["wall"]

    def _read(self) -> int:
        return 0 if self._open is None else int(os.pread(self._open, 64, 0).split()[1])


def in_pairs(ours: Callable[[], Taken], theirs: Callable[[], Taken], rounds: int) -> Pairs:
    """One of each, `rounds` times. As in the worker, what stays is out of the garbage collector's way."""
    waiting, pairs = Waiting(), []
    for number in range(-WARMUP, rounds):
        if number == 0:
            gc.collect()
            gc.freeze()
        found: list[Taken] = [{}, {}]
        for which in ((0, 1), (1, 0))[number % 2]:
            about: Taken = {}
            with waiting.told(about):
                rows = (ours, theirs)[which]()
            about["wall"] -= rows.pop("apart", 0.0)  # what is counted otherwise
            found[which] = {**rows, **about}
        pairs.append((found[0], found[1]))
    gc.unfreeze()
    return pairs[WARMUP:]


def compared(pairs: Pairs, limit: float) -> dict[str, Any]:
    """For each row that both have: both medians in ms, the ratio, and whether it is within 1 ± limit. `true`: all of
    the interval is; `off`: nothing of it is.
    """
    calm = [pair for pair in pairs if max(one["waited"] for one in pair) <= WAITED]
    used = calm if len(calm) >= LEAST_PAIRS else pairs
    rows = {}
    for row in pairs[0][0].keys() & pairs[0][1].keys() - {"waited"}:
        ours, theirs = ([pair[side][row] * 1e3 for pair in used] for side in (0, 1))
        ratio = stats.percentile([a / b for a, b in zip(ours, theirs, strict=True)], 0.5)
        verdict, middle = "cannot tell", statistics.median(theirs)
        if middle < LEAST_MS:
            verdict = f"under {LEAST_MS:g} ms"
        elif ratio.low is not None and ratio.high is not None:
            inside = ratio.low >= 1 - limit and ratio.high <= 1 + limit
            outside = ratio.low > 1 + limit or ratio.high < 1 - limit
            verdict = "true" if inside else "off" if outside else verdict
        rows[row] = {"ours_ms": statistics.median(ours), "theirs_ms": middle, "ratio": ratio.value}
        rows[row] |= {"low": ratio.low, "high": ratio.high, "limit": limit, "verdict": verdict}
    return {"pairs": len(pairs), "undisturbed": len(calm), "used": len(used), "rows": rows}


def table(title: str, found: dict[str, Any], names: tuple[str, str]) -> str:
    """What `compared` found; a comparison that is absent is a line."""
    if "absent" in found:
        return f"{title}: {found['absent']}"
    few = "" if found["used"] == found["undisturbed"] else ": too few, so all are taken"
    lines = [f"{title}: {found['pairs']} pairs, {found['undisturbed']} undisturbed{few}"]
    lines.append(f"{'ms':<11}{names[0]:>11}{names[1]:>11}{'ratio':>9}   {'95 % interval':<16}   target")
    for name in (name for name in ORDER if name in found["rows"]):
        one = found["rows"][name]
        bounds = " – ".join("?" if one[end] is None else f"{one[end]:.4f}" for end in ("low", "high"))
        medians = f"{one['ours_ms']:>11.3f}{one['theirs_ms']:>11.3f}{one['ratio']:>9.4f}"
        lines.append(f"{name:<11}{medians}   {bounds:<16}   ±{one['limit']:.0%}: {one['verdict']}")
    return "\n".join(lines)
