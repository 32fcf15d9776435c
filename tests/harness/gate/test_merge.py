"""Records of several jobs as one run: what belongs together becomes one, what does not is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.errors import RecordError, UsageError
from harness.gate.merge import merged, parse_nodes, stored
from harness.record import Record, Run, load_run
from harness.report.compare import ratio
from harness.report.provenance import environment as provenance
from harness.report.view import variants
from tests.harness.gate.made import answers, elsewhere, memory, run
from tests.harness.report.sample import as_json

Part = Callable[..., Path]


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """part("int8"): a job's record of one variant, as its suites save it; with another run, or another number."""

    def write(variant: str, made: Run | None = None, number: int = 1) -> Path:
        extra = (memory(variant), answers(variant, [True, False] * 8))
        found = made or run(len(variant), variants=(variant,), extra=extra)
        path = tmp_path / "parts" / variant / "made" / "nvidia-h200" / "Linux-64bit" / f"{number:04d}_a1b2_x.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(as_json(found)))
        return tmp_path / "parts"

    return write


def test_the_parts_become_one_run(part: Part, tmp_path: Path) -> None:
    for name in ("baseline", "distilled", "int8"):
        folder = part(name)
    path = stored(merged(folder), tmp_path / "results")
    assert path == tmp_path / "results/made/nvidia-h200/Linux-64bit/0001_a1b2_x.json"
    whole = load_run(path)
    assert [view.name for view in variants(whole)] == ["baseline", "distilled", "int8"]
    assert whole.environment["command"] == "firstsight merge of 3 jobs"
    assert all("not taken in turn" in str(record.details["apart"]) for record in whole.records)


def test_what_failed_in_any_job_is_told_of_the_whole(part: Part, tmp_path: Path) -> None:
    lost = [{"variant": "int8", "suite": "latency", "why": "no kernel for int8"}]
    made = run(4, variants=("int8",))
    part("baseline")
    folder = part("int8", replace(made, environment={**made.environment, "failed": lost}))
    whole = load_run(stored(merged(folder), tmp_path / "results"))
    assert whole.environment["failed"] == lost


def test_every_number_is_as_its_job_measured_it(part: Part, tmp_path: Path) -> None:
    for name in ("baseline", "int8"):
        folder = part(name)
    whole = load_run(stored(merged(folder), tmp_path / "results"))
    apart = [load_run(file).records for file in sorted(folder.rglob("*.json"))]

    def bare(record: Record) -> Record:
        return replace(record, details={k: v for k, v in record.details.items() if k != "apart"})

    assert [bare(record) for record in whole.records] == [record for records in apart for record in records]


def test_processes_of_different_jobs_are_not_taken_for_pairs(part: Part, tmp_path: Path) -> None:
    for name in ("baseline", "int8"):
        folder = part(name)
    views = {view.name: view for view in variants(load_run(stored(merged(folder), tmp_path / "results")))}
    assert views["int8"].apart
    ours, theirs = views["int8"].get("ttft"), views["baseline"].get("ttft")
    assert ratio(ours, theirs, in_turn=False) != ratio(ours, theirs, in_turn=True)


def test_one_job_is_passed_through(part: Part, tmp_path: Path) -> None:
    folder = part("baseline")
    whole = load_run(stored(merged(folder), tmp_path / "results"))
    assert whole.environment["command"] == "pytest suites"
    assert not any("apart" in record.details for record in whole.records)


def test_the_newest_record_of_a_job_counts(part: Part, tmp_path: Path) -> None:
    part("baseline", run(1, variants=("baseline",)))
    folder = part("baseline", run(2, variants=("baseline",)), number=2)
    (newest,) = folder.rglob("0002_*.json")
    assert load_run(stored(merged(folder), tmp_path / "results")).records == load_run(newest).records


def test_merging_again_finds_what_was_merged_and_another_run_is_numbered_on(part: Part, tmp_path: Path) -> None:
    folder, results = part("baseline"), tmp_path / "results"
    first = stored(merged(folder), results)
    assert stored(merged(folder), results) == first
    part("baseline", run(9, variants=("baseline",), commit="ffff"))
    second = stored(merged(folder), results)
    assert (first.name[:4], second.name[:4]) == ("0001", "0002")
    assert sorted(path.name for path in first.parent.iterdir()) == [first.name, second.name], "nothing is left beside"


def other_weights(of: Run) -> Run:
    return replace(of, records=tuple(replace(one, artifacts={"teacher": "b" * 64}) for one in of.records))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: replace(one, commit={**one.commit, "id": "ffff"}), "commit a1b2c3d4e5f6 and ffff"),
        (lambda one: replace(one, commit={**one.commit, "dirty": True}), "one with uncommitted changes"),
        (lambda one: elsewhere(one, image="c" * 64), "image: none and cccc"),
        (lambda one: elsewhere(one, data={"dataset": "egothink"}), "data.dataset: scenes and egothink"),
        (lambda one: elsewhere(one, pair={"name": "other"}), "pair: made and other"),
        (other_weights, "weights teacher: aaaaaaaaaaaaaaaa and bbbbbbbbbbbbbbbb"),
    ],
)
def test_what_does_not_belong_together_is_refused(part: Part, change: Any, said: str) -> None:
    part("baseline")
    folder = part("int8", change(run(4, variants=("int8",))))
    with pytest.raises(RecordError) as error:
        merged(folder)
    assert "are no parts of one run: " in str(error.value)
    assert said in str(error.value)


def other_node(**environment: Any) -> Run:
    extra = (memory("int8"), answers("int8", [True, False] * 8))
    return elsewhere(run(4, variants=("int8",), extra=extra), **environment)


def test_nodes_that_differ_are_put_together_where_one_says_so_and_every_record_tells_it(
    part: Part, tmp_path: Path
) -> None:
    part("baseline")
    folder = part("int8", other_node(cpu="another CPU"))
    with pytest.raises(RecordError) as error:
        merged(folder)
    assert "cpu: " in str(error.value)
    assert f"`firstsight merge {folder} --results DIR --across cpu`" in str(error.value)
    assert "`constraint` in the cluster file" in str(error.value)
    whole = load_run(stored(merged(folder, parse_nodes("cpu,driver")), tmp_path / "results"))
    told = {record.variant: str(record.details["apart"]) for record in whole.records}
    assert "another node" in told["int8"]
    assert told["int8"].endswith("and another CPU")
    assert "differs" not in told["baseline"]
    assert [("differs" in job) for job in whole.environment["jobs"]] == [False, True]  # type: ignore[union-attr]
    assert "not as the first: cpu" in str(provenance(whole))


def test_across_is_for_nodes_alone(part: Part) -> None:
    part("baseline")
    folder = part("int8", other_node(cpu="x", image="c" * 64))
    with pytest.raises(RecordError, match="are no parts of one run: image"):
        merged(folder, parse_nodes("cpu"))
    with pytest.raises(UsageError, match="--across image: jobs of one run may differ in device, cpu, driver, threads"):
        parse_nodes("cpu,image")


def test_no_variant_is_there_twice(part: Part) -> None:
    part("a", run(1, variants=("int8",)))
    folder = part("b", run(2, variants=("int8",)))
    with pytest.raises(RecordError, match="int8 is in both"):
        merged(folder)


def test_a_job_that_left_no_record_is_named(part: Part, tmp_path: Path) -> None:
    folder = part("baseline")
    (folder / "int8").mkdir()
    with pytest.raises(RecordError, match="parts/int8: no run in it"):
        merged(folder)
    with pytest.raises(RecordError, match="nothing: no record below it"):
        merged(tmp_path / "nothing")


def test_the_command_renders_the_report_and_holds_it_against_the_run_before(
    part: Part, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = ["--results", str(tmp_path / "results"), "--compare"]
    folder = part("baseline")
    part("int8")
    assert main(["merge", str(folder), *results]) == 0
    assert "Held against" not in capsys.readouterr().out
    for name in ("baseline", "int8"):
        part(name, run(7 + len(name), variants=(name,), commit="bbbb", day=2))
    assert main(["merge", str(folder), *results]) == 0
    said = capsys.readouterr().out
    assert "Held against the run before" in said
    page = (tmp_path / "results/made/nvidia-h200/report.html").read_text()
    assert "2 jobs, whose times were not taken in turn" in page
