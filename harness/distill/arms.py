"""The arms of the experiment: students that start alike, take as many steps, and differ in what they learn from."""

from __future__ import annotations

from typing import Literal

from harness.pair import Pair, Recipe
from harness.qa.datasets import clips_in

Arm = Literal["distilled", "hard-labels", "finetuned"]
ARMS: tuple[Arm, ...] = ("distilled", "hard-labels", "finetuned")


def arm_recipe(pair: Pair, arm: Arm, seed: int = 0, recipe: Recipe | None = None) -> Recipe:
    """The pair's recipe (or another one) as this arm uses it: hard labels have no divergence, gold has other clips but
    as many steps. Only the distilled student goes on with its own answers, where the recipe says so.
    """
    recipe = recipe or pair.recipe
    changes: dict[str, object] = {"seed": recipe.seed + seed}
    if arm == "finetuned":
        clips, few = recipe.views * clips_in(pair.data, recipe.split), clips_in(pair.data, pair.finetune_split)
        steps = min(recipe.epochs * -(-clips // recipe.batch_clips), recipe.max_steps or 2**62)
        changes |= {
            "split": pair.finetune_split,
            "epochs": -(-steps // -(-few // recipe.batch_clips)),
            "max_steps": steps,
            "evaluate_every": recipe.evaluate_every or -(-clips // recipe.batch_clips),
            "alpha": 0.0,
            "method": "finetune",
            "teacher_format": "native",
            "on_policy_epochs": 0,
            "views": 1,
            "answers": "gold",
            "top_k": None,
        }
    elif arm == "hard-labels":
        changes |= {"alpha": 0.0, "on_policy_epochs": 0}
    return recipe.model_copy(update=changes)


def labels_of(arm: Arm, recipe: Recipe) -> str:
    """What a student of this arm learnt from, in the report's words."""
    answers = "gold" if arm == "finetuned" or recipe.answers == "gold" else "teacher"
    return f"{answers}, with the teacher's probabilities" if arm == "distilled" and recipe.alpha > 0 else answers
