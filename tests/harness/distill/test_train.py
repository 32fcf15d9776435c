"""The loop: what a step does to the weights, what stops it, and that a stopped training resumes bit for bit."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.distill.batches import Windows
from harness.distill.lessons import Lesson, gold_lessons, token_rows
from harness.distill.loss import Objective, distillation
from harness.distill.targets import Targets
from harness.distill.train import Learner, Lessons, Progress, Training, train
from harness.distill.trained import choose
from harness.distill.validation import Held, answer_tokens, validate
from harness.errors import ModelError, ResourceError
from harness.pair import Recipe
from models.interface import Architecture
from tests import warm

REPOSITORY = Path(__file__).resolve().parents[3]
Recipes = Callable[..., Recipe]
Weights = dict[str, torch.Tensor]


def weights(model: Architecture) -> Weights:
    return {name: p.detach().clone() for name, p in model.model.named_parameters()}


def equal(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- one step


class Kept:
    """Stands where the optimizers stand, and keeps the gradients that they would have been given."""

    def __init__(self, model: Architecture) -> None:
        self.model, self.gradients = model, Weights()

    def step(self, step: int) -> float:
        self.gradients = {n: p.grad.clone() for n, p in self.model.model.named_parameters() if p.grad is not None}
        return 0.0

    def zero_grad(self) -> None:
        self.model.model.zero_grad()


def gradients(
    model: Architecture,
    lessons: list[Lesson],
    recipe: Recipe,
    shared: int | None = None,
    targets: Targets | None = None,
) -> tuple[Weights, float]:
    choose(model, recipe)
    kept = Kept(model)
    taught = Lessons(lessons, targets, shared=shared)
    learner = Learner(model, taught, Windows(model, lessons, recipe, None), kept, recipe)  # type: ignore[arg-type]
    loss, _ = learner.step(0)
    return kept.gradients, loss


def logits_of(model: Architecture, lessons: list[Lesson]) -> torch.Tensor:
    with torch.no_grad():
        embedded = model.embed([model.prepare(lesson.clip.frames(), lesson.questions) for lesson in lessons])
        return model.logits(model.answer_states(embedded, [lesson.answers for lesson in lessons]))


def test_sixteen_micro_batches_of_one_are_one_batch_of_sixteen(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes
) -> None:
    """Weighted by tokens: answers differ in length, and a mean of micro-batch means would differ."""
    sixteen = [*gold, *gold[:4]]
    assert len({sum(map(len, lesson.answers)) for lesson in sixteen}) > 1
    one, loss_one = gradients(pupil, sixteen, recipe(batch_clips=16, micro_clips=16, clip_norm=1e9))
    many, loss_many = gradients(pupil, sixteen, recipe(batch_clips=16, micro_clips=1, clip_norm=1e9))
    assert loss_one == pytest.approx(loss_many, rel=1e-6)
    for name in one:
        torch.testing.assert_close(one[name], many[name], rtol=1e-4, atol=2e-6, msg=name)


def test_the_loss_is_divided_by_the_answer_tokens_of_the_window(
    pupil: Architecture, taught: list[Lesson], targets: Targets, lineage: Any, recipe: Recipes
) -> None:
    shared, four = lineage.shared_vocabulary, taught[:4]
    _, loss = gradients(pupil, four, recipe(micro_clips=2), shared, targets)
    known, ids = targets.logits(token_rows(four)), answer_tokens(four, pupil)
    total = distillation(logits_of(pupil, four)[:, :shared], known, ids, Objective(alpha=0.7, temperature=3.0))
    assert loss == pytest.approx(
        float(total) / sum(len(answer) for lesson in four for answer in lesson.answers), rel=1e-5
    )


def test_both_vocabularies_are_cut_before_the_softmax(
    pupil: Architecture, taught: list[Lesson], targets: Targets, lineage: Any, recipe: Recipes
) -> None:
    """The student's own rows (vision tokens, padding) neither take part nor are pushed down."""
    shared = lineage.shared_vocabulary
    found, loss = gradients(pupil, taught[:4], recipe(clip_norm=1e9), shared, targets)
    table = next(name for name in found if name.endswith("embed_tokens.weight"))
    assert shared < len(found[table])
    own = pupil.tokenizer.convert_tokens_to_ids(["<|vision_start|>", "<|vision_end|>"])  # also read as input
    rows = [row for row in range(shared, len(found[table])) if row not in own]
    assert float(found[table][rows].abs().max()) == 0
    assert float(found[table][:shared].abs().max()) > 0
    with torch.no_grad():
        pupil.head.weight[rows] += 3.0
    assert gradients(pupil, taught[:4], recipe(), shared, targets)[1] == loss


@pytest.mark.parametrize("side", ["teacher", "student"])
def test_gradient_checkpointing_gives_the_same_gradients(
    build: Any, gold: list[Lesson], recipe: Recipes, side: str, one_thread: None
) -> None:
    model = build(side, scale={})
    model.model.train()
    plain, _ = gradients(model, gold[:4], recipe())
    model.model.gradient_checkpointing_enable()
    checkpointed, _ = gradients(model, gold[:4], recipe())
    assert plain.keys() == checkpointed.keys()
    for name in plain:
        torch.testing.assert_close(plain[name], checkpointed[name], rtol=1e-5, atol=1e-7, msg=name)


def test_a_training_with_checkpointing_ends_with_the_same_weights(
    build: Any, gold: list[Lesson], recipe: Recipes, tmp_path: Path, one_thread: None
) -> None:
    found = []
    for number, switch in enumerate((False, True)):
        model = build("student", scale={})
        train(model, Lessons(gold), Held(gold[:2]), recipe(gradient_checkpointing=switch), tmp_path / str(number))
        found.append(weights(model))
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-4, atol=1e-5)


# --- learning


def test_a_lesson_is_learnt_to_its_ending_token(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes, tmp_path: Path
) -> None:
    """Free-running afterwards: the very answers, each ended where it ends. An error of one in the shift would show."""
    lesson = gold[0]
    assert len(set(map(len, lesson.answers))) > 1
    train(
        pupil,
        Lessons([lesson]),
        Held([lesson]),
        recipe(epochs=120, evaluate_every=10, patience=6, optimizer="muon"),
        tmp_path,
    )
    with torch.inference_mode():
        said = pupil.generate(pupil.embed([pupil.prepare(lesson.clip.frames(), lesson.questions)]), 8)[0]
    assert [tuple(answer) for answer in said] == list(lesson.answers)


def test_distilling_brings_the_student_towards_the_teacher(
    pupil: Architecture, taught: list[Lesson], targets: Targets, lineage: Any, recipe: Recipes, tmp_path: Path
) -> None:
    shared = lineage.shared_vocabulary
    held_out = Held(taught, targets)
    before = validate(pupil, held_out, recipe(), shared)
    lessons = Lessons(taught, targets, shared=shared)
    done = train(pupil, lessons, held_out, recipe(epochs=4, optimizer="muon"), tmp_path, free_tokens=4)
    after = validate(pupil, held_out, recipe(), shared)
    assert dataclasses.replace(done.held_out, free_agreement=None) == after
    assert before.kl is not None
    assert after.kl is not None
    assert after.kl < 0.5 * before.kl
    assert after.loss < before.loss
    assert [point["step"] for point in done.curve] == [3, 6, 9, 12]
    for name in ("loss", "val_loss", "val_agreement", "val_token_agreement", "val_free_agreement", "val_kl", "seconds"):
        assert all(point[name] is not None for point in done.curve), name


def test_agreement_counts_answers_whose_every_token_is_the_top(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes
) -> None:
    logits = logits_of(pupil, gold)
    right = at = 0
    for answer in (answer for lesson in gold for answer in lesson.answers):
        right += logits[at : at + len(answer)].argmax(-1).tolist() == list(answer)
        at += len(answer)
    found = validate(pupil, Held(gold), recipe(), None, free_tokens=8)
    assert found.agreement == right / sum(len(lesson.answers) for lesson in gold)
    assert found.kl is None
    assert found.token_agreement == (logits.argmax(-1) == answer_tokens(gold, pupil)).double().mean()
    with torch.inference_mode():
        said = pupil.generate(pupil.embed([pupil.prepare(le.clip.frames(), le.questions) for le in gold]), 8)
    same = [tuple(a) == b for row, le in zip(said, gold, strict=True) for a, b in zip(row, le.answers, strict=True)]
    assert found.free_agreement == sum(same) / len(same)


def test_a_watcher_is_told_every_step(pupil: Architecture, gold: list[Lesson], recipe: Recipes, tmp_path: Path) -> None:
    told: list[Progress] = []
    train(pupil, Lessons(gold), Held(gold[:2]), recipe(epochs=2, evaluate_every=4), tmp_path, watch=told.append)
    assert [(p.step, p.total, p.epoch) for p in told] == [(n, 6, (n - 1) // 3) for n in range(1, 7)]
    assert [p.step for p in told if p.validation] == [4, 6]


# --- the best state


def test_early_stopping_gives_back_the_best_state(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes, tmp_path: Path
) -> None:
    """A rate that ruins the model: the first evaluations are the best, and patience ends it."""
    ruin = recipe(epochs=20, evaluate_every=1, patience=3, learning_rate=0.3)
    done = train(pupil, Lessons(gold), Held(gold[:3]), ruin, tmp_path)
    scores = [(point["val_agreement"], -(point["val_loss"] or 0)) for point in done.curve]
    assert scores.index(max(scores)) == done.best_step - 1
    assert done.steps == len(scores) == done.best_step + 3 < 60
    again = validate(pupil, Held(gold[:3]), ruin, None)
    assert (again.agreement, -again.loss) == max(scores)


def test_without_patience_it_runs_to_the_end_and_still_keeps_the_best(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes, tmp_path: Path
) -> None:
    ruin = recipe(epochs=3, evaluate_every=1, learning_rate=0.3)
    done = train(pupil, Lessons(gold), Held(gold[:3]), ruin, tmp_path)
    assert done.steps == 9
    assert validate(pupil, Held(gold[:3]), ruin, None).loss == min(
        point["val_loss"] or 0 for point in done.curve if point["step"] == done.best_step
    )


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes, tmp_path: Path
) -> None:
    def spoil(progress: Progress) -> None:
        if progress.step == 5:
            pupil.head.weight.data.fill_(float("nan"))

    slow = recipe(epochs=3, checkpoint_every=2, evaluate_every=9)
    with pytest.raises(ModelError) as caught:
        train(pupil, Lessons(gold), Held(gold[:2]), slow, tmp_path, watch=spoil)
    assert str(caught.value) == (
        f"the loss became nan at step 6; the last good checkpoint is of step 4 in {tmp_path / '.resume'}; "
        "lower recipe.learning_rate or clip_norm, then run again"
    )


def test_a_loss_that_is_no_number_at_once_says_that_there_is_no_checkpoint(
    pupil: Architecture, gold: list[Lesson], recipe: Recipes, tmp_path: Path
) -> None:
    pupil.head.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="at step 1; no checkpoint was written yet"):
        train(pupil, Lessons(gold), Held(gold[:2]), recipe(), tmp_path)


def test_a_full_disk_names_the_last_good_checkpoint_and_leaves_it(
    course: Course, unbroken: tuple[Weights, Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No space left while the fourth file is written; once there is, the same command goes on."""
    written: list[Path] = []

    def filling(tensors: Weights, path: Path, metadata: dict[str, str]) -> None:
        if len(written) >= 4:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        save_file(tensors, path, metadata)

    with monkeypatch.context() as full:
        full.setattr("harness.distill.tensors.save_file", filling)
        with pytest.raises(ResourceError) as caught:
            course.run(tmp_path)
    resume = tmp_path / ".resume"
    last = (resume / "last").read_text()
    assert str(caught.value) == (
        f"disk full while saving a checkpoint; the last good checkpoint is of step {last.removeprefix('step-')} in "
        f"{resume}; free some space, then run again to go on"
    )
    assert not list(resume.rglob("*.tmp"))
    found, _ = course.run(tmp_path)
    assert equal(found, unbroken[0])


# --- stopped and resumed


class Course:
    """One training, from the same start every time: the student with dropout, so that chance takes part as well."""

    def __init__(self, build: Any, micro: Any, lessons: list[Lesson], recipe: Recipe) -> None:
        self._build, self._config, self._lessons, self._recipe = build, micro.student.initial.config, lessons, recipe

    def run(self, folder: Path, watch: Callable[[Progress], None] = lambda p: None) -> tuple[Weights, Training]:
        config = {**self._config, "text_config": {**self._config["text_config"], "attention_dropout": 0.2}}
        model = self._build("student", scale={}, config=config)
        done = train(model, Lessons(self._lessons), Held(self._lessons[:2]), self._recipe, folder, watch=watch)
        return weights(model), done

    def stop_at(self, step: int, folder: Path) -> None:
        def press(progress: Progress) -> None:
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            self.run(folder, press)


@pytest.fixture(scope="module")
def course(build: Any, micro: Any, items: Any, student: Any, recipe: Recipes, one_thread: None) -> Course:
    """Six clips, two a step: nine steps in three epochs, evaluated at 2, 4, 6, 8 and 9."""
    usual = recipe(epochs=3, evaluate_every=2, batch_clips=2, micro_clips=1, optimizer="muon")
    return Course(build, micro, gold_lessons(items, student)[:6], usual)


@pytest.fixture(scope="module")
def unbroken(course: Course, tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Training]:
    return course.run(tmp_path_factory.mktemp("unbroken"))


def told(done: Training) -> list[dict[str, float | None]]:
    """The curve without the clock."""
    return [{key: value for key, value in point.items() if key != "seconds"} for point in done.curve]


@pytest.mark.parametrize("stops", [(4,), (9,), (1, 2, 7)])
def test_ctrl_c_then_resuming_gives_the_weights_of_an_unbroken_run(
    course: Course, unbroken: tuple[Weights, Training], tmp_path: Path, stops: tuple[int, ...]
) -> None:
    for step in stops:
        course.stop_at(step, tmp_path)
    found, resumed = course.run(tmp_path)
    assert equal(found, unbroken[0])
    assert told(resumed) == told(unbroken[1])
    assert resumed.best_step == unbroken[1].best_step


def test_ctrl_c_when_patience_runs_out_does_not_prolong_the_training(
    build: Any, micro: Any, gold: list[Lesson], recipe: Recipes, tmp_path: Path, one_thread: None
) -> None:
    ruin = recipe(epochs=9, evaluate_every=1, patience=2, learning_rate=0.3)
    course = Course(build, micro, gold[:4], ruin)
    expected, whole = course.run(tmp_path / "unbroken")
    assert whole.steps < 9
    course.stop_at(whole.steps, tmp_path / "broken")
    found, resumed = course.run(tmp_path / "broken")
    assert told(resumed) == told(whole)
    assert equal(found, expected)


def test_a_second_ctrl_c_does_not_wait_for_the_step(course: Course, tmp_path: Path) -> None:
    def twice(progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        course.run(tmp_path, twice)
    assert signal.getsignal(signal.SIGINT) is before, "the caller's handler is back"
    assert not list(tmp_path.rglob("step-*"))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from harness.distill.lessons import gold_lessons
from harness.distill.train import Lessons, train
from harness.distill.validation import Held
from harness.pair import Recipe, load_pair
from harness.qa.datasets import load_items, load_lexicon
from models.interface import architecture

folder, recipe, name, at = Path(sys.argv[1]), Recipe.model_validate_json(sys.argv[2]), sys.argv[3], int(sys.argv[4])
pair = load_pair("tests/data/micro.yaml")
initial = pair.student.initial
config = {**initial.config, "text_config": {**initial.config["text_config"], "attention_dropout": 0.2}}
student = architecture("qwen2_vl").initialise(
    config=config, seed=initial.seed, words=load_lexicon(pair.data), tokenizer_extra=initial.tokenizer_extra,
    pad_vocab_to=initial.pad_vocab_to, scale={},
)
lessons = gold_lessons(load_items(pair.data, "test"), student)[:6]
def watch(progress):
    if progress.step == at:
        os.kill(os.getpid(), getattr(signal, name))
train(student, Lessons(lessons), Held(lessons[:2]), recipe, folder, watch=watch)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "left"), [("SIGKILL", "step-4"), ("SIGTERM", "step-5"), ("SIGUSR1", "step-5")])
def test_a_process_that_is_killed_is_continued_by_another(
    course: Course, unbroken: tuple[Weights, Training], tmp_path: Path, name: str, left: str
) -> None:
    """SIGTERM saves the step that was running. SIGKILL leaves no time: the last evaluation's checkpoint counts."""
    run = warm.run(["-c", KILLED, str(tmp_path), course._recipe.model_dump_json(), name, "5"], cwd=REPOSITORY)
    assert run.returncode != 0
    assert (tmp_path / ".resume" / "last").read_text() == left, run.stderr
    found, _ = course.run(tmp_path)
    assert equal(found, unbroken[0])


def test_what_a_kill_left_half_written_is_not_read(
    course: Course, unbroken: tuple[Weights, Training], tmp_path: Path
) -> None:
    """Killed while saving: the state before it counts, the remains are swept away."""
    course.stop_at(4, tmp_path)
    resume = tmp_path / ".resume"
    for name in ("step-5.tmp", "step-6"):
        (resume / name).mkdir()
        (resume / name / "model.safetensors").write_bytes(b"half")
    (resume / "best.tmp").write_bytes(b"half")
    found, _ = course.run(tmp_path)
    assert equal(found, unbroken[0])
    assert len(list(resume.glob("step-*"))) == 1
