"""What a recipe can choose: what is trained, what is cached, whose answers, how many views, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.artifact import Store
from harness.distill.features import Features, make_features, stage_of
from harness.distill.lessons import Lesson
from harness.distill.lineage import Lineage
from harness.distill.on_policy import load_student_answers, round_recipe
from harness.distill.rows import Rows
from harness.distill.targets import load_targets
from harness.distill.train import Lessons, compile_layers, train
from harness.distill.validation import Held
from harness.pair import Pair, Recipe
from harness.qa.items import Clip
from models.interface import Architecture, architecture

Recipes = Callable[..., Recipe]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def learnt(micro: Pair, micro_store: Store, lineage: Lineage) -> Callable[..., Any]:
    """learnt(parameters="lora"): the lineage of the micro pair with another recipe, in the same store."""
    assert lineage.undistilled

    def of(**changes: Any) -> Lineage:
        usual = {"epochs": 1, "max_steps": 2, "optimizer": "adamw", "lora_rank": 4}
        recipe = Recipe(**{**micro.recipe.model_dump(), **usual, **changes})
        return Lineage(micro.model_copy(update={"recipe": recipe}), micro_store)

    return of


def weights(model: Architecture) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.model.named_parameters()}


def student_of(found: Lineage) -> tuple[Architecture, Any]:
    made = found.student()
    return architecture("qwen2_vl").load(made.folder), made.meta


# --- a frozen tower, seen once


@pytest.mark.parametrize("parameters", ["lm", "lora"])
def test_cached_features_teach_what_the_tower_would(
    build: Any, items: Any, gold: list[Lesson], recipe: Recipes, tmp_path: Path, parameters: str, one_thread: None
) -> None:
    """And no frame is decoded, no tower is run."""
    chosen = recipe(parameters=parameters, lora_rank=4, epochs=2)
    stage = stage_of(chosen, hears=False)
    assert stage is not None
    make_features(build("student", scale={}), items, chosen, stage, tmp_path / "features", batch_clips=5)
    features = Features(Rows(tmp_path / "features"), stage)
    found = []
    for name, kept in (("looking", None), ("cached", features)):
        model = build("student", scale={})
        lessons = gold if kept is None else [blind(lesson) for lesson in gold]
        train(model, Lessons(lessons, features=kept), Held(lessons[:3], features=kept), chosen, tmp_path / name)
        found.append(weights(model))
    assert found[0].keys() == found[1].keys()
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-4, atol=1e-5, msg=name)


def blind(lesson: Lesson) -> Lesson:
    def decode() -> np.ndarray[Any, Any]:
        pytest.fail("a clip was decoded")

    return Lesson(Clip(lesson.clip.id, "blind", decode), lesson.questions, lesson.answers, lesson.rows)


def test_looking_and_connecting_is_seeing(model: Architecture, items: Any) -> None:
    prepared = [model.prepare(item.clip.frames(), [item.prompt]) for item in items[::4][:3]]
    with torch.inference_mode():
        seen, connected = model.see(prepared), model.connect(model.look(prepared), prepared)
    for one, other in zip(seen, connected, strict=True):
        torch.testing.assert_close(one, other)
    tower = {id(p) for module in model.tower for p in module.parameters()}
    assert 0 < len(tower) < sum(1 for _ in model.model.parameters())


def test_features_that_were_interrupted_go_on(
    build: Any, items: Any, recipe: Recipes, tmp_path: Path, one_thread: None
) -> None:
    model, looked = build("student", scale={}), []

    def stop(done: int, total: int) -> None:
        looked.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    options = {"recipe": recipe(parameters="lm"), "stage": "looked", "batch_clips": 2}
    with pytest.raises(KeyboardInterrupt):
        make_features(model, items, folder=tmp_path / "a", watch=stop, **options)
    make_features(model, items, folder=tmp_path / "a", watch=stop, **options)
    assert looked == [(done, 12) for done in (2, 4, 6, 8, 10, 12)]
    make_features(model, items, folder=tmp_path / "b", **options)
    for name in ("rows-00000.safetensors", "rows.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# --- modes, by the whole lineage


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": "lm", "optimizer": "adamw-8bit"},
        {"parameters": "lora"},
        {"optimizer": "adamw-8bit", "master": "stochastic"},
        {"divergence": "jsd", "beta": 0.3, "answers": "gold"},
    ],
    ids=str,
)
def test_every_mode_makes_a_student_that_is_loaded_as_any_other(
    learnt: Callable[..., Lineage], lineage: Lineage, changes: dict[str, Any]
) -> None:
    model, meta = student_of(learnt(**changes))
    start = architecture("qwen2_vl").load(lineage.undistilled.folder)
    before, after = weights(start), weights(model)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    if changes.get("parameters", "full") != "full":
        assert not [name for name in changed if "visual" in name and "merger" not in name]
        assert "features" in meta["price"]
    assert meta["held_out"]["kl"] is not None
    for phase in meta["price"].values():
        assert phase["seconds"] > 0
        assert phase["tokens"] > 0
        assert phase["flops"] > 0
        assert phase["peak_bytes"] > 0
        assert "joules" in phase["absent"], "there is no energy counter on a CPU, and it says so"


def test_the_teacher_reads_gold_answers_where_the_recipe_says_so(
    learnt: Callable[..., Lineage], items: Any, lineage: Lineage
) -> None:
    read = load_targets(learnt(answers="gold").targets("test").path, CPU)
    assert all(read.texts[item.id] == item.gold for item in items)
    own = load_targets(lineage.targets("test").path, CPU)
    assert read.answers != own.answers


def test_top_k_targets_say_how_much_they_cover(learnt: Callable[..., Lineage], lineage: Lineage) -> None:
    said: list[str] = []
    thin = learnt(top_k=3)
    thin.store.say, before = said.append, thin.store.say
    try:
        found = thin.targets("val")
    finally:
        thin.store.say = before
    covered = found.meta["covered_mass"]["3"]
    assert 0 < covered["least"] <= covered["mean"] < 0.95
    assert said[-1].startswith(f"recipe.top_k 3 covers {covered['mean']:.1%} of the teacher's probability at T = 3")
    dense, few = load_targets(lineage.targets("val").path, CPU), load_targets(found.path, CPU)
    logits, known = dense.logits(range(4)), few.at(range(4))
    torch.testing.assert_close(known.logits, logits.topk(3).values, rtol=1e-5, atol=1e-5)  # type: ignore[union-attr]
    torch.testing.assert_close(known.lse[3.0], torch.logsumexp(logits / 3, -1), rtol=1e-5, atol=1e-5)  # type: ignore[union-attr]


def test_a_student_learns_from_top_k_targets(learnt: Callable[..., Lineage]) -> None:
    assert student_of(learnt(top_k=3))[1]["steps"] == 2


def test_views_are_more_lessons(learnt: Callable[..., Lineage], lineage: Lineage) -> None:
    meta = student_of(learnt(views=2))[1]
    assert meta["answers"] > student_of(learnt())[1]["answers"]
    assert learnt(views=2).targets("val").digest == lineage.targets("val").digest, "what is held out is shown once"


# --- the student's own answers


def test_on_policy_the_student_goes_on_from_its_own_answers(learnt: Callable[..., Lineage], micro: Pair) -> None:
    found = learnt(on_policy_epochs=1)
    after, before = found.student(), learnt().student()
    assert after.digest != before.digest
    assert after.meta["recipe"]["alpha"] == 1.0
    assert after.meta["steps"] == 3, "one pass over 24 clips in steps of 8"
    said = found._student_answers(before, round_recipe(found.pair.recipe, 1))
    answers = load_student_answers(said.path)
    shared = found.shared_vocabulary
    assert all(token < shared for ids in answers.values() for token in ids)
    scored = load_targets(found.targets("pool", 1, said).path, CPU)
    assert all(list(scored.answers[name])[: len(ids)] == ids for name, ids in answers.items())
    assert found.missing(["distilled"]) == []


# --- compiled


@pytest.mark.slow
def test_compiled_layers_compute_the_same(build: Any, items: Any, one_thread: None) -> None:
    plain, compiled = (build("student", scale={}) for _ in range(2))
    compile_layers(compiled)
    found = []
    for model in (plain, compiled):
        states = model.answer_states(
            model.embed([model.prepare(items[0].clip.frames(), [items[0].prompt])]), [[(5, 6, 7)]]
        )
        states.sum().backward()
        found.append((states, {name: p.grad for name, p in model.model.named_parameters()}))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    assert found[0][1].keys() == found[1][1].keys(), "the names stay what they are"
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], rtol=1e-3, atol=1e-5, msg=name)
