"""Are our timings true? Against a bare loop, against optimum-benchmark; and what the harness takes for itself.

    python benchmarks/truth.py [--rounds N] [--optimum FOLDER] [--json FILE]      # a CPU: 3 minutes

  bare       a round of `Stages` under `Watch`, as the worker runs it, beside the model's calls and perf_counter alone:
             each stage's time (within 1 %), and the wall time of a whole turn (the harness adds less than 5 %)
  worker     where the seconds of a worker's life go
  optimum    the same `generate` timed by optimum-benchmark and by our clock (within 3 %)

Models are those of tests/data/micro.yaml, untrained and larger: a round takes 20 to 40 ms of a calm core. How pairs of
rounds are compared, and which are left out: `benchmarks/truth_pairs.py`. A busy machine makes intervals wide: then a
row says "cannot tell", and never more.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.truth_optimum import against_optimum
from benchmarks.truth_pairs import Taken, compared, in_pairs, table
from harness.measure.enough import Enough
from harness.measure.environment import environment
from harness.measure.ruler import EVERY_S, ruler_of
from harness.measure.timing import Stages, Workload, synchronise
from harness.measure.validity import Watch, judge_rounds
from harness.measure.worker import Job, Loading
from harness.pair import Pair, load_pair
from harness.qa.datasets import load_items, load_lexicon
from harness.qa.frame_cache import decoded_anew
from harness.qa.items import Clip, QAItem, by_clip
from models.interface import Architecture, architecture

ROOT = Path(__file__).resolve().parents[1]
TEXT = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2}
TEXT |= {"num_attention_heads": 8, "num_key_value_heads": 8}  # heads as wide as the micro pair's student's
TOWERS = {
    "teacher": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4},
    "student": {"embed_dim": 128, "depth": 2, "num_heads": 4, "hidden_size": TEXT["hidden_size"]},
}
FRAMES, NEW_TOKENS = 4, 4
PARTS = ("bare", "worker", "optimum")


def enlarged(pair: Pair, side: str, device: torch.device) -> Architecture:
    """A side of the micro pair with random weights, larger."""
    spec = getattr(pair, side)
    config, first = {**spec.initial.config}, spec.initial
    config["text_config"] = {**config["text_config"], **TEXT}
    config["vision_config"] = {**config["vision_config"], **TOWERS[side]}
    options = {"seed": first.seed, "tokenizer_extra": first.tokenizer_extra, "pad_vocab_to": first.pad_vocab_to}
    kind = architecture(spec.architecture)
    model = kind.initialise(config=config, words=load_lexicon(pair.data), scale={}, **options)
    model.to(device)
    return model


@torch.inference_mode()
def bare_round(model: Architecture, clip: Clip, question: QAItem) -> Taken:
    """The model's calls and a clock: nothing of harness/measure, nothing of how the harness calls a model."""
    with decoded_anew():
        frames, sound = clip.frames(), clip.sound() if model.hears else None
    model.forget_questions()
    asked = time.perf_counter()
    prepared = [model.prepare(frames, [question.prompt], still=clip.still, sound=sound)]
    ready = time.perf_counter()
    sights, sounds = model.see(prepared), model.hear(prepared)
    synchronise(model.device)
    seen = time.perf_counter()
    state = model.prefill(model.embed(prepared, sights, sounds))
    token = model.logits(state.hidden).argmax(-1)
    token.tolist()
    known = [time.perf_counter()]
    for _ in range(NEW_TOKENS - 1):
        state = model.decode_one_token(state, token)
        token = model.logits(state.hidden).argmax(-1)
        token.tolist()
        known.append(time.perf_counter())
    itl = statistics.median(after - before for before, after in pairwise(known))
    rows = {"prepare": ready - asked, "vision": seen - ready, "prefill": known[0] - seen, "itl": itl}
    return rows | {"ttft": known[0] - asked, "answer": known[-1] - asked}


def against_bare(model: Architecture, pair: Pair, rounds: int) -> dict[str, Any]:
    """The stages' times within 1 %, and how much longer a turn of the harness's loop takes, all told."""
    items = load_items(pair.data, "test")
    stages = Stages(model, items, Workload(FRAMES, 1, NEW_TOKENS))
    watch, ruler = Watch(model.device), ruler_of(model.device)
    asked = cycle([(clip, questions[0]) for clip, questions in by_clip(items)])  # as `Stages` takes them
    taken, states, watched, read = [], [], [], []

    def ours() -> Taken:
        began = time.perf_counter()
        watch.before()
        before = time.perf_counter()
        taken.append(stages.round())
        after = time.perf_counter()
        states.append(watch.after())
        watched.append(before - began + time.perf_counter() - after)
        reading = time.perf_counter()
        if ruler is not None:
            ruler.read()
        read.append(time.perf_counter() - reading)
        return {**vars(taken[-1]), "itl": statistics.median(taken[-1].tokens), "apart": read[-1]}

    found = compared(in_pairs(ours, lambda: bare_round(model, *next(asked)), rounds), 0.01)
    wall = found["rows"].pop("wall")
    began = time.perf_counter()
    judge_rounds(states)
    json.dumps([asdict(one) for one in taken])
    judging_ms = (time.perf_counter() - began) * 1e3 / len(taken)  # once, with all rounds
    began, enough, growing = time.perf_counter(), Enough(1, 0.0, 1e-9, math.inf), []
    for one in taken:
        growing.append(one)
        enough(growing)
    asking_ms = (time.perf_counter() - began) * 1e3 / len(taken)  # whether the median is known, as after each round
    ruler_ms = statistics.fmean(read) * 1e3 * min(1.0, wall["theirs_ms"] / (EVERY_S * 1e3))  # not after every round
    more = (judging_ms + asking_ms + ruler_ms) / wall["theirs_ms"]
    overhead = {end: None if wall[end] is None else wall[end] - 1 + more for end in ("ratio", "low", "high")}
    overhead |= {"limit": 0.05, "bare_ms": wall["theirs_ms"]}
    overhead |= {"ours_ms": wall["ours_ms"] + judging_ms + asking_ms + ruler_ms, "asking_ms": asking_ms}
    overhead |= {"watch_ms": statistics.median(watched) * 1e3, "ruler_ms": ruler_ms, "judging_ms": judging_ms}
    return found | {"overhead": overhead}


def worker_life(models: dict[str, Architecture], pair: Pair, device: torch.device, rounds: int) -> dict[str, float]:
    """Where a worker's seconds go, with both models and one workload. `start`: interpreter and imports, seen in a
    worker without a variant; `load`: what is left, reading weights and drawing clips among it.
    """
    with tempfile.TemporaryDirectory() as folder:
        loadings = []
        for side, model in models.items():
            model.save(Path(folder, side))
            kind = getattr(pair, side).architecture
            loadings.append(Loading(side, kind, "harness.variants:native", str(Path(folder, side)), {}))
        told = {"workloads": (vars(Workload(FRAMES, 1, NEW_TOKENS)),), "data": pair.data.model_dump(mode="json")}
        told |= {"split": "test", "device": str(device), "threads": torch.get_num_threads(), "rounds": rounds}
        told |= {"least_warmup": 3, "most_warmup": 40, "ceilings": False, "energy": False}
        lives, walls = [], []
        for variants in ((), tuple(loadings)):
            began = time.perf_counter()
            command = [sys.executable, "-m", "harness.measure.worker"]
            text = json.dumps(asdict(Job(variants=variants, **told)))
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT)
            lives.append(time.perf_counter() - began)
            walls = [json.loads(line)["wall"] for line in done.stdout.splitlines()]
    whole = {"start": lives[0]} | {key: sum(one[key] for one in walls) for key in ("warmup", "rounds")}
    return whole | {"load": lives[1] - sum(whole.values()), "all": lives[1]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="pairs of rounds in each comparison")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--optimum", type=Path, help="a folder with optimum-benchmark, where it is not installed")
    parser.add_argument("--json", type=Path, help="the figures, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, pair = torch.device(options.device), load_pair(str(ROOT / "tests" / "data" / "micro.yaml"))
    models = {side: enlarged(pair, side, device) for side in TOWERS}
    found: dict[str, Any] = {"environment": environment(device)}
    for side, model in models.items() if "bare" in options.parts else ():
        found[side] = against_bare(model, pair, options.rounds)
        print("\n" + table(f"{side}, bare loop", found[side], ("ours", "bare")))
        more = found[side]["overhead"]
        low, high = ("?" if more[end] is None else f"{more[end]:.2%}" for end in ("low", "high"))
        print(
            f"a turn of {more['bare_ms']:.1f} ms: the harness adds {more['ratio']:.2%} ({low} to {high}; target < 5 %),"
        )
        parts = {"Watch": "watch_ms", "ruler": "ruler_ms", "asking": "asking_ms", "judging": "judging_ms"}
        print("of it " + ", ".join(f"{name} {more[key] * 1e3:.0f} µs" for name, key in parts.items()))
    if "worker" in options.parts:
        found["worker_s"] = life = worker_life(models, pair, device, 20)
        told = ", ".join(f"{name} {seconds:.1f} ({seconds / life['all']:.0%})" for name, seconds in life.items())
        print(f"\na worker's seconds: {told}")
    if "optimum" in options.parts:
        tokenizer = models["student"].tokenizer
        found["optimum"] = beside = against_optimum(options.optimum, TEXT, tokenizer, device, options.rounds)
        print("\n" + table(f"optimum-benchmark {beside.get('version', '')}".strip(), beside, ("ours", "theirs")))
        if hook := beside.get("hook"):
            print(f"without a hook in `generate`, as theirs is, a token takes {1 / hook['ratio']:.4f} of the time")
        for name, own in beside.get("own_report", {}).items():
            told = f"{own['count']} values, p50 {own['p50_ms']:.3f} ms, mean {own['mean_ms']:.3f} ms"
            print(f"its own report of 10 iterations, {name}: {told}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
