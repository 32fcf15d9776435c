"""Which timed rounds were left out, on the page: of every variant and workload, and each by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.record import Run
from harness.report import page
from harness.report.provenance import invalid
from harness.report.rounds import SHOWN, timed_rounds
from harness.report.view import variants
from tests.harness.report.sample import sample_run

OTHERS = "others held the CPU for 31 % of the time (limit 10 %)"


def process(
    rounds: int = 12, broken: tuple[int, ...] = (), steady: bool = True, median_error: float | None = 0.006
) -> dict[str, Any]:
    told = [{"round": at, "answer_ms": 66.9 + at, "why": [OTHERS]} for at in broken]
    rest = {"steady": steady, "broken": told, "notes": [], "wall_s": {}, "median_error": median_error}
    return {"rounds": rounds, "warmup": 10 + len(broken), **rest}


def told(*processes: dict[str, Any], reasons: tuple[str, ...] = ()) -> Run:
    """The sample run, whose latency records say this of their rounds."""
    run = sample_run()
    details = {"rounds": {"processes": list(processes)}}
    changed = [
        replace(one, details={**one.details, **details}, valid=not reasons, invalid_reasons=reasons)
        if one.suite == "latency" and one.variant == "baseline"
        else one
        for one in run.records
    ]
    return replace(run, records=tuple(changed))


def test_rounds_that_were_left_out_are_counted_and_each_is_shown() -> None:
    found = timed_rounds(variants(told(process(broken=(2, 7)), process(steady=False))))
    assert found is not None
    variant, _, processes, rounds, left_out, warmup, _, verdict = found.rows[0]
    assert (variant, processes, rounds, left_out, verdict) == ("baseline", "2", "24", "2", "valid")
    assert warmup == "10–12 (not steady in 1 of 2)"
    assert found.broken[0].endswith(f"process 1, round 2: 68.9 ms: {OTHERS}")
    assert found.says.startswith("4 of 48 rounds"), "of two workloads"


def test_how_well_each_process_knows_its_median_is_told() -> None:
    def said(*errors: float | None) -> str:
        found = timed_rounds(variants(told(*(process(median_error=error) for error in errors))))
        assert found is not None
        return found.rows[0][6]

    assert said(0.006, 0.0071, 0.0231) == "0.7 %, at most 2.3 %"
    assert said(0.006, 0.0061) == "0.6 %"
    assert said(None) == "—"  # a record of before it was told


def test_an_invalid_workload_says_why_once() -> None:
    run = told(process(broken=tuple(range(12))), reasons=("12 of 12 rounds are broken",))
    lines = invalid(variants(run))
    assert len(lines) == len(set(lines)) > 0
    assert all("12 of 12 rounds are broken" in line for line in lines)
    html = page.render(run)
    assert "12 of 12 rounds are broken" in html
    assert OTHERS.split("(")[0].strip() in html.replace("\N{NO-BREAK SPACE}", " ")


def test_what_was_read_around_the_rounds_is_told_in_one_line() -> None:
    card = {"load": [0.1, 0.2, 0.4], "sm_mhz": [1395, 1410, 1410], "temperature_c": [40, 44, 52]}
    card |= {"power_limit_w": 250.0, "power_default_w": 400.0}
    found = timed_rounds(
        variants(told({**process(), "machine": card}, {**process(), "machine": {"load": [0, 0, 1.5]}}))
    )
    assert found is not None
    assert found.notes == (
        "around the rounds: load 0.0 to 1.5, SM clock 1,395 to 1,410 MHz, 40 to 52 °C, power limit 250 W of 400 W",
    )
    hostile = told({**process(), "machine": {"load": "<b>", "sm_mhz": [None, {}], "power_limit_w": []}})
    assert timed_rounds(variants(hostile)) is not None


def test_records_of_before_have_no_such_table() -> None:
    assert timed_rounds(variants(sample_run())) is None


def test_many_broken_rounds_are_shown_up_to_a_number_and_counted() -> None:
    found = timed_rounds(variants(told(process(rounds=200, broken=tuple(range(150))))))
    assert found is not None
    assert len(found.broken) == SHOWN
    assert found.more == 150 * len(found.rows) - SHOWN


def test_what_a_hostile_record_says_of_its_rounds_is_inert() -> None:
    nasty = {**process(broken=(1,)), "notes": ["<script>alert(1)</script>"], "warmup": "<b>"}
    html = page.render(told(nasty))
    assert "<script>alert(1)" not in html
    assert timed_rounds(variants(told({"rounds": None, "broken": 7, "steady": "?", "warmup": [], "notes": {}})))  # type: ignore[arg-type]


def test_the_page_is_whole(tmp_path: Path) -> None:
    assert 'id="rounds"' in page.write(told(process()), tmp_path / "report.html").read_text()
