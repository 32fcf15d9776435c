"""A synthetic run, made up from a seed: seven variants, 600 questions on 80 clips, with the gaps a real run
has.

python -m tests.harness.report.sample FILE.json   writes it as pytest-benchmark JSON
"""

import base64
import json
import random
import struct
import sys
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.record import KEY, SCHEMA, Measurement, Record, Run, rounded, to_extra_info
from harness.stats import cohens_kappa, kappa_interval, percentile, wilson_clustered

TYPES = (
    "colour",
    "count",
    "existence",
    "held object",
    "place",
    "relation",
    "action",
    "which hand",
    "what next",
)
COLOURS = {"red": (196, 61, 61), "green": (72, 140, 84), "blue": (60, 99, 173), "yellow": (219, 172, 52)}
# how often it answers like the teacher, TTFT ms, inter-token ms, peak MB, weights MB
SHAPE: dict[str, tuple[float, float | None, float, float, float]] = {
    "baseline": (1.0, 4.9, 1.35, 452.0, 1.064),
    "int8": (0.993, 14.6, 4.1, 458.0, 0.421),
    "distilled": (0.855, 4.55, 1.12, 447.0, 0.577),
    "distilled-int8": (0.85, 12.9, 3.2, 449.0, 0.243),
    "undistilled": (0.04, None, 0, 0, 0),
    "finetuned": (0.60, None, 0, 0, 0),
    "hard-labels": (0.845, None, 0, 0, 0),
}
CARD_MB = {"baseline": 15_950.0, "int8": 8_700.0, "distilled": 4_420.0, "distilled-int8": 2_690.0}  # weights
RAISES = "by how much it raises the peak, after all before it"
BUDGETS: dict[str, Any] = {
    "agreement": 0.75,
    "accuracy": None,
    "ttft_ms": 40.0,
    "itl_ms": 12.0,
    "memory_mb": 900.0,
    "size_mb": 0.5,
}


def png(seed: int, side: int = 64) -> str:
    """A small picture of a table with two things on it and a hand, as a data URI; no imaging library."""
    dice = random.Random(seed)
    pixels = [[(214, 196, 170) if y > 20 else (176, 190, 196) for _ in range(side)] for y in range(side)]
    for colour in dice.sample(sorted(COLOURS), 2):
        x0, y0, size = dice.randrange(4, 44), dice.randrange(22, 44), dice.randrange(10, 16)
        for y in range(y0, min(side, y0 + size)):
            for x in range(x0, min(side, x0 + size)):
                pixels[y][x] = COLOURS[colour]
    hand = dice.randrange(10, 50)
    for y in range(40, side):
        for x in range(hand, min(side, hand + 8)):
            pixels[y][x] = (226, 178, 150)
    raw = b"".join(b"\0" + bytes(channel for pixel in row for channel in pixel) for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(whole).decode()


def questions(seed: int = 0, n: int = 600, clips: int = 80) -> list[dict[str, Any]]:
    """Questions on clips, each with its gold and the teacher's answer (right nine times in ten)."""
    dice, made = random.Random(seed), []
    for i in range(n):
        kind = TYPES[i % len(TYPES)]
        options = (
            sorted(COLOURS)
            if kind == "colour"
            else ["yes", "no"]
            if kind == "existence"
            else ["cup", "bowl", "knife", "jug"]
        )
        gold = dice.choice(options)
        teacher = gold if dice.random() < 0.9 else dice.choice([o for o in options if o != gold])
        made.append(
            {
                "id": f"q{i:04d}",
                "clip": f"clip-{i * clips // n:03d}",
                "type": kind,
                "question": f"What is the {kind} that I see in the clip?" if i % 3 else f"Tell the {kind}, please.",
                "gold": gold,
                "teacher": teacher,
                "options": options,
                "multiple_choice": i % 2 == 0,
            }
        )
    return made


def answers(variant: str, asked: list[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """One variant's answers: like the teacher's as often as SHAPE says, with hard clips and types."""
    rate, found = SHAPE[variant][0], []
    mood = random.Random(f"clips {seed}")
    easy = {clip: mood.uniform(-0.12, 0.12) for clip in sorted({q["clip"] for q in asked})}
    dice, surety = random.Random(f"{variant} {seed}"), random.Random(f"{variant} {seed} sure")
    for q in asked:
        hard = (
            0.0
            if rate in (1.0, 0.04)
            else easy[q["clip"]] * (1 - rate) * 3 - 0.12 * (q["type"] == "relation") * (rate < 0.99)
        )
        same = rate == 1.0 or dice.random() < rate + hard
        answer = q["teacher"] if same else dice.choice([o for o in q["options"] if o != q["teacher"]])
        found.append({**q, "answer": answer, "agrees": answer == q["teacher"], "correct": answer == q["gold"]})
    return [{**row, "sure": round(surety.betavariate(*((9, 1.2) if row["agrees"] else (3, 2))), 4)} for row in found]


def agreement(variant: str, asked: list[dict[str, Any]]) -> Record:
    """The agreement record of one variant."""
    items = answers(variant, asked)
    clips = [item["clip"] for item in items]
    dice = random.Random(variant)
    measurements = [
        _share(
            "agreement",
            [item["agrees"] for item in items],
            clips,
            "greedy answers, equal to the teacher’s text exactly",
        ),
        _share("accuracy", [item["correct"] for item in items], clips, "greedy answers, equal to the gold answer"),
    ]
    ours, theirs = [str(item["answer"]) for item in items], [str(item["teacher"]) for item in items]
    low, high = kappa_interval(ours, theirs, clips, resamples=200)
    kappa = cohens_kappa(ours, theirs)
    measurements.append(
        Measurement("kappa", kappa, "1", len(items), low, high, True, "Cohen’s κ of the answers with the teacher’s")
    )
    flips = [item for item in items if not item["agrees"]]
    if variant == "undistilled":
        why = "the untrained student’s probabilities are all alike: the mean is dominated by rounding"
        measurements.append(
            Measurement("kl", None, "nats/token", 0, None, None, False, "KL of the answer positions", absent=why)
        )
    details: dict[str, Any] = {
        "items": [{key: item[key] for key in item if key != "options"} for item in items],
        "flips": [
            {
                **{
                    key: item[key] for key in ("id", "clip", "type", "question", "options", "gold", "teacher", "answer")
                },
                "teacher_p": round(dice.uniform(0.4, 1.0), 3),
                "answer_p": round(dice.uniform(0.3, 0.99), 3),
                "frames": [png(int(item["id"][1:]) * 10 + frame) for frame in range(4)],
            }
            for item in list({item["clip"]: item for item in flips[::-1]}.values())[:50]
        ],
        "blind": {
            "accuracy": 0.412,
            "how": "the most frequent training answer of each question text, without frames",
        },
        "training": training(variant) if variant in ("distilled", "finetuned", "hard-labels") else None,
    }
    return Record(
        "synthetic",
        variant,
        "agreement",
        {"split": "test"},
        tuple(measurements),
        True,
        (),
        _digests(variant),
        details,
    )


def training(variant: str) -> dict[str, Any]:
    """A learning curve that rises, wobbles and flattens."""
    dice, reach = random.Random(variant), SHAPE[variant][0]
    curve = []
    for step in range(0, 601, 20):
        share = reach * (1 - 2.718 ** (-step / 140)) + dice.uniform(-0.015, 0.015)
        curve.append(
            {
                "step": step,
                "epoch": step / 200,
                "loss": 3.2 * 2.718 ** (-step / 160) + 0.35 + dice.uniform(0, 0.08),
                "val_agreement": max(0.0, share) if step % 100 == 0 else None,
                "val_kl": None,
                "seconds": step * 0.11,
                "learning_rate": 0.005,
            }
        )
    return {
        "curve": curve,
        "seconds": 66.0,
        "steps": 600,
        "best_step": 500,
        "recipe": {
            "temperature": 3.0,
            "alpha": 0.7,
            "epochs": 3,
            "batch_clips": 16,
            "optimizer": "muon",
            "seed": 0,
        },
        "labels": "gold" if variant == "finetuned" else "teacher",
    }


def latency(variant: str, batch: int) -> Record:
    """Thirty rounds with the long tail that real rounds have; the first variant has one far outlier."""
    _, first, between, _, _ = SHAPE[variant]
    assert first is not None
    dice, made = random.Random(f"{variant} {batch}"), []
    for metric, centre, how in (
        ("ttft", first * (1 + 0.5 * (batch - 1)), "from the prepared input to the first token, wall clock"),
        ("itl", between * (1 + 0.2 * (batch - 1)), "mean time between two tokens of one answer"),
        (
            "answer",
            (first + 7 * between) * (1 + 0.4 * (batch - 1)),
            "from the prepared input to the last of 8 tokens",
        ),
    ):
        rounds = [rounded(centre * (1 + dice.gammavariate(1.6, 0.035))) for _ in range(30)]
        if variant == "baseline" and batch == 1:
            rounds[17] = rounded(centre * 3.4)
        middle = percentile(rounds, 0.5)
        made.append(Measurement(metric, middle.value, "ms", 30, middle.low, middle.high, False, how, tuple(rounds)))
        for q in (90, 99):
            value, low, high = percentile(rounds, q / 100)
            made.append(Measurement(f"{metric}_p{q}", value, "ms", 30, low, high, False, how))
    workload = {"batch": batch, "frames": 4, "new_tokens": 8}
    return Record("synthetic", variant, "latency", workload, tuple(made), True, (), _digests(variant), {})


def memory(variant: str) -> Record:
    """Resident memory of a fresh process, and the bytes of the weights."""
    _, _, _, peak, weights = SHAPE[variant]
    how = "resident memory (VmHWM) of a fresh process that does only this"
    made = [
        Measurement(f"memory_{phase}", peak - less, "MB", 1, None, None, False, how)
        for phase, less in (("libraries", 160), ("load", 60), ("prefill", 20), ("decode", 5), ("peak", 0))
    ]
    made.append(Measurement("weights", weights, "MB", 1, None, None, False, "bytes of parameters, buffers and scales"))
    parts = {"context": peak - 22.5, "weights": 8.4, "vision": 12.1, "kv_cache": 0.05, "activations": 1.95}
    made += [_part(step, size) for step, size in parts.items()]
    told = "resident memory does not tell what is in use from what is only held"
    made.append(Measurement("waterfall_slack", None, "MB", 0, None, None, False, RAISES, absent=told))
    return Record("synthetic", variant, "vram", {"batch": 1, "frames": 4}, tuple(made), True, (), _digests(variant), {})


def on_a_card(variant: str) -> Record:
    """As `memory`, of a card: sizes of a real pair, with what the allocator holds and does not use."""
    weights, others = (
        CARD_MB[variant],
        {"context": 520, "vision": 1310, "kv_cache": 212, "activations": 640, "slack": 448},
    )
    peak = weights + sum(others.values())
    made = [Measurement("memory_peak", peak, "MB", 1, None, None, False, "memory of this process by NVML")]
    made.append(Measurement("weights", weights, "MB", 1, None, None, False, "bytes of parameters, buffers and scales"))
    made += [_part(step, others.get(step, weights)) for step in ("context", "weights", *list(others)[1:])]
    return Record("synthetic", variant, "vram", {"batch": 1, "frames": 4}, tuple(made), True, (), _digests(variant), {})


def stages(variant: str, frames: int = 4, held: bool = True) -> Record:
    """Each stage at the headline's batch and tokens, with its floor and share of the speed of light where `held`."""
    _, first, between, _, _ = SHAPE[variant]
    assert first is not None
    made = []
    grown = 0.35 + 0.65 * frames / 4
    for name, median, floor in (
        ("media", 1.2, None), ("prepare", 0.11 * first, None), ("vision", 0.37 * first * grown, 0.16 * frames / 4),
        ("prefill", 0.52 * first * grown, 0.21 * frames / 4), ("decode", between, 0.08),
    ):  # fmt: skip
        metric = "itl" if name == "decode" else name
        if metric != "itl":
            made.append(
                Measurement(metric, median, "ms", 30, 0.97 * median, 1.05 * median, False, f"{name}, wall clock")
            )
        if held and floor is not None:
            limit = "bandwidth binds: 0.8 MB at 10 GB/s (best copy), measured in this run"
            made.append(Measurement(f"floor_{name}", floor, "ms", 1, None, None, False, limit))
            share = (floor / median, 30, floor / (1.05 * median), floor / (0.97 * median))
            made.append(Measurement(f"light_{name}", share[0], "1", *share[1:], True, "floor over median"))
    if frames != 4:
        value = first * (0.11 + 0.89 * grown)
        made.append(Measurement("ttft", value, "ms", 30, 0.97 * value, 1.05 * value, False, "to the first token"))
    workload = {"batch": 1, "frames": frames, "new_tokens": 8}
    return Record("synthetic", variant, "latency", workload, tuple(made), True, (), _digests(variant), {})


def whole_run(card: bool = False) -> Run:
    """The sample run with stages, their floors and a sweep of frames; with `card`, its memory on a GPU."""
    run = sample_run()
    timed = [name for name, (_, first, *_) in SHAPE.items() if first is not None]
    rows = [stages(name, frames, held=frames == 4) for name in timed for frames in (4, 2, 8, 16)]
    environment: dict[str, Any] = {**run.environment, "headline": {"frames": 4, "batch": 1, "new_tokens": 8}}
    kept = run.records
    if card:
        environment["device"] = {"kind": "cuda", "name": "Synthetic card", "driver": "1.0", "memory_mb": 80000}
        kept = tuple(on_a_card(r.variant) if r.suite == "vram" else r for r in kept)
    return replace(run, records=(*kept, *rows), environment=environment)


def sample_run(**pair: Any) -> Run:
    """The whole run; keywords change what the pair states (budgets, objective, description …)."""
    environment: dict[str, Any] = {
        "schema": SCHEMA,
        "device": {"kind": "cpu", "name": "Synthetic CPU @ 2.0 GHz", "driver": None, "memory_mb": 16000},
        "cpu": "Synthetic CPU @ 2.0 GHz",
        "versions": {
            "torch": "0.0-synthetic",
            "transformers": "0.0-synthetic",
            "bitsandbytes": "0.0-synthetic",
        },
        "image": None,
        "python": "3.11.2",
        "threads": 2,
        "pair": {
            "name": "synthetic",
            "description": "Synthetic: made up from a seed to try the report; nothing here was measured.",
            "budgets": BUDGETS,
            "objective": "size",
            "evaluation": {"split": "test"},
            **pair,
        },
        "command": "python -m tests.harness.report.sample",
        "data": {"dataset": "scenes", "seed": 0, "splits": {"test": 80}},
        "artifacts": {"teacher": "a" * 64, "student": "b" * 64},
    }
    commit: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef01234567",
        "dirty": True,
        "branch": "main",
    }
    return Run(_records(), environment, commit, "2026-01-02T03:04:05.678901+00:00")


@cache
def _records() -> tuple[Record, ...]:
    """Made once, as they take most of a second; nobody changes a record."""
    asked = questions()
    records = []
    for name, (_, first, *_rest) in SHAPE.items():
        records.append(agreement(name, asked))
        if first is not None:
            records += [latency(name, 1), latency(name, 4), memory(name)]
    return tuple(records)


def without(run: Run, variant: str, suite: str) -> Run:
    """The run as if one suite of one variant had not been measured."""
    return replace(run, records=tuple(r for r in run.records if (r.variant, r.suite) != (variant, suite)))


def mapped(run: Run, variant: str, metric: str, **change: Any) -> Run:
    """The run with one measurement of one variant changed, wherever it stands."""
    return replace(
        run,
        records=tuple(
            replace(
                r,
                measurements=tuple(
                    replace(m, **change) if m.metric == metric and r.variant == variant else m for m in r.measurements
                ),
            )
            for r in run.records
        ),
    )


def as_json(run: Run) -> dict[str, Any]:
    """The run as the file that pytest-benchmark would have saved."""
    return {
        "machine_info": {"node": "synthetic", KEY: dict(run.environment)},
        "commit_info": dict(run.commit),
        "benchmarks": [
            {"name": f"test_{r.suite}[{r.variant}]", "stats": {}, "extra_info": {KEY: to_extra_info(r)}}
            for r in run.records
        ],
        "datetime": run.datetime,
        "version": "5.3.1",
    }


def _share(metric: str, hits: list[bool], clips: list[str], how: str) -> Measurement:
    low, high = (1.0, 1.0) if metric == "agreement" and all(hits) else wilson_clustered(hits, clips)
    return Measurement(metric, sum(hits) / len(hits), "1", len(hits), low, high, True, how)


def _part(step: str, megabytes: float) -> Measurement:
    return Measurement(f"waterfall_{step}", megabytes, "MB", 1, None, None, False, RAISES)


def _digests(variant: str) -> Mapping[str, str]:
    return {"weights": format(zlib.crc32(variant.encode()), "08x") * 8}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(as_json(sample_run())))
