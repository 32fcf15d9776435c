"""Guides followed to the letter: their files written into a copy of the repository, their commands typed there.

Real: everything; of the tiny pair its small sister, tests/data/micro.yaml, and of commands that would train again the
artifacts of this session.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import main
from harness.pair import Budgets, DataSpec, Evaluation, Latency, ModelSpec, Pair, _Loader
from harness.record import load_run
from harness.report.verdict import decide
from tests.docs.guides import ROOT, Copy, commands, files, text_of
from tests.harness.qa.film import film

GUIDES = (
    "adding-a-pair.md",
    "adding-a-variant.md",
    "adding-a-dataset.md",
    "adding-a-metric.md",
    "quickstart-laptop.md",
)


def page_of(results: Path, pair: str) -> str:
    return (results / pair / "cpu" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_complete(name: str) -> None:
    """A file to write, a command to type, and what one sees then."""
    text = text_of(name)
    assert files(text)
    assert commands(text, "firstsight", "pytest")
    assert re.search(r"^```\n\S.+?^```", text, re.DOTALL | re.MULTILINE)
    assert "@@" not in text, "no gap is left for an output"


@pytest.mark.slow
def test_a_pair_is_one_file(tmp_path: Path) -> None:
    copy = Copy.of("adding-a-pair.md", tmp_path / "firstsight")
    doctor, plan, suites = copy.commands
    cache, results = ["--cache", str(tmp_path / "artifacts")], ["--results", str(tmp_path / "results")]
    assert "pocket: The smallest pair that runs" in copy.run(doctor, *cache)
    assert "32 questions on 8 clips" in copy.run(plan)
    shown = copy.run(suites, *cache, *results)
    run = load_run(tmp_path / "results" / "pocket" / "cpu")
    assert {record.variant for record in run.records} == {"baseline", "distilled"}
    assert decide(run).sentence in shown


def test_the_other_pair_of_the_guide_is_one() -> None:
    """What it says of weights of one's own, put into the file above."""
    text = text_of("adding-a-pair.md")
    whole, changed = (yaml.load(block, _Loader) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    whole["teacher"], whole["data"] = changed["teacher"], whole["data"] | changed["data"]
    assert Pair.model_validate(whole).teacher.weights == "Qwen/Qwen2-VL-7B-Instruct"


def test_the_guide_tells_every_key_of_a_pair() -> None:
    text = text_of("adding-a-pair.md")
    table = text.partition("## The keys")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", table))
    for section in (Pair, ModelSpec, DataSpec, Evaluation, Latency, Budgets):
        assert set(section.model_fields) - told == set(), section.__name__


@pytest.mark.slow
def test_a_variant_is_one_entry(lineage: Any, micro_store: Any, tmp_path: Path) -> None:
    copy = Copy.of("adding-a-variant.md", tmp_path / "firstsight")
    (command,) = copy.commands
    assert lineage.teacher
    places = ["--cache", str(micro_store.root), "--results", str(tmp_path / "results"), "--workloads", "headline"]
    copy.run(command, *places, instead={"tiny": "micro"})
    run = load_run(tmp_path / "results" / "micro" / "cpu")
    formats = {record.details["format"]["name"] for record in run.records if record.variant == "bf16"}  # type: ignore
    assert formats == {"bf16"}
    assert {record.suite for record in run.records if record.variant == "bf16"} == {"latency", "vram", "agreement"}
    assert ">bf16<" in page_of(tmp_path / "results", "micro")


def test_a_dataset_is_one_module(tmp_path: Path) -> None:
    copy, folder = Copy.of("adding-a-dataset.md", tmp_path / "firstsight"), tmp_path / "Kitchens"
    folder.mkdir()
    (table,) = re.findall(r"```csv\n(.*?)```", text_of("adding-a-dataset.md"), re.DOTALL)
    (folder / "questions.csv").write_text(table)
    for name in ("a.mp4", "b.mp4"):
        film(folder / name, frames=100, rate=10)
    (command,) = [one for one in copy.commands if "kitchens" in one]
    shown = copy.run(command, instead={"kitchens:/data/Kitchens": f"kitchens:{folder}"})
    (told,) = re.findall(r"^```\n(type.*?)^```", text_of("adding-a-dataset.md"), re.DOTALL | re.MULTILINE)
    assert shown == told


@pytest.mark.slow
def test_a_metric_is_one_file(lineage: Any, micro_store: Any, tmp_path: Path, capsys: Any) -> None:
    copy = Copy.of("adding-a-metric.md", tmp_path / "firstsight")
    (command, *_) = copy.commands
    assert lineage.student()
    places = ["--cache", str(micro_store.root), "--results", str(tmp_path / "results")]
    copy.run(command, *places, instead={"tiny": "micro"})
    run = load_run(tmp_path / "results" / "micro" / "cpu")
    assert run.path is not None
    shutil.copy(run.path, run.path.with_name("0002_again.json"))  # two runs, to be held against each other
    found = [one for record in run.records for one in record.measurements if one.metric == "tokens_per_answer"]
    assert len(found) == 2
    assert all(one.n == 48 and one.low is not None and one.value is not None for one in found)
    page = page_of(tmp_path / "results", "micro")
    assert ">Tokens, answer</th>" in page
    assert "mean tokens of a greedy answer" in page
    compared = copy.run(f"firstsight compare {tmp_path / 'results' / 'micro' / 'cpu'} --all")
    assert compared.count("tokens_per_answer") == 2


def test_the_first_words_that_the_guide_names_are_those_of_the_page() -> None:
    from harness.report import view

    told = text_of("adding-a-metric.md").partition("| `metric` |")[2].partition("\n")[0]
    named = {word for group in re.findall(r"`([a-z ]+)`", told) for word in group.split()}
    assert named <= set(view._SUITES)
    assert {"ttft", "answer", "memory", "weights"} <= named


@pytest.mark.slow
def test_a_laptop_is_enough(tmp_path: Path) -> None:
    copy = Copy.of("quickstart-laptop.md", tmp_path / "firstsight")
    results = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "artifacts")]
    shown = {}
    for command in copy.commands:
        if command.endswith("results/tiny/cpu") or command == "firstsight doctor":
            continue  # the record is that of `make bench`; doctor has tests of its own, and one call below
        if command.startswith("firstsight doctor"):
            with pytest.raises(AssertionError, match="neither a folder nor whole in the Hugging Face cache"):
                copy.run(command)  # exit code 2: the weights are not here
            continue
        shown[command.split()[1]] = copy.run(command, *(results if command.startswith("pytest") else ()))
    assert "all is well: 24 clips decoded" in shown["data"] or (copy.folder / "sheet.png").is_file()
    assert "Ship none" in shown["suites"]
    assert (copy.folder / "sheet.png").is_file()


def test_a_report_is_made_again_from_its_record(capsys: Any, tmp_path: Path) -> None:
    """The laptop's second step, on the published record."""
    published = ROOT / "results" / "published" / "cpu" / "tiny"
    assert main(["report", str(published), "--out", str(tmp_path / "report.html")]) == 0
    assert "Ship" in capsys.readouterr().out
