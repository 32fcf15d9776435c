"""Every command of docs/distillation.md runs: on the micro pair, in the store of this session."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.artifact import Store
from harness.cli import main
from harness.distill.lineage import Lineage
from harness.pair import Recipe
from tests import warm
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
@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("pytest")])
def test_a_suite_of_the_guide_runs(command: str, lineage: Any, micro_store: Any, tmp_path: Path) -> None:
    assert lineage.student()
    words = as_tested(command, micro_store.root)
    found = warm.run(["-m", *words, "--results", str(tmp_path)], cwd=ROOT)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("accelerate")])
def test_a_lineage_is_made_by_two_processes(command: str, lineage: Lineage, tmp_path: Path) -> None:
    """The first makes what is no training, both train: the artifacts have the digests of a training alone. One command
    from nothing; the one that spreads the student has the rest of its lineage made.
    """
    alone = lineage.student()
    if "--use_fsdp" in command:
        ignored = shutil.ignore_patterns(".*", alone.folder.name)
        shutil.copytree(lineage.store.root, tmp_path, ignore=ignored, dirs_exist_ok=True)
    module = ["-m", "accelerate.commands.accelerate_cli", *as_tested(command, tmp_path)[1:]]
    launched = warm.run(module, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert launched.returncode == 0, launched.stdout[-2000:] + launched.stderr[-2000:]
    found = Lineage(lineage.pair, Store(tmp_path)).student()
    assert found.digest == alone.digest
    assert found.meta["steps"] == alone.meta["steps"]
    assert not list(tmp_path.glob(".partial/*"))


def test_the_guide_has_commands_to_run() -> None:
    assert len(COMMANDS) >= 6
    assert {one.split()[0] for one in COMMANDS} == {"firstsight", "pytest", "accelerate"}
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


def test_the_table_of_memory_is_what_the_plan_counts() -> None:
    from harness.pair import load_pair
    from harness.plan.planning import Request, plan

    pair = load_pair("egogpt-qwen2vl")
    table = GUIDE.partition("## What to choose for a card")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (full|lm|lora)\S*[^|]*\| (\S+) \| (\S+) \|[^|]+\| ([\d.]+) GB \|$", table, re.MULTILINE)
    assert len(rows) == 7
    for parameters, optimizer, master, told in rows:
        changed = {"parameters": parameters, "optimizer": optimizer, "master": master}
        planned = plan(pair.model_copy(update={"recipe": pair.recipe.model_copy(update=changed)}), [], Request())
        ways = [one.memory for one in planned.training if one.mode == planned.mode]
        assert f"{ways[0].state / 1e9:.1f}" == told, (parameters, optimizer, master)
