"""How an artifact of a pair is made: the teacher's targets, a frozen tower's features, a student's answers, a training.

Each loads one model, does one thing, writes into the folder it is given, and returns what the artifact should tell, its
price included. `lineage.py` knows what comes from which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from harness.distill.batches import Ready, Work
from harness.distill.bill import Bill, billed
from harness.distill.features import Features, Stage, make_features
from harness.distill.lessons import Lesson, gold_lessons, teacher_lessons
from harness.distill.on_policy import write_student_answers
from harness.distill.parallel import ALONE, Ranks
from harness.distill.rows import Rows
from harness.distill.targets import TEMPERATURES, TopKForm, load_targets, make_targets
from harness.distill.threads import cpu_threads
from harness.distill.train import Lessons, Progress, take_best, train
from harness.distill.trained import load_format
from harness.distill.validation import Held
from harness.measure.ceilings import Ceiling, matmul_ceiling
from harness.measure.price import priced, priced_json
from harness.pair import ModelSpec, Pair, Recipe
from harness.plan.room import require_room, shapes_in
from harness.plan.training import mode_of
from harness.plan.training_flops import RowTokens, features_flops, row_of, teacher_flops, training_flops
from harness.qa.items import QAItem
from models.interface import Architecture, Prepared, architecture, saved_dtype


@dataclass(frozen=True)
class Watcher:
    """How a long step is watched: `start(title)` opens a bar whose callable takes (done, total, note)."""

    start: Callable[[str], AbstractContextManager[Callable[[int, int, str], None]]] = lambda title: nullcontext(
        lambda done, total, note: None
    )


UNWATCHED = Watcher()


@dataclass(frozen=True)
class Sources:
    """Folders that a training reads beside its starting weights; None where it does without."""

    targets: Path | None = None
    held_out_targets: Path | None = None
    features: Path | None = None
    held_out_features: Path | None = None
    stage: Stage | None = None
    soft: bool = False  # are the teacher's probabilities learnt from, or its answers alone


GOLD = Sources()


class Making:
    """Makes the artifacts of one pair on one device, alone or as one of several processes."""

    def __init__(self, pair: Pair, device: torch.device, watcher: Watcher, ranks: Ranks = ALONE) -> None:
        self.pair, self.device, self.ranks, self._watcher = pair, device, ranks, watcher

    def load(self, spec: ModelSpec, folder: Path, format: str = "native") -> Architecture:
        """A side of the pair, if there is room for it."""
        require_room(self.pair, spec, folder, format, self.device)
        return architecture(spec.architecture).load(folder, format=format, device=self.device, told=spec.sizes)

    def targets(
        self,
        weights: Path,
        items: Sequence[QAItem],
        shared: int,
        folder: Path,
        *,
        title: str,
        given: Mapping[str, Sequence[int]] | None = None,
    ) -> Mapping[str, Any]:
        """The teacher's answers, or its states along given ones."""
        recipe, evaluation, spec = self.pair.recipe, self.pair.evaluation, self.pair.teacher
        shapes = shapes_in(spec, weights)
        with self._phase(title, folder, recipe) as (bill, tell):
            teacher = self.load(spec, weights, recipe.teacher_format)
            answering = recipe.answers == "teacher" and given is None

            def billed(prepared: Sequence[Prepared], answers: Sequence[Sequence[Sequence[int]]]) -> None:
                rows = [row_of(shapes, one, said) for one, said in zip(prepared, answers, strict=True)]
                bill.add(
                    sum(map(_tokens, rows)), teacher_flops(shapes, rows, answering=answering, forced=not answering)
                )

            if recipe.answers == "gold" and given is None:
                given = {item.id: teacher.answer_ids(item.gold) for item in items}
            told = make_targets(
                teacher,
                items,
                shared,
                folder,
                max_new_tokens=evaluation.max_new_tokens,
                batch_clips=evaluation.batch_clips,
                given=given,
                top_k=top_k_form(recipe),
                bill=billed,
                watch=tell,
            )
            return {**told, "price": bill.told()}

    def features(
        self, spec: ModelSpec, weights: Path, items: Sequence[QAItem], recipe: Recipe, stage: Stage, folder: Path
    ) -> Mapping[str, Any]:
        """What the frozen tower of these weights sees of every clip."""
        shapes, clips = shapes_in(spec, weights), self.pair.evaluation.batch_clips
        with self._phase("frozen tower looks", folder, recipe) as (bill, tell):
            model = self.load(spec, weights, load_format(recipe))

            def billed(prepared: Sequence[Prepared]) -> None:
                rows = [row_of(shapes, one, [(0,)] * len(one.questions)) for one in prepared]
                visual = sum(int(one.spliced.sum()) for one in prepared)
                bill.add(visual, features_flops(shapes, rows, connected=stage == "seen"))

            told = make_features(model, items, recipe, stage, folder, batch_clips=clips, bill=billed, watch=tell)
            return {**told, "price": bill.told()}

    def student_answers(
        self, weights: Path, items: Sequence[QAItem], shared: int, seed: int, folder: Path
    ) -> Mapping[str, Any]:
        """Answers drawn from a student."""
        evaluation = self.pair.evaluation
        with self._watcher.start("student answers") as tell, self._threads(self.pair.recipe):
            return write_student_answers(
                self.load(self.pair.student, weights),
                items,
                shared,
                folder,
                seed=seed,
                max_new_tokens=evaluation.max_new_tokens,
                batch_clips=evaluation.batch_clips,
                watch=lambda done, total: tell(done, total, ""),
            )

    def training(
        self,
        title: str,
        spec: ModelSpec,
        start: Path,
        recipe: Recipe,
        items: Sequence[QAItem],
        held_out: Sequence[QAItem],
        folder: Path,
        *,
        shared: int | None = None,
        sources: Sources = GOLD,
        free_tokens: int | None = None,
    ) -> Mapping[str, Any]:
        """Train from the weights in `start`, on gold or on targets; saved as what it started from was."""
        shapes, mode, ceiling = shapes_in(spec, start), mode_of(recipe), self._ceiling(recipe)
        with self._watcher.start(title) as tell, self._threads(recipe), priced(self.device) as price:
            model = self.load(spec, start, load_format(recipe))
            taught, held = self._lessons(model, items, held_out, shared, sources)
            ids = shared or int(model.head.weight.shape[0])
            width = 0 if taught.targets is None or taught.targets.head is None else taught.targets.head.shape[1]

            def count(batch: Sequence[Ready], backward: bool) -> int:
                rows = [row_of(shapes, ready.prepared, ready.lesson.answers) for ready in batch]
                return training_flops(
                    shapes,
                    mode,
                    rows,
                    shared=ids,
                    teacher_width=width,
                    cached_vision=taught.features is not None,
                    backward=backward,
                )

            def meter(work: Work, before: Mapping[str, Any] | None) -> Mapping[str, Any]:
                tokens, flops = (int(self.ranks.total(float(one))) for one in (work.tokens, work.flops))
                return priced_json(price, tokens=tokens, flops=flops, ceiling=ceiling, before=before)

            result = train(
                model,
                taught,
                held,
                recipe,
                folder,
                free_tokens=free_tokens,
                ranks=self.ranks,
                meter=meter,
                count=count,
                watch=_telling(tell),
            )
        if self.ranks.sharded and self.ranks.first:
            model = architecture(spec.architecture).load(start, format=load_format(recipe), told=spec.sizes)
            take_best(model, recipe, folder)
        if self.ranks.first:
            model.model.to(saved_dtype(start))  # type: ignore[arg-type]
            model.save(folder)
        return {
            "curve": list(result.curve),
            "steps": result.steps,
            "best_step": result.best_step,
            "seconds": result.seconds,
            "held_out": asdict(result.held_out),
            "padding": result.padding,
            "price": result.price,
            "recipe": recipe.model_dump(mode="json"),
            "clips": len(taught.lessons),
            "answers": sum(len(lesson.answers) for lesson in taught.lessons),
        }

    def _lessons(
        self,
        model: Architecture,
        items: Sequence[QAItem],
        held_out: Sequence[QAItem],
        shared: int | None,
        sources: Sources,
    ) -> tuple[Lessons, Held]:
        def features(folder: Path | None) -> Features | None:
            return Features(Rows(folder), sources.stage) if folder and sources.stage else None

        lessons: list[Lesson]
        if sources.targets is None or sources.held_out_targets is None:
            lessons, held = gold_lessons(items, model), gold_lessons(held_out, model)
            targets = held_targets = None
        else:
            assert shared is not None
            targets = load_targets(sources.targets, self.device)
            held_targets = load_targets(sources.held_out_targets, self.device)
            lessons = teacher_lessons(items, targets, model, shared)
            held = teacher_lessons(held_out, held_targets, model, shared)
        soft = sources.soft
        return (
            Lessons(lessons, targets if soft else None, features(sources.features), shared),
            Held(held, held_targets if soft else None, features(sources.held_out_features)),
        )

    @contextmanager
    def _phase(self, title: str, folder: Path, recipe: Recipe) -> Iterator[tuple[Bill, Callable[[int, int], None]]]:
        ceiling = self._ceiling(recipe)
        with (
            self._watcher.start(title) as tell,
            self._threads(recipe),
            billed(folder, self.device, ceiling) as bill,
        ):
            yield bill, lambda done, total: tell(done, total, "")

    def _ceiling(self, recipe: Recipe) -> Ceiling:
        """Measured before a phase begins: its matrices are none of the phase's memory."""
        with self._threads(recipe):
            return matmul_ceiling(self.device, torch.bfloat16 if recipe.precision == "auto" else torch.float32)

    def _threads(self, recipe: Recipe) -> AbstractContextManager[None]:
        return cpu_threads(recipe.threads if self.device.type == "cpu" else None)


def top_k_form(recipe: Recipe) -> TopKForm | None:
    """What a top-k cache must keep for this recipe; None: everything is kept."""
    if recipe.top_k is None:
        return None
    return TopKForm(recipe.top_k, tuple(sorted({*TEMPERATURES, recipe.temperature})))


def _tokens(row: RowTokens) -> int:
    return row.prefix + sum(row.asked)


def _telling(tell: Callable[..., None]) -> Callable[[Progress], None]:
    validated = ""

    def watch(progress: Progress) -> None:
        nonlocal validated
        if progress.validation is not None:
            validated = f", val agreement {progress.validation.agreement:.1%}"
        tell(progress.step, progress.total, f"loss {progress.loss:.3f}{validated}")

    return watch
