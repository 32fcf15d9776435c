"""suites/workloads.yaml: what latency is measured of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.measure.timing import Workload
from harness.measure.workloads import load_workloads


def test_the_first_workload_is_the_pairs_own(micro: Any) -> None:
    latency = micro.latency
    own = Workload(micro.data.frames, latency.batch_sizes[0], latency.new_tokens)
    found = load_workloads(None, micro)
    assert next(iter(found)) == own
    assert [one.batch for one, sweep in found.items() if not sweep] == list(latency.batch_sizes)
    assert sum(found.values()) >= 3
    assert {one.frames for one in found} == {2, 4, 8}


def test_the_headline_is_the_first_line_alone(micro: Any) -> None:
    assert load_workloads("headline", micro) == {Workload(4, 1, 4): False, Workload(4, 4, 4): False}


def test_a_file_of_ones_own(micro: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("- {frames: [pair, 16], batch: 2, new_tokens: x0.25}\n")
    found = load_workloads(str(tmp_path / "mine.yaml"), micro)
    assert list(found) == [Workload(4, 2, 2), Workload(16, 2, 2)], "an answer has two tokens at least"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {frames: 4, batch: 1}", "entry 1: must have the keys frames, batch, new_tokens"),
        ("- {frames: 4, batch: 1, new_tokens: 4, speed: 9}", "entry 1: must have the keys"),
        ("- {frames: 0, batch: 1, new_tokens: 4}", "entry 1: frames: 0: a number from 1"),
        ("- {frames: 4, batch: 1, new_tokens: 1}", "new_tokens: 1: a number from 2"),
        ("- {frames: 4, batch: true, new_tokens: 4}", "batch: True: a number"),
        ("- {frames: xx, batch: 1, new_tokens: 4}", "frames: xx: a number"),
        ("- {frames: xnan, batch: 1, new_tokens: 4}", "frames: xnan: a number"),
        ("frames: 4", "a list of {frames, batch, new_tokens}"),
        ("- {", "not YAML"),
        ("", "a list of"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(text: str, message: str, micro: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_workloads(str(tmp_path / "mine.yaml"), micro)
    assert message in str(caught.value)


def test_a_file_that_is_not_there(micro: Any) -> None:
    with pytest.raises(UsageError, match=r"--workloads none\.yaml: cannot be read \(No such file"):
        load_workloads("none.yaml", micro)
