"""Timed rounds as figures of a record: median, p90, p99 in ms, with intervals of processes.

latency("ttft", timed.groups("ttft"), "prepare, vision, prefill")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness import stats
from harness.record import Measurement
from harness.stats import Estimate

TAILS = ((0.9, "_p90"), (0.99, "_p99"))
NANOSECOND = 6  # digits of ms: the clock knows no more, and a record of thousands of rounds stays small


def latency(
    metric: str, groups: Sequence[Sequence[float]], how: str, rulers: Sequence[Sequence[float]] = ()
) -> tuple[Measurement, ...]:
    """`groups`: seconds of each process, none of one that lost its rounds. The median (as `metric`) with its interval
    by Student's t over the processes' medians; from one process by order statistics, which knows nothing of the next
    process, and says so. p90 and p99 of all rounds together, by order statistics. Without rounds one absent figure.
    `rulers`: beside each second what the ruler took around it, kept for comparing runs of different times.
    """
    milliseconds = [[round(second * 1e3, NANOSECOND) for second in group] for group in groups]
    if not any(milliseconds):
        return (Measurement(metric, None, "ms", 0, None, None, False, how, absent="no round was timed that is valid"),)
    pooled = tuple(ms for group in milliseconds for ms in group)
    beside = tuple(round(second, 9) for group in rulers for second in group)
    found = [replace(_middle(metric, milliseconds, pooled, how), ruler=beside)]
    for quantile, suffix in TAILS:
        tail = stats.percentile(pooled, quantile)
        told = f"{how}; p{quantile * 100:g} of {len(pooled)}, 95 % interval from order statistics"
        found.append(_measured(metric + suffix, tail, len(pooled), told))
    return tuple(found)


def _middle(metric: str, groups: list[list[float]], pooled: tuple[float, ...], how: str) -> Measurement:
    held = [group for group in groups if group]
    middle = stats.replicate_interval(held)
    if len(held) > 1:
        told = f"{how}; mean of {len(held)} processes’ medians, {len(pooled)} in all, 95 % interval over processes"
    else:
        told = f"{how}; median of {len(pooled)} of one process, 95 % interval from order statistics: of it alone"
    return _measured(metric, middle, len(pooled), told, pooled, tuple(len(group) for group in groups))


def _measured(
    metric: str,
    estimate: Estimate,
    count: int,
    how: str,
    samples: tuple[float, ...] = (),
    groups: tuple[int, ...] = (),
) -> Measurement:
    return Measurement(
        metric, estimate.value, "ms", count, estimate.low, estimate.high, False, how, samples, groups=groups
    )
