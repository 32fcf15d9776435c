"""Every command of docs/distillation.md runs: on the micro pair, in the store of this session."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import main
from harness.pair import Recipe
from tests.conftest import MICRO

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "distillation.md").read_text(encoding="utf-8")
COMMANDS = [
    re.split(r"\s{3,}", line.strip())[0]  # what follows in the line is told, not typed
    for line in GUIDE.splitlines()
    if re.match(r"    (firstsight|pytest|accelerate) ", line)
]
INLINE = re.findall(r"`(firstsight [^`]+)`", GUIDE)


def as_tested(command: str, cache: Path) -> list[str]:
    """The same command for the micro pair, without data of one's own, in two processes instead of four."""
    words = shlex.split(command)
    if "--qa" in words:
        at = words.index("--qa")
        del words[at : at + 2]
    words[words.index("--pair") + 1] = str(MICRO)
    if "--num_processes" in words:
        words[words.index("--num_processes") + 1] = "2"
    return words if words[1] == "plan" else [*words, "--cache", str(cache)]


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in COMMANDS + INLINE if one.startswith("firstsight")])
def test_a_command_of_the_guide_runs(
    command: str, lineage: Any, micro_store: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lineage.student()
    assert main(as_tested(command, micro_store.root)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.startswith("firstsight")])
def test_a_command_of_the_guide_that_starts_others_runs(
    command: str, lineage: Any, micro_store: Any, tmp_path: Path
) -> None:
    assert lineage.student()
    words = as_tested(command, micro_store.root)
    module = {"pytest": ["pytest"], "accelerate": ["accelerate.commands.accelerate_cli"]}[words[0]]
    places = ["--results", str(tmp_path)] if words[0] == "pytest" else []
    found = subprocess.run(
        [sys.executable, "-m", *module, *words[1:], *places],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]


def test_the_guide_has_commands_to_run() -> None:
    assert len(COMMANDS) >= 6
    assert INLINE


def test_the_guide_tells_every_key_of_a_recipe() -> None:
    table = GUIDE.partition("## Every key")[2].partition("\n## ")[0]
    told = {key for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert set(Recipe.model_fields) - {"method"} == told


def test_what_the_guide_says_of_the_tiny_pair_is_how_it_is_set() -> None:
    recipe = yaml.safe_load((ROOT / "models" / "tiny.yaml").read_text())["recipe"]
    told = GUIDE.partition("## The tiny pair")[2].partition("\n## ")[0]
    assert f"The pair file keeps T = {recipe['temperature']:g}." in told
    assert f"| {recipe['temperature']:g} | {recipe['alpha']:g} |" in told
    assert told.partition("By epoch")[2].count("\n| ") == 1 + recipe["epochs"], "a heading, and a row an epoch"
