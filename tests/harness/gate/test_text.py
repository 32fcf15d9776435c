"""What the comparison says: table, sentences, JSON, Markdown; and the command with its exit codes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.gate import Terms, compare
from harness.gate.text import as_json as plain
from harness.gate.text import render
from harness.record import Run
from tests.harness.gate.made import answers, memory, run
from tests.harness.report.sample import as_json

QUIET: dict[str, Any] = {"between": 0.002, "within": 0.005}
A, SLOW = run(1, **QUIET), run(2, day=2, commit="ffffff", slower={"itl": 1.062}, **QUIET)
NASTY = "\x1b[31mred|<b>x</b>\nsecond\u202e `y` [z](http://e)"


def saved(folder: Path, number: int, base: Run) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / f"{number:04d}_made.json"
    file.write_text(json.dumps(as_json(base)))
    return file


def test_a_regression_is_a_sentence_with_its_interval_and_the_floor() -> None:
    lines = render(compare(A, SLOW)).splitlines()
    said = [line for line in lines if line.startswith("REGRESSED: distilled-int8 itl")]
    assert len(said) == 1
    assert said[0].startswith("REGRESSED: distilled-int8 itl at 4 frames, batch 1, 8 tokens: 1.06")
    assert "; noise floor 0." in said[0]
    assert lines[-1] == "Regressed: of 18 gated rows 6 regressed, 12 same."
    assert lines[0] == "A: a1b2c3d4e5, main, 2026-01-01T03:04:05"
    assert lines[2].startswith("noise floor, from halves of the same run: ttft 0.")


def test_a_single_value_says_that_it_has_no_interval() -> None:
    before = replace(A, records=(*A.records, memory("int8")))
    after = replace(SLOW, records=(*SLOW.records, memory("int8", 1000)))
    assert "int8 memory_peak at batch 1: 1.111×, no interval" in render(compare(before, after))


def test_shares_are_told_in_points() -> None:
    hits = [i % 5 > 0 for i in range(400)]
    before = replace(A, records=(*A.records, answers("int8", hits)))
    after = replace(SLOW, records=(*SLOW.records, answers("int8", [h and i % 8 > 0 for i, h in enumerate(hits)])))
    assert "REGRESSED: int8 agreement: −10.0 pt (−1" in render(compare(before, after))


def test_the_json_holds_what_the_table_says() -> None:
    compared = compare(A, SLOW, Terms(all_rows=True))
    found = json.loads(render(compared, "json"))
    assert found == plain(compared)
    assert found["exit_code"] == 1
    rows = {(row["variant"], row["metric"]): row for row in found["rows"]}
    row = rows["int8", "itl"]
    assert row["verdict"] == "regressed"
    assert row["low"] < row["ratio"] < row["high"]
    assert row["processes"] == [7, 7]
    assert row["workload"] == {"batch": 1, "frames": 4, "new_tokens": 8}
    assert 0 < row["noise_floor"] < 0.02
    assert len(found["told"]) == 18


def test_a_hostile_name_steers_neither_terminal_nor_page() -> None:
    sides = [
        replace(base, records=tuple(replace(r, variant=NASTY) if r.variant == "int8" else r for r in base.records))
        for base in (A, SLOW)
    ]
    compared = compare(sides[0], sides[1])
    for text in (render(compared), render(compared, "md")):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nsecond" not in text
    marked = render(compared, "md")
    assert "<b>" not in marked
    assert "red\\|&lt;b&gt;" in marked
    assert "\\[z\\](http" in marked
    borders = {line.replace("\\|", "").count("|") for line in marked.splitlines() if line.startswith("|")}
    assert borders == {9}


@pytest.mark.parametrize(("after", "code"), [(SLOW, 1), (run(2, day=2, **QUIET), 0), (run(2, day=2, between=0.1), 3)])
def test_the_command_exits_by_its_verdict(
    after: Run, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = saved(tmp_path / "runs", 1, A), saved(tmp_path / "runs", 2, after)
    assert main(["compare", *map(str, files)]) == code
    by_file = capsys.readouterr().out
    assert main(["compare", str(tmp_path / "runs")]) == code
    assert capsys.readouterr().out == by_file


def test_what_cannot_be_read_beside_the_last_two_runs_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, base in ((1, A), (2, run(2, day=2, **QUIET))):
        saved(tmp_path, number, base)
    (tmp_path / "0003_cut.json").write_text('{"machine_info": ')
    assert main(["compare", str(tmp_path)]) == 0
    assert "passed over: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{0}"], "one run is nothing to compare"),
        (["{0}", "{0}"], "A and B are the same run"),
        (["{0}", "{cut}"], "not JSON, or cut short"),
        (["{0}", "no/such.json"], "no such file"),
        (["{empty}"], "no run in it, two are needed"),
        (["{0}", "{1}", "--margin", "0"], "--margin 0: above 0"),
        (["{0}", "{1}", "--across", "gpu"], "--across gpu: no such field"),
        (["{0}", "{1}", "--aa", "{0}"], "--aa: one run is no pair"),
        (["{0}", "{other}"], "A and B differ in cpu: AMD EPYC and Xeon; --across cpu"),
        (["{0}", "{fewer}"], "B lacks 3 rows that A has"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    files = {
        "0": saved(tmp_path, 1, A),
        "1": saved(tmp_path, 2, SLOW),
        "other": saved(tmp_path, 3, replace(SLOW, environment={**SLOW.environment, "cpu": "Xeon"})),
        "fewer": saved(tmp_path, 4, replace(SLOW, records=SLOW.records[:5])),
        "cut": tmp_path / "cut.json",
        "empty": tmp_path / "empty",
    }
    files["cut"].write_text(files["0"].read_text()[:500])
    named = ["".join(str(files[a[1:-1]]) if a.startswith("{") else a) for a in arguments]
    assert main(["compare", *named]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert not printed.out


def test_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    told = capsys.readouterr().out
    assert "firstsight compare results/tiny/cpu" in told
    assert "exit code: 1 a row regressed" in told
