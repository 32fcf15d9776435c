"""`firstsight …`: what it prints, and that bad input is one line and exit code 2."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.artifact import Store
from harness.cli import main
from harness.distill.lineage import Lineage
from tests import warm
from tests.conftest import MICRO
from tests.harness.report.sample import as_json, sample_run

ROOT = Path(__file__).resolve().parents[2]


def test_report_is_rendered_from_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "0001_sample.json").write_text(json.dumps(as_json(sample_run())))
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert "report:" in capsys.readouterr().out
    shutil.copy(tmp_path / "run" / "0001_sample.json", tmp_path / "0001_copy.json")
    assert main(["report", str(tmp_path / "0001_copy.json"), "--out", str(tmp_path / "again" / "report.html")]) == 0
    assert (tmp_path / "again" / "report.html").read_bytes() == page
    assert (tmp_path / "again" / "flips.json").read_bytes() == (tmp_path / "run" / "flips.json").read_bytes()


def test_a_contact_sheet_can_be_looked_at(tmp_path: Path) -> None:
    assert main(["data", "sheet", "--pair", "tiny", "--clips", "2", "--out", str(tmp_path / "sheet.png")]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > sheet.height > 300


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "no/such"], "no such file"),
        (["distill", "--pair", "tinny"], "did you mean tiny?"),
        (["distill", "--pair", "tiny", "--seeds", "0"], "--seeds 0"),
        (["finetune", "--pair", "tiny", "--split", "test"], "--split test: can be"),
        (["finetune", "--pair", "tiny", "--epochs", "0"], "--epochs 0"),
        (["finetune", "--pair", "tiny", "--learning-rate", "-1"], "--learning-rate -1"),
        (["make", "--pair", "tiny", "distilled:x"], "distilled:x: the seed"),
        (["sweep", "--pair", "tiny", "--temperatures", "1,x"], "--temperatures 1,x: numbers with commas"),
        (["sweep", "--pair", "tiny", "--temperatures", "0"], "--temperatures are above 0"),
        (["sweep", "--pair", "tiny", "--alphas", "2"], "--alphas 2: from 0 to 1"),
        (["sweep", "--pair", "tiny", "--alphas", "nan"], "--alphas nan"),
        (["sweep", "--pair", "tiny", "--json", "/no/such/x.json"], "there is no folder /no/such"),
        (["data", "sheet", "--pair", "tiny", "--split", "tset"], "no split 'tset'"),
        (["data", "sheet", "--pair", "tiny", "--clips", "0"], "--clips 0"),
        (["data", "sheet", "--pair", "tiny", "--clips", "1", "--out", "/no/such/sheet.png"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert said in printed


def test_a_slip_of_the_pen_is_told_before_torch_is_imported() -> None:
    slips = [["distill", "--pair", "tinny"], ["plan", "--pair", "tinny"], ["sweep", "--pair", "tiny", "--alphas", "2"]]
    program = f"import sys; from harness.cli import main; print(*map(main, {slips}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "2 2 2 False\n", done.stderr


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "firstsight distill --pair tiny" in capsys.readouterr().out


def test_students_are_made_and_fine_tuned_outside_pytest(lineage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """On the micro pair; the session's lineage has made teacher and start, and they are found."""
    lineage.student("distilled")
    places = ["--pair", str(MICRO), "--cache", str(lineage.store.root)]
    assert main(["distill", *places, "--seeds", "2"]) == 0
    assert "over 2 seeds" in capsys.readouterr().out
    assert main(["finetune", *places, "--split", "gold", "--epochs", "1"]) == 0
    assert "student fine-tuned: val accuracy" in capsys.readouterr().out
    assert main(["make", *places, "teacher", "distilled:1"]) == 0
    assert capsys.readouterr().out.count(str(lineage.store.root)) == 2


SIGNALLED = """
import os, signal, sys
from harness import cli, progress
from harness.distill.making import Watcher
from contextlib import contextmanager

name, at, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
told = 0

@contextmanager
def start(title):
    def tell(done, total, note):
        global told
        told += 1
        if told == at:
            os.kill(os.getpid(), getattr(signal, name))
    yield tell

progress.watcher = lambda: Watcher(start)
sys.exit(cli.main(arguments))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 75), ("SIGINT", 130), ("SIGKILL", -9)])
def test_a_command_that_is_stopped_says_by_its_code_whether_to_run_it_again(
    micro_store: Any, lineage: Any, tmp_path: Path, name: str, code: int
) -> None:
    """75 (EX_TEMPFAIL) is what a scheduler requeues on; and the same command then makes the very same student."""
    made = lineage.student()
    shutil.copytree(micro_store.root, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / made.folder.name)
    shutil.rmtree(tmp_path / "store" / lineage.targets("pool").path.name)
    command = ["-c", SIGNALLED, name, "3", "distill", "--pair", str(MICRO), "--cache", str(tmp_path / "store")]
    stopped = warm.run(command, cwd=ROOT)
    assert stopped.returncode == code, stopped.stderr
    assert "Traceback" not in stopped.stderr
    again = Lineage(lineage.pair, Store(tmp_path / "store")).student()
    assert (again.folder / "model.safetensors").read_bytes() == (made.folder / "model.safetensors").read_bytes()
