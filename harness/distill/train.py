"""The training loop: lessons in, a trained model out; stopped at any moment and resumed, it gives the same weights.

One loop serves fine-tuning on gold (no targets), distillation (with targets), and every mode of a recipe; run by
several processes (`parallel.py`) it takes the same steps as by one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file
from torch import nn

from harness.distill.batches import Ready, Windows, Work, micro_batches
from harness.distill.checkpoint import Checkpoint, Checkpoints
from harness.distill.features import Features
from harness.distill.fused import fused_distillation
from harness.distill.lessons import Lesson, token_rows
from harness.distill.loss import Objective
from harness.distill.optimizer import Optimizers
from harness.distill.parallel import ALONE, Ranks, clip_gradients, shard
from harness.distill.precision import autocast
from harness.distill.stopping import stop_between
from harness.distill.targets import Targets
from harness.distill.trained import choose, fold
from harness.distill.validation import Held, Validation, answer_tokens, embed, validate
from harness.errors import ModelError
from harness.pair import Recipe
from models.interface import Architecture

Meter: TypeAlias = Callable[[Work, Mapping[str, Any] | None], Mapping[str, Any]]
Count: TypeAlias = Callable[[Sequence[Ready], bool], int]  # FLOPs of a batch, with its backward pass or without


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after every step."""

    step: int
    total: int
    epoch: int
    loss: float
    learning_rate: float
    validation: Validation | None


@dataclass(frozen=True)
class Training:
    """What a training leaves behind beside the weights. `held_out`: the best state's validation."""

    curve: tuple[dict[str, float | None], ...]
    steps: int
    best_step: int
    seconds: float
    held_out: Validation
    padding: float  # share of the rows' tokens that were padding, since the last start
    price: Mapping[str, Any] | None = None


Watch: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True)
class Lessons:
    """What is learnt, and what is known of it."""

    lessons: Sequence[Lesson]
    targets: Targets | None = None
    features: Features | None = None
    shared: int | None = field(default=None)  # ids that both vocabularies have; logits are cut to them before a softmax


def train(
    model: Architecture,
    taught: Lessons,
    held_out: Held,
    recipe: Recipe,
    folder: Path,
    *,
    free_tokens: int | None = None,
    ranks: Ranks = ALONE,
    meter: Meter | None = None,
    count: Count | None = None,
    watch: Watch = lambda progress: None,
) -> Training:
    """Train `model` in place and leave it in its best state by `held_out`; checkpoints go to `folder`/.resume.

    `free_tokens`: at the end of every epoch the student answers the held-out questions, with so many tokens at most.
    `count` says the FLOPs of a batch, and `meter(work, before)` what all the work has cost, added to what it had cost
    before it was resumed. Ctrl-C, SIGTERM
    and SIGUSR1 save after the running step, then raise KeyboardInterrupt (`Requeue` for the latter two). ModelError
    when loss or gradient stop being numbers, ResourceError when the disk is full; the last good checkpoint is named.
    """
    choose(model, recipe)
    if taught.features is not None:
        for module in model.tower:
            module.to("cpu")  # its output is cached
    shard(model, ranks)
    began = time.monotonic()
    with Windows(model, taught.lessons, recipe, taught.features, ranks.rank, ranks.count) as windows:
        optimizers = Optimizers(model.model, model.head, recipe, windows.total)
        checkpoints = Checkpoints(folder / ".resume", model.model, optimizers, ranks)
        done = started = checkpoints.restore() or Checkpoint()
        learner = Learner(model, taught, windows, optimizers, recipe, ranks, count)
        model.model.train()
        if recipe.gradient_checkpointing:
            checkpoint_activations(model, True)
        if recipe.compile:
            compile_layers(model)

        def so_far(step: int) -> Checkpoint:
            price = meter(learner.work, started.price) if meter else None
            return replace(done, step=step, seconds=started.seconds + time.monotonic() - began, price=price)

        every = recipe.evaluate_every or windows.per_epoch
        with stop_between() as stopping:
            for step in range(done.step, windows.total):
                if recipe.patience is not None and done.stale >= recipe.patience:
                    break
                loss, rate = learner.step(step, checkpoints.describe_last)
                validation = None
                if (step + 1) % every == 0 or step + 1 == windows.total:
                    at_end = (step + 1) % windows.per_epoch == 0 or step + 1 == windows.total
                    validation = validate(
                        model,
                        held_out,
                        recipe,
                        taught.shared,
                        free_tokens=free_tokens if at_end else None,
                        looked=learner.looked,
                    )
                    better = (validation.agreement, -validation.loss) > done.best
                    point = _point(step + 1, windows.per_epoch, loss, rate, validation, so_far(step + 1).seconds)
                    done = replace(done, stale=0 if better else done.stale + 1, curve=(*done.curve, point))
                    if better:
                        done = replace(done, best=(validation.agreement, -validation.loss), best_step=step + 1)
                        checkpoints.keep_best()
                watch(Progress(step + 1, windows.total, step // windows.per_epoch, loss, rate, validation))
                due = validation is not None or (recipe.checkpoint_every and (step + 1) % recipe.checkpoint_every == 0)
                stopping.asked = ranks.any(stopping.asked)
                if stopping.asked or (due and step + 1 < windows.total):
                    checkpoints.save(so_far(step + 1))
                stopping.raise_if_asked()
        checkpoints.load_best()
        last = so_far(int(done.curve[-1]["step"] or 0))
    if recipe.gradient_checkpointing:
        checkpoint_activations(model, False)
    if not ranks.sharded:  # else the first process puts the weights together: `take_best`
        fold(model)  # before the last look: rounding is part of the student
    held = validate(model, held_out, recipe, taught.shared, free_tokens=free_tokens)
    model.model.eval()
    work = learner.work
    return Training(
        curve=done.curve,
        steps=last.step,
        best_step=done.best_step,
        seconds=last.seconds,
        held_out=held,
        padding=1 - work.tokens / work.padded if work.padded else 0.0,
        price=last.price,
    )


def take_best(model: Architecture, recipe: Recipe, folder: Path) -> None:
    """Give a model, loaded as the training's was, the best state that a training in this folder left."""
    choose(model, recipe)
    trained = {name: p for name, p in model.model.named_parameters() if p.requires_grad}
    for name, value in load_file(folder / ".resume" / "best.safetensors").items():
        trained[name].data.copy_(value)
    fold(model)


class Learner:
    """One optimizer step after another: the window's gradient, then the update."""

    def __init__(
        self,
        model: Architecture,
        taught: Lessons,
        windows: Windows,
        optimizers: Optimizers,
        recipe: Recipe,
        ranks: Ranks = ALONE,
        count: Count | None = None,
    ) -> None:
        self._count = count or (lambda batch, backward: 0)
        self._model, self._taught, self._windows, self._recipe = model, taught, windows, recipe
        self._ranks, self.optimizers, self.work = ranks, optimizers, Work()
        self._objective = Objective.of(recipe)
        self._trained = [p for p in model.model.parameters() if p.requires_grad]

    def step(self, step: int, last: Callable[[], str] = lambda: "no checkpoint was written yet") -> tuple[float, float]:
        """One optimizer step over a window; (loss per token, learning rate). ModelError, naming the `last` good
        checkpoint, before an update that is no number.
        """
        loss = self.gradients(step)
        norm = clip_gradients(self._trained, self._recipe.clip_norm, self._ranks)
        if not math.isfinite(loss) or not math.isfinite(norm):
            what = f"loss became {loss}" if not math.isfinite(loss) else f"gradient's norm became {norm}"
            raise ModelError(
                f"the {what} at step {step + 1}; {last()}; lower recipe.learning_rate or clip_norm, then run again"
            )
        rate = self.optimizers.step(step)
        self.optimizers.zero_grad()
        return loss, rate

    def gradients(self, step: int) -> float:
        """Leave the window's gradient in every parameter; the loss per answer token."""
        # dropout, if any: a resumed run repeats it
        torch.manual_seed(self._recipe.seed * 2**31 + step + (self._ranks.rank << 24))
        tokens = sum(len(answer) for lesson in self._windows.lessons(step) for answer in lesson.answers)
        share = self._windows.ready(step)
        batches = micro_batches(share, self._recipe.micro_clips)
        total = torch.zeros((), device=self._model.device)
        for batch in batches:
            loss = self._loss(batch)
            (loss / tokens).backward()
            total += loss.detach()
            self.work.add(batch)
            self.work.flops += self._count(batch, True)
        if self._ranks.sharded:
            self._keep_step_with_the_others(step, len(batches))
        self._ranks.sum_gradients(self._trained)
        return self._ranks.total(float(total)) / tokens

    def looked(self, batch: Sequence[Ready]) -> None:
        """Held-out lessons were looked at: this process's part of the work of all."""
        self.work.flops += self._count(batch, False) // self._ranks.count

    def _loss(self, batch: Sequence[Ready]) -> torch.Tensor:
        model, taught = self._model, self._taught
        lessons = [ready.lesson for ready in batch]
        with autocast(model, self._recipe):
            states = model.answer_states(embed(model, batch, taught.features), [lesson.answers for lesson in lessons])
            known = taught.targets.at(token_rows(lessons)) if taught.targets else None
            ids = answer_tokens(lessons, model)
            assert known is None or len(known) == len(ids), (
                "teacher and student disagree on the number of answer tokens"
            )
            # within autocast, or its products would be fp32 on a GPU: a norm with fp32 weights gives fp32 states
            return fused_distillation(states, model.head.weight[: taught.shared], ids, self._objective, known)

    def _keep_step_with_the_others(self, step: int, done: int) -> None:
        """Sharded layers are gathered in every forward pass, by all processes or none: who has less to learn from runs
        the first lesson again, for nothing.
        """
        window = self._windows.lessons(step)
        most = math.ceil(math.ceil(len(window) / self._ranks.count) / self._recipe.micro_clips)
        for _ in range(most - done):
            again = [self._windows.one(window[0])]
            (0 * self._loss(again)).backward()


def checkpoint_activations(model: Architecture, on: bool) -> None:
    """Gradient checkpointing by the name that this transformers has for it (5.17: gradient_, 5.23: activation_)."""
    what = "activation" if hasattr(model.model, "activation_checkpointing_enable") else "gradient"
    getattr(model.model, f"{what}_checkpointing_{'enable' if on else 'disable'}")()


def compile_layers(model: Architecture) -> None:
    """torch.compile each layer of the language model in place: names and weights stay what they are."""
    layers = model.language_model.layers
    assert isinstance(layers, nn.ModuleList)
    for layer in layers:
        layer.compile(dynamic=True)


def _point(
    step: int, per_epoch: int, loss: float, rate: float, validation: Validation, seconds: float
) -> dict[str, float | None]:
    return {
        "step": step,
        "epoch": step / per_epoch,
        "loss": loss,
        "val_loss": validation.loss,
        "val_agreement": validation.agreement,
        "val_token_agreement": validation.token_agreement,
        "val_free_agreement": validation.free_agreement,
        "val_kl": validation.kl,
        "learning_rate": rate,
        "seconds": seconds,
    }
