"""How far a student is on held-out clips: along their answers (teacher-forced), and on its own (free-running)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.distill.batches import Ready, make_ready
from harness.distill.features import Features
from harness.distill.fused import score
from harness.distill.lessons import Lesson, token_rows
from harness.distill.loss import Objective
from harness.distill.precision import autocast
from harness.distill.targets import Targets
from harness.pair import Recipe
from models.interface import Architecture, Embedded


@dataclass(frozen=True)
class Held:
    """Clips that are not learnt from, with what is known of them."""

    lessons: Sequence[Lesson]
    targets: Targets | None = None  # None: gold answers, or a teacher's without its probabilities
    features: Features | None = None  # of a frozen tower


@dataclass(frozen=True)
class Validation:
    """On held-out clips; shares from 0 to 1."""

    loss: float  # per answer token, at the recipe's temperature
    agreement: float  # of questions whose every answer token is the top-1 along the held-out answer
    token_agreement: float  # of answer tokens that are the top-1
    kl: float | None  # nats per token at T = 1 against the teacher; None without one
    free_agreement: float | None  # of questions whose own greedy answer is the held-out one, token for token


@torch.no_grad()
def validate(
    model: Architecture,
    held_out: Held,
    recipe: Recipe,
    shared: int | None,
    *,
    free_tokens: int | None = None,
    looked: Callable[[Sequence[Ready]], None] = lambda batch: None,
) -> Validation:
    """Score the held-out lessons. `free_tokens`: let the student answer too, with so many tokens at most; `looked` is
    told of every batch.
    """
    model.model.eval()
    objective = Objective.of(recipe)
    loss = kl = 0.0
    tokens = right_tokens = right = free = questions = 0
    size = 2 * recipe.micro_clips
    for start in range(0, len(held_out.lessons), size):
        lessons = held_out.lessons[start : start + size]
        ready = [make_ready(model, lesson, held_out.features) for lesson in lessons]
        with autocast(model, recipe):
            embedded = embed(model, ready, held_out.features)
            states = model.answer_states(embedded, [lesson.answers for lesson in lessons])
            said = model.generate(embedded, free_tokens) if free_tokens else None
            ids = answer_tokens(lessons, model)
            known = held_out.targets.at(token_rows(lessons)) if held_out.targets else None
            found = score(states, model.head.weight[:shared], ids, objective, known)
        loss += found.loss
        kl += found.kl or 0.0
        lengths = [len(answer) for lesson in lessons for answer in lesson.answers]
        right += sum(bool(part.all()) for part in found.top1.split(lengths))
        right_tokens += int(found.top1.sum())
        tokens += len(ids)
        questions += len(lengths)
        looked(ready)
        if said is not None:
            free += _the_same(said, lessons)
    model.model.train()
    return Validation(
        loss=loss / tokens,
        agreement=right / questions,
        token_agreement=right_tokens / tokens,
        kl=kl / tokens if held_out.targets is not None else None,
        free_agreement=free / questions if free_tokens else None,
    )


def embed(model: Architecture, ready: Sequence[Ready], features: Features | None) -> list[Embedded]:
    """Prefixes of these clips: seen now, or as a frozen tower saw them before."""
    prepared = [one.prepared for one in ready]
    if features is None:
        return model.embed(prepared)
    return model.embed(prepared, features.sights(model, prepared, [one.seen for one in ready if one.seen is not None]))


def answer_tokens(lessons: Sequence[Lesson], model: Architecture) -> Tensor:
    """Ids of every answer token, in the order of `answer_states`."""
    return torch.tensor([t for lesson in lessons for answer in lesson.answers for t in answer], device=model.device)


def _the_same(said: Sequence[Sequence[Sequence[int]]], lessons: Sequence[Lesson]) -> int:
    return sum(
        tuple(ids) == tuple(answer)
        for of_clip, lesson in zip(said, lessons, strict=True)
        for ids, answer in zip(of_clip, lesson.answers, strict=True)
    )
