"""The suites as a user runs them: plain `pytest suites`, in a process of its own, on the micro pair.

pytest tests/suites -m slow

Runs after the first are forked with torch imported (tests/warm.py).
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.record import load_run
from tests import warm

ROOT = Path(__file__).resolve().parents[2]
MICRO = str(ROOT / "tests" / "data" / "micro.yaml")


@dataclass
class Home:
    """Artifacts and results of this test session, and a way to run the suites on them."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        places = ["--cache", str(self.folder / "artifacts"), "--results", str(self.folder / "results")]
        return ["-m", "pytest", "suites", *places, "--workloads", "headline", *arguments]

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return warm.run(self.command(*arguments), cwd=ROOT, env=env)

    @property
    def results(self) -> Path:
        return next((self.folder / "results" / "micro").iterdir())

    def records(self) -> list[Path]:
        return sorted(self.results.rglob("0*.json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first(home: Home) -> subprocess.CompletedProcess[str]:
    """Everything, from nothing: an interpreter that trains, measures, reports."""
    return subprocess.run(
        [sys.executable, *home.command("--pair", MICRO)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_first_run_trains_measures_and_says_what_to_ship(home: Home, first) -> None:
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-2000:]
    assert "teacher: sees" in first.stdout + first.stderr, "training is watched"
    assert "report:" in first.stdout
    assert (home.results / "report.html").read_text().count("<html") == 1
    run = load_run(home.results)
    rows = {(record.suite, record.variant) for record in run.records}
    deployable = {"baseline", "int8", "distilled", "distilled-int8"}
    assert {variant for suite, variant in rows if suite == "latency"} == deployable
    assert {variant for suite, variant in rows if suite == "vram"} == deployable
    controls = {"undistilled", "finetuned", "hard-labels"}
    assert {variant for suite, variant in rows if suite == "agreement"} == deployable | controls


@pytest.mark.slow
def test_every_measurement_has_a_unit_a_count_and_how_it_was_made(home: Home, first) -> None:
    for record in load_run(home.results).records:
        assert record.artifacts, "the digest of the weights"
        for measurement in record.measurements:
            assert measurement.unit
            assert measurement.n >= 1 or measurement.absent
            assert measurement.how


@pytest.mark.slow
def test_the_students_price_is_in_the_record_and_on_the_page(home: Home, first) -> None:
    found = {m.metric: m for record in load_run(home.results).records for m in record.measurements}
    for metric in ("distil_seconds", "tokens_per_second", "peak_training_memory", "held_out_kl", "top1_agreement"):
        assert found[metric].value is not None, found[metric].absent
    assert 'id="cost"' in (home.results / "report.html").read_text()


@pytest.mark.slow
def test_baseline_agrees_with_itself_exactly(home: Home, first) -> None:
    run = load_run(home.results)
    record = next(r for r in run.records if r.suite == "agreement" and r.variant == "baseline")
    values = {m.metric: m.value for m in record.measurements}
    assert (values["agreement"], values["top1"], values["kl"], values["flips"]) == (1.0, 1.0, 0.0, 0.0)


@pytest.mark.slow
def test_the_second_run_finds_every_artifact_and_compares_with_the_first(home: Home, first) -> None:
    before = len(home.records())
    again = home.run("--pair", MICRO, "--variants", "baseline,distilled", "-k", "ttft", "--benchmark-compare")
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-2000:]
    assert "sees" not in again.stdout + again.stderr, "nothing is trained again"
    assert "(0001_" in again.stdout, "pytest-benchmark's own table shows both runs"
    assert len(home.records()) == before + 1


@pytest.mark.slow
def test_a_form_that_no_training_of_this_run_makes_is_measured_alone(home: Home, first) -> None:
    """As a job of a cluster does, one variant each: the teacher is the reference, and not a row."""
    alone = home.run("--pair", MICRO, "--variants", "int8", "-k", "agreement or price")
    assert alone.returncode == 0, alone.stdout[-3000:] + alone.stderr[-2000:]
    assert {record.variant for record in load_run(home.records()[-1]).records} == {"int8"}


@pytest.mark.slow
def test_disabled_benchmarks_run_each_target_once_and_record_nothing(home: Home, first) -> None:
    before = home.records()
    smoke = home.run("--pair", MICRO, "--benchmark-disable", "-k", "baseline and not memory")
    assert smoke.returncode == 0, smoke.stdout[-3000:]
    assert "no report" in smoke.stdout
    assert home.records() == before


@pytest.mark.slow
def test_a_failed_tests_numbers_are_not_recorded(home: Home, first, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtest_call(item):\n"
        "    outcome = yield\n"
        "    if 'baseline' in item.name: outcome.force_exception(AssertionError('not good enough'))\n"
    )
    before = len(home.records())
    failed = home.run(
        *("--pair", MICRO, "-p", "failing", "--variants", "baseline,distilled", "-k", "agreement"),
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert failed.returncode == 1
    assert len(home.records()) == before + 1
    names = [row["name"] for row in json.loads(home.records()[-1].read_text())["benchmarks"]]
    assert names
    assert not [name for name in names if "baseline" in name]
    lost = {"variant": "baseline", "suite": "agreement", "why": "not good enough"}
    assert load_run(home.records()[-1]).environment["failed"] == [lost]
    assert "baseline, agreement: not good enough" in (home.results / "report.html").read_text()


@pytest.mark.slow
def test_an_altered_artifact_in_a_folder_of_the_users_is_named_and_left_alone(
    home: Home, first, tmp_path: Path
) -> None:
    weights = next((home.folder / "artifacts").glob("teacher-answers-*/model.safetensors"))
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + b"\x00")
        refused = home.run("--pair", MICRO, "-k", "ttft and baseline")
        assert refused.returncode == 2
        assert "model.safetensors" in refused.stdout
        assert "--rebuild" in refused.stdout
        assert "Traceback" not in refused.stdout
    finally:
        weights.write_bytes(whole)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "tinny"], "did you mean tiny?"),
        (["--pair", "no/such.yaml"], "no such pair file"),
        (["--pair", "tiny", "--variants", "int9"], "unknown variant 'int9'; there are baseline"),
        (["--pair", "tiny", "--seeds", "0"], "--seeds 0"),
        (["--pair", "tiny", "-n", "2"], "leave -n (pytest-xdist) out"),
        (["-n", "2"], "leave -n (pytest-xdist) out"),
        ([], "suites need a pair"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(home: Home, arguments: list[str], said: str) -> None:
    refused = home.run(*arguments)
    assert refused.returncode == 2
    assert said in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


@pytest.mark.slow
def test_a_scheduler_that_stops_a_run_may_requeue_it(tmp_path: Path) -> None:
    """SIGUSR1 to pytest alone, while processes of its own train: 75 (EX_TEMPFAIL), and nothing is left running."""
    places = ["--cache", str(tmp_path), "--results", str(tmp_path)]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "suites", "--pair", MICRO, *places, "-k", "memory"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "FIRSTSIGHT_BARS": "lines", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    told = next(line for line in run.stdout if "sees: 3/3" in line)
    os.kill(run.pid, signal.SIGUSR1)
    rest = run.stdout.read()
    assert run.wait(timeout=120) == 75, told + rest
    assert "Traceback" not in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)


# --- cut short ---------------------------------------------------------------------------------------

STOPPING = """
import os, signal, pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    stopped_by = os.environ["STOPPED_BY"] if "[int8]" in item.name else ""
    if stopped_by.startswith("SIG"):
        if stopped_by == "SIGINT":  # whoever is started in a shell's background ignores it
            signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), getattr(signal, stopped_by))
    outcome = yield
    if stopped_by == "-x":
        outcome.force_exception(AssertionError("not good enough"))

def pytest_configure(config):
    from harness.doorway import Doorway
    from harness.errors import ModelError
    def fails(*arguments, **told):
        raise ModelError("a process that timed the variants failed")
    Doorway.time = fails
"""


@pytest.mark.slow
def test_a_requeued_job_goes_on_with_what_was_answered_and_its_record_says_so(
    home: Home, first: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    """A scheduler stops it while int8 is answering. The reference is an artifact; what a variant says is the job's."""
    (tmp_path / "stopping.py").write_text(STOPPING)
    call = ("--pair", MICRO, "--variants", "baseline,int8", "-k", "agreement")
    told = {"PYTHONPATH": str(tmp_path), "FIRSTSIGHT_RESUME": str(tmp_path / "kept"), "STOPPED_BY": "SIGUSR1"}
    assert home.run(*call, "-p", "stopping", env=told).returncode == 75
    done = home.run(*call, env={"FIRSTSIGHT_RESUME": str(tmp_path / "kept")})
    assert done.returncode == 0, done.stdout[-3000:]
    found = {record.variant: record for record in load_run(home.records()[-1]).records}
    assert found["baseline"].details["resumed"] == "48 questions were answered before the job was requeued"
    assert "resumed" not in found["int8"].details
    outside = home.run(*call)
    assert outside.returncode == 0, outside.stdout[-3000:]
    alone = {record.variant: record for record in load_run(home.records()[-1]).records}
    assert not any("resumed" in record.details for record in alone.values()), "another run answers anew"
    for name, record in alone.items():
        assert record.details["items"] == found[name].details["items"]
        assert record.details["reference"]["found"] is True  # type: ignore[index, call-overload]
    begun = next(r for r in load_run(home.records()[0]).records if r.suite == "agreement")
    assert begun.details["reference"]["found"] is False  # type: ignore[index, call-overload]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "asked", "code", "said"),
    [
        ("SIGINT", "memory", 2, "stopped after 1 of 3 tests"),
        ("SIGUSR1", "memory", 75, "stopped after 1 of 3 tests"),
        ("-x", "memory", 1, "stopped after 2 of 3 tests"),
        ("", "(memory and distilled) or (ttft and batch1)", 2, "the variants could not be timed"),
    ],
)
def test_a_session_that_is_cut_short_is_no_baseline(tmp_path: Path, how: str, asked: str, code: int, said: str) -> None:
    """distilled is weighed; then somebody stops it, or -x does, or the phase that times all variants fails."""
    (tmp_path / "stopping.py").write_text(STOPPING)
    home = Home(tmp_path)
    arguments = ["--variants", "baseline,distilled,int8", "--weights", "random", "-k", asked, "-p", "stopping"]
    done = home.run(
        *("--pair", MICRO, *arguments, *(["-x"] if how == "-x" else [])),
        env={"PYTHONPATH": str(tmp_path), "STOPPED_BY": how},
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert f"firstsight: {said}: kept apart, no run is held against it: firstsight report" in done.stdout
    assert not home.records()
    kept = list(home.results.rglob("*.json"))
    assert [file.name.startswith("cut-short_") for file in kept] == [True]
    assert {record.variant for record in load_run(kept[0]).records} == {"distilled"}
    assert not list(home.results.rglob("report.html"))
