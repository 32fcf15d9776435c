"""A whole distillation at real shapes with random weights: cold, from cached targets, and the plain loop beside it.

    python benchmarks/real_shapes.py --json $OUT/distillation.json                    # a GPU: the real pair
    python benchmarks/real_shapes.py --pair egogpt-qwen2vl-tiny --clips 6 --val 2     # a CPU: that it runs

Random weights leave time, memory and energy true and answers without meaning. The teacher is INT8 and answers as many
tokens as --answer-tokens says; every mode trains from its cached states. `plain loop`: teacher and student (fp32
master, AdamW) resident together, logits in full, some steps timed and extrapolated. Phases are priced as a training's.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from harness.distill.features import Features, make_features, stage_of
from harness.distill.lessons import Lesson, teacher_lessons, token_rows
from harness.distill.origins import write_random
from harness.distill.rows import Rows
from harness.distill.targets import Targets, load_targets, make_targets
from harness.distill.train import Lessons, train
from harness.distill.trained import load_format
from harness.distill.validation import Held
from harness.measure.environment import device_of_choice
from harness.measure.price import priced
from harness.pair import Pair, Recipe, load_pair
from harness.qa.items import QAItem
from harness.qa.synthetic import load_split
from models.interface import Architecture, architecture

SHARED = 151_646  # ids that EgoGPT-7b and Qwen2-VL-2B share
MODES: dict[str, dict[str, Any]] = {
    "full-8bit-stochastic": {"optimizer": "adamw-8bit", "master": "stochastic"},
    "lm-8bit": {"parameters": "lm", "optimizer": "adamw-8bit"},
    "lora": {"parameters": "lora", "learning_rate": 1e-4},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", default="egogpt-qwen2vl")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--val", type=int, default=100)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--answer-tokens", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4, help="clips that the teacher answers at once")
    parser.add_argument("--micro", type=int, default=2, help="clips a forward pass of the student")
    parser.add_argument("--modes", default=",".join(MODES), help=f"of {', '.join(MODES)}")
    parser.add_argument("--plain-steps", type=int, default=2, help="steps of the plain loop; 0: none")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pair = load_pair(options.pair)
    data = pair.data.model_copy(update={"frames": options.frames, "dataset": "synthetic"})
    pair = pair.model_copy(update={"data": data})
    items = load_split("pool", options.clips, 1, data), load_split("val", options.val, 1, data)
    with tempfile.TemporaryDirectory() as scratch:
        rows = run(pair, items, Path(scratch), options)
    asked = f"{options.clips} + {options.val} clips of {options.frames} frames, {options.epochs} epochs"
    print(f"\n{asked}, {name_of_device()}")
    print(f"{'phase':<24}{'seconds':>9}{'peak GB':>9}{'joules':>10}")
    for row in rows:
        peak = "–" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.2f}"
        joules = "–" if row["joules"] is None else f"{row['joules']:.0f}"
        seconds = "–" if row["seconds"] is None else f"{row['seconds']:.1f}"
        print(f"{row['phase']:<24}{seconds:>9}{peak:>9}{joules:>10}  {row.get('told', '')}")
    if options.json:
        told = {key: value for key, value in vars(options).items() if key != "json"}
        options.json.write_text(json.dumps({"device": name_of_device(), "arguments": told, "rows": rows}, indent=1))
    return 0


def run(
    pair: Pair, items: tuple[Sequence[QAItem], Sequence[QAItem]], folder: Path, options: argparse.Namespace
) -> list[dict[str, Any]]:
    device, rows = device_of_choice(), []
    shells = {}
    for side in ("teacher", "student"):
        shells[side] = folder / side
        write_random(shells[side], side, getattr(pair, side), pair.data)

    def phase(name: str, work: Any, **more: Any) -> Any:
        gc.collect()
        with priced(device) as price:
            found = work()
        row = {"phase": name, "seconds": price.seconds, "peak_bytes": price.peak_bytes, "joules": price.joules, **more}
        rows.append(row)
        print(f"{name}: {price.seconds:.1f} s, {(price.peak_bytes or 0) / 1e9:.2f} GB", file=sys.stderr)
        return found

    def targets() -> int:
        teacher = load(pair, "teacher", shells["teacher"], "int8", device)
        shared = min(SHARED, teacher.head.weight.shape[0], load_rows(pair, shells["student"]))
        with torch.no_grad():  # what a random teacher says must be ids that the student has, and never the last one
            teacher.head.weight[shared:] = 0
            teacher.head.weight[teacher.ending_id] = 0
        for split, asked in zip(("pool", "val"), items, strict=True):
            make_targets(
                teacher,
                asked,
                shared,
                made(folder / split),
                max_new_tokens=options.answer_tokens - 1,
                batch_clips=options.batch,
            )
        return shared

    shared: int = phase("teacher", targets)
    known = {split: load_targets(folder / split, device) for split in ("pool", "val")}
    for name in options.modes.split(","):
        changes = {
            "epochs": options.epochs,
            "micro_clips": options.micro,
            "gradient_checkpointing": True,
            **MODES[name],
        }
        usual = {"batch_clips": 16, "patience": None, "learning_rate": 1e-5, "optimizer": "adamw"}
        recipe = Recipe(**{**pair.recipe.model_dump(), **usual, **changes})
        cached = stage_of(recipe, hears=False)
        if cached is not None and not (folder / f"pool-{cached}").exists():
            phase(f"features, {cached}", lambda r=recipe, s=cached: features(pair, items, shells, folder, r, s, device))
        phase(
            name,
            lambda r=recipe, s=cached, n=name: distil(pair, items, shells, folder / n, known, shared, r, s, device),
            told=f"micro-batches of {options.micro}",
        )
    if options.plain_steps:
        try:
            plain(pair, items, shells, known, shared, options, rows, device)
        except torch.OutOfMemoryError:
            absent = {"seconds": None, "peak_bytes": None, "joules": None, "told": "does not fit on this card"}
            rows.append({"phase": "plain loop", **absent})
    return rows


def features(pair: Pair, items: Any, shells: Any, folder: Path, recipe: Recipe, stage: Any, device: Any) -> None:
    student = load(pair, "student", shells["student"], load_format(recipe), device)
    for split, asked in zip(("pool", "val"), items, strict=True):
        make_features(student, asked, recipe, stage, made(folder / f"{split}-{stage}"), batch_clips=4)


def distil(
    pair: Pair,
    items: Any,
    shells: Any,
    folder: Path,
    known: dict[str, Targets],
    shared: int,
    recipe: Recipe,
    stage: Any,
    device: torch.device,
) -> None:
    """The training alone, loading included."""
    student = load(pair, "student", shells["student"], load_format(recipe), device)
    seen = [None, None]
    if stage is not None:
        seen = [Features(Rows(folder.parent / f"{split}-{stage}"), stage) for split in ("pool", "val")]  # type: ignore[misc]
    lessons, held = (
        teacher_lessons(asked, known[split], student, shared) for asked, split in zip(items, known, strict=True)
    )
    train(
        student,
        Lessons(lessons, known["pool"], seen[0], shared),
        Held(held, known["val"], seen[1]),
        recipe,
        folder,
        free_tokens=None,
    )


def plain(
    pair: Pair,
    items: Any,
    shells: Any,
    known: dict[str, Targets],
    shared: int,
    options: argparse.Namespace,
    rows: list[dict[str, Any]],
    device: torch.device,
) -> None:
    """Both models resident, every epoch asks the teacher again, logits of every position in fp32."""
    from models.packing import pack_rows

    with priced(device) as price:
        teacher = load(pair, "teacher", shells["teacher"], "int8", device)
        student = load(pair, "student", shells["student"], "fp32", device)
        student.model.requires_grad_(True).train()  # random weights are drawn to require none
        lessons = teacher_lessons(items[0], known["pool"], student, shared)
        optimizer = torch.optim.AdamW(student.model.parameters(), lr=1e-5)
        cuda = device.type == "cuda"

        def logits(model: Architecture, lesson: Lesson) -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
                embedded = model.embed([model.prepare(lesson.clip.frames(), lesson.questions)])
                packed = pack_rows(embedded, [lesson.answers], model.embed_ids)
                everything = model.logits(model._run(packed.inputs, packed.positions, packed.mask(), None)).float()
            row, column = packed.where([lesson.answers])
            return everything[row, column][:, :shared]

        def step(window: Sequence[Lesson]) -> None:
            tokens = len(token_rows(window))
            for lesson in window:
                with torch.no_grad():
                    taught = logits(teacher, lesson)
                said = logits(student, lesson)
                kl = functional.kl_div(
                    functional.log_softmax(said / 2, -1),
                    functional.log_softmax(taught / 2, -1),
                    log_target=True,
                    reduction="sum",
                )
                (4 * kl / tokens).backward()
            optimizer.step()
            optimizer.zero_grad()

        window = lessons[: min(16, len(lessons))]
        step(window[:1])
        began = time.perf_counter()
        for _ in range(options.plain_steps):
            step(window)
        if cuda:
            torch.cuda.synchronize()
        each = (time.perf_counter() - began) / options.plain_steps
    steps = options.epochs * -(-options.clips // 16)
    told = f"extrapolated from {options.plain_steps} steps of {each:.1f} s to {steps}; without its evaluations"
    rows.append(
        {"phase": "plain loop", "seconds": each * steps, "peak_bytes": price.peak_bytes, "joules": None, "told": told}
    )


def load(pair: Pair, side: str, folder: Path, form: str, device: torch.device) -> Architecture:
    spec = getattr(pair, side)
    return architecture(spec.architecture).load(folder, format=form, device=device, told=spec.sizes)


def load_rows(pair: Pair, folder: Path) -> int:
    """Ids that the student has, from its config."""
    config = architecture(pair.student.architecture).config_from(folder, pair.student.sizes)
    return int(config.get_text_config().vocab_size)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def name_of_device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


if __name__ == "__main__":
    sys.exit(main())
