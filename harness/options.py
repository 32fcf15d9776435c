"""What a command line chooses: the pair, the data, the weights; and how a record tells it.

pair = open_pair(options)      # options: pair, qa, limit, seed, frames, rotations; None where nothing was said
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from harness.errors import UsageError, oneline
from harness.pair import Pair, load_pair
from harness.qa.asked import parse_qa
from harness.qa.datasets import dataset_names
from models.interface import without_weights

MEANINGLESS = "synthetic"  # frames that nobody can be judged by


class Options(Protocol):
    """What the command line says; None where it says nothing."""

    pair: str
    variants: str | None
    seeds: int
    rebuild: bool
    cache: str | None
    results: str | None
    qa: str | None
    weights: str | None
    limit: int | None
    seed: int | None
    frames: int | None
    similarity: str | None
    rotations: int | None
    workloads: str | None
    processes: int | None


def open_pair(options: Any) -> Pair:
    """The pair with what the command line chose: --qa, --limit, --seed, --frames, --rotations where they were given."""
    pair = load_pair(options.pair)
    changes: dict[str, object] = {}
    if qa := getattr(options, "qa", None):
        dataset, path, part = parse_qa(qa)
        changes |= {"dataset": dataset, "path": path, "part": part}
    for name, least in (("limit", 1), ("seed", 0), ("frames", 1)):
        value = getattr(options, name, None)
        if value is not None:
            if value < least:
                raise UsageError(f"--{name} {value}: at least {least}")
            changes[name] = value
    updates: dict[str, object] = {"data": pair.data.model_copy(update=changes)} if changes else {}
    rotations = getattr(options, "rotations", None)
    if rotations is not None:
        if rotations < 1:
            raise UsageError(f"--rotations {rotations}: at least 1")
        updates["evaluation"] = pair.evaluation.model_copy(update={"rotations": rotations})
    return pair.model_copy(update=updates) if updates else pair


def require_meaning(pair: Pair, random: bool) -> None:
    """UsageError where answers were to be learnt or judged on frames that mean nothing."""
    if not random and pair.data.dataset == MEANINGLESS:
        raise UsageError(
            f"{pair.name} measures answers on real clips: --qa NAME:PATH ({', '.join(dataset_names())}); "
            f"{without_weights()}"
        )


def chosen_arguments(options: Any) -> list[str]:
    """The same choices as arguments of `firstsight make`."""
    given = [(name, getattr(options, name, None)) for name in ("pair", "qa", "weights", "limit", "seed", "frames")]
    return [text for name, value in given if value is not None for text in (f"--{name}", str(value))]


def is_random_asked(options: Any) -> bool:
    """Is this a run without weights? UsageError for anything but `--weights random`."""
    weights = getattr(options, "weights", None)
    if weights not in (None, "random"):
        raise UsageError(f"--weights {oneline(weights, 60)}: can be random; trained weights are named in the pair file")
    return weights == "random"


def without_folders(argument: str) -> str:
    """An argument with its paths' folders cut: a record says what was asked, not where on this machine it lies."""
    return re.sub(r"(?<![^=:,\s])[~/][^\s:=,]*/(?=[^/\s:=,]+)", "…/", argument)


def why_without_folders(error: object) -> str:
    """What an error says, in one line, with the folders of its paths cut; its type where it says nothing."""
    told = without_folders(oneline(error, 400)) or type(error).__name__
    return oneline(re.sub(r"""(?<=["'(`\[])[~/]\S*/(?=\S)""", "…/", told), 200)


def absolute_arguments(options: Any) -> list[str]:
    """As `chosen_arguments`, with paths that hold in any folder: what is typed here runs elsewhere."""
    given = chosen_arguments(options)
    for at, name in enumerate(given[::2]):
        value = given[2 * at + 1]
        if name == "--pair" and (value.endswith((".yaml", ".yml")) or "/" in value):
            given[2 * at + 1] = str(Path(value).absolute())
        elif name == "--qa":
            dataset, path, part = parse_qa(value)
            given[2 * at + 1] = ":".join((dataset, str(Path(path).expanduser().absolute()), *([part] if part else [])))
    return given
