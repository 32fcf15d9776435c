"""The training loop: lessons in, a trained model out; stopped at any moment and resumed, it gives the same weights.

One loop serves fine-tuning on gold (no targets) and distillation (with targets); which it is, the lessons say.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from harness.distill.checkpoint import Checkpoint, Checkpoints
from harness.distill.lessons import Lesson, epoch_order, token_rows
from harness.distill.loss import distillation
from harness.distill.optimizer import Optimizers, clip_gradients
from harness.distill.targets import Targets
from harness.errors import ModelError
from harness.measure.divergence import token_kl
from harness.pair import Recipe
from harness.qa.asking import prepare_clip
from models.interface import Architecture


@dataclass(frozen=True)
class Validation:
    """On held-out clips, teacher-forced. `agreement`: share of questions whose every answer token is the top-1."""

    loss: float
    agreement: float
    kl: float | None  # nats per token at T = 1 against the teacher; None without one


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
    """What a training leaves behind beside the weights."""

    curve: tuple[dict[str, float | None], ...]
    steps: int
    best_step: int
    seconds: float


Watch = Callable[[Progress], None]


def train(
    model: Architecture,
    lessons: Sequence[Lesson],
    held_out: Sequence[Lesson],
    recipe: Recipe,
    folder: Path,
    *,
    shared: int | None = None,
    targets: Targets | None = None,
    held_out_targets: Targets | None = None,
    watch: Watch = lambda progress: None,
) -> Training:
    """Train `model` in place and leave it in its best state by `held_out`; checkpoints go to `folder`/.resume.

    `shared`: logits are cut to these ids before any softmax. Ctrl-C and SIGTERM save after the running step, then
    raise KeyboardInterrupt. ModelError when the loss stops being a number; the last good checkpoint is named.
    """
    run = _Run(model, lessons, recipe, shared, targets)
    checkpoints = Checkpoints(folder / ".resume", model.model, run.optimizers)
    done = checkpoints.restore() or Checkpoint()
    model.model.train()
    if recipe.gradient_checkpointing:
        checkpoint_activations(model, True)
    began = time.monotonic()
    stale, saved = done.stale, done.step
    with _stop_after_step() as stopping:
        for step in range(done.step, run.total):
            if recipe.patience is not None and stale >= recipe.patience:
                break
            loss, rate = run.step(step)
            if not math.isfinite(loss):
                raise ModelError(
                    f"the loss became {loss} at step {step + 1}; {checkpoints.describe_last(saved)}; "
                    "lower recipe.learning_rate or clip_norm, then run again"
                )
            validation = None
            if (step + 1) % run.evaluate_every == 0 or step + 1 == run.total:
                validation = validate(model, held_out, recipe, shared, held_out_targets)
                better = (validation.agreement, -validation.loss) > done.best
                stale = 0 if better else stale + 1
                done = replace(
                    done,
                    best=(validation.agreement, -validation.loss) if better else done.best,
                    best_step=step + 1 if better else done.best_step,
                    curve=(*done.curve, _point(step + 1, run, loss, rate, validation, done, began)),
                )
                if better:
                    checkpoints.keep_best()
            watch(Progress(step + 1, run.total, step // run.steps_per_epoch, loss, rate, validation))
            due = validation is not None or (recipe.checkpoint_every and (step + 1) % recipe.checkpoint_every == 0)
            if stopping.is_set or (due and step + 1 < run.total):
                elapsed = done.seconds + time.monotonic() - began
                checkpoints.save(replace(done, step=step + 1, stale=stale, seconds=elapsed))
                saved = step + 1
            if stopping.is_set:
                raise KeyboardInterrupt
    checkpoints.load_best()
    model.model.eval()
    if recipe.gradient_checkpointing:
        checkpoint_activations(model, False)
    return Training(
        done.curve, int(done.curve[-1]["step"] or 0), done.best_step, done.seconds + time.monotonic() - began
    )


def checkpoint_activations(model: Architecture, on: bool) -> None:
    """Gradient checkpointing by the name that this transformers has for it (5.17: gradient_, 5.23: activation_)."""
    what = "activation" if hasattr(model.model, "activation_checkpointing_enable") else "gradient"
    getattr(model.model, f"{what}_checkpointing_{'enable' if on else 'disable'}")()


@torch.no_grad()
def validate(
    model: Architecture,
    held_out: Sequence[Lesson],
    recipe: Recipe,
    shared: int | None,
    targets: Targets | None,
) -> Validation:
    """Loss per answer token, top-1 agreement per question and KL at T = 1 on held-out lessons."""
    model.model.eval()
    loss = kl = 0.0
    tokens = right = questions = 0
    for start in range(0, len(held_out), 2 * recipe.micro_clips):
        batch = held_out[start : start + 2 * recipe.micro_clips]
        logits, ids, taught = _forward(model, batch, recipe, shared, targets)
        loss += float(distillation(logits, taught, ids, alpha=recipe.alpha, temperature=recipe.temperature))
        if taught is not None:
            kl += float(token_kl(logits, taught).sum())
        lengths = [len(answer) for lesson in batch for answer in lesson.answers]
        right += sum(bool(part.all()) for part in (logits.argmax(-1) == ids).split(lengths))
        tokens += len(ids)
        questions += len(lengths)
    model.model.train()
    return Validation(loss / tokens, right / questions, kl / tokens if targets is not None else None)


class _Run:
    """The part of a training that does not change from step to step."""

    def __init__(
        self,
        model: Architecture,
        lessons: Sequence[Lesson],
        recipe: Recipe,
        shared: int | None,
        targets: Targets | None,
    ) -> None:
        self.model, self.lessons, self.recipe = model, lessons, recipe
        self.shared, self.targets = shared, targets
        self.steps_per_epoch = math.ceil(len(lessons) / recipe.batch_clips)
        self.total = min(recipe.epochs * self.steps_per_epoch, recipe.max_steps or 2**62)
        self.evaluate_every = recipe.evaluate_every or self.steps_per_epoch
        self.optimizers = Optimizers(model.model, model.head, recipe, self.total)
        self._orders: dict[int, list[int]] = {}

    def step(self, step: int) -> tuple[float, float]:
        """One optimizer step over `batch_clips` lessons in micro-batches; (loss per token, learning rate)."""
        torch.manual_seed(self.recipe.seed * 2**31 + step)  # dropout, if any: a resumed run repeats it
        window = [self.lessons[i] for i in self._indices(step)]
        tokens = sum(len(answer) for lesson in window for answer in lesson.answers)
        total = 0.0
        for start in range(0, len(window), self.recipe.micro_clips):
            batch = window[start : start + self.recipe.micro_clips]
            logits, ids, taught = _forward(self.model, batch, self.recipe, self.shared, self.targets)
            loss = distillation(logits, taught, ids, alpha=self.recipe.alpha, temperature=self.recipe.temperature)
            (loss / tokens).backward()
            total += float(loss.detach())
        clip_gradients(self.model.model.parameters(), self.recipe.clip_norm)
        rate = self.optimizers.step(step)
        self.optimizers.zero_grad()
        return total / tokens, rate

    def _indices(self, step: int) -> list[int]:
        epoch, at = divmod(step, self.steps_per_epoch)
        if epoch not in self._orders:
            self._orders = {epoch: epoch_order(len(self.lessons), self.recipe.seed, epoch)}
        return self._orders[epoch][at * self.recipe.batch_clips : (at + 1) * self.recipe.batch_clips]


def _forward(
    model: Architecture, batch: Sequence[Lesson], recipe: Recipe, shared: int | None, targets: Targets | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits at answer positions cut to the shared ids, the answer ids, and the teacher's logits if there is one."""
    use_bf16 = recipe.precision == "auto" and model.device.type == "cuda" and torch.cuda.is_bf16_supported()
    with torch.autocast(model.device.type, torch.bfloat16, enabled=use_bf16):
        prepared = [prepare_clip(model, lesson.clip, lesson.questions) for lesson in batch]
        states = model.answer_states(model.embed(prepared), [lesson.answers for lesson in batch])
        logits = model.logits(states)[:, :shared]
    ids = torch.tensor([t for lesson in batch for a in lesson.answers for t in a], device=model.device)
    taught = None
    if targets is not None:
        taught = targets.logits(torch.tensor(token_rows(batch), device=model.device))
        assert len(taught) == len(ids), "teacher and student disagree on the number of answer tokens"
    return logits, ids, taught


def _point(
    step: int, run: _Run, loss: float, rate: float, validation: Validation, done: Checkpoint, began: float
) -> dict[str, float | None]:
    return {
        "step": step,
        "epoch": step / run.steps_per_epoch,
        "loss": loss,
        "val_loss": validation.loss,
        "val_agreement": validation.agreement,
        "val_kl": validation.kl,
        "learning_rate": rate,
        "seconds": done.seconds + time.monotonic() - began,
    }


class _Stopping:
    is_set = False


@contextmanager
def _stop_after_step() -> Iterator[_Stopping]:
    """The first Ctrl-C or SIGTERM lets the running step finish; a second one interrupts at once."""
    stopping = _Stopping()
    before: dict[int, object] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set:
            raise KeyboardInterrupt
        stopping.is_set = True

    try:
        for wanted in (signal.SIGINT, signal.SIGTERM):
            before[wanted] = signal.signal(wanted, stop)
    except ValueError:
        pass  # not the main thread: whoever runs us handles signals
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
