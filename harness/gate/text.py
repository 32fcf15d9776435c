"""A comparison for people and programs: a table and sentences for the terminal, Markdown for a pull request, JSON.

print(render(compare(before, after), "text"))
"""

import json
import math
from typing import Any, Literal

from tabulate import tabulate

from harness.errors import oneline
from harness.gate.comparison import Comparison
from harness.gate.judge import Judged, Verdict
from harness.gate.noise import size_words
from harness.record import Run
from harness.report import figures
from harness.report.marked import escaped
from harness.report.view import dig

Format = Literal["text", "json", "md"]
FORMATS: tuple[Format, ...] = ("text", "json", "md")
_ORDER: tuple[Verdict, ...] = ("regressed", "cannot tell", "improved", "same")
_HEADINGS = ("variant", "metric", "workload", "A", "B", "B/A", "95 % interval", "verdict")


def render(compared: Comparison, format: Format = "text") -> str:
    """The whole comparison. No line of text holds control codes; Markdown is escaped."""
    if format == "json":
        return json.dumps(as_json(compared), indent=1)
    lines = [run_words("A", compared.a), run_words("B", compared.b), *compared.notes, compared.floor.words()]
    if format == "md":
        table = tabulate(
            [[escaped(cell) for cell in row] for row in _table(compared)],
            headers=_HEADINGS,
            tablefmt="github",
            disable_numparse=True,
        )
        said = [f"- {escaped(line)}" for line in (*lines, *sentences(compared))]
        return "\n".join([f"**{escaped(summary(compared))}**", "", table, "", *said])
    table = tabulate(_table(compared), headers=_HEADINGS, tablefmt="simple", disable_numparse=True)
    return "\n".join([*(oneline(line, 600) for line in lines), "", table, "", *sentences(compared), summary(compared)])


def sentences(compared: Comparison) -> tuple[str, ...]:
    """A line for each row that is not the same."""
    rows = [row for verdict in _ORDER if verdict != "same" for row in compared.having(verdict)]
    return tuple(sentence(row) for row in rows)


def sentence(row: Judged) -> str:
    """REGRESSED: distilled-int8 itl at 4 frames, batch 1: 1.062× (1.041–1.084); noise floor 1.4 %."""
    interval = _interval(row)
    figure = "" if row.estimate is None else f"{_figure(row)}{f' ({interval})' if interval else ', no interval'}"
    floor = "" if row.floor is None else f"noise floor {size_words(row.key.metric, row.floor)}"
    why = "" if row.why == "no interval" else row.why
    return oneline(f"{row.verdict.upper()}: {row.key}: {'; '.join(filter(None, (figure, floor, why)))}", 500)


def summary(compared: Comparison) -> str:
    """1 regressed, 2 improved, 14 same, 1 cannot be told."""
    counts = {verdict: len(compared.having(verdict)) for verdict in _ORDER}
    words = {"cannot tell": "cannot be told"}
    said = ", ".join(f"{counts[name]} {words.get(name, name)}" for name in _ORDER if counts[name])
    head = {0: "Nothing regressed", 1: "Regressed", 3: "Nothing is known to have regressed, but not all can be told"}
    return f"{head[compared.exit_code]}: of {len(compared.rows)} gated rows {said}."


def run_words(name: str, run: Run) -> str:
    """A: 0007 a1b2c3d4e5 main, 2026-01-02T03:04:05, file."""
    commit = dig(run.commit, "id")[:10] or "no commit"
    dirty = " with uncommitted changes" if run.commit.get("dirty") is True else ""
    parts = (
        f"{commit}{dirty}",
        dig(run.commit, "branch"),
        run.datetime[:19],
        "" if run.path is None else run.path.name,
    )
    return oneline(f"{name}: {', '.join(filter(None, parts))}", 300)


def as_json(compared: Comparison) -> dict[str, Any]:
    """Plain JSON; ratios and differences as numbers, floors as ratio - 1 or as differences of shares."""
    floor = compared.floor
    return {
        "a": _run_json(compared.a),
        "b": _run_json(compared.b),
        "exit_code": compared.exit_code,
        "summary": summary(compared),
        "notes": list(compared.notes),
        "noise_floor": {
            "by_metric": {name: _size(name, size) for name, size in floor.by_metric.items()},
            "aa_pairs": [list(pair) for pair in floor.pairs],
            "from_halves": sorted(floor.halves),
            "says": floor.words(),
        },
        "rows": [_row_json(row) for row in compared.rows],
        "told": [
            {
                **vars(one.key),
                "a": one.a.value,
                "b": one.b.value,
                "unit": one.b.unit,
                "workload": json.loads(one.key.workload),
            }
            for one in compared.told
        ],
    }


def _table(compared: Comparison) -> list[list[str]]:
    rows = [
        [
            oneline(row.key.variant, 40),
            oneline(row.key.metric, 30),
            row.key.where,
            oneline(figures.shown(row.a), 20),
            oneline(figures.shown(row.b), 20),
            "–" if row.estimate is None else _figure(row),
            _interval(row),
            row.verdict,
        ]
        for verdict in _ORDER
        for row in compared.having(verdict)
    ]
    for one in compared.told:
        a, b = one.a, one.b
        ratio = b.value / a.value if a.value and b.value is not None else None
        shares = figures.metric(one.key.metric).kind == "share"
        figure = "–" if ratio is None or shares or not math.isfinite(ratio) else f"{ratio:.3f}×"
        names = [oneline(one.key.variant, 40), oneline(one.key.metric, 30), one.key.where]
        rows.append([*names, oneline(figures.shown(a), 20), oneline(figures.shown(b), 20), figure, "", "not gated"])
    return rows


def _figure(row: Judged) -> str:
    assert row.estimate is not None
    value = row.estimate.value
    return figures.points(value) if row.kind == "share" else f"{value:.3f}×"


def _interval(row: Judged) -> str:
    if row.estimate is None or row.estimate.low is None or row.estimate.high is None:
        return ""
    low, high = row.estimate.low, row.estimate.high
    if row.kind == "share":
        return f"{figures.points(low).removesuffix(' pt')} to {figures.points(high)}"
    return f"{low:.3f}–{high:.3f}"


def _row_json(row: Judged) -> dict[str, Any]:
    estimate = row.estimate
    return {
        **vars(row.key),
        "workload": json.loads(row.key.workload),
        "kind": row.kind,
        "verdict": row.verdict,
        "a": row.a.value,
        "b": row.b.value,
        "unit": row.b.unit,
        "processes": [len(side.processes(ruled=False)) for side in (row.a, row.b)],
        "ratio" if row.kind != "share" else "difference": None if estimate is None else estimate.value,
        "low": None if estimate is None else estimate.low,
        "high": None if estimate is None else estimate.high,
        "of": row.of,
        "p_holm": row.p,
        "noise_floor": None if row.floor is None else _size(row.key.metric, row.floor),
        "says": sentence(row),
    }


def _size(metric: str, size: float) -> float:
    return size if figures.metric(metric).kind == "share" else math.expm1(size)


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "commit": dict(run.commit),
        "datetime": run.datetime,
        "file": None if run.path is None else str(run.path),
    }
