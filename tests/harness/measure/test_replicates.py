"""Several processes time the variants in turn; broken rounds are left out and told, and too many leave nothing said."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelError
from harness.measure import replicates as replicates_module
from harness.measure import worker
from harness.measure.replicates import Replicates, Timed, replicates
from harness.measure.timing import ROWS, Workload
from harness.measure.worker import Job, Loading

ASKED = Workload(frames=4, batch=1, new_tokens=3)


def job(micro: Any, *loadings: Loading, rounds: int = 3, **changes: Any) -> Job:
    return Job(
        variants=loadings,
        workloads=(vars(ASKED),),
        data=micro.data.model_dump(mode="json"),
        split="test",
        device="cpu",
        threads=1,
        rounds=rounds,
        least_warmup=1,
        most_warmup=2,
        ceilings=True,
        energy=True,
        **changes,
    )


@pytest.fixture(scope="module")
def loadings(build: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loading, ...]:
    made = []
    for name, side, kind in (("baseline", "teacher", "egogpt"), ("distilled", "student", "qwen2_vl")):
        folder = tmp_path_factory.mktemp(name)
        build(side).save(folder)
        made.append(Loading(name, kind, "harness.variants:native", str(folder), {}))
    return tuple(made)


@pytest.fixture(scope="module")
def timed(micro: Any, loadings: tuple[Loading, ...]) -> tuple[Replicates, list[tuple[int, int, str]]]:
    told: list[tuple[int, int, str]] = []
    found = replicates(job(micro, *loadings), 2, lambda *said: told.append(said))
    return found, told


@pytest.mark.slow
def test_every_variant_is_timed_in_every_process(timed) -> None:
    found, told = timed
    for variant in ("baseline", "distilled"):
        processes = found.of(variant, ASKED).processes
        assert [len(one["rounds"]) for one in processes] == [3, 3]
        assert all(len(taken["tokens"]) == 2 for one in processes for taken in one["rounds"])
        assert all(one["prompt_tokens"] > 4 and one["frame_size"] == [96, 96] for one in processes)
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.slow
def test_each_process_takes_the_variants_in_another_order(timed) -> None:
    order = [note.split(": ")[1].split()[0] for _, _, note in timed[1]]
    assert order == ["baseline", "distilled", "distilled", "baseline"]


@pytest.mark.slow
def test_the_first_process_tells_what_the_device_can_do_at_best(timed) -> None:
    from harness.measure.ceilings import ceilings_from

    assert ceilings_from(timed[0].ceilings).copy.bytes_per_second > 1e8


@pytest.mark.slow
def test_a_cpu_has_no_joules_and_says_why(timed) -> None:
    energy = timed[0].of("baseline", ASKED).processes[0]["energy"]
    assert "no GPU" in energy["absent"]


# --- what a process says, without starting one ----------------------------------------------------


def line(answers: list[float], broken: dict[int, str] | None = None, **changes: Any) -> dict[str, Any]:
    rounds = [
        {
            **{row: seconds for row in ROWS if row != "itl"},
            "tokens": [seconds / 2, seconds / 3],
            "broken": [],
            "ruler": 1e-3,
        }
        for seconds in answers
    ]
    for at, text in (broken or {}).items():
        rounds[at]["broken"] = [["cpu wait", text]]
    told = {"warmup": [1.0], "steady": True, "notes": [], "wall": {}, "stolen_ticks": 0, "busy_ticks": 0, "ruler": "2"}
    told |= {"threads": 1, "machine": {"load": [0.1, 0.2, 0.4]}}
    return {"rounds": rounds, "prompt_tokens": 9, "frame_size": [8, 8], "still": False, **told, **changes}


def timed_by(*lines: dict[str, Any]) -> Timed:
    return Timed(ASKED, [{**one, "place": place} for place, one in enumerate(lines)], places=len(lines))


def test_broken_rounds_are_left_out_and_shown() -> None:
    found = timed_by(line([1.0, 9.0, 1.1], {1: "others held the CPU"}), line([1.2, 1.3, 1.4]))
    assert found.groups("answer") == ((1.0, 1.1), (1.2, 1.3, 1.4))
    assert found.groups("itl")[0] == pytest.approx((0.5, 1 / 3, 0.55, 1.1 / 3))
    shown = found.as_json()["processes"][0]["broken"]
    assert shown == [{"round": 1, "answer_ms": 9000.0, "why": ["others held the CPU"]}]
    assert found.invalid_reasons == ()


def test_with_too_few_valid_rounds_nothing_is_concluded() -> None:
    broken = dict.fromkeys(range(4), "others held the CPU for 30 % of the time (limit 10 %)")
    found = timed_by(line([1.0] * 6, broken), line([1.0] * 6, broken))
    (reason,) = found.invalid_reasons
    assert reason.startswith("8 of 12 rounds are broken, 8 by cpu wait, as: others held the CPU for 30 %")


def test_a_process_that_lost_most_of_its_rounds_keeps_its_place() -> None:
    """So that the third process of one variant is still held against the third of another."""
    found = timed_by(line([1.0] * 4), line([2.0] * 4, dict.fromkeys(range(3), "x")), line([3.0] * 4))
    assert found.groups("answer") == ((1.0,) * 4, (), (3.0,) * 4)
    assert [len(group) for group in found.rulers("answer")] == [4, 0, 4]


def test_of_a_card_rounds_are_held_against_no_ruler() -> None:
    without = line([1.0] * 4, ruler=None)
    for taken in without["rounds"]:
        taken["ruler"] = None
    found = timed_by(without)
    assert found.rulers("answer") == ()
    assert found.as_json()["ruler"] is None


def test_a_handful_of_rounds_is_too_few_although_none_is_broken() -> None:
    assert timed_by(line([1.0] * 4)).invalid_reasons == ("4 rounds were timed, fewer than 5",)
    assert timed_by(line([1.0] * 5)).invalid_reasons == ()


def test_a_hypervisor_that_took_the_cpu_breaks_the_run() -> None:
    found = timed_by(line([1.0] * 6, stolen_ticks=9, busy_ticks=91))
    assert found.invalid_reasons == ("the hypervisor gave 9% of the CPU time to others (limit 5%)",)
    assert timed_by(line([1.0] * 6, stolen_ticks=2, busy_ticks=8)).invalid_reasons == (), "too few ticks to tell"


def test_a_variant_that_most_processes_could_not_time_has_no_verdict() -> None:
    """Memory ran out in two of three: what the third measured is not what the variant does."""
    found = Timed(ASKED, [{**line([1.0] * 6), "place": 2}], places=3, error="CUDA out of memory")
    assert found.invalid_reasons == ("1 of 3 processes could time it: CUDA out of memory",)
    assert (found.as_json()["asked"], found.as_json()["failed"]) == (3, "CUDA out of memory")
    assert "failed" not in timed_by(line([1.0] * 6)).as_json()


def test_a_process_that_met_a_slower_card_throughout_is_seen_beside_the_others() -> None:
    lines = [line([1.0] * 4) for _ in range(3)]
    for one, clock in zip(lines, (1980, 1200, 1965), strict=True):
        for taken in one["rounds"]:
            taken["sm_mhz"] = clock
    replicates_module._break_slow_moments(lines)
    assert [sum(bool(taken["broken"]) for taken in one["rounds"]) for one in lines] == [0, 4, 0]
    assert lines[1]["rounds"][0]["broken"] == [
        ["clock drop", "the SM clock was 39 % below the run's median (limit 10 %)"]
    ]


def test_rounds_that_are_all_broken_are_still_replayed() -> None:
    found = timed_by(line([2.0, 3.0], {0: "x", 1: "x"}))
    assert found.groups("ttft") == ()
    assert found.replayed("ttft") == [2.0, 3.0]
    assert found.replayed("itl") == pytest.approx([1.0, 2 / 3, 1.5, 1.0])


def test_sweeps_are_timed_by_the_first_processes_alone(micro: Any, monkeypatch) -> None:
    swept = Workload(frames=8, batch=1, new_tokens=3)
    jobs: list[Job] = []

    def lines(one: Job, timeout_s: float) -> Any:
        jobs.append(one)
        yield from ({"variant": "int8", "workload": dict(asked), **line([1.0])} for asked in one.workloads)

    monkeypatch.setattr("harness.measure.replicates.lines_of", lines)
    asked = replace(job(micro, Loading("int8", "egogpt", "-", "-", {})), workloads=(vars(ASKED), vars(swept)))
    told: list[tuple[int, int, str]] = []
    found = replicates(asked, 5, lambda *said: told.append(said), [swept])
    assert [len(one.workloads) for one in jobs] == [2, 2, 2, 1, 1]
    assert [one.ceilings for one in jobs] == [True, False, False, False, False]
    assert (len(found.of("int8", ASKED).processes), len(found.of("int8", swept).processes)) == (5, 3)
    assert (found.of("int8", ASKED).sweep, found.of("int8", swept).sweep) == (False, True)
    assert told[-1][:2] == (8, 8)


def test_a_moment_in_which_the_ruler_was_slow_breaks_its_rounds(micro: Any, monkeypatch) -> None:
    disturbed = line([1.0, 1.0, 1.0])
    disturbed["rounds"][1]["ruler"] = 1.4e-3
    said = [{"variant": "int8", "workload": vars(ASKED), **one} for one in (disturbed, line([1.0, 1.0, 1.0]))]
    monkeypatch.setattr("harness.measure.replicates.lines_of", lambda one, timeout_s: iter([said.pop(0)]))
    found = replicates(job(micro, Loading("int8", "egogpt", "-", "-", {})), 2, lambda *_: None).of("int8", ASKED)
    assert [len(group) for group in found.groups("answer")] == [2, 3]
    why = found.as_json()["processes"][0]["broken"][0]["why"]
    assert why == ["a fixed piece of work took 40% longer than usual (limit 25%)"]


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_job_is_the_same_after_its_journey(micro: Any) -> None:
    one = job(micro, Loading("baseline", "egogpt", "harness.variants:native", "/x", {"a": 1}))
    assert asdict(Job.from_json(json.dumps(asdict(one)))) == json.loads(json.dumps(asdict(one)), object_hook=dict) | {
        "variants": tuple(asdict(one)["variants"]),
        "workloads": tuple(asdict(one)["workloads"]),
        "sweeps": (),
    }


def test_of_short_rounds_there_are_more_until_their_median_is_known(micro: Any, loadings, monkeypatch) -> None:
    monkeypatch.setattr("harness.measure.enough.Enough.__init__.__defaults__", (0.5,))
    line, _ = worker.work(job(micro, loadings[1], rounds=2, precision=1e-9))  # never known so well
    assert sum(taken["media"] + taken["answer"] for taken in line["rounds"]) >= 0.5
    assert 0 < line["median_error"] < 1


def test_a_sweep_is_not_asked_to_be_that_precise(micro: Any, loadings) -> None:
    line, _ = worker.work(job(micro, loadings[1], rounds=2, precision=1e-9, sweeps=(vars(ASKED),)))
    assert len(line["rounds"]) == 2
    assert line["median_error"] is None  # two rounds do not tell


def test_a_variant_that_cannot_be_loaded_does_not_stop_the_others(micro: Any, loadings, tmp_path: Path) -> None:
    gone = replace(loadings[0], variant="int8", folder=str(tmp_path / "gone"))
    lines = list(worker.work(job(micro, gone, loadings[1], rounds=1)))
    assert lines[0]["variant"] == "int8"
    assert lines[0]["workload"] is None
    assert "gone" in lines[0]["error"]
    assert lines[1]["variant"] == "distilled"
    assert len(lines[1]["rounds"]) == 1
    assert "ceilings" in lines[2]


def test_an_error_that_nobody_expected_says_its_type_and_where(micro: Any, loadings) -> None:
    """A kernel that this card has not raises what it likes: the other variants are timed all the same."""
    wrong = replace(loadings[0], loader="harness.variants:not_there")
    told, timed, _ = worker.work(job(micro, wrong, loadings[1], rounds=1))
    assert told["workload"] is None
    assert told["error"].startswith("AttributeError at worker.py:")
    assert timed["rounds"]


def test_more_frames_than_the_context_holds_are_told_and_the_next_workload_is_timed(micro: Any, loadings) -> None:
    many = replace(job(micro, loadings[1], rounds=1), workloads=({**vars(ASKED), "frames": 2000}, vars(ASKED)))
    told, timed, _ = worker.work(many)
    assert "context holds" in told["error"]
    assert timed["rounds"]


def test_of_a_variant_that_could_not_be_loaded_the_reason_is_raised() -> None:
    found = Replicates({("int8", ASKED): Timed(ASKED)}, failed={"int8": "no such folder"})
    with pytest.raises(ModelError, match="int8: no such folder"):
        found.of("int8", ASKED)


@pytest.mark.slow
def test_a_process_that_dies_is_one_line(micro: Any, loadings) -> None:
    wrong = replace(job(micro, loadings[0]), threads=0)
    with pytest.raises(ModelError, match=r"timed the variants failed, before the first variant: .*positive"):
        replicates(wrong, 1, lambda *_: None)


def dying(monkeypatch: Any, program: str) -> None:
    """Workers that run this program instead; the job is read first."""
    popen = subprocess.Popen
    command = [sys.executable, "-c", f"import json, os, sys, time; sys.stdin.read(); {program}"]
    monkeypatch.setattr("harness.measure.worker_process.subprocess.Popen", lambda _, **told: popen(command, **told))


SAYS = 'print(json.dumps({"variant": "int8", "workload": None, "error": "-"}), flush=True)'


@pytest.mark.parametrize(
    ("program", "timeout_s", "said"),
    [
        (f"{SAYS}; os.kill(os.getpid(), 9)", 60, "was ended by SIGKILL, after int8; too little memory?"),
        ("os.kill(os.getpid(), 6)", 60, "was ended by SIGABRT, before the first variant"),
        ("time.sleep(60)", 0.5, r"was not done in 0.5 s, before the first variant; killed"),
        ("os.write(1, b'{\"variant'); os.kill(os.getpid(), 9)", 60, "was ended by SIGKILL, before the first variant"),
    ],
)
def test_how_a_process_ended_is_told(micro: Any, monkeypatch: Any, program: str, timeout_s: float, said: str) -> None:
    dying(monkeypatch, program)
    with pytest.raises(ModelError, match=said):
        replicates(job(micro, Loading("int8", "egogpt", "-", "-", {})), 1, lambda *_: None, timeout_s=timeout_s)


def test_a_variant_that_could_not_be_loaded_does_not_hold_up_the_bar(micro: Any, monkeypatch: Any) -> None:
    dying(monkeypatch, SAYS)
    told: list[tuple[int, int, str]] = []
    replicates(job(micro, Loading("int8", "egogpt", "-", "-", {})), 2, lambda *said: told.append(said))
    assert [(done, total) for done, total, _ in told] == [(1, 2), (2, 2)]


def test_what_libraries_print_does_not_reach_the_answer(micro: Any, monkeypatch, capfd) -> None:
    monkeypatch.setattr(worker, "work", lambda job: iter([print("loading…") or {"ceilings": {}}]))
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(job(micro)))))
    monkeypatch.setattr(worker.os, "dup2", lambda *_: None)
    worker.main()
    assert capfd.readouterr().out.strip().splitlines()[-1] == '{"ceilings": {}}'
