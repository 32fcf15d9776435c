"""Two CPU processes take the steps of one: the same gradient, the same student, whole or spread over both."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.artifact import Store
from harness.distill.lineage import Lineage
from harness.distill.parallel import ALONE, joined
from harness.pair import Recipe

REPOSITORY = Path(__file__).resolve().parents[3]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no"]
WHOLE, SPREAD = [*LAUNCH, "--multi_gpu"], [*LAUNCH, "--use_fsdp", "--fsdp_version", "2"]

TRAINED = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from harness.distill.batches import Windows
from harness.distill.lessons import gold_lessons
from harness.distill.optimizer import Optimizers
from harness.distill.parallel import joined, left, shard, whole
from harness.distill.train import Learner, Lessons, train
from harness.distill.trained import choose
from harness.distill.validation import Held
from harness.pair import Recipe, load_pair
from harness.qa.datasets import load_items, load_lexicon
from models.interface import architecture

pair = load_pair("tests/data/micro.yaml")
initial, ranks = pair.student.initial, joined()

def student():
    return architecture("qwen2_vl").initialise(
        config=initial.config, seed=initial.seed, words=load_lexicon(pair.data),
        tokenizer_extra=initial.tokenizer_extra, pad_vocab_to=initial.pad_vocab_to, scale={},
    )

def show(folder, recipe):
    model = student()
    lessons = gold_lessons(load_items(pair.data, "test"), model)[:7]
    choose(model, recipe)
    shard(model, ranks)
    windows = Windows(model, lessons, recipe, None, ranks.rank, ranks.count)
    optimizers = Optimizers(model.model, model.head, recipe, windows.total)
    loss = Learner(model, Lessons(lessons), windows, optimizers, recipe, ranks).gradients(2)  # one lesson for two
    found = {name: whole(p.grad).clone() for name, p in model.model.named_parameters() if p.requires_grad}
    model = student()
    train(model, Lessons(lessons), Held(lessons[:2]), recipe, folder, ranks=ranks)
    if ranks.first:
        save_file({**found, "loss": torch.tensor([loss])}, folder / "gradients.safetensors")

for number, told in enumerate(sys.argv[2:]):
    show(Path(sys.argv[1]) / str(number), Recipe.model_validate_json(told))
ranks.wait()
left()
"""


def run(command: list[str], *arguments: str) -> None:
    found = subprocess.run(
        [*command, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """Seven lessons in windows of three: in the last one a process has nothing to learn from. All of the weights, and
    adapters with moments of 8 bit; whole in both processes, and spread over them.
    """
    usual = {"batch_clips": 3, "micro_clips": 1, "epochs": 2, "clip_norm": 0.5}
    lora = {"parameters": "lora", "lora_rank": 4, "optimizer": "adamw-8bit"}
    told = [recipe(**usual, **changes).model_dump_json() for changes in ({}, lora)]
    script = tmp_path / "trained.py"
    script.write_text(TRAINED)
    for name, command in (("one", [sys.executable]), ("whole", WHOLE), ("spread", SPREAD)):
        run(command, str(script), str(tmp_path / name), *told)
    for number in ("0", "1"):
        alone = load_file(tmp_path / "one" / number / "gradients.safetensors")
        best = load_file(tmp_path / "one" / number / ".resume" / "best.safetensors")
        assert float(alone["loss"]) > 0
        for name in ("whole", "spread"):
            same(load_file(tmp_path / name / number / "gradients.safetensors"), alone, f"{name} {number}", 1e-6)
            same(load_file(tmp_path / name / number / ".resume" / "best.safetensors"), best, f"{name} {number}", 1e-5)


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], what: str, atol: float) -> None:
    assert found.keys() == expected.keys(), what
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-3, atol=atol, msg=f"{what}: {key}")


@pytest.mark.slow
def test_the_whole_lineage_is_made_by_two_processes(lineage: Lineage, tmp_path: Path) -> None:
    """The first makes what is no training, both train: the artifacts have the digests of a training alone."""
    command = ["-m", "harness.cli", "distill", "--pair", "tests/data/micro.yaml", "--cache", str(tmp_path)]
    run([*WHOLE, *command])
    found, alone = Lineage(lineage.pair, Store(tmp_path)).student(), lineage.student()
    assert found.digest == alone.digest
    assert found.meta["steps"] == alone.meta["steps"]
    assert not list(tmp_path.glob(".partial/*"))


def test_without_a_launcher_a_training_is_alone() -> None:
    assert joined() == ALONE
