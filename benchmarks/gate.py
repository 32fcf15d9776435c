"""Does the gate call what it should, on this machine? Real runs: A/A pairs, and a real sleep of 5 % inside decode.

    python benchmarks/gate.py --out gate-runs          # 20 A/A pairs and 10 slowed runs: 20 to 30 minutes of a core
    python benchmarks/gate.py --out gate-runs --judge  # what is there already, judged again

Every run is what `pytest suites` would time for one variant: the pair file's default number of processes and rounds, by
the same worker. Each is kept in --out as soon as it is there, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.gate import compare
from harness.measure.enough import LEAST_SECONDS
from harness.measure.environment import environment
from harness.measure.latency import latency
from harness.measure.replicates import replicates
from harness.measure.timing import HOW, ROWS, Workload
from harness.measure.worker import MOST_WARMUP, Job, Loading
from harness.pair import Latency, load_pair
from harness.qa.datasets import load_lexicon
from harness.record import Record, Run
from models.interface import Architecture, architecture

ROOT = Path(__file__).resolve().parents[1]
SLOWER = "FIRSTSIGHT_SLOWED_MS"  # milliseconds that each decoded token sleeps in a slowed run
ASKED = Workload(frames=4, batch=1, new_tokens=8)
SIZE = {
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gate-runs"), help="where the runs are kept")
    parser.add_argument("--pairs", type=int, default=20, help="A/A pairs (default: 20)")
    parser.add_argument("--slowed", type=int, default=10, help="slowed runs (default: 10)")
    parser.add_argument("--slowdown", type=float, default=0.05, help="share of a token's time (default: 0.05)")
    parser.add_argument(
        "--larger", action="store_true", help="a student of 9 MB, which lies in the cache others use too"
    )
    parser.add_argument("--judge", action="store_true", help="measure nothing more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.judge:
        measure(options)
    print(judge(options.out))
    return 0


def measure(options: argparse.Namespace) -> None:
    """Runs A and slowed runs B in turn: A B A B … A A, as a commit is measured after the one before it. Two slowed runs
    are equals, too: n of them are n - 1 of the pairs.
    """
    order = [name for at in range(options.slowed) for name in (f"a{at:02d}", f"b{at:02d}")]
    order += [f"a{at:02d}" for at in range(options.slowed, options.pairs + 1 - max(0, options.slowed - 1))]
    with tempfile.TemporaryDirectory() as folder:
        build(options.larger).save(Path(folder))
        sleep = None
        for number, name in enumerate(order, 1):
            file = options.out / f"{name}.json"
            if not file.exists():
                if name[0] == "b" and sleep is None:
                    first = json.loads((options.out / "a00.json").read_text())
                    sleep = options.slowdown * latency("itl", first["groups"]["itl"], "")[0].value
                timed(Path(folder), file, sleep if name[0] == "b" else None)
            print(f"{number}/{len(order)} {name}", file=sys.stderr)


def build(larger: bool) -> Architecture:
    """The tiny pair's student as `make bench` times it, with random weights; `larger`: 9 MB instead of 1."""
    pair = load_pair("tiny")
    initial = pair.student.initial
    assert initial is not None
    config: dict[str, Any] = json.loads(json.dumps(initial.config))
    if larger:
        config["text_config"] |= SIZE
        config["vision_config"] |= {"hidden_size": SIZE["hidden_size"]}
    return architecture(pair.student.architecture).initialise(
        config=config,
        seed=0,
        words=load_lexicon(pair.data),
        tokenizer_extra=initial.tokenizer_extra,
        pad_vocab_to=initial.pad_vocab_to,
        scale={},
    )


def timed(folder: Path, file: Path, sleep_ms: float | None) -> None:
    """One run, kept as its rounds."""
    pair, default = load_pair("tiny"), Latency()
    loader = "benchmarks.gate:slowed" if sleep_ms else "harness.variants:native"
    job = Job(
        variants=(Loading("distilled", pair.student.architecture, loader, str(folder), {}),),
        workloads=(vars(ASKED),),
        data=pair.data.model_dump(mode="json"),
        split="test",
        device="cpu",
        threads=1,
        rounds=default.rounds,
        least_warmup=default.warmup_rounds,
        most_warmup=MOST_WARMUP,
        ceilings=False,
        energy=False,
        least_seconds=LEAST_SECONDS,
        precision=default.precision,
    )
    os.environ.pop(SLOWER, None)
    if sleep_ms:
        os.environ[SLOWER] = str(sleep_ms)
    found = replicates(job, default.processes, lambda *_: None).of("distilled", ASKED)
    kept = {
        "sleep_ms": sleep_ms,
        "groups": {row: found.groups(row) for row in ROWS},
        "rulers": {row: found.rulers(row) for row in ROWS},
        "ruler": found.processes[0]["ruler"],
        "reached": [(len(one["rounds"]), one["median_error"], one["wall"]["rounds"]) for one in found.processes],
        "invalid": found.invalid_reasons,
        "broken": sum(bool(one["broken"]) for process in found.processes for one in process["rounds"]),
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    aside = file.with_suffix(".part")
    aside.write_text(json.dumps(kept))
    aside.rename(file)


def slowed(kind: type[Architecture], folder: Path, device: torch.device, told: Mapping[str, Any]) -> Architecture:
    """The variant with a sleep inside decode; awake for the last of it, so that it is as long as told, and for all of
    one that is shorter than the system's clock can sleep.
    """
    model, seconds = kind.load(folder, device=device, told=told), float(os.environ[SLOWER]) / 1e3
    decode = model.decode_one_token

    def slower(*arguments: Any) -> Any:
        until = time.perf_counter() + seconds
        if seconds > 1e-4:
            time.sleep(seconds - 1e-4)  # a sleep lasts up to 0.1 ms longer
        while time.perf_counter() < until:
            pass
        return decode(*arguments)

    model.decode_one_token = slower  # type: ignore[method-assign]
    return model


def judge(folder: Path) -> str:
    """What the gate says of every A/A pair and of every slowed run."""
    runs = {file.stem: as_run(file) for file in sorted(folder.glob("[ab][0-9][0-9].json"))}
    alike = ([name for name in runs if name[0] == kind] for kind in "ab")
    pairs = [("A/A", one, other) for names in alike for one, other in pairwise(names)]
    pairs += [("slowed", f"a{name[1:]}", name) for name in runs if name[0] == "b"]
    lines, tallies = [], {"A/A": Counter[str](), "slowed": Counter[str]()}
    for kind, one, other in pairs:
        found = compare(runs[one], runs[other])
        verdict = {0: "same", 1: "regressed", 3: "cannot tell"}[found.exit_code]
        tallies[kind][verdict] += 1
        itl = next(row for row in found.rows if row.key.metric == "itl")
        ratio = "" if itl.estimate is None else "itl {:.3f} ({:.3f}–{:.3f})".format(*itl.estimate)
        called = ", ".join(row.key.metric for row in found.having("regressed"))
        lines.append(f"{kind:7} {one} → {other}: {verdict:12} {ratio}; floor {found.floor.words()[:90]} {called}")
    lines += [f"{kind}: {dict(tally)} of {sum(tally.values())}" for kind, tally in tallies.items()]
    return "\n".join(lines)


def as_run(file: Path) -> Run:
    """A kept run as the gate reads it."""
    kept = json.loads(file.read_text())
    records = tuple(
        Record(
            pair="gate",
            variant="distilled",
            suite="latency",
            workload=dict(vars(ASKED)),
            measurements=latency(row, kept["groups"][row], HOW[row], kept["rulers"][row]),
            valid=not kept["invalid"],
            invalid_reasons=tuple(kept["invalid"]),
            artifacts={"distilled": "random"},
            details={"row": row, "rounds": {"ruler": kept["ruler"]}},
        )
        for row in ROWS
    )
    told = {**environment(torch.device("cpu")), "pair": {"name": "gate"}, "weights": "random"}
    return Run(records, told, {"id": "unversioned"}, kept["when"])


if __name__ == "__main__":
    sys.exit(main())
