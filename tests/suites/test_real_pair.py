"""The real pair's path at toy size, as a user runs it: the authors' layout, ears, MP4 files, every form of the model.

    pytest tests/suites/test_real_pair.py

From file to answer nothing here is a mock; only the weights are random and the sizes small.
"""

from __future__ import annotations

import gc
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness import doorway
from harness.doorway import Case, Doorway
from harness.errors import DataError, FirstSightError, ModelError
from harness.options import why_without_folders, without_folders
from harness.record import Run, load_run
from harness.report.verdict import decide
from harness.report.view import variants
from harness.variants import VARIANTS
from models.interface import Architecture
from tests import warm
from tests.harness.qa.film import film, photo

ROOT = Path(__file__).resolve().parents[2]
TWIN = "egogpt-qwen2vl-tiny"
FORMS = {"baseline": "native", "int8": "int8", "nf4": "nf4", "distilled": "native", "distilled-nf4": "nf4"}


def suites(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    places = ["--cache", str(folder / "artifacts"), "--results", str(folder / "results")]
    # offline: where there is a network, a test must not begin to fetch seventeen gigabytes
    env = {"FIRSTSIGHT_CACHE": str(folder / "artifacts"), "HF_HUB_OFFLINE": "1"}
    return warm.run(["-m", "pytest", "suites", *places, *arguments], cwd=ROOT, env=env, timeout=400)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 recordings of 3 s, some with sound, two of them photos; an open and a lettered question on each."""
    folder = tmp_path_factory.mktemp("kitchen")
    lines = []
    tone = (0.3 * np.sin(np.arange(48_000) / 7)).astype(np.float32)
    for number in range(24):
        media: object = f"{number}.mp4"
        if number < 22:
            film(folder / f"{number}.mp4", frames=30, rate=10, tone=tone if number % 2 else None)
        else:
            media = [photo(folder / f"{number}.jpg", number).name]
        lines += [
            {"id": f"{number}/open", "media": media, "question": "what is shown?", "answers": ["blocks", "squares"]},
            {
                "id": f"{number}/letter",
                "media": media,
                "question": "which hand?",
                "options": ["left", "right", "both"],
                "answer": "ABC"[number % 3],
                "type": "hand",
            },
        ]
    file = folder / "questions.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def measured(questions: Path, home: Path) -> tuple[subprocess.CompletedProcess[str], Run]:
    """Suites on a dataset of real files, distillation from it included; latency and memory of two forms."""
    done = suites(
        "--pair", TWIN, "--qa", f"jsonl:{questions}", "--variants", ",".join(FORMS),
        "-k", "test_agreement or (ttft and batch1)", "--workloads", "headline",
        folder=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return done, load_run(home / "results" / TWIN / "cpu")


@pytest.mark.slow
def test_from_mp4_to_answers_of_every_form(measured: tuple[object, Run]) -> None:
    _, run = measured
    answered = {record.variant: record for record in run.records if record.suite == "agreement"}
    assert set(answered) == set(FORMS)
    for name, record in answered.items():
        assert record.details["format"]["name"] == FORMS[name]  # type: ignore[index, call-overload]
        assert record.workload["questions"] == 12  # six clips, two questions each
    assert answered["int8"].details["format"]["llm_int8_threshold"] == 6.0  # type: ignore[index, call-overload]
    graded = {m.metric: m for m in answered["baseline"].measurements}
    assert graded["agreement"].value == 1.0
    assert graded["accuracy_likelihood"].n == 6
    assert graded["token_f1"].n == 6


@pytest.mark.slow
def test_a_record_says_which_set_but_not_where_it_lies(
    measured: tuple[object, Run], questions: Path, home: Path
) -> None:
    """Nor where anything else does: records and pages go into other hands."""
    _, run = measured
    assert run.environment["data"]["dataset"] == "jsonl"  # type: ignore[index, call-overload]
    assert run.path is not None
    page = home / "results" / TWIN / "cpu" / "report.html"
    for text in (run.path.read_text(), page.read_text()):
        assert questions.name in text
        assert str(questions.parent) not in text
        assert str(home) not in text


@pytest.mark.slow
def test_a_set_moved_elsewhere_is_the_same_set(measured: object, questions: Path, home: Path, tmp_path: Path) -> None:
    """Artifacts are found by what was read, not by where: nothing is trained again."""
    moved = tmp_path / "moved"
    questions.parent.rename(moved)
    try:
        done = suites(
            "--pair", TWIN, "--qa", f"jsonl:{moved / questions.name}", "--variants", "baseline,distilled",
            "-k", "test_agreement and distilled", "--benchmark-disable", folder=home,
        )  # fmt: skip
    finally:
        moved.rename(questions.parent)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "distilled student:" not in done.stdout + done.stderr


@pytest.mark.slow
def test_without_weights_speed_and_memory_are_measured_and_no_answer_is_judged(home: Path) -> None:
    done = suites(
        "--pair", TWIN, "--weights", "random", "--variants", "baseline,nf4,distilled-int8", "--frames", "4",
        "-k", "not batch2 and not (peak_memory and not baseline)", "--workloads", "headline", folder=home / "random",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "random weights: what they answer means nothing" in done.stdout
    assert "No verdict: the weights are random" in done.stdout
    run = load_run(home / "random" / "results" / TWIN / "cpu")
    assert run.environment["weights"] == "random"
    assert {record.suite for record in run.records} == {"latency", "vram"}
    assert decide(run).ship is None
    assert all("random" in (view.get("agreement").absent or "") for view in variants(run))
    page = (home / "random" / "results" / TWIN / "cpu" / "report.html").read_text()
    assert "No verdict: the weights are random" in page


def options(**given: Any) -> SimpleNamespace:
    """What the command line would hand to the door."""
    names = "variants cache results qa weights limit seed frames similarity rotations workloads processes"
    usual = dict.fromkeys(names.split())
    return SimpleNamespace(**{**usual, "pair": TWIN, "seeds": 1, "rebuild": False, **given})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"pair": "egogpt-qwen2vl"}, r"measures answers on real clips: --qa NAME:PATH \(ego.*--weights random"),
    ({"pair": "egogpt-qwen2vl", "weights": "mine"}, "--weights mine: can be random"),
    ({"qa": "egothink"}, "names no path: write egothink:/path/to/it"),
    ({"qa": "egothnk:/data"}, "unknown dataset 'egothnk'"),
    ({"limit": 0}, "--limit 0: at least 1"),
    ({"frames": -1}, "--frames -1: at least 1"),
    ({"seed": -1}, "--seed -1: at least 0"),
    ({"rotations": 0}, "--rotations 0: at least 1"),
    ({"processes": 0}, "--processes 0: at least one has to time the variants"),
    ({"workloads": "no/such.yaml"}, r"--workloads no/such\.yaml: cannot be read"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=[str(given) for given, _ in REFUSED])
def test_what_cannot_be_measured_is_refused_in_one_line(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(FirstSightError, match=said):
        Doorway.open(options(cache=str(tmp_path), results=str(tmp_path), **given))


def test_a_set_that_is_not_there_is_said_when_it_is_asked(tmp_path: Path) -> None:
    door = Doorway.open(options(cache=str(tmp_path), results=str(tmp_path), qa="egothink:/no/such"))
    with pytest.raises(DataError, match="egothink: no folder or file /no/such"):
        door.questions  # noqa: B018


def test_an_embedding_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    door = Doorway.open(options(cache=str(tmp_path), results=str(tmp_path), similarity="/no/such"))
    with pytest.raises(ModelError, match="--similarity /no/such: no such folder"):
        door.similarity  # noqa: B018


def test_too_few_recordings_for_the_pairs_splits_are_counted(questions: Path, tmp_path: Path) -> None:
    door = Doorway.open(options(pair="tiny", cache=str(tmp_path), results=str(tmp_path), qa=f"jsonl:{questions}"))
    with pytest.raises(DataError, match=r"24 recordings .* are too few for data.splits"):
        door.questions  # noqa: B018


def test_clips_are_limited_and_dealt_by_seed(questions: Path, tmp_path: Path) -> None:
    places = {"cache": str(tmp_path), "results": str(tmp_path), "qa": f"jsonl:{questions}"}
    asked = [[item.id for item in Doorway.open(options(**places, limit=2, seed=seed)).questions] for seed in (0, 0, 1)]
    assert len(asked[0]) == 4
    assert asked[0] == asked[1] != asked[2]


def test_questions_with_options_are_asked_in_as_many_orders_as_wanted(questions: Path, tmp_path: Path) -> None:
    places = {"cache": str(tmp_path), "results": str(tmp_path), "qa": f"jsonl:{questions}"}
    asked = Doorway.open(options(**places, limit=2, rotations=3)).questions
    assert len(asked) == 2 * (1 + 3)  # an open question and a lettered one on each of two clips


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("egothink:/data/sets/EgoThink:Activity", "egothink:…/EgoThink:Activity"),
        ("--cache=/scratch/me/cache", "--cache=…/cache"),
        ("~/pairs/mine.yaml", "…/mine.yaml"),
        ("suites/test_latency.py", "suites/test_latency.py"),
        ("not whole_answer and not batch2", "not whole_answer and not batch2"),
    ],
)
def test_folders_are_cut_from_the_command_that_a_record_tells(argument: str, told: str) -> None:
    assert without_folders(argument) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(2, "No such file", "/scratch/me/x.bin"), "[Errno 2] No such file: '…/x.bin'"),
        (RuntimeError("CUDA out of memory\nTried 2 GiB"), "CUDA out of memory Tried 2 GiB"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_folders_are_cut_from_what_a_failure_says(error: Exception, told: str) -> None:
    assert why_without_folders(error) == told


def test_one_model_at_a_time_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever pytest keeps of the cases it handed out: two of these would not fit a card."""
    door = Doorway.open(options(cache=str(tmp_path), results=str(tmp_path)))
    alive: list[int] = []

    def load(variant: Any, *rest: Any, **more: Any) -> Any:
        alive.append(living() - others)
        return really(variant, *rest, **more)

    really = doorway.load
    monkeypatch.setattr(doorway, "load", load)
    baseline, int8 = (door.examined(Case(VARIANTS[name])) for name in ("baseline", "int8"))
    others = living()
    for case in (baseline, int8, baseline):
        assert case.model is case.model
    assert door.reference.answers.texts
    assert baseline.model
    assert alive == [0, 0, 0, 0], "the last one because baseline is loaded anew after it was the reference"


def living() -> int:
    gc.collect()
    return sum(isinstance(thing, Architecture) for thing in gc.get_objects())


@pytest.mark.slow
def test_a_missing_film_is_one_line_before_anything_is_trained(questions: Path, tmp_path: Path) -> None:
    lines = questions.read_text().splitlines()
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    for file in questions.parent.iterdir():
        if file.suffix != ".jsonl" and file.name != "3.mp4":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    done = suites(
        "--pair", TWIN, "--qa", f"jsonl:{tmp_path / 'questions.jsonl'}",
        "-k", "distilled and agreement and not int8 and not nf4", folder=tmp_path / "home",
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 2, said[-2000:]
    assert "clips of the split" in said
    assert "jsonl/3.mp4" in said
    assert "firstsight data check" in said
    assert "distilled student" not in said
    assert "Traceback" not in said
    assert "datasets.py:" not in said


@pytest.mark.slow
def test_real_weights_that_are_not_here_say_how_to_get_them(questions: Path, tmp_path: Path) -> None:
    """Through the real door: one line, exit code 2, no traceback."""
    done = suites("--pair", "egogpt-qwen2vl", "--qa", f"jsonl:{questions}", "-k", "baseline", folder=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said[-2000:]
    assert "`hf download lmms-lab/EgoGPT-7b-EgoIT-EgoLife`" in said
    assert "--weights random" in said
    assert "Traceback" not in said
