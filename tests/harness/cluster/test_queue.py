"""What SLURM 22.05 said, captured from a real one with slurmdbd: a chain that fails in the middle, arrays, a cancelled
job, one that kills itself, one at its limit.
"""

from __future__ import annotations

import pytest

from harness.cluster.queue import Queued, parse_sacct, parse_squeue, queued

BUSY = """\
2_0|PENDING|0:00|2:00:00|(Dependency)
2_1|PENDING|0:00|2:00:00|(Dependency)
3|PENDING|0:00|2:00:00|(Dependency)
4_[1-3%2]|PENDING|0:00|2:00:00|(None)
5|PENDING|0:00|2:00:00|(Priority)
1|RUNNING|0:01|2:00:00|n1
4_0|RUNNING|0:01|2:00:00|n1
"""
LATER = """\
3|CANCELLED|0:00|2:00:00|
5|CANCELLED|0:00|2:00:00|
1|COMPLETED|0:02|2:00:00|n1
2_0|COMPLETED|0:00|2:00:00|n1
2_1|FAILED|0:00|2:00:00|(NonZeroExitCode)
6|FAILED|0:01|2:00:00|(JobLaunchFailure)
7|RUNNING|0:07|1:00|n1
"""
ACCOUNTS = """\
1|COMPLETED|0:0|00:00:02|2026-11-25T07:54:59
3|CANCELLED|0:0|00:00:00|2026-11-25T07:55:01
5|CANCELLED by 0|0:0|00:00:00|2026-11-25T07:55:02
6|FAILED|0:9|00:00:01|2026-11-25T07:55:07
7|RUNNING|0:0|00:00:07|Unknown
2_1|FAILED|1:0|00:00:00|2026-11-25T07:55:00
"""


def test_the_queue_by_task() -> None:
    found = {one.id: one for one in parse_squeue(BUSY)}
    assert found["1"] == Queued("1", "RUNNING", "0:01", "2:00:00", "n1")
    assert found["3"].reason == "Dependency"
    assert [found[f"4_{task}"].state for task in range(4)] == ["RUNNING", "PENDING", "PENDING", "PENDING"]


def test_jobs_that_have_ended_and_are_still_known() -> None:
    found = {one.id: one for one in parse_squeue(LATER)}
    assert (found["2_1"].state, found["2_1"].reason) == ("FAILED", "NonZeroExitCode")
    assert found["3"] == Queued("3", "CANCELLED", "0:00", "2:00:00", "")


def test_accounts_tell_how_a_job_ended() -> None:
    found = {one.id: one for one in parse_sacct(ACCOUNTS)}
    assert found["5"].state == "CANCELLED"
    assert (found["6"].state, found["6"].reason) == ("FAILED", "signal 9")
    assert found["2_1"].reason == "exit code 1"


def test_a_job_that_was_requeued_counts_as_it_stands_now() -> None:
    twice = "8|NODE_FAIL|0:0|00:00:05|2026-11-25T07:54:00\n8|RUNNING|0:0|00:00:01|Unknown\n"
    assert [one.state for one in parse_sacct(twice)] == ["RUNNING"]


@pytest.mark.parametrize(
    "text", ["", "slurm_load_jobs error: Unable to contact slurm controller", "|||||", "a|b|c|d|e"]
)
def test_what_is_no_answer_is_passed_over(text: str) -> None:
    assert parse_squeue(text) == parse_sacct(text) == []


def test_without_slurm_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert queued(["1"]) is None
    assert queued([]) == {}


def test_what_squeue_said_elsewhere_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = queued(["2"], LATER)
    assert found is not None
    assert list(found) == ["2_0", "2_1"], "of these jobs only"
