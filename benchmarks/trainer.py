"""A distillation's three epochs: the teacher once, then the student from the cache; against the plain online loop.

    python benchmarks/trainer.py --pair tiny --clips 48 --epochs 3          # on a CPU: about 3 minutes

One run, one table. Every loop sees the same clips, questions, answers and initial weights, takes the same AdamW steps
at the same batch, and minimises the same objective; losses after the last step are printed, so that it shows.

  firstsight       targets (the teacher answers too: the others get its answers for nothing), then the trainer
  online           what a plain Trainer with a teacher does: a row a question, the clip in each, teacher and student in
                   every step, logits over whole sequences
  online, packed   the same, helped by our packing: questions share their clip, logits at answer tokens only
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.distill.align import require_shared
from harness.distill.lessons import Lesson, epoch_order, teacher_lessons
from harness.distill.loss import Objective, distillation
from harness.distill.targets import load_targets, make_targets
from harness.distill.train import Lessons, train
from harness.distill.validation import Held
from harness.measure.environment import device_of_choice
from harness.pair import Pair, Recipe, load_pair
from harness.qa.datasets import load_items, load_lexicon
from models.interface import Architecture, architecture


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", default="tiny", help="a pair that is made from nothing (default: tiny)")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="the figures, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pair, device = load_pair(options.pair), device_of_choice()
    changes = {"epochs": options.epochs, "optimizer": "adamw", "clip_norm": 1e9, "evaluate_every": 10**6}
    recipe = pair.recipe.model_copy(update=changes)
    data = pair.data.model_copy(update={"limit": options.clips})
    items = load_items(data, recipe.split)
    samples = options.epochs * len(items)

    teacher = build(pair, "teacher", device)
    shared = require_shared(teacher.tokenizer, build(pair, "student", device).tokenizer)
    with torch.no_grad():  # an untrained teacher may say what only it can spell; nobody is judged by its answers
        teacher.head.weight[shared:] = 0
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def targets() -> None:
            new_tokens, clips = pair.evaluation.max_new_tokens, pair.evaluation.batch_clips
            make_targets(teacher, items, shared, folder, max_new_tokens=new_tokens, batch_clips=clips)

        cold = timed(targets)
        known = load_targets(folder, device)
        student = build(pair, "student", device)
        lessons = teacher_lessons(items, known, student, shared)
        held = Held(lessons[:1], known)
        learnt = timed(lambda: train(student, Lessons(lessons, known, shared=shared), held, recipe, folder / "ours"))
        rows.append(
            {"loop": "firstsight", "seconds": cold + learnt, "loss": loss_of(student, teacher, lessons, shared)}
        )
        print(f"firstsight: targets {cold:.1f} s, training {learnt:.1f} s", file=sys.stderr)
        for name, packed in (("online", False), ("online, packed", True)):
            student = build(pair, "student", device)
            seconds = timed(lambda s=student, p=packed: online(s, teacher, lessons, recipe, shared, packed=p))
            rows.append({"loop": name, "seconds": seconds, "loss": loss_of(student, teacher, lessons, shared)})
            print(f"{name}: {seconds:.1f} s", file=sys.stderr)
    print(
        f"\n{options.clips} clips, {len(items)} questions, {options.epochs} epochs, {device}, {options.threads} threads"
    )
    print(f"{'loop':<16}{'seconds':>9}{'samples/s':>11}{'ours is':>10}{'loss after':>12}")
    for row in rows:
        row |= {"samples_per_second": samples / row["seconds"], "ratio": row["seconds"] / rows[0]["seconds"]}
        told = f"{row['seconds']:>9.1f}{row['samples_per_second']:>11.1f}{row['ratio']:>9.2f}×{row['loss']:>12.4f}"
        print(f"{row['loop']:<16}{told}")
    if options.json:
        options.json.write_text(json.dumps({"arguments": vars(options) | {"json": None}, "rows": rows}, indent=1))
    return 0


def build(pair: Pair, side: str, device: torch.device) -> Architecture:
    """A side of the pair with its initial random weights."""
    spec = getattr(pair, side)
    initial = spec.initial
    made = architecture(spec.architecture).initialise(
        config=initial.config,
        seed=initial.seed,
        words=load_lexicon(pair.data),
        tokenizer_extra=initial.tokenizer_extra,
        pad_vocab_to=initial.pad_vocab_to,
        scale=initial.scale,
    )
    made.to(device)
    return made


def online(
    student: Architecture, teacher: Architecture, lessons: list[Lesson], recipe: Recipe, shared: int, *, packed: bool
) -> None:
    """Teacher and student in every step, AdamW, the recipe's rate with its schedule left out of neither."""
    from harness.distill.optimizer import Optimizers

    steps = -(-len(lessons) // recipe.batch_clips)
    optimizers = Optimizers(student.model, student.head, recipe, recipe.epochs * steps)
    objective = Objective.of(recipe)
    student.model.train()
    for epoch in range(recipe.epochs):
        order = epoch_order(len(lessons), recipe.seed, epoch)
        for step in range(steps):
            window = [lessons[i] for i in order[step * recipe.batch_clips : (step + 1) * recipe.batch_clips]]
            tokens = sum(len(answer) for lesson in window for answer in lesson.answers)
            for batch in batches(window, recipe.micro_clips, packed):
                with torch.no_grad():
                    taught, _ = logits(teacher, batch, packed)
                said, ids = logits(student, batch, packed)
                (distillation(said[:, :shared], taught[:, :shared], ids, objective) / tokens).backward()
            optimizers.step(epoch * steps + step)
            optimizers.zero_grad()
    student.model.eval()


def batches(window: list[Lesson], micro_clips: int, packed: bool) -> Iterator[list[Lesson]]:
    """Micro-batches: of clips with all their questions, or of as many rows of one question each."""
    rows = window if packed else [one for lesson in window for one in alone(lesson)]
    size = micro_clips if packed else micro_clips * max(len(lesson.questions) for lesson in window)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def alone(lesson: Lesson) -> list[Lesson]:
    return [Lesson(lesson.clip, (q,), (a,)) for q, a in zip(lesson.questions, lesson.answers, strict=True)]


def logits(model: Architecture, batch: list[Lesson], packed: bool) -> tuple[Tensor, Tensor]:
    """Logits at answer tokens, taken from those of the whole sequence unless packed; and the answers' ids."""
    embedded = model.embed([model.prepare(lesson.clip.frames(), lesson.questions) for lesson in batch])
    answers = [lesson.answers for lesson in batch]
    ids = torch.tensor([t for given in answers for answer in given for t in answer], device=model.device)
    if packed:
        return model.logits(model.answer_states(embedded, answers)), ids
    from models.packing import pack_rows

    rows = pack_rows(embedded, answers, model.embed_ids)
    everything = model.logits(model._run(rows.inputs, rows.positions, rows.mask(), None)).float()
    row, column = rows.where(answers)
    return everything[torch.tensor(row), torch.tensor(column)], ids


@torch.no_grad()
def loss_of(student: Architecture, teacher: Architecture, lessons: list[Lesson], shared: int) -> float:
    """KL at T = 1 per answer token over all lessons: did the loops learn the same?"""
    total, tokens = 0.0, 0
    for lesson in lessons:
        said, ids = logits(student, [lesson], packed=True)
        taught, _ = logits(teacher, [lesson], packed=True)
        total += float(distillation(said[:, :shared], taught[:, :shared], ids, Objective(alpha=1.0, temperature=1.0)))
        tokens += len(ids)
    return total / tokens


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
