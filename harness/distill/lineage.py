"""Which model comes from which: every artifact of a pair, made when it is first asked for and found by digest after.

    initial weights ─▶ teacher (fine-tuned on gold) ─▶ targets (its answers on the pool)
    initial weights ─▶ undistilled student ─▶ distilled | hard-labels (from the targets) | finetuned (few gold answers)
    a recipe that freezes the tower:  undistilled student ─▶ features (what it sees of the pool) ─▶ the student
    on-policy epochs:  distilled ─▶ its answers ─▶ targets along them ─▶ distilled further ─▶ …

A digest covers everything that made the artifact: the weights it started from, recipe, data, tokenizers, our training
sources and the versions of the libraries. How each is made, `making.py` knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from harness.artifact import Artifact, Make, Store, digest_of
from harness.distill.align import require_shared
from harness.distill.arms import ARMS, Arm, arm_recipe, labels_of
from harness.distill.features import stage_of
from harness.distill.keys import data_key, plain, sources
from harness.distill.making import UNWATCHED, Making, Sources, Watcher, top_k_form
from harness.distill.on_policy import load_student_answers, round_recipe
from harness.distill.origins import Weights, given, initial_key, random_key, write_initial, write_random
from harness.distill.parallel import ALONE, Ranks
from harness.distill.targets import join_targets, shard_of
from harness.distill.trained import load_format
from harness.errors import ModelError, UsageError, oneline
from harness.measure.price import joined_json
from harness.pair import ModelSpec, Pair, Recipe
from harness.plan.room import require_room_to_train
from harness.qa.datasets import load_items, require_media
from harness.qa.items import QAItem
from harness.qa.views import views
from models.interface import architecture, read_tokenizer

VAL = "val"
THIN = 0.95  # less of the teacher's probability than this in a top-k cache is said aloud


class _NotMade(Exception):
    """An artifact that would have to be made."""


class Lineage:
    """The artifacts of one pair in one store. `seed` shifts the seed of the student's arms, nothing else.

    With `random`, both sides are random numbers at their real shapes, and no student is trained: all are the same.
    With `ranks` it is one of several processes that train together; what is not a training, the first one makes.
    """

    def __init__(
        self,
        pair: Pair,
        store: Store,
        *,
        device: torch.device | str = "cpu",
        watcher: Watcher = UNWATCHED,
        rebuild: bool = False,
        random: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        self.pair, self.store, self.device, self.random = pair, store, torch.device(device), random
        self._ranks, self._rebuild = ranks, rebuild
        self._making = Making(pair, self.device, watcher, ranks)
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

    def student(self, arm: Arm = "distilled", seed: int = 0, recipe: Recipe | None = None) -> Weights:
        """The student after one arm of the experiment; all arms start alike and take the same number of steps.

        `recipe`: another one than the pair's, for the same teacher's targets.
        """
        if self.random:
            return self.undistilled
        chosen = arm_recipe(self.pair, arm, seed, recipe)
        if arm == "finetuned":
            return self._student(arm, chosen, self.undistilled)
        taught = self.targets(chosen.split, chosen.views)
        weights = self._student(arm, chosen, self.undistilled, taught)
        for number in range(1, chosen.on_policy_epochs + 1):
            following = round_recipe(chosen, number)
            said = self._student_answers(weights, following)
            taught = self.targets(following.split, following.views, said=said)
            weights = self._student(arm, following, weights, taught)
        return weights

    @property
    def gold_split(self) -> str:
        """The split whose gold answers the teacher learnt from, or the few that the controls learn from."""
        training = self.pair.teacher.training
        return training[-1].split if training else self.pair.finetune_split

    # --- the teacher's knowledge, and what a frozen tower sees --------------------------------------

    @cached_property
    def shared_vocabulary(self) -> int:
        """How many ids teacher and student share (from their tokenizers)."""
        return require_shared(read_tokenizer(self.teacher.folder), read_tokenizer(self.undistilled.folder))

    def targets(self, split: str, shown: int = 1, said: Artifact | None = None, shards: int = 1) -> Artifact:
        """The teacher's answers and states on every question of a split, `shown` in so many views; or its states along
        the answers that a student has `said`. Put together from `shards` where they are more than one: the same bytes.
        """
        key = self._targets_key(split, shown, said)

        def make(folder: Path) -> Mapping[str, Any]:
            items = self._items(split, shown=shown)
            given = load_student_answers(said.path) if said else None
            if shards == 1:
                return {"split": split, **self._answered(split, items, folder, given)}
            found = [self.targets_shard(split, shown, number, shards) for number in range(1, shards + 1)]
            parts = [part for part in found if part is not None]
            told = join_targets([part.path for part in parts], items, folder)
            prices: list[Any] = [part.meta["price"] for part in parts]
            return {"split": split, **told, "price": joined_json(prices)}

        found = self._artifact("targets", key, make)
        self._tell_covered(found)
        return found

    def targets_shard(self, split: str, shown: int, number: int, shards: int) -> Artifact | None:
        """Shard `number` of a split's targets, for `targets` to put together; None where there are fewer batches."""
        items = shard_of(self._items(split, shown=shown), self.pair.evaluation.batch_clips, number, shards)
        if not items:
            return None
        key = {
            **self._targets_key(split, shown),
            "batch_clips": self.pair.evaluation.batch_clips,
            "items": [items[0].id, items[-1].id, len(items)],
        }
        return self._artifact("targets-shard", key, lambda folder: self._answered(split, items, folder))

    def _targets_key(self, split: str, shown: int, said: Artifact | None = None) -> Mapping[str, Any]:
        recipe, spec = self.pair.recipe, self.pair.teacher
        form = top_k_form(recipe)
        return {
            **sources(self.pair.data.dataset),
            "teacher": self.teacher.digest,
            "config": dict(spec.sizes),
            "teacher_format": recipe.teacher_format,
            "data": data_key(self.pair.data, split, shown),
            "shared": self.shared_vocabulary,
            "max_new_tokens": self.pair.evaluation.max_new_tokens,
            "answers": said.digest if said else recipe.answers,
            "top_k": None if form is None else [form.k, *form.temperatures],
        }

    def _answered(
        self, split: str, items: Sequence[QAItem], folder: Path, given: Mapping[str, Sequence[int]] | None = None
    ) -> Mapping[str, Any]:
        require_room_to_train(self.pair, self.undistilled.folder, self.device)  # or the answers are for nothing
        require_media(self.pair.data, split)
        return self._making.targets(
            self.teacher.folder,
            items,
            self.shared_vocabulary,
            folder,
            title=f"teacher {'answers' if given is None else 'scores'} {split}",
            given=given,
        )

    def _features(self, spec: ModelSpec, start: Weights, recipe: Recipe, split: str, shown: int) -> Artifact | None:
        """What the frozen tower of these weights sees of a split; None where the recipe keeps nothing of it."""
        kind = architecture(spec.architecture)
        stage = stage_of(recipe, hears=kind.speech_tokens(kind.config_from(start.folder, spec.sizes)) > 0)
        if stage is None:
            return None
        key = {
            **sources(self.pair.data.dataset),
            "start": start.digest,
            "config": dict(spec.sizes),
            "data": data_key(self.pair.data, split, shown),
            "stage": stage,
            "format": load_format(recipe),
            "precision": recipe.precision,
        }

        def make(folder: Path) -> Mapping[str, Any]:
            require_media(self.pair.data, split)
            items = self._items(split, shown=shown)
            return self._making.features(spec, start.folder, items, recipe, stage, folder)

        return self._artifact("features", key, make)

    def _student_answers(self, student: Weights, recipe: Recipe) -> Artifact:
        """What a student says to the questions that it goes on learning from."""
        key = {
            **sources(self.pair.data.dataset),
            "student": student.digest,
            "data": data_key(self.pair.data, recipe.split, recipe.views),
            "seed": recipe.seed,
            "shared": self.shared_vocabulary,
            "max_new_tokens": self.pair.evaluation.max_new_tokens,
        }

        def make(folder: Path) -> Mapping[str, Any]:
            items = self._items(recipe.split, shown=recipe.views)
            return self._making.student_answers(student.folder, items, self.shared_vocabulary, recipe.seed, folder)

        return self._artifact("student-answers", key, make)

    def _tell_covered(self, targets: Artifact) -> None:
        covered: Any = targets.meta.get("covered_mass", {})
        mass = covered.get(f"{self.pair.recipe.temperature:g}")
        if mass is not None and mass["mean"] < THIN:
            self.store.say(
                f"recipe.top_k {self.pair.recipe.top_k} covers {mass['mean']:.1%} of the teacher's probability at "
                f"T = {self.pair.recipe.temperature:g} (least {mass['least']:.1%}); null keeps all of it"
            )

    # --- trainings ---------------------------------------------------------------------------------

    def _student(self, arm: Arm, recipe: Recipe, start: Weights, taught: Artifact | None = None) -> Weights:
        spec = self.pair.student
        held_taught = self.targets(VAL) if taught else None
        key = {
            **sources(self.pair.data.dataset),
            "arm": arm,
            "start": start.digest,
            "config": dict(spec.sizes),
            "recipe": plain(recipe),
            "data": data_key(self.pair.data, recipe.split, recipe.views),
            "val": data_key(self.pair.data, VAL),
            "targets": [taught.digest, held_taught.digest] if taught and held_taught else None,
        }

        def make(folder: Path) -> Mapping[str, Any]:
            require_room_to_train(self.pair, start.folder, self.device)
            features = self._features(spec, start, recipe, recipe.split, recipe.views)
            held_features = self._features(spec, start, recipe, VAL, 1)
            told = self._making.training(
                f"{arm} student",
                spec,
                start.folder,
                recipe,
                self._items(recipe.split, shown=recipe.views),
                self._val_items(recipe),
                folder,
                shared=self.shared_vocabulary if taught else None,
                sources=Sources(
                    targets=taught.path if taught else None,
                    held_out_targets=held_taught.path if held_taught else None,
                    features=features.path if features else None,
                    held_out_features=held_features.path if held_features else None,
                    stage=stage_of(recipe, hears=False) if features else None,
                    soft=arm == "distilled",
                ),
                free_tokens=self.pair.evaluation.max_new_tokens,
            )
            phases = {"targets": taught, "features": features}
            paid = {name: found.meta["price"] for name, found in phases.items() if found is not None}
            return {**told, "price": {**paid, "train": told["price"]}, "labels": labels_of(arm, recipe)}

        return self._get(f"student-{arm}", key, make, together=True)

    def _finetuned(self, side: str, spec: ModelSpec, start: Weights, recipe: Recipe) -> Weights:
        key = {
            **sources(self.pair.data.dataset),
            "start": start.digest,
            "config": dict(spec.sizes),
            "recipe": plain(recipe),
            "data": data_key(self.pair.data, recipe.split, recipe.views),
            "val": data_key(self.pair.data, VAL),
        }

        def make(folder: Path) -> Mapping[str, Any]:
            items, held_out = self._items(recipe.split, recipe.types, recipe.views), self._val_items(recipe)
            title = f"{side}: {getattr(recipe, 'name', 'finetune')}"
            told = self._making.training(title, spec, start.folder, recipe, items, held_out, folder)
            return {**told, "price": {"train": told["price"]}, "labels": "gold"}

        return self._get(f"{side}-{getattr(recipe, 'name', 'finetuned')}", key, make, together=True)

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
        changes |= {"on_policy_epochs": 0, "answers": "gold"}
        changes |= {"epochs": epochs} if epochs else {}
        changes |= {"learning_rate": learning_rate} if learning_rate else {}
        recipe = self.pair.recipe.model_copy(update=changes)
        spec = self.pair.student if side == "student" else self.pair.teacher
        return self._finetuned(side, spec, self.undistilled if side == "student" else self.teacher, recipe)

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

    def _get(self, kind: str, key: Mapping[str, Any], make: Make, *, together: bool = False) -> Weights:
        artifact = self._artifact(kind, key, make, together=together)
        return Weights(artifact.path, artifact.digest, artifact.meta)

    def _artifact(self, kind: str, key: Mapping[str, Any], make: Make, *, together: bool = False) -> Artifact:
        digest = digest_of(kind, key)
        if self._only_find:
            found = self.store.find(kind, key)
            if found is None:
                raise _NotMade(kind)
            return found
        again = self._rebuild and digest not in self._made
        self._made.add(digest)
        if self._ranks.count == 1:
            return self.store.get(kind, key, make, rebuild=again)
        return self._by_all(kind, key, make, again, together)

    def _by_all(self, kind: str, key: Mapping[str, Any], make: Make, again: bool, together: bool) -> Artifact:
        """The first process holds the store's lock and makes; a training is made `together`, in the first one's folder,
        into which the others write nothing.
        """
        told = False
        if self._ranks.first:

            def announced(folder: Path) -> Any:
                nonlocal told
                told = True
                self._ranks.told(str(folder))
                return make(folder)

            made = self.store.get(kind, key, announced, rebuild=again)
            if not told:
                self._ranks.told("")
            self._ranks.wait()
            return made
        folder: str = self._ranks.told(None)
        if folder and together:
            make(Path(folder))
        self._ranks.wait()
        found = self.store.find(kind, key)
        if found is None:
            raise ModelError(
                f"{self.store.root}: process {self._ranks.rank} does not see the {kind} that was just made; "
                "all processes need the same --cache"
            )
        return found

    # --- what goes into a key ----------------------------------------------------------------------

    def _items(self, split: str, types: Sequence[str] | None = None, shown: int = 1) -> list[QAItem]:
        return views(load_items(self.pair.data, split, types), shown)

    def _val_items(self, recipe: Recipe) -> list[QAItem]:
        items = self._items(VAL, recipe.types)
        if recipe.val_clips is None:
            return items
        kept = list(dict.fromkeys(item.clip.id for item in items))[: recipe.val_clips]
        return [item for item in items if item.clip.id in set(kept)]
