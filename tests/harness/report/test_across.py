"""Several runs gathered: one sentence over them, in an order of their own, none twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.record import Run, load_run
from harness.report.across import gather
from tests.harness.report.sample import as_json
from tests.harness.report.several import of_commit, of_device, of_pair


def test_one_run_says_its_own_verdict(sample: Run) -> None:
    assert gather([sample]).headline == gather([sample]).runs[0].verdict.sentence


def none(run: Run) -> Run:
    return of_pair(run, budgets={"size_mb": 0.1})


def silent(run: Run) -> Run:
    return of_pair(run, budgets={})


def other(run: Run) -> Run:
    return of_pair(run, objective="agreement")


def same(run: Run) -> Run:
    return run


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ((same, same), "Ship distilled-int8 in both runs."),
        ((same, same, same), "Ship distilled-int8 in all 3 runs."),
        ((same, other, same), "Of 3 runs ship distilled-int8 in 2 and int8 in 1."),
        ((same, none), "Of 2 runs ship distilled-int8 in 1 and none in 1."),
        ((same, silent), "Of 2 runs ship distilled-int8 in 1 and no verdict in 1."),
        ((none, none), "Ship none in both runs."),
        ((silent, silent), "No verdict in 2 of 2 runs."),
        ((silent, none), "No verdict in 1 of 2 runs, and none to ship in 1."),
    ],
)
def test_one_sentence_over_several(sample: Run, kinds: tuple[object, ...], said: str) -> None:
    runs = [of_commit(kind(sample), f"{day}bcdef01", day) for day, kind in enumerate(kinds, 1)]  # type: ignore[operator]
    assert gather(runs).headline == said


def test_the_order_they_are_given_in_changes_nothing(sample: Run) -> None:
    runs = [of_commit(sample, "abcdef01", 3), of_device(sample, "A GPU"), sample, of_pair(sample, name="another")]
    found = gather(runs)
    assert found == gather(runs[::-1])
    assert [(one.pair, one.device[:5]) for one in found.runs] == [
        ("another", "Synth"), ("synthetic", "A GPU"), ("synthetic", "Synth"), ("synthetic", "Synth")
    ]  # fmt: skip
    assert found.spread == "2 pairs, 2 devices and 2 commits"


def test_a_run_given_twice_is_refused_also_as_a_copy(sample: Run, tmp_path: Path) -> None:
    for name in ("0001_a.json", "0002_copy.json"):
        (tmp_path / name).write_text(json.dumps(as_json(sample)))
    one, copy = load_run(tmp_path / "0001_a.json"), load_run(tmp_path / "0002_copy.json")
    for twice in ([one, one], [one, copy], [copy, of_commit(sample, "abcdef01", 3), one]):
        with pytest.raises(UsageError, match=r"0001_a\.json.*: the same run given twice; give each once"):
            gather(twice)


def test_a_record_without_surroundings_is_named_as_such(sample: Run) -> None:
    bare = replace(sample, environment={"schema": 1}, commit={}, datetime="")
    one = gather([bare]).runs[0]
    assert one.origin == (
        "a pair without name on a device that is not recorded", "commit not recorded", "date not recorded"
    )  # fmt: skip
