"""The arms of the experiment: students that start alike, take as many steps, and differ in what they learn from."""

from __future__ import annotations

from typing import Literal

from harness.pair import Pair, Recipe
from harness.qa.datasets import clips_in

Arm = Literal["distilled", "hard-labels", "finetuned"]
ARMS: tuple[Arm, ...] = ("distilled", "hard-labels", "finetuned")
LABELS = {"distilled": "teacher, with probabilities", "hard-labels": "teacher", "finetuned": "gold"}


def arm_recipe(pair: Pair, arm: Arm, seed: int = 0) -> Recipe:
    """The pair's recipe as this arm uses it: hard labels have no KL, gold has other clips but as many steps."""
    recipe = pair.recipe
    changes: dict[str, object] = {"seed": recipe.seed + seed}
    if arm == "finetuned":
        clips, few = clips_in(pair.data, recipe.split), clips_in(pair.data, pair.finetune_split)
        steps = min(recipe.epochs * -(-clips // recipe.batch_clips), recipe.max_steps or 2**62)
        changes |= {
            "split": pair.finetune_split,
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
