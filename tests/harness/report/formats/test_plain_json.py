"""The report as JSON: by its schema, the same bytes each time, every figure or the reason why there is none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.record import Run
from harness.report.across import gather
from harness.report.formats.plain_json import render
from tests.harness.report.sample import mapped, without
from tests.harness.report.several import EVIL, of_commit, of_device, poisoned

jsonschema = pytest.importorskip("jsonschema", reason="no jsonschema: pip install -e .[dev]")
SCHEMA = json.loads((Path(__file__).resolve().parents[4] / "docs" / "report.schema.json").read_text())


def made(*runs: Run) -> Any:
    """The JSON of runs, held against its schema."""
    whole = json.loads(render(gather(runs)), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    jsonschema.Draft202012Validator(SCHEMA).validate(whole)
    return whole


def test_a_program_reads_the_verdict_and_every_figure(sample: Run) -> None:
    whole = made(sample)
    run = whole["runs"][0]
    assert (whole["firstsight_report"], run["verdict"]["ship"]) == (1, "distilled-int8")
    variants = {variant["name"]: variant for variant in run["variants"]}
    changes = run["verdict"]["would_change"]
    assert changes["says"][0] == "With an agreement floor of 77.9 % (2.9 points higher), int8 would ship."
    assert changes["moves"][0] == {"budget": "agreement", "stated": 0.75, "limit": 0.779, "ships": "int8"}
    size = variants["distilled-int8"]["overview"]["weights"]
    assert (size["value"], size["unit"], size["n"], size["absent"]) == (0.243, "MB", 1, None)
    assert size["against_baseline"]["value"] == pytest.approx(0.243 / 1.064)
    budgets = {check["budget"]: check for check in variants["int8"]["budgets"]}
    assert budgets["size_mb"]["status"] == "met"
    measured = {name for record in variants["int8"]["records"] for name in record["measurements"]}
    assert {"ttft", "ttft_p99", "memory_decode", "kappa"} <= measured
    assert "samples" not in json.dumps(whole)
    pareto = next(chart for chart in run["charts"] if chart["id"] == "pareto")
    assert pareto["header"][:3] == ["Variant", "TTFT (ms)", "TTFT, low (ms)"]
    assert pareto["rows"][0][:2] == ["baseline", pytest.approx(5.11, abs=0.01)]


def test_the_same_records_give_the_same_bytes_wherever_they_lie(sample: Run) -> None:
    assert render(gather([sample])) == render(gather([replace(sample, path=None)]))


def test_a_gap_is_null_with_its_reason(sample: Run) -> None:
    variants = made(without(sample, "int8", "latency"))["runs"][0]["variants"]
    ttft = next(variant for variant in variants if variant["name"] == "int8")["overview"]["ttft"]
    assert (ttft["value"], ttft["absent"]) == (None, "the latency suite has no record of it in this run")
    assert ttft["against_baseline"] is None


def test_an_answer_of_random_weights_is_in_no_format(sample: Run) -> None:
    random = replace(sample, environment={**sample.environment, "weights": "random"})
    run = made(random)["runs"][0]
    assert run["verdict"]["ship"] is None
    assert all(record["suite"] != "agreement" for variant in run["variants"] for record in variant["records"])


def test_runs_are_held_against_each_other_or_it_says_why_not(sample: Run) -> None:
    whole = made(sample, of_commit(sample, "abcdef01", 3), of_device(sample, "Some GPU"))
    kinds = {(one["earlier"], one["later"]): one["refused"] is None for one in whole["between"]}
    assert sorted(kinds.values()) == [False, True]


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_is_a_string(evil: str) -> None:
    made(poisoned(evil))


def test_a_baseline_of_next_to_nothing_is_no_infinity(sample: Run) -> None:
    made(mapped(sample, "baseline", "weights", value=5e-324))
