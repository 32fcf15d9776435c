"""A run of a few figures, made by hand: no samples, no answers, so that a verdict takes no time.

    run = plain_run({"int8": {"agreement": (0.83, 0.80, 0.86), "size_mb": 0.4}}, budgets={"agreement": 0.8})

A figure is a value, (value, low, high), or the reason why there is none; by the name of the budget that it is held by.
"""

from typing import Any, TypeAlias

from harness.record import Measurement, Record, Run
from harness.report.budgets import BUDGETS, unit_of

Figure: TypeAlias = "float | tuple[float, float | None, float | None] | str"
_SUITES = {"agreement": "agreement", "accuracy": "agreement", "memory_mb": "vram", "size_mb": "vram"}
_N = {"1": 600, "ms": 84, "J": 3, "MB": 1}


def measured(budget: str, figure: Figure) -> Measurement:
    """A measurement of what this budget binds, in its unit."""
    unit, at_least = unit_of(budget), unit_of(budget) == "1"
    if isinstance(figure, str):
        return Measurement(BUDGETS[budget], None, unit, 0, None, None, at_least, "by hand", absent=figure)
    value, low, high = figure if isinstance(figure, tuple) else (figure, None, None)
    return Measurement(BUDGETS[budget], value, unit, _N[unit], low, high, at_least, "by hand")


def plain_run(
    figures: dict[str, dict[str, Figure]],
    budgets: dict[str, Any],
    objective: str = "size",
    invalid: tuple[tuple[str, str], ...] = (),
    **environment: Any,
) -> Run:
    """`figures`: by variant and budget. `invalid`: (variant, suite) of records that may not be believed."""
    records = []
    for variant, told in figures.items():
        for suite in ("agreement", "latency", "vram"):
            found = tuple(measured(name, one) for name, one in told.items() if _SUITES.get(name, "latency") == suite)
            broken = (variant, suite) in invalid
            reasons = ("the clock was throttled",) if broken else ()
            if found:
                records.append(Record("plain", variant, suite, {}, found, not broken, reasons, {}, {}))
    pair = {"name": "plain", "budgets": budgets, "objective": objective}
    return Run(tuple(records), {"pair": pair, **environment}, {}, "2026-01-02T03:04:05+00:00")
