"""Ten times the clips: ten times the time, the same memory. Both phases, each in a fresh process, at two sizes.

    python benchmarks/scaling.py --pair tiny --clips 40 --times 10         # on a CPU: about 3 minutes

A process is measured by what its resident memory grew above what the libraries and the model had (VmHWM, reset after
loading); on a GPU by its allocator's peak. The tiny pair's toys are as they were drawn: what they say costs as much.
Its dataset keeps up to 4096 rendered clips for the epochs that follow (0.1 MB each), which is left out here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.trainer import build
from harness.distill.align import require_shared
from harness.distill.lessons import teacher_lessons
from harness.distill.targets import load_targets, make_targets
from harness.distill.train import Lessons, train
from harness.distill.validation import Held
from harness.measure.environment import device_of_choice
from harness.measure.price import priced
from harness.pair import load_pair
from harness.qa import scenes
from harness.qa.datasets import load_items


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", default="tiny", help="a pair that is made from nothing (default: tiny)")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--phase", choices=("targets", "train"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="the figures, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.phase:
        print(json.dumps(phase(options)))
        return 0
    found: dict[str, dict[int, dict[str, Any]]] = {"targets": {}, "train": {}}
    for clips in (options.clips, options.clips * options.times):
        with tempfile.TemporaryDirectory() as folder:
            for name in found:
                found[name][clips] = in_fresh_process(options, name, clips, folder)
                print(f"{name}, {clips} clips: {found[name][clips]['seconds']:.1f} s", file=sys.stderr)
    print(f"{'phase':<9}{'clips':>7}{'seconds':>9}{'×':>7}{'memory':>10}{'×':>7}")
    for name, sizes in found.items():
        first = sizes[options.clips]
        for clips, one in sizes.items():
            memory = f"{one['bytes'] / 1e6:>7.0f} MB{one['bytes'] / first['bytes']:>7.2f}"
            print(f"{name:<9}{clips:>7}{one['seconds']:>9.1f}{one['seconds'] / first['seconds']:>7.2f}{memory}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def in_fresh_process(options: argparse.Namespace, name: str, clips: int, folder: str) -> dict[str, Any]:
    """One phase, and nothing inherited."""
    told = ["--pair", options.pair, "--epochs", str(options.epochs), "--threads", str(options.threads)]
    command = [sys.executable, "-m", "benchmarks.scaling", *told, "--clips", str(clips), "--folder", folder]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([*command, "--phase", name], check=True, capture_output=True, text=True, cwd=root)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def phase(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a phase, and the bytes that it took beyond the libraries and the model."""
    scenes._remembered = scenes._remembered.__wrapped__  # type: ignore[assignment]  # as videos are decoded anew
    pair, device = load_pair(options.pair), device_of_choice()
    split = pair.recipe.split
    spec = pair.data.splits[split].model_copy(update={"clips": options.clips})
    data = pair.data.model_copy(update={"splits": {**pair.data.splits, split: spec}})
    recipe = pair.recipe.model_copy(update={"epochs": options.epochs, "optimizer": "adamw", "evaluate_every": 10**6})
    items = load_items(data, split)
    teacher, student = build(pair, "teacher", device), build(pair, "student", device)
    shared = require_shared(teacher.tokenizer, student.tokenizer)
    with torch.no_grad():
        teacher.head.weight[shared:] = 0
    new_tokens, clips = pair.evaluation.max_new_tokens, pair.evaluation.batch_clips
    if options.phase == "targets":
        with tempfile.TemporaryDirectory() as aside:  # the first batch, so that kernels are chosen and memory is warm
            make_targets(teacher, items[:64], shared, Path(aside), max_new_tokens=new_tokens, batch_clips=clips)
        before = now(device)
        with priced(device) as price:
            make_targets(teacher, items, shared, options.folder, max_new_tokens=new_tokens, batch_clips=clips)
    else:
        before = now(device)
        with priced(device) as price:
            known = load_targets(options.folder, device)
            lessons = teacher_lessons(items, known, student, shared)
            train(student, Lessons(lessons, known, shared=shared), Held(lessons[:1], known), recipe, options.folder)
    assert price.peak_bytes is not None, price.absent
    return {"seconds": price.seconds, "bytes": price.peak_bytes - before, "how": price.peak_how}


def now(device: torch.device) -> int:
    """Bytes that are held before the phase."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
