"""The verdict and every figure of the report as JSON, for programs; `docs/report.schema.json` is its schema.

A figure that could not be measured has `value: null` and says why in `absent`. Samples are left out: they are in the
record, which stays the only truth. The same records give the same bytes.
"""

import json
import math
from typing import Any

from harness.record import Measurement, Record
from harness.report import charts, figures
from harness.report.across import Across
from harness.report.beside import identity
from harness.report.between import Between
from harness.report.budgets import Check
from harness.report.compare import baseline_of, relative
from harness.report.counterfactual import what_would_change
from harness.report.gain import Comparison, gain
from harness.report.summary import Summary
from harness.report.view import VariantView, dig
from harness.stats import Estimate

SCHEMA = 1


def render(found: Across) -> str:
    """The whole JSON, ending in a newline."""
    whole = {
        "firstsight_report": SCHEMA,
        "headline": found.headline,
        "runs": [_run(one) for one in found.runs],
        "between": [_between(one) for one in found.between],
    }
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def _run(one: Summary) -> dict[str, Any]:
    commit, dirty, verdict = one.run.commit, one.run.commit.get("dirty"), one.verdict
    return {
        "run": identity(one.run),
        "pair": one.pair,
        "device": {"name": one.device, "kind": dig(one.run.environment, "device", "kind") or None},
        "commit": {"id": dig(commit, "id") or None, "dirty": dirty if isinstance(dirty, bool) else None},
        "datetime": one.run.datetime,
        "file": one.run.path.name if one.run.path is not None else None,
        "basis": list(one.basis),
        "verdict": {
            "ship": verdict.ship,
            "sentence": verdict.sentence,
            "tie": list(verdict.tie),
            "objective": verdict.objective,
            "reasons": list(verdict.reasons),
            "would_change": _would_change(one),
        },
        "variants": [_variant(one, view) for view in one.views],
        "gain": [_gain(comparison) for comparison in gain(one.run).comparisons],
        "charts": [_chart(chart) for chart in charts.charts_of(one.run)],
    }


def _would_change(one: Summary) -> dict[str, Any]:
    """The first screen's sentences, and each budget moved alone; `limit` null: dropped, `ships` null: none."""
    found = what_would_change(one.run)
    return {
        "says": list(found.says),
        "moves": [
            {"budget": move.budget, "stated": move.stated, "limit": move.limit, "ships": move.to}
            for move in found.changes
        ],
    }


def _chart(chart: charts.Chart) -> dict[str, Any]:
    """With its figures as plain numbers where the chart has them, else as the page's table words them."""
    header, rows = (chart.header, chart.rows) if chart.data is None else (chart.data.header, chart.data.rows)
    return {
        "id": chart.id,
        "title": chart.title,
        "says": chart.says,
        "header": list(header),
        "rows": [[_finite(cell) if isinstance(cell, float) else cell for cell in row] for row in rows],
    }


def _variant(one: Summary, view: VariantView) -> dict[str, Any]:
    checks = [check for judged in one.verdict.table if judged.variant == view.name for check in judged.checks]
    baseline = baseline_of(one.views)
    return {
        "name": view.name,
        "control": view.control,
        "ships": view.name == one.verdict.ship,
        "overview": {
            metric: {
                **_figure(view.get(metric)),
                "against_baseline": _relative(view, baseline, metric),
            }
            for metric in figures.COLUMNS
        },
        "budgets": [_check(check) for check in checks],
        "records": [_record(record) for record in view.records],
    }


def _figure(found: Measurement) -> dict[str, Any]:
    return {
        "value": found.value,
        "unit": found.unit,
        "n": found.n,
        "low": found.low,
        "high": found.high,
        "higher_is_better": found.higher_is_better,
        "how": found.how,
        "absent": found.absent,
    }


def _relative(view: VariantView, baseline: VariantView | None, metric: str) -> dict[str, Any] | None:
    found = relative(view, baseline, metric)
    if found is None:
        return None
    kind = "difference" if figures.metric(metric).kind == "share" else "ratio"
    return {"kind": kind, **_estimate(found.estimate), "told_apart": found.told_apart, "words": found.words}


def _check(check: Check) -> dict[str, Any]:
    return {
        "budget": check.budget,
        "metric": check.metric,
        "limit": check.limit,
        "at_least": check.at_least,
        "status": check.status,
        "margin": check.margin,
        "more_items": check.more,
    }


def _record(record: Record) -> dict[str, Any]:
    return {
        "suite": record.suite,
        "workload": dict(record.workload),
        "valid": record.valid,
        "invalid_reasons": list(record.invalid_reasons),
        "measurements": {found.metric: _figure(found) for found in record.measurements},
    }


def _gain(comparison: Comparison) -> dict[str, Any]:
    return {
        "first": comparison.first,
        "second": comparison.second,
        "step": comparison.step,
        "n": comparison.n,
        "clips": comparison.clips,
        "rates": list(comparison.rates),
        "difference": _estimate(comparison.difference),
        "p_exact": comparison.p_exact,
        "p_clustered": comparison.p_clustered,
        "shown": comparison.shown,
    }


def _between(held: Between) -> dict[str, Any]:
    return {
        "earlier": held.earlier,
        "later": held.later,
        "refused": held.refused or None,
        "rows": [
            {
                "variant": row.variant,
                "metric": row.metric,
                "kind": "difference" if figures.metric(row.metric).kind == "share" else "ratio",
                **(_estimate(row.estimate) if row.estimate is not None else {"value": None, "low": None, "high": None}),
                "verdict": row.verdict,
                "why": row.why or None,
            }
            for row in held.rows
        ],
        "notes": list(held.notes),
    }


def _estimate(found: Estimate) -> dict[str, float | None]:
    return {name: _finite(number) for name, number in zip(("value", "low", "high"), found, strict=True)}


def _finite(number: float | None) -> float | None:
    """JSON has no infinity: an end that is not finite is open."""
    return number if number is not None and math.isfinite(number) else None
