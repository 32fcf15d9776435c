"""Which model comes from which: every artifact of a pair, made when it is first asked for and found by digest after.

    initial weights ─▶ teacher (fine-tuned on gold) ─▶ targets (its answers on the pool)
    initial weights ─▶ undistilled student ─▶ distilled | hard-labels (from the targets) | finetuned (few gold answers)

A digest covers everything that made the artifact: the weights it started from, recipe, data, tokenizers, our training
sources and the versions of the libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from harness.artifact import Artifact, Make, Store, digest_of
from harness.distill.align import require_shared
from harness.distill.arms import ARMS, LABELS, Arm, arm_recipe
from harness.distill.keys import data_key, plain, sources
from harness.distill.lessons import Lesson, gold_lessons, teacher_lessons
from harness.distill.origins import Weights, given, initial_key, random_key, write_initial, write_random
from harness.distill.targets import Targets, load_targets, make_targets
from harness.distill.threads import cpu_threads
from harness.distill.train import Progress, train
from harness.errors import ModelError, UsageError, oneline
from harness.pair import ModelSpec, Pair, Recipe
from harness.plan.room import require_room, require_room_to_train
from harness.qa.datasets import load_items, require_media
from harness.qa.items import QAItem
from models.interface import Architecture, architecture, read_tokenizer, saved_dtype

VAL = "val"


@dataclass(frozen=True)
class Watcher:
    """How a long step is watched: `start(title)` opens a bar whose callable takes (done, total, note)."""

    start: Callable[[str], AbstractContextManager[Callable[[int, int, str], None]]] = lambda title: nullcontext(
        lambda done, total, note: None
    )


class _NotMade(Exception):
    """An artifact that would have to be made."""


class Lineage:
    """The artifacts of one pair in one store. `seed` shifts the seed of the student's arms, nothing else.

    With `random`, both sides are random numbers at their real shapes, and no student is trained: all are the same.
    """

    def __init__(
        self,
        pair: Pair,
        store: Store,
        *,
        device: torch.device | str = "cpu",
        watcher: Watcher = Watcher(),
        rebuild: bool = False,
        random: bool = False,
    ) -> None:
        self.pair, self.store, self.device, self.random = pair, store, torch.device(device), random
        self._watcher, self._rebuild = watcher, rebuild
        self._only_find = False
        self._made: set[str] = set()  # with `rebuild`, what this lineage has made again already

    # --- the models --------------------------------------------------------------------------------

    @cached_property
    def teacher(self) -> Weights:
        """The teacher: given weights, or trained on gold from its initial weights."""
        return self._from_spec("teacher", self.pair.teacher)

    @cached_property
    def undistilled(self) -> Weights:
        """The student before it has learnt from the teacher."""
        return self._from_spec("student", self.pair.student)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Which of these weights (`name` or `name:seed`) are not made yet. Makes nothing."""
        finder = Lineage(self.pair, self.store, device=self.device, random=self.random)
        finder._only_find = True
        absent = []
        for what in names:
            name, _, seed = what.partition(":")
            try:
                finder.weights(name, int(seed or 0))
            except _NotMade:
                absent.append(what)
        return absent

    def weights(self, name: str, seed: int = 0) -> Weights:
        """The weights a variant is loaded from, by the name in `harness/variants.py`."""
        if name == "teacher":
            return self.teacher
        if name == "undistilled":
            return self.undistilled
        if name in ARMS:
            return self.student(name, seed)
        raise ModelError(f"no weights called {name!r}; there are teacher, undistilled, {', '.join(ARMS)}")

    def student(self, arm: Arm = "distilled", seed: int = 0) -> Weights:
        """The student after one arm of the experiment; all arms start alike and take the same number of steps."""
        if self.random:
            return self.undistilled
        recipe = arm_recipe(self.pair, arm, seed)
        start = self.undistilled
        from_teacher = arm != "finetuned"
        key = {
            **sources(self.pair.data.dataset),
            "arm": arm,
            "start": start.digest,
            "config": dict(self.pair.student.sizes),
            "recipe": plain(recipe),
            "data": data_key(self.pair.data, recipe.split),
            "val": data_key(self.pair.data, VAL),
            "targets": [self.targets(recipe.split).digest, self.targets(VAL).digest] if from_teacher else None,
        }

        def make(folder: Path) -> Mapping[str, Any]:
            require_room_to_train(self.pair, start.folder, self.device)
            student = self._load(self.pair.student, start.folder, "fp32")
            items, val_items = self._items(recipe.split), self._val_items(recipe)
            targets = val_targets = None
            if from_teacher:
                shared = self.shared_vocabulary
                targets = load_targets(self.targets(recipe.split).path, self.device)
                val_targets = load_targets(self.targets(VAL).path, self.device)
                lessons = teacher_lessons(items, targets, student, shared)
                held_out = teacher_lessons(val_items, val_targets, student, shared)
            else:
                shared = None
                lessons, held_out = gold_lessons(items, student), gold_lessons(val_items, student)
            soft = arm == "distilled"
            return self._train(
                f"{arm} student",
                student,
                lessons,
                held_out,
                recipe,
                folder,
                saved_dtype(start.folder),
                shared=shared,
                targets=targets if soft else None,
                held_out_targets=val_targets if soft else None,
                labels=LABELS[arm],
            )

        return self._get(f"student-{arm}", key, make)

    @property
    def gold_split(self) -> str:
        """The split whose gold answers the teacher learnt from, or the few that the controls learn from."""
        training = self.pair.teacher.training
        return training[-1].split if training else self.pair.finetune_split

    # --- the teacher's knowledge -------------------------------------------------------------------

    @cached_property
    def shared_vocabulary(self) -> int:
        """How many ids teacher and student share (from their tokenizers)."""
        return require_shared(read_tokenizer(self.teacher.folder), read_tokenizer(self.undistilled.folder))

    def targets(self, split: str) -> Artifact:
        """The teacher's answers and states on every question of a split."""
        recipe, spec = self.pair.recipe, self.pair.teacher
        key = {
            **sources(self.pair.data.dataset),
            "teacher": self.teacher.digest,
            "config": dict(spec.sizes),
            "teacher_format": recipe.teacher_format,
            "data": data_key(self.pair.data, split),
            "shared": self.shared_vocabulary,
            "max_new_tokens": self.pair.evaluation.max_new_tokens,
        }

        def make(folder: Path) -> Mapping[str, Any]:
            require_room_to_train(self.pair, self.undistilled.folder, self.device)  # or the answers are for nothing
            require_media(self.pair.data, split)
            teacher = self._load(spec, self.teacher.folder, self.pair.recipe.teacher_format)
            with self._threads(self.pair.recipe), self._watcher.start(f"teacher answers {split}") as tell:
                make_targets(
                    teacher,
                    self._items(split),
                    self.shared_vocabulary,
                    folder,
                    max_new_tokens=self.pair.evaluation.max_new_tokens,
                    batch_clips=self.pair.evaluation.batch_clips,
                    watch=lambda done, total: tell(done, total, ""),
                )
            return {"split": split}

        return self._artifact("targets", key, make)

    # --- making ------------------------------------------------------------------------------------

    def _from_spec(self, side: str, spec: ModelSpec) -> Weights:
        if self.random:
            key = {**sources(self.pair.data.dataset), **random_key(spec, self.pair.data)}
            return self._get(f"{side}-random", key, lambda folder: write_random(folder, side, spec, self.pair.data))
        if spec.weights is not None:
            weights = given(side, spec, self.store)
        else:
            key = {**sources(self.pair.data.dataset), **initial_key(spec, self.pair.data)}
            weights = self._get(f"{side}-initial", key, lambda folder: write_initial(folder, spec, self.pair.data))
        for recipe in spec.training:
            weights = self._finetuned(side, spec, weights, recipe)
        return weights

    def _finetuned(self, side: str, spec: ModelSpec, start: Weights, recipe: Recipe) -> Weights:
        key = {
            **sources(self.pair.data.dataset),
            "start": start.digest,
            "config": dict(spec.sizes),
            "recipe": plain(recipe),
            "data": data_key(self.pair.data, recipe.split),
            "val": data_key(self.pair.data, VAL),
        }

        def make(folder: Path) -> Mapping[str, Any]:
            model = self._load(spec, start.folder, "fp32")
            lessons = gold_lessons(self._items(recipe.split, recipe.types), model)
            held_out = gold_lessons(self._val_items(recipe), model)
            title = f"{side}: {getattr(recipe, 'name', 'finetune')}"
            return self._train(title, model, lessons, held_out, recipe, folder, saved_dtype(start.folder))

        return self._get(f"{side}-{getattr(recipe, 'name', 'finetuned')}", key, make)

    def finetune(
        self,
        side: Literal["teacher", "student"] = "student",
        split: str | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
    ) -> Weights:
        """Fine-tune a side of the pair on gold answers: the path that makes the tiny teacher, for anyone's use."""
        split = split or self.pair.finetune_split
        if split not in self.pair.data.splits or split in (VAL, self.pair.evaluation.split):
            allowed = [name for name in self.pair.data.splits if name not in (VAL, self.pair.evaluation.split)]
            raise UsageError(f"--split {oneline(split)}: can be {', '.join(allowed)}")
        changes: dict[str, object] = {"method": "finetune", "teacher_format": "native", "split": split}
        changes |= {"epochs": epochs} if epochs else {}
        changes |= {"learning_rate": learning_rate} if learning_rate else {}
        recipe = self.pair.recipe.model_copy(update=changes)
        spec = self.pair.student if side == "student" else self.pair.teacher
        return self._finetuned(side, spec, self.undistilled if side == "student" else self.teacher, recipe)

    def _train(
        self,
        title: str,
        model: Architecture,
        lessons: list[Lesson],
        held_out: list[Lesson],
        recipe: Recipe,
        folder: Path,
        dtype: torch.dtype,
        *,
        shared: int | None = None,
        targets: Targets | None = None,
        held_out_targets: Targets | None = None,
        labels: str = "gold",
    ) -> Mapping[str, Any]:
        with self._threads(recipe), self._watcher.start(title) as tell:
            validated = ""

            def watch(progress: Progress) -> None:
                nonlocal validated
                if progress.validation is not None:
                    validated = f", val agreement {progress.validation.agreement:.1%}"
                tell(progress.step, progress.total, f"loss {progress.loss:.3f}{validated}")

            result = train(
                model,
                lessons,
                held_out,
                recipe,
                folder,
                shared=shared,
                targets=targets,
                held_out_targets=held_out_targets,
                watch=watch,
            )
        model.model.to(dtype)  # type: ignore[arg-type]  # trained in fp32, saved as what it started from was
        model.save(folder)
        return {
            **asdict(result),
            "curve": list(result.curve),
            "recipe": plain(recipe),
            "clips": len(lessons),
            "answers": sum(len(lesson.answers) for lesson in lessons),
            "labels": labels,
        }

    def _get(self, kind: str, key: Mapping[str, Any], make: Make) -> Weights:
        artifact = self._artifact(kind, key, make)
        return Weights(artifact.path, artifact.digest, artifact.meta)

    def _artifact(self, kind: str, key: Mapping[str, Any], make: Make) -> Artifact:
        digest = digest_of(kind, key)
        if self._only_find:
            found = self.store.find(kind, key)
            if found is None:
                raise _NotMade(kind)
            return found
        again = self._rebuild and digest not in self._made
        self._made.add(digest)
        return self.store.get(kind, key, make, rebuild=again)

    def _threads(self, recipe: Recipe) -> AbstractContextManager[None]:
        return cpu_threads(recipe.threads if self.device.type == "cpu" else None)

    def _load(self, spec: ModelSpec, folder: Path, format: str = "native") -> Architecture:
        require_room(self.pair, spec, folder, format, self.device)
        return architecture(spec.architecture).load(folder, format=format, device=self.device, told=spec.sizes)

    # --- what goes into a key ----------------------------------------------------------------------

    def _items(self, split: str, types: Sequence[str] | None = None) -> list[QAItem]:
        return load_items(self.pair.data, split, types)

    def _val_items(self, recipe: Recipe) -> list[QAItem]:
        items = self._items(VAL, recipe.types)
        if recipe.val_clips is None:
            return items
        kept = list(dict.fromkeys(item.clip.id for item in items))[: recipe.val_clips]
        return [item for item in items if item.clip.id in set(kept)]
