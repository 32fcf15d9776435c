"""Two CPU processes take the steps of one: the same gradient, the same student, whole or spread over both."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.distill.parallel import ALONE, joined
from harness.pair import Recipe
from tests import warm

REPOSITORY = Path(__file__).resolve().parents[3]

# What `accelerate launch` does for two processes; that it does is shown by the commands of tests/test_docs.py.
LAUNCHED = """
import os, sys
count = int(os.environ["WORLD_SIZE"])
for rank in map(str, range(count)):
    if not os.fork():
        os.environ.update(RANK=rank, LOCAL_RANK=rank)
        break
else:
    sys.exit(any([os.wait()[1] for _ in range(count)]))
"""
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


def run(program: str, *arguments: str, **env: str) -> None:
    found = warm.run(["-c", program, *arguments], cwd=REPOSITORY, env=env)
    assert found.returncode == 0, found.stderr[-3000:]


def two() -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """Seven lessons in windows of three: in the last one a process has nothing to learn from. All of the weights, and
    adapters with moments of 8 bit; whole in both processes, and spread over them.
    """
    usual = {"batch_clips": 3, "micro_clips": 1, "epochs": 2, "clip_norm": 0.5}
    lora = {"parameters": "lora", "lora_rank": 4, "optimizer": "adamw-8bit"}
    told = [recipe(**usual, **changes).model_dump_json() for changes in ({}, lora)]
    run(TRAINED, str(tmp_path / "one"), *told)
    run(LAUNCHED + TRAINED, str(tmp_path / "whole"), *told, **two())
    run(LAUNCHED + TRAINED, str(tmp_path / "spread"), *told, **two(), ACCELERATE_USE_FSDP="true")
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


def test_without_a_launcher_a_training_is_alone() -> None:
    assert joined() == ALONE
