"""Which model comes from which: every artifact of a pair, made when it is first asked for and found by digest after.

    initial weights ─▶ teacher (fine-tuned on gold) ─▶ targets (its answers on the pool)
    initial weights ─▶ undistilled student ─▶ distilled | hard-labels (from the targets) | finetuned (few gold answers)

A digest covers everything that made the artifact: the weights it started from, recipe, data, tokenizers, our training
sources and the versions of the libraries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from harness.artifact import Artifact, Make, Store, digest_of, folder_digest
from harness.distill.align import require_shared
from harness.distill.lessons import Lesson, gold_lessons, teacher_lessons
from harness.distill.targets import Targets, load_targets, make_targets
from harness.distill.threads import cpu_threads
from harness.distill.train import Progress, train
from harness.errors import ModelError, UsageError, oneline
from harness.pair import ModelSpec, Pair, Recipe
from harness.qa.datasets import load_items, load_lexicon
from harness.qa.items import QAItem
from models.interface import Architecture, architecture, read_tokenizer

Arm = Literal["distilled", "hard-labels", "finetuned"]
ARMS: tuple[Arm, ...] = ("distilled", "hard-labels", "finetuned")
LABELS = {"distilled": "teacher, with probabilities", "hard-labels": "teacher", "finetuned": "gold"}
UNTRAINED = ("ahead.py", "blind.py", "contact_sheet.py", "grading.py")  # sources without a say in a training
LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes")
VAL = "val"


@dataclass(frozen=True)
class Weights:
    """A folder with config, safetensors and tokenizer, and the digest that names it."""

    folder: Path
    digest: str
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Watcher:
    """How a long step is watched: `start(title)` opens a bar whose callable takes (done, total, note)."""

    start: Callable[[str], AbstractContextManager[Callable[[int, int, str], None]]] = lambda title: nullcontext(
        lambda done, total, note: None
    )


class _NotMade(Exception):
    """An artifact that would have to be made."""


class Lineage:
    """The artifacts of one pair in one store. `seed` shifts the seed of the student's arms, nothing else."""

    def __init__(
        self,
        pair: Pair,
        store: Store,
        *,
        device: torch.device | str = "cpu",
        watcher: Watcher = Watcher(),
        rebuild: bool = False,
    ) -> None:
        self.pair, self.store, self.device = pair, store, torch.device(device)
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
        finder = Lineage(self.pair, self.store, device=self.device)
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
        recipe = self.arm_recipe(arm, seed)
        start = self.undistilled
        from_teacher = arm != "finetuned"
        key = {
            **self._sources(),
            "arm": arm,
            "start": start.digest,
            "recipe": _plain(recipe),
            "data": self._data_key(recipe.split),
            "targets": [self.targets(recipe.split).digest, self.targets(VAL).digest] if from_teacher else None,
        }

        def make(folder: Path) -> Mapping[str, Any]:
            student = self._load(self.pair.student, start.folder)
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
                shared=shared,
                targets=targets if soft else None,
                held_out_targets=val_targets if soft else None,
                labels=LABELS[arm],
            )

        return self._get(f"student-{arm}", key, make)

    def arm_recipe(self, arm: Arm, seed: int = 0) -> Recipe:
        """The pair's recipe as this arm uses it: hard labels have no KL, gold has other clips but as many steps."""
        recipe = self.pair.recipe
        changes: dict[str, object] = {"seed": recipe.seed + seed}
        clips = self.pair.data.splits[recipe.split].clips
        steps = min(recipe.epochs * -(-clips // recipe.batch_clips), recipe.max_steps or 2**62)
        if arm == "finetuned":
            few = self.pair.data.splits[self.pair.finetune_split].clips
            changes |= {
                "split": self.pair.finetune_split,
                "epochs": -(-steps // -(-few // recipe.batch_clips)),
                "max_steps": steps,
                "evaluate_every": recipe.evaluate_every or -(-clips // recipe.batch_clips),
                "alpha": 0.0,
                "method": "finetune",
                "teacher_format": "native",
            }
        elif arm == "hard-labels":
            changes["alpha"] = 0.0
        return recipe.model_copy(update=changes)

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
            **self._sources(),
            "teacher": self.teacher.digest,
            "teacher_format": recipe.teacher_format,
            "data": self._data_key(split),
            "shared": self.shared_vocabulary,
            "max_new_tokens": self.pair.evaluation.max_new_tokens,
        }

        def make(folder: Path) -> Mapping[str, Any]:
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
        if spec.weights is not None:
            folder = Path(spec.weights)
            if not folder.is_dir():
                raise ModelError(f"{side}.weights: no folder {spec.weights}; download the checkpoint there first")
            return Weights(folder, folder_digest(folder), {})
        weights = self._initial(side, spec)
        for recipe in spec.training:
            weights = self._finetuned(side, spec, weights, recipe)
        return weights

    def _initial(self, side: str, spec: ModelSpec) -> Weights:
        assert spec.initial is not None
        key = {
            **self._sources(),
            "architecture": spec.architecture,
            "initial": _plain(spec.initial),
            "words": hashlib.sha256("\n".join(load_lexicon(self.pair.data)).encode()).hexdigest(),
        }

        def make(folder: Path) -> None:
            initial = spec.initial
            assert initial is not None
            architecture(spec.architecture).initialise(
                config=initial.config,
                seed=initial.seed,
                words=load_lexicon(self.pair.data),
                tokenizer_extra=initial.tokenizer_extra,
                pad_vocab_to=initial.pad_vocab_to,
                scale=initial.scale,
            ).save(folder)

        return self._get(f"{side}-initial", key, make)

    def _finetuned(self, side: str, spec: ModelSpec, start: Weights, recipe: Recipe) -> Weights:
        key = {
            **self._sources(),
            "start": start.digest,
            "recipe": _plain(recipe),
            "data": self._data_key(recipe.split),
            "val": self._data_key(VAL),
        }

        def make(folder: Path) -> Mapping[str, Any]:
            model = self._load(spec, start.folder)
            lessons = gold_lessons(self._items(recipe.split, recipe.types), model)
            held_out = gold_lessons(self._val_items(recipe), model)
            title = f"{side}: {getattr(recipe, 'name', 'finetune')}"
            return self._train(title, model, lessons, held_out, recipe, folder)

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
        model.save(folder)
        return {
            **asdict(result),
            "curve": list(result.curve),
            "recipe": _plain(recipe),
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
        kind = architecture(spec.architecture)
        if format != "native":
            return kind.load(folder, format=format, device_map={"": self.device})
        model = kind.load(folder)
        model.to(self.device)
        return model

    # --- what goes into a key ----------------------------------------------------------------------

    def _items(self, split: str, types: Sequence[str] | None = None) -> list[QAItem]:
        return load_items(self.pair.data, split, types)

    def _val_items(self, recipe: Recipe) -> list[QAItem]:
        items = self._items(VAL, recipe.types)
        if recipe.val_clips is None:
            return items
        kept = list(dict.fromkeys(item.clip.id for item in items))[: recipe.val_clips]
        return [item for item in items if item.clip.id in set(kept)]

    def _data_key(self, split: str) -> Mapping[str, Any]:
        data = self.pair.data
        return {
            "dataset": data.dataset,
            "seed": data.seed,
            "path": data.path,
            "frames": data.frames,
            "split": split,
            **_plain(data.splits[split]),
        }

    def _sources(self) -> Mapping[str, Any]:
        return {"sources": _source_digest(), "libraries": {name: version(name) for name in LIBRARIES}}


def _plain(model: Any) -> Any:
    return model.model_dump(mode="json")


def _source_digest() -> str:
    """Digest of our code that has a say in what a training produces."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for folder in ("harness/distill", "harness/qa", "models"):
        for file in sorted(f for f in (root / folder).glob("*.py") if f.name not in UNTRAINED):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
