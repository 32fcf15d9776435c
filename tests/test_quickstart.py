"""docs/quickstart-cluster.md: its commands are commands, its files are there, and it promises what the tests try."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from harness.cli import _parser

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "quickstart-cluster.md").read_text(encoding="utf-8")
COMMANDS = [
    re.split(r"\s{3,}", line.strip())[0]  # what follows in the line is told, not typed
    for line in GUIDE.splitlines()
    if re.match(r"    (containers/|sbatch |cp )", line)
]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("containers/firstsight")])
def test_a_command_of_firstsight_is_one(command: str) -> None:
    _parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.startswith("containers/firstsight")])
def test_files_and_options_of_the_others_are_there(command: str) -> None:
    words = shlex.split(command)
    file = next(word for word in words if word.startswith("containers/"))
    assert (ROOT / file).is_file()
    if file.endswith(".sh"):
        told = subprocess.run([str(ROOT / file), "--help"], capture_output=True, text=True).stdout
        assert [word for word in words if word.startswith("--") and word not in told] == []


def test_the_guide_has_commands_of_each_step() -> None:
    assert len(COMMANDS) >= 12
    assert "@" not in re.sub(r"me@|NAME@", "", GUIDE), "no gap is left for an output"
