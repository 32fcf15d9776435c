"""`firstsight doctor` as a user meets it: on this machine, without torch, with a torch that ends the interpreter.

Real: this machine, an interpreter without packages. Fake: the folders named torch that stand before the real one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.doctor import Asked, examination, examine
from tests.conftest import MICRO

ROOT = Path(__file__).resolve().parents[3]


def doctor(
    *arguments: str, python: str = sys.executable, before: Path | None = None
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*([str(before)] if before else []), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [python, "-m", "harness.doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def named(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert not done.stderr, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)["checks"]}


@pytest.fixture(scope="module")
def here() -> subprocess.CompletedProcess[str]:
    """This machine, as it is."""
    return doctor("--json", "--pair", str(MICRO))


def test_every_check_says_what_was_found_and_what_is_not_well_has_a_remedy(here: Any) -> None:
    found = named(here)
    for name in (
        "Python",
        "dependencies",
        "video",
        "torch",
        "models run on",
        "int8",
        "nf4",
        "driver",
        "CPU",
        "threads",
    ):
        assert found[name]["found"], name
    for name in ("load", "memory", "swap", "cache", "results", "commit", "chromium", "Apptainer", "SLURM"):
        assert found[name]["found"], name
    for name in ("pair file", "teacher", "student", "data", "memory to answer", "memory to train"):
        assert found[name]["status"] == "ok", found[name]
    assert all(one["remedy"] for one in found.values() if one["status"] in ("warning", "will not work"))


def test_torch_and_its_products_work_where_the_tests_run(here: Any) -> None:
    found = named(here)
    assert [found[name]["status"] for name in ("torch", "models run on", "int8", "nf4", "video")] == ["ok"] * 5


def test_the_exit_code_is_that_of_its_json(here: Any) -> None:
    told = json.loads(here.stdout)
    broken = [one for one in told["checks"] if one["status"] == "will not work"]
    assert here.returncode == told["exit_code"] == (2 if broken else 0)


def test_without_torch_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")\n")
    done = doctor(before=tmp_path)
    assert done.returncode == 2
    assert "✗ will not work  torch          not installed\n" in done.stdout
    assert "→ pip install -r requirements.lock" in done.stdout
    assert "\x1b" not in done.stdout, "no colour where nobody looks"
    assert done.stdout.splitlines()[-1].startswith("Will not work here: torch, models run on, int8, nf4; ")


def test_a_torch_that_ends_the_interpreter_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    found = named(doctor("--json", before=tmp_path))
    assert found["torch"]["found"].startswith("cannot be imported: the interpreter was ended by SIGILL")
    assert found["memory"]["found"], "the other checks are made"


def test_where_nothing_but_python_is_installed_it_says_what_is_missing(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    done = doctor("--json", "--pair", "tiny", python=str(tmp_path / "bare" / "bin" / "python"))
    found = named(done)
    assert done.returncode == 2
    assert found["pydantic"]["found"] == "not installed (pydantic>=2.10,<3)"
    assert found["torch"]["found"] == "not installed"
    assert found["memory"]["status"] in ("ok", "warning")
    assert "No module named" in found["pair file"]["found"]


def test_it_opens_no_torch_in_its_own_process() -> None:
    program = (
        "import sys; from harness.doctor import Asked, examination, examine; examination._probe = lambda *_: None; "
        "examine(Asked()); print('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: no probe is started."""
    monkeypatch.setattr(examination, "_probe", lambda found, *arguments: None)


def test_a_check_that_fails_is_a_line(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of \x1b[31m nothing")

    monkeypatch.setattr("harness.doctor.machine.memory", broken)
    (line,) = [one for one in examine(Asked()) if one.name == "memory"]
    assert line.status == "warning"
    assert line.found == "the check itself failed: ZeroDivisionError: of \\x1b[31m nothing"


@pytest.mark.parametrize(
    ("arguments", "name", "said"),
    [
        (["--pair", "tinny"], "pair file", "unknown pair 'tinny'"),
        (["--pair", "tiny", "--qa", "jsonl:/no/such"], "data", "no folder or file /no/such"),
        (["--pair", "egogpt-qwen2vl"], "teacher", "lmms-lab/EgoGPT-7b-EgoIT-EgoLife is neither a folder nor whole in"),
        (["--pair", "egogpt-qwen2vl"], "data", "measures answers on real clips"),
        (["--cache", "/proc/no"], "cache", "/proc/no cannot be written"),
    ],
)
def test_what_is_asked_and_not_there_is_told(
    arguments: list[str], name: str, said: str, quick: None, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert main(["doctor", "--json", *arguments]) == 2
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert found[name]["status"] == "will not work"
    assert said in found[name]["found"]
    assert found[name]["remedy"]


def test_a_checkpoint_that_is_cut_short_is_told(quick: None, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "model.safetensors").write_bytes(b"\xff" * 20)
    whole = (ROOT / "models" / "egogpt-qwen2vl.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(
        re.sub(r"weights: Qwen\S+", f"weights: {tmp_path / 'student'}", re.sub(r"(?m)^name: .*$", "name: mine", whole))
    )
    main(["doctor", "--json", "--pair", str(tmp_path / "mine.yaml")])
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert found["student"]["status"] == "will not work"
    assert "model.safetensors is truncated" in found["student"]["found"]


def test_a_choice_of_data_without_a_pair_is_refused(capsys: Any) -> None:
    assert main(["doctor", "--qa", "jsonl:x"]) == 2
    assert capsys.readouterr().err == "firstsight: --qa is of a pair: add --pair NAME\n"


def test_random_weights_need_no_checkpoint_and_no_clips(quick: None, capsys: Any) -> None:
    main(["doctor", "--json", "--pair", "egogpt-qwen2vl", "--weights", "random"])
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert [found[name]["status"] for name in ("teacher", "student", "data")] == ["ok"] * 3


def test_nothing_is_made(quick: None, tmp_path: Path, capsys: Any) -> None:
    main(["doctor", "--cache", str(tmp_path / "a" / "b"), "--results", str(tmp_path / "r")])
    assert list(tmp_path.iterdir()) == []
    assert "made when it is needed" in capsys.readouterr().out
