"""`--gate` at the end of a pytest session: what it asks for, what it compares, how the session ends."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import UsageError
from harness.gate import Terms
from harness.gate.session import after, baseline, machine_words, terms_of
from harness.record import KEY, Run
from tests import warm
from tests.conftest import MICRO
from tests.harness.gate.made import run
from tests.harness.report.sample import as_json

ROOT = Path(__file__).resolve().parents[3]
QUIET: dict[str, Any] = {"between": 0.002, "within": 0.005}


def option(**given: Any) -> Any:
    defaults = {"gate": True, "benchmark_compare": True, "benchmark_disable": False, "benchmark_skip": False}
    return SimpleNamespace(
        **{**defaults, "across": "", "only_common": False, "margin": 5.0, "margin_points": 2.0, **given}
    )


def saved(storage: Path, number: int, base: Run) -> Path:
    folder = storage / "Linux-CPython-3.11-64bit"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{number:04d}_made.json"
    file.write_text(json.dumps(as_json(base)))
    return file.relative_to(storage)


def test_without_the_option_nothing_is_gated() -> None:
    assert terms_of(option(gate=False, benchmark_compare=[])) is None
    assert terms_of(option(across="driver")) == Terms(across=frozenset({"driver"}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"benchmark_compare": []}, "compared with what"),
        ({"benchmark_compare": "no/such/run.json"}, "no such file"),
        ({"benchmark_disable": True}, "nothing to compare"),
        ({"margin": -1.0}, "--margin -1"),
        ({"across": "gpu"}, "no such field"),
    ],
)
def test_what_cannot_be_gated_is_refused_before_anything_is_measured(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        terms_of(option(**given))


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.1, 1)])
def test_the_saved_run_is_held_against_what_it_was_compared_with(tmp_path: Path, factor: float, code: int) -> None:
    older = saved(tmp_path, 1, run(9, day=1, slower={"ttft": 3.0}, commit="eeee", **QUIET))
    before = saved(tmp_path, 2, run(1, day=2, **QUIET))
    now = tmp_path / saved(tmp_path, 3, run(2, day=3, commit="ffff", slower={"itl": factor}, **QUIET))
    saved(tmp_path, 4, run(5, day=4, commit="0000", slower={"itl": 9.0}))  # another session's, saved just after ours
    outcome = after(now, tmp_path, [older, before], Terms())
    assert outcome.exit_code == code, outcome.text
    assert "A: a1b2c3d4e5" in outcome.text
    assert "B: ffff" in outcome.text
    assert after(now, tmp_path, [tmp_path / before], Terms()).exit_code == code, "by its whole path, too"


def test_a_run_that_the_gate_stopped_is_not_what_it_is_held_against_when_tried_again(tmp_path: Path) -> None:
    """A red job run a second time would pass: its first run lies in the storage."""
    folder = tmp_path / "Linux-CPython-3.11-64bit"
    slow = {"id": "ffff", "dirty": False}
    assert baseline(tmp_path, slow) is None, "nothing there: pytest-benchmark says so"
    saved(tmp_path, 1, run(1, commit="ffff"))
    assert baseline(tmp_path, slow) is None, "the same commit measured twice is an A/A"
    saved(tmp_path, 2, run(2, commit="eeee"))
    saved(tmp_path, 3, run(3, commit="ffff"))
    (folder / "0004_cut.json").write_text("{")
    assert baseline(tmp_path, slow) == str(folder / "0002_made.json")
    assert baseline(tmp_path, {**slow, "dirty": True}) == str(folder / "0003_made.json"), "changes, against HEAD"


def test_a_missing_baseline_is_one_line(tmp_path: Path) -> None:
    now = tmp_path / saved(tmp_path, 1, run(1))
    outcome = after(now, tmp_path, [], Terms())
    assert outcome.exit_code == 2
    assert outcome.text.startswith("firstsight: gate: no baseline: pytest-benchmark found no run to compare with in")
    assert "\n" not in outcome.text


def test_a_renamed_row_does_not_pass(tmp_path: Path) -> None:
    before = saved(tmp_path, 1, run(1))
    now = tmp_path / saved(tmp_path, 2, run(2, day=2, variants=("baseline",)))
    outcome = after(now, tmp_path, [before], Terms())
    assert outcome.exit_code == 2
    assert "B lacks 15 rows that A has" in outcome.text


def test_machines_that_differ_are_one_line_naming_the_fields() -> None:
    now: dict[str, Any] = {KEY: dict(run(1).environment), "node": "here"}
    then: dict[str, Any] = {KEY: {**run(1).environment, "threads": 8, "command": "pytest"}, "node": "there"}
    assert machine_words(now, now) is None
    assert machine_words(now, then) == "now and then were not measured alike: threads: 2 and 8"
    assert "no 'firstsight'" in str(machine_words(now, {"node": "there"}))


@pytest.mark.slow
def test_a_session_ends_by_its_gate_from_any_directory(tmp_path: Path) -> None:
    """Memory of random weights, as nothing has to be trained for it. No baseline: 2, and saved all the same; a baseline
    that needed half as much: 1, a regression.
    """
    places = ["--cache", str(tmp_path / "artifacts"), "--results", str(tmp_path / "results")]
    command = ["-m", "pytest", str(ROOT / "suites" / "test_vram.py"), "--rootdir", str(ROOT), *places]
    asked = ["--pair", str(MICRO), "--weights", "random", "--variants", "baseline", "--benchmark-compare", "--gate"]

    commit = {"FIRSTSIGHT_COMMIT": "feed"}  # for a copy without git
    first = warm.run([*command, *asked], cwd=ROOT, env=commit)
    assert first.returncode == 2, first.stdout[-2000:] + first.stderr[-2000:]
    assert "firstsight: gate: no baseline" in first.stdout
    file = next((tmp_path / "results").rglob("0001_*.json"))
    whole = json.loads(file.read_text())
    for measurement in whole["benchmarks"][0]["extra_info"][KEY]["measurements"]:
        for name in ("value", "low", "high"):
            measurement[name] = measurement[name] and measurement[name] / 2
    whole["machine_info"][KEY]["command"] = "pytest elsewhere"
    file.write_text(json.dumps(whole))
    (tmp_path / "empty").mkdir()
    second = warm.run([*command, *asked], cwd=tmp_path / "empty", env=commit)
    assert second.returncode == 1, second.stdout[-2000:] + second.stderr[-2000:]
    assert "REGRESSED: baseline memory_peak" in second.stdout
    assert "machine_info is different" not in second.stdout + second.stderr
    commits = {json.loads(f.read_text())["commit_info"]["id"] for f in (tmp_path / "results").rglob("000*.json")}
    assert "unversioned" not in commits, "the code's, not the working directory's"
