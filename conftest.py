"""The suites' door: options, session fixtures, and the hooks that keep pytest-benchmark's JSON true.

pytest suites --pair tiny                       everything, then the table and results/tiny/<device>/report.html
pytest suites --pair tiny -k int8               one variant (baseline is still the reference)
pytest suites --pair tiny --benchmark-disable   smoke: each target once, nothing is recorded
pytest suites --pair tiny --benchmark-compare   beside the last run on this kind of device
pytest suites --pair tiny --benchmark-compare --gate   exit code 1 where a row regressed, 3 where that cannot be told
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.distill.stopping import REQUEUE_CODE, Requeue, requeued_on_signal
from harness.errors import FirstSightError, oneline
from harness.image import check_start, require_sha256
from harness.pair import load_pair
from models.fault import ModelFault

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("firstsight", "FirstSight: which compressed form of the model should we ship?")
    group.addoption("--pair", metavar="NAME", help="what to measure: models/NAME.yaml, or the path of a pair file")
    group.addoption("--variants", metavar="A,B", help="only these (default: the pair's own), e.g. baseline,int8")
    group.addoption("--qa", metavar="SET:PATH", help="what is asked: a dataset and its folder, egothink:/data/EgoThink")
    group.addoption("--limit", metavar="N", type=int, help="at most N clips of each split")
    group.addoption("--seed", metavar="S", type=int, help="which clips: the order they are dealt to the splits in")
    group.addoption("--frames", metavar="N", type=int, help="frames a clip, at most (default: the pair's)")
    group.addoption("--weights", metavar="random", help="random: no checkpoints; speed and memory alone are measured")
    group.addoption(
        "--rotations", metavar="N", type=int, help="ask each multiple-choice question in N orders of its options"
    )
    group.addoption(
        "--similarity", metavar="DIR", help="a local sentence-embedding model: grade open answers by meaning too"
    )
    group.addoption(
        "--workloads", metavar="FILE", help="what latency is measured of: headline, or a file as suites/workloads.yaml"
    )
    group.addoption("--processes", metavar="N", type=int, help="processes that time the variants (default: the pair's)")
    group.addoption("--seeds", metavar="N", type=int, default=1, help="train each student N times (default: 1)")
    group.addoption("--rebuild", action="store_true", help="make every artifact again, whether it is found or not")
    group.addoption(
        "--cache", metavar="DIR", help="where artifacts are kept (default: $FIRSTSIGHT_CACHE or ./artifacts)"
    )
    group.addoption("--results", metavar="DIR", help="where records go (default: $FIRSTSIGHT_RESULTS or ./results)")
    group.addoption("--gate", action="store_true", help="with --benchmark-compare: fail (1) where a row regressed")
    group.addoption("--margin", metavar="PERCENT", type=float, default=5.0, help="ratios within it are the same (5)")
    group.addoption("--margin-points", metavar="POINTS", type=float, default=2.0, help="and differences of shares (2)")
    group.addoption("--across", metavar="FIELD,…", default="", help="gate although these differ: driver,… or all")
    group.addoption("--only-common", action="store_true", help="gate: rows that one run lacks are no error")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the pair before pytest-benchmark opens its storage: records belong to a pair and a kind of device."""
    if _is_distributed(config) and (config.option.pair is not None or any(map(_is_of_suites, config.args))):
        said = "-n: suites are timed, and tests beside each other disturb each other: leave -n (pytest-xdist) out"
        pytest.exit(said, returncode=FirstSightError.exit_code)
    if config.option.pair is None:
        return
    try:
        load_pair(config.option.pair)  # a slip of the pen is told before torch is imported
        check_start()
        if not config.option.benchmark_disable:
            require_sha256()
    except FirstSightError as error:
        pytest.exit(oneline(error), returncode=FirstSightError.exit_code)
    with warnings.catch_warnings():  # torch's own, of its own deprecated functions, while it is imported
        warnings.simplefilter("ignore", DeprecationWarning)
        from harness.doorway import Doorway  # needs torch; `pytest tests` should not wait for it
    from harness.gate.commit import commit_of, tag
    from harness.gate.session import baseline, terms_of

    try:
        terms, commit = terms_of(config.option), commit_of(ROOT)
        door = Doorway.open(config.option)
    except (FirstSightError, ModelFault) as error:
        pytest.exit(oneline(error), returncode=FirstSightError.exit_code)
    config.stash[DOOR], config.stash[COMMIT], config.stash[TERMS] = door, commit, terms
    config.add_cleanup(_requeue_on_signal())
    option = config.option
    if option.benchmark_storage == "file://./.benchmarks":
        option.benchmark_storage = f"file://{door.results}"
    if not option.benchmark_save and not option.benchmark_autosave:
        option.benchmark_autosave = tag(commit)
    option.benchmark_save_data = True
    if terms and option.benchmark_compare is True and option.benchmark_storage == f"file://{door.results}":
        option.benchmark_compare = baseline(door.results, commit) or True
    _mend_storage()
    # Our table is the one to read; theirs is shown when somebody compares.
    option.benchmark_quiet = option.benchmark_quiet or not (option.benchmark_compare or option.benchmark_verbose)


def _is_distributed(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs tests in workers, or this is one."""
    return getattr(config.option, "dist", "no") != "no" or hasattr(config, "workerinput")


def _is_of_suites(argument: str) -> bool:
    path = Path(argument.partition("::")[0]).resolve()
    return ROOT / "suites" in (path, *path.parents)


def _requeue_on_signal() -> Callable[[], object]:
    """A scheduler's signal stops the session; what was made is kept. What ends it is returned."""
    signals = ExitStack()
    signals.enter_context(requeued_on_signal())
    return signals.close


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    if isinstance(excinfo.value, Requeue):
        STOPPED.append(excinfo.value)


def _mend_storage() -> None:
    """pytest-benchmark 5.3 names its storage relative to the working directory when it compares runs of different
    machines, and dies of an INTERNALERROR when the storage lies elsewhere. Where it lies is name enough. How a run is
    kept there: `harness/gate/saving.py`.
    """
    from pytest_benchmark.storage.file import FileStorage

    from harness.gate.saving import save

    FileStorage.location, FileStorage.save = property(lambda storage: str(storage.path)), save


DOOR = pytest.StashKey["Doorway"]()
FAILED = pytest.StashKey[set[str]]()
LOST = pytest.StashKey[dict[tuple[str, str], str]]()  # variant, suite: why a test of it failed
REFUSED = pytest.StashKey[list[str]]()
COMMIT = pytest.StashKey[dict[str, Any]]()
TERMS = pytest.StashKey[Any]()
GATED = pytest.StashKey[int]()
FINISHED = pytest.StashKey[set[str]]()
UNTIMED = pytest.StashKey[bool]()
CUT = pytest.StashKey[str]()
CASES = ("variant", "trained_variant", "trained_student", "variant_files")  # fixtures that are a case
STOPPED: list[BaseException] = []  # by a scheduler


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> None:
    """Suites import torch, so that they are not opened to say what is missing."""
    if collection_path.parent == ROOT / "suites" and collection_path.suffix == ".py" and DOOR not in config.stash:
        pytest.exit("suites need a pair: pytest suites --pair tiny", returncode=FirstSightError.exit_code)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    in_suites = any(Path(str(item.fspath)).parent == ROOT / "suites" for item in items)
    if in_suites and config.stash[DOOR].random:
        silent = pytest.mark.skip(reason="random weights: what they answer means nothing")
        for item in items:
            if "teacher" in getattr(item, "fixturenames", ()):
                item.add_marker(silent)


# --- what is measured: variants × workloads --------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if DOOR not in metafunc.config.stash:
        return
    door = metafunc.config.stash[DOOR]
    names = metafunc.fixturenames
    if "trained_variant" in names:
        cases = [pytest.param(case, id=case.id) for case in door.cases(with_controls=True)]
        metafunc.parametrize("trained_variant", cases, indirect=True, scope="session")
    elif "trained_student" in names:
        cases = [pytest.param(case, id=case.id) for case in door.students()]
        metafunc.parametrize("trained_student", cases, indirect=True, scope="session")
    elif "variant" in names:
        cases = [pytest.param(case, id=case.id) for case in door.cases(with_controls=False)]
        metafunc.parametrize("variant", cases, indirect=True, scope="session")
    elif "variant_files" in names:
        cases = [pytest.param(case, id=case.id) for case in door.cases(with_controls=False)]
        metafunc.parametrize("variant_files", cases, indirect=True, scope="session")
    if "workload" in names:
        metafunc.parametrize("workload", [pytest.param(w, id=w.id) for w in door.workloads], scope="session")


@pytest.fixture(scope="session")
def door(request: pytest.FixtureRequest) -> Any:
    """The open pair: its lineage of artifacts, its data, its device."""
    found = request.config.stash[DOOR]
    found.unmute(request.config.pluginmanager.getplugin("capturemanager"))
    return found


@pytest.fixture(scope="session")
def student(door: Any) -> Any:
    """The distilled student's weights: trained when first asked for, found by digest after."""
    return door.lineage.student("distilled")


@pytest.fixture(scope="session")
def loaded(door: Any, request: pytest.FixtureRequest) -> Any:
    """What makes a case ready to be examined; at most one model is in memory at a time.

    What was asked for on the command line is looked at first: a folder that is not there should not be found hours in.
    """
    assert door.questions
    door.similarity  # noqa: B018
    with door.unmuted():
        door.make_ahead(cases_of(request.session.items))
    return door.examined


def cases_of(items: list[pytest.Item]) -> list[Any]:
    """The variants that the collected tests will ask for."""
    from harness.doorway import Case  # where nothing fits a test, pytest skips it with a parameter that is no case

    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    found = dict.fromkeys(one[name] for one in params for name in CASES if name in one)
    return [one for one in found if isinstance(one, Case)]


@pytest.fixture(scope="session")
def variant(request: pytest.FixtureRequest, loaded: Any) -> Any:
    """A variant, loaded once for the tests that follow each other on it."""
    return loaded(request.param)


@pytest.fixture(scope="session")
def trained_variant(request: pytest.FixtureRequest, loaded: Any) -> Any:
    """As `variant`, with the controls, and every seed of what was trained."""
    return loaded(request.param)


@pytest.fixture(scope="session")
def trained_student(request: pytest.FixtureRequest, loaded: Any) -> Any:
    """A training of what may be shipped, every seed of it: what its artifact tells. No model is loaded."""
    return loaded(request.param)


@pytest.fixture(scope="session")
def variant_files(request: pytest.FixtureRequest, door: Any) -> Any:
    """Where a variant's weights lie: for suites that load it in a process of its own."""
    return door.files(request.param)


@pytest.fixture(scope="session")
def questions(door: Any) -> Any:
    """The held-out questions."""
    return door.questions


@pytest.fixture(scope="session")
def teacher(door: Any) -> Any:
    """The reference: the teacher's own answers to the held-out questions, and its states along them."""
    return door.reference


@pytest.fixture(scope="session")
def blind(door: Any) -> Any:
    """What can be had without looking at a frame."""
    return door.blind


@pytest.fixture(scope="session")
def similarity(door: Any) -> Any:
    """How near an answer is to gold in meaning, where --similarity names a model for it; else None."""
    return door.similarity


@pytest.fixture
def examine(door: Any, trained_variant: Any, teacher: Any) -> Any:
    """Free answers, then teacher forcing along the reference's answers. The model is loaded before the clock starts."""
    assert trained_variant.model
    return door.examine


@pytest.fixture
def look(door: Any, trained_variant: Any) -> Any:
    """What a variant still answers without its frames, and with them in another order."""
    return lambda answers: door.look(trained_variant, answers)


@pytest.fixture
def in_orders(door: Any, trained_variant: Any) -> Any:
    """A variant's answers to some multiple-choice questions in every order of their options."""
    return lambda answers: door.in_orders(trained_variant, answers)


@pytest.fixture
def one_request(door: Any) -> Any:
    """A request for a fresh process: one clip, one question."""
    return door.one_request


@pytest.fixture(scope="session")
def timed(door: Any, request: pytest.FixtureRequest) -> Any:
    """A variant's rounds under a workload, and what makes figures of a row of them. All that will be asked for are
    timed when the first is: in turn, so that the machine's drift meets all of them alike.
    """
    wanted = [item for item in request.session.items if "timed" in getattr(item, "fixturenames", ())]
    params = [item.callspec.params for item in wanted if hasattr(item, "callspec")]
    cases = list(dict.fromkeys(found["variant_files"] for found in params))
    workloads = list(dict.fromkeys(found["workload"] for found in params))
    found: list[Any] = []

    def timed(files: Any, workload: Any) -> Any:
        if not found:
            try:
                with door.unmuted():
                    door.make_ahead(cases)
                found.append(door.time(cases, workloads, smoke=_benchmarks(request.config).disabled))
            except Exception as error:  # the other rows fail of it too; they do not try again for minutes
                found.append(error)
                request.config.stash[UNTIMED] = True
        if isinstance(found[0], Exception):
            raise found[0]
        rounds = found[0].of(files.case.variant.name, workload)
        if rounds.impossible:
            pytest.skip(rounds.impossible)
        return rounds, lambda row: door.figures(files, row, rounds, found[0].ceilings)

    return timed


@pytest.fixture
def record(benchmark: Any, door: Any, request: pytest.FixtureRequest) -> Any:
    """Attach a Record to the benchmark's row: this is what the report reads."""

    def attach(suite: str, workload: Any, measurements: Any, invalid: Sequence[str] = (), **details: Any) -> None:
        if benchmark.disabled:
            return
        params = request.node.callspec.params
        case = next(params[name] for name in CASES if name in params)
        benchmark.extra_info["firstsight"] = door.extra_info(case, suite, workload, measurements, details, invalid)

    return attach


REFUSAL = "firstsight: "


# --- pytest-benchmark's JSON -----------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Errors that a user can mend are one line in pytest's report, wherever they are raised; anything else keeps its
    traceback.
    """
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "teardown":
        item.config.stash.setdefault(FINISHED, set()).add(item.nodeid)
    if report.failed and DOOR in item.config.stash:
        item.config.stash.setdefault(FAILED, set()).add(item.nodeid)
        _lose(item, call)
        if call.excinfo and isinstance(call.excinfo.value, (FirstSightError, ModelFault)):
            report.longrepr = f"{REFUSAL}{oneline(call.excinfo.value)}"
            item.config.stash.setdefault(REFUSED, []).append(report.longrepr)


def _lose(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """A failed test is in no row; that a variant is missing, and why, is told with the environment."""
    params = getattr(item, "callspec", None)
    case = next((params.params[name] for name in CASES if params and name in params.params), None)
    if case is not None and hasattr(case, "variant"):
        from harness.options import why_without_folders

        suite = item.path.stem.removeprefix("test_")
        why = why_without_folders(call.excinfo.value if call.excinfo else "")
        item.config.stash.setdefault(LOST, {}).setdefault((case.variant.name, suite), why)


def _benchmarks(config: pytest.Config) -> Any:
    """pytest-benchmark's session: what was measured, and how it is saved. It has no public name."""
    return config._benchmarksession  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """A failed test's numbers never enter a record: they leave before pytest-benchmark saves. Those of a session that
    was cut short are saved apart: the next run would be held against half a run.
    """
    config = session.config
    if DOOR in config.stash:
        failed = config.stash.get(FAILED, set())
        saved = _benchmarks(config)
        saved.benchmarks[:] = [bench for bench in saved.benchmarks if bench.fullname not in failed]
        if why := _cut_short(session):
            from harness.gate.saving import cut

            config.stash[CUT] = why
            saved.save, saved.autosave = None, cut(saved.save or saved.autosave)
    try:
        yield
    except FirstSightError as error:  # the record found no room
        config.get_terminal_writer().line(f"\n{REFUSAL}{oneline(error)}")
        session.exitstatus = FirstSightError.exit_code
        return
    if STOPPED:
        session.exitstatus = REQUEUE_CODE
    elif config.stash.get(REFUSED, None):
        session.exitstatus = FirstSightError.exit_code
    elif session.exitstatus == pytest.ExitCode.OK:  # failed tests stay failed
        session.exitstatus = config.stash.get(GATED, 0)


def _cut_short(session: pytest.Session) -> str:
    """Why not all that was asked is in this session: Ctrl-C, a scheduler, -x, or variants that could not be timed."""
    items, finished = getattr(session, "items", []), session.config.stash.get(FINISHED, set())
    done = sum(item.nodeid in finished for item in items)
    if done < len(items):
        return f"stopped after {done} of {len(items)} tests"
    return "the variants could not be timed" if session.config.stash.get(UNTIMED, False) else ""


def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any] | None:
    """The commit of this code; pytest-benchmark would ask git in the working directory."""
    return dict(config.stash[COMMIT]) if COMMIT in config.stash else None


@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, benchmarksession: Any, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """One line on the fields that differ; pytest-benchmark, asked next, would print both in full, command and all."""
    if DOOR in config.stash:
        from harness.gate.session import machine_words

        if words := machine_words(machine_info, compared_benchmark["machine_info"]):
            benchmarksession.logger.warning(words)
        compared_benchmark["machine_info"] = machine_info


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    if DOOR in config.stash:
        told = config.stash[DOOR].environment(config.invocation_params.args)
        lost = config.stash.get(LOST, {})
        failed = [{"variant": variant, "suite": suite, "why": why} for (variant, suite), why in lost.items()]
        machine_info["firstsight"] = {**told, **({"failed": failed} if failed else {})}


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table and the report's path, from the record that was just saved."""
    if DOOR not in config.stash or config.option.collectonly:
        return
    saved = _benchmarks(config)
    if not saved.benchmarks:
        terminalreporter.write_line("nothing was recorded: no report")
        if config.stash[TERMS]:
            config.stash[GATED] = FirstSightError.exit_code
        return
    if why := config.stash.get(CUT, ""):
        file = saved.storage.get(f"{saved.autosave}.json")
        terminalreporter.write_line(f"{REFUSAL}{why}: kept apart, no run is held against it: firstsight report {file}")
        if config.stash[TERMS]:
            config.stash[GATED] = FirstSightError.exit_code
        return
    terminalreporter.section("FirstSight", sep="=")
    terminalreporter.write_line(config.stash[DOOR].report(saved.storage.saved, saved.storage.path))
    if terms := config.stash[TERMS]:
        from harness.gate.session import after

        outcome = after(saved.storage.saved, saved.storage.path, saved.compared_mapping, terms)
        config.stash[GATED] = outcome.exit_code
        terminalreporter.section("gate", sep="-")
        terminalreporter.write_line(outcome.text)
