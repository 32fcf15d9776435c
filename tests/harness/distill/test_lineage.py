"""Which model comes from which: made once, found by digest, made anew when anything that made it changed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.artifact import Store
from harness.distill.arms import ARMS, arm_recipe
from harness.distill.lineage import Lineage
from harness.distill.making import Watcher
from harness.distill.targets import load_targets
from harness.distill.train import train
from harness.errors import ArtifactError, ModelError, UsageError
from harness.pair import Pair
from models.interface import architecture


def changed(pair: Pair, **recipe: Any) -> Pair:
    return pair.model_copy(update={"recipe": pair.recipe.model_copy(update=recipe)})


def nothing_is_made(title: str) -> AbstractContextManager[Any]:
    raise AssertionError(f"made again: {title}")


@pytest.fixture
def another(micro: Pair, micro_store: Store) -> Lineage:
    """Somebody who comes later, with the same pair and store, and for whom nothing may be made."""
    return Lineage(micro, micro_store, watcher=Watcher(nothing_is_made))


@pytest.fixture
def copied(lineage: Lineage, micro_store: Store, tmp_path: Path) -> Store:
    """The store with all that the distilled student comes from, to spoil as one likes."""
    lineage.student("distilled")
    shutil.copytree(micro_store.root, tmp_path / "store")
    return Store(tmp_path / "store")


def bytes_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["teacher", "undistilled", *ARMS])
def test_what_was_made_is_found_again(lineage: Lineage, another: Lineage, name: str) -> None:
    first, again = lineage.weights(name), another.weights(name)
    assert (again.digest, again.folder) == (first.digest, first.folder)


def test_every_arm_starts_alike_and_takes_the_same_number_of_steps(lineage: Lineage) -> None:
    found = {arm: lineage.student(arm) for arm in ARMS}
    assert len({weights.meta["steps"] for weights in found.values()}) == 1
    assert len({weights.digest for weights in found.values()}) == len(ARMS)
    assert len({bytes_of(weights.folder) for weights in [*found.values(), lineage.undistilled]}) == len(ARMS) + 1
    for weights in found.values():
        assert weights.meta["curve"][-1]["step"] == weights.meta["steps"]


def test_arms_differ_in_what_they_learn_from(lineage: Lineage) -> None:
    soft, hard, gold = (arm_recipe(lineage.pair, arm) for arm in ("distilled", "hard-labels", "finetuned"))
    assert (soft.alpha, hard.alpha, gold.alpha) == (lineage.pair.recipe.alpha, 0.0, 0.0)
    assert soft.split == hard.split == lineage.pair.recipe.split
    assert gold.split == lineage.pair.finetune_split
    assert len({one.learning_rate for one in (soft, hard, gold)}) == 1


def test_a_seed_gives_another_student_of_the_same_teacher(lineage: Lineage) -> None:
    one, other = lineage.student("finetuned"), lineage.student("finetuned", seed=1)
    assert one.digest != other.digest
    assert bytes_of(one.folder) != bytes_of(other.folder)


@pytest.mark.parametrize("change", [{"temperature": 2.0}, {"learning_rate": 1e-3}, {"epochs": 1}])
def test_a_changed_recipe_makes_another_student_from_the_same_teacher(
    lineage: Lineage, micro: Pair, micro_store: Store, change: dict[str, Any]
) -> None:
    other = Lineage(changed(micro, **change), micro_store)
    assert other.teacher.digest == lineage.teacher.digest
    assert other.student().digest != lineage.student().digest


def test_a_changed_description_makes_nothing_anew(lineage: Lineage, micro: Pair, micro_store: Store) -> None:
    made = lineage.student()
    renamed = micro.model_copy(update={"description": "in other words", "name": "other"})
    assert Lineage(renamed, micro_store, watcher=Watcher(nothing_is_made)).student().digest == made.digest


def test_an_int8_teacher_gives_targets_of_its_own(lineage: Lineage, micro: Pair, micro_store: Store) -> None:
    split = micro.finetune_split
    native = lineage.targets(split)
    quantised = Lineage(changed(micro, teacher_format="int8"), micro_store).targets(split)
    assert quantised.digest != native.digest
    one, other = (load_targets(found.path, torch.device("cpu")) for found in (native, quantised))
    assert one.answers.keys() == other.answers.keys()
    assert torch.equal(one.head, other.head), "the head stays native"


def test_a_student_made_again_is_the_same_to_the_last_bit(lineage: Lineage, copied: Store, micro: Pair) -> None:
    shutil.rmtree(lineage_folder := copied.root / lineage.student().folder.name)
    again = Lineage(micro, copied).student()
    assert again.folder == lineage_folder
    assert bytes_of(again.folder) == bytes_of(lineage.student().folder)


def test_ctrl_c_then_the_same_command_gives_the_same_student(lineage: Lineage, copied: Store, micro: Pair) -> None:
    shutil.rmtree(copied.root / lineage.student().folder.name)
    steps: list[int] = []

    @contextmanager
    def press(title: str) -> Iterator[Any]:
        def tell(done: int, total: int, note: str) -> None:
            steps.append(done)
            if len(steps) == 4:
                os.kill(os.getpid(), signal.SIGINT)

        yield tell

    with pytest.raises(KeyboardInterrupt):
        Lineage(micro, copied, watcher=Watcher(press)).student()
    resumed = Lineage(micro, copied, watcher=Watcher(press)).student()
    assert steps == list(range(1, resumed.meta["steps"] + 1)), "no step was done twice"
    assert bytes_of(resumed.folder) == bytes_of(lineage.student().folder)
    assert not list(copied.root.glob(".partial/*")), "checkpoints are gone"


def test_an_altered_teacher_in_a_foreign_store_is_refused(copied: Store, micro: Pair, lineage: Lineage) -> None:
    weights = copied.root / lineage.teacher.folder.name / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model.safetensors was altered"):
        Lineage(micro, Store(copied.root, ours=False)).teacher  # noqa: B018


# --- the way to a model's weights


def test_a_saved_student_loads_and_answers(lineage: Lineage, micro: Pair, items: Any) -> None:
    model = architecture(micro.student.architecture).load(lineage.student().folder)
    with torch.inference_mode():
        said = model.generate(model.embed([model.prepare(items[0].clip.frames(), [items[0].prompt])]), 4)
    assert len(said[0]) == 1


def test_given_weights_are_named_by_their_bytes(lineage: Lineage, micro: Pair, micro_store: Store) -> None:
    given = micro.student.model_copy(
        update={"weights": str(lineage.undistilled.folder), "initial": None, "training": ()}
    )
    found = Lineage(micro.model_copy(update={"student": given}), micro_store).undistilled
    assert found.folder == lineage.undistilled.folder
    assert len(found.digest) == 64


def test_given_weights_that_are_not_there_are_named(micro: Pair, micro_store: Store) -> None:
    given = micro.student.model_copy(update={"weights": "/no/such/folder", "initial": None, "training": ()})
    with pytest.raises(ModelError, match=r"student.weights: no folder /no/such/folder"):
        Lineage(micro.model_copy(update={"student": given}), micro_store).undistilled  # noqa: B018


def test_unknown_weights_are_named_with_those_that_exist(another: Lineage) -> None:
    with pytest.raises(ModelError, match=r"no weights called 'distiled'; there are teacher, undistilled, distilled"):
        another.weights("distiled")


def test_fine_tuning_is_a_path_of_its_own(lineage: Lineage) -> None:
    tuned = lineage.finetune("student", epochs=1)
    assert tuned.digest != lineage.student("finetuned").digest
    assert tuned.meta["steps"] == 1
    assert bytes_of(tuned.folder) != bytes_of(lineage.undistilled.folder)


@pytest.mark.parametrize("split", ["val", "test", "nonsense"])
def test_fine_tuning_on_what_is_held_out_is_refused(another: Lineage, split: str) -> None:
    with pytest.raises(UsageError, match=rf"--split {split}: can be .*lessons"):
        another.finetune("student", split=split)


def test_a_bf16_student_is_trained_in_fp32_and_saved_in_bf16(
    lineage: Lineage, micro: Pair, micro_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bf16 a step of 1e-5 is less than the spacing of the weights: nothing would be learnt, without a word."""
    kind = architecture(micro.student.architecture)
    folder = tmp_path / "bf16"
    kind.load(lineage.undistilled.folder, format="bf16").save(folder)
    given = micro.student.model_copy(update={"weights": str(folder), "initial": None, "training": ()})
    found = Lineage(changed(micro, max_steps=2).model_copy(update={"student": given}), micro_store)
    trained: list[torch.dtype] = []

    def watched(model: Any, *arguments: Any, **options: Any) -> Any:
        trained.append(model.dtype)
        return train(model, *arguments, **options)

    monkeypatch.setattr("harness.distill.making.train", watched)
    made = found.student("hard-labels")
    assert set(trained) == {torch.float32}
    assert kind.load(made.folder).dtype == torch.bfloat16
