"""`firstsight …`: what it prints, and that bad input is one line and exit code 2."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.cli import main
from tests.conftest import MICRO
from tests.harness.report.sample import as_json, sample_run


def test_report_is_rendered_from_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "0001_sample.json").write_text(json.dumps(as_json(sample_run())))
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert "report:" in capsys.readouterr().out
    shutil.copy(tmp_path / "run" / "0001_sample.json", tmp_path / "0001_copy.json")
    assert main(["report", str(tmp_path / "0001_copy.json"), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == page


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
