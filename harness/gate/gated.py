"""GATED: which metrics stop a change, and how each is compared. A new metric is gated by an entry here.

Percentiles beyond the median are not gated: of 84 rounds less than one is beyond p99. Nor is the cold start, which is
one start a run: what the next one would take is not known, and a row that can never be told would stop every gate.
"""

from fnmatch import fnmatchcase
from typing import Literal

from harness.record import Measurement

Kind = Literal["time", "memory", "share", "energy"]

# Time, memory and energy are ratios B/A; shares are differences of paired answers, in points.
GATED: dict[str, Kind | None] = {  # the first that matches
    "media": "time",
    "prepare": "time",
    "vision": "time",
    "prefill": "time",
    "itl": "time",
    "ttft": "time",
    "answer": "time",
    "memory_planned": None,  # counted from shapes
    "memory_*": "memory",
    "weights": "memory",
    "joules_*": None,  # metered by one process of a run: what the next would draw is not known
    "agreement": "share",
    "accuracy": "share",
}
# Which answer of an item a share counts, so that two runs are paired question by question.
COUNTED = {"agreement": "agrees", "accuracy": "correct"}
# A training is made once and found by its digest: what it cost is not this commit's doing.
SUITES = ("latency", "vram", "agreement")
_UNITS = {"time": ("ms", "s", "us", "µs"), "energy": ("J", "mJ")}
_TAILS = ("_p90", "_p95", "_p99")


def kind_of(suite: str, measurement: Measurement) -> Kind | None:
    """How a metric is gated; None: it is told with --all, and stops nobody."""
    if suite not in SUITES or measurement.metric.endswith(_TAILS):
        return None
    for pattern, kind in GATED.items():
        if fnmatchcase(measurement.metric, pattern):
            units = _UNITS.get(kind or "")
            return kind if units is None or measurement.unit.partition("/")[0] in units else None
    return None
