"""Runs built in memory: process medians log-normal about a centre, rounds about their process."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.record import SCHEMA, Measurement, Record, Run

VARIANTS = ("baseline", "int8", "nf4", "distilled", "distilled-int8", "distilled-nf4")
CENTRES = {"ttft": 8.0, "itl": 2.5, "answer": 25.0}  # ms
WORKLOAD: dict[str, Any] = {"frames": 4, "batch": 1, "new_tokens": 8}


def measured(
    metric: str,
    centre: float,
    dice: np.random.Generator,
    *,
    processes: int = 7,
    rounds: int = 12,
    between: float = 0.01,
    within: float = 0.03,
) -> Measurement:
    """A latency in ms; standard deviations of the logarithm."""
    levels = np.exp(dice.normal(0, between, (processes, 1)))
    samples = centre * levels * np.exp(dice.normal(0, within, (processes, rounds)))
    middle = float(np.median(samples))
    groups = (rounds,) * processes
    flat = tuple(samples.ravel().tolist())
    return Measurement(metric, middle, "ms", len(flat), middle, middle, False, "made up", flat, None, groups)


def latency(variant: str, dice: np.random.Generator, slower: Mapping[str, float] = {}, **shape: Any) -> Record:
    """One variant's three rows; `slower` multiplies the centre of a metric."""
    found = [measured(name, centre * slower.get(name, 1.0), dice, **shape) for name, centre in CENTRES.items()]
    tails = [Measurement(f"{m.metric}_p90", m.value, "ms", m.n, None, None, False, "made up") for m in found]
    weights = {"teacher": "a" * 64}
    return Record("made", variant, "latency", WORKLOAD, (*found, *tails), True, (), weights, {})


def memory(variant: str, megabytes: float = 900.0) -> Record:
    """One variant's peak, a single value."""
    peak = Measurement("memory_peak", megabytes, "MB", 1, None, None, False, "made up")
    return Record("made", variant, "vram", {"batch": 1}, (peak,), True, (), {"teacher": "a" * 64}, {})


def answers(variant: str, correct: list[bool], per_clip: int = 4) -> Record:
    """One variant's agreement, with its items."""
    items: Any = [
        {"id": f"q{i}", "clip": f"c{i // per_clip}", "type": "colour", "agrees": hit, "correct": hit}
        for i, hit in enumerate(correct)
    ]
    share = sum(correct) / len(correct)
    found = Measurement(
        "agreement", share, "1", len(correct), max(0, share - 0.05), min(1, share + 0.05), True, "made up"
    )
    weights = {"teacher": "a" * 64}
    return Record("made", variant, "agreement", {"seed": 0}, (found,), True, (), weights, {"items": items})


def run(
    seed: int = 0,
    *,
    slower: Mapping[str, float] = {},
    variants: tuple[str, ...] = VARIANTS,
    commit: str = "a1b2c3d4e5f6",
    day: int = 1,
    extra: tuple[Record, ...] = (),
    **shape: Any,
) -> Run:
    """A run of so many variants; the same seed gives the same run."""
    dice = np.random.default_rng(seed)
    records = (*(latency(name, dice, slower, **shape) for name in variants), *extra)
    environment: dict[str, Any] = {
        "schema": SCHEMA,
        "device": {"kind": "cuda", "name": "NVIDIA H200", "driver": "575.1", "memory_mb": 141000},
        "cpu": "AMD EPYC",
        "threads": 2,
        "python": "3.11.2",
        "versions": {"torch": "2.13.0", "transformers": "5.17", "bitsandbytes": "0.50"},
        "image": None,
        "pair": {"name": "made", "budgets": {}, "objective": "size", "evaluation": {"split": "test"}},
        "data": {"dataset": "scenes", "seed": 0, "frames": 4},
        "weights": "as the pair says",
        "command": "pytest suites",
    }
    when = f"2026-{1 + (day - 1) // 28:02d}-{1 + (day - 1) % 28:02d}T03:04:05+00:00"
    return Run(records, environment, {"id": commit, "dirty": False, "branch": "main", "time": when}, when)


def in_a_minute(base: Run, slower: float, ruler: str = "1") -> Run:
    """The run, in a minute in which everything takes `slower` times as long: its rulers say so."""

    def held(record: Record) -> Record:
        if record.suite != "latency":
            return record
        changed = tuple(
            replace(m, samples=tuple(s * slower for s in m.samples), value=(m.value or 0) * slower, low=None, high=None)
            for m in record.measurements
        )
        with_ruler = tuple(replace(m, ruler=(1e-3 * slower,) * len(m.samples)) if m.samples else m for m in changed)
        return replace(record, measurements=with_ruler, details={"rounds": {"ruler": ruler}})

    return replace(base, records=tuple(map(held, base.records)))


def beside_a_neighbour(base: Run, seed: int) -> Run:
    """The run on a shared core: of each process another share of the rounds is slowed, by up to half, and the ruler
    beside them by up to a third.
    """

    def held(m: Measurement) -> Measurement:
        if not m.samples:
            return m
        dice = np.random.default_rng([seed, 2, *m.metric.encode()])
        slowed = np.concatenate([dice.random(size) < dice.uniform(0.1, 0.7) for size in m.groups])
        by = np.where(slowed, dice.uniform(0.3, 1.0, len(m.samples)), 0.0)
        samples = np.asarray(m.samples) * (1 + 0.5 * by)
        ruler = 1e-3 * (1 + 0.35 * by) * np.exp(0.01 * dice.standard_normal(len(m.samples)))
        return replace(m, samples=tuple(samples.tolist()), ruler=tuple(ruler.tolist()))

    told = {"rounds": {"ruler": "3"}}
    records = tuple(replace(r, measurements=tuple(map(held, r.measurements)), details=told) for r in base.records)
    return replace(base, records=records)


def elsewhere(run: Run, **environment: Any) -> Run:
    """The run as if measured on something else."""
    return replace(run, environment={**run.environment, **environment})


def in_minutes(base: Run, seed: int, *, drift: float = 0.03, exponent: float = 1.5) -> Run:
    """The run on a machine whose pace is another in every process, 2 % about a pace that is `drift` from run to run;
    rows follow it by `exponent`, and each process's ruler says what it is, but for 0.3 %.
    """
    dice = np.random.default_rng([seed, 1])
    middle = drift * dice.standard_normal()

    def held(m: Measurement) -> Measurement:
        if not m.samples:
            return m
        paces = np.repeat(middle + 0.02 * dice.standard_normal(len(m.groups)), m.groups)
        noise = np.repeat(0.003 * dice.standard_normal(len(m.groups)), m.groups)
        samples = np.asarray(m.samples) * np.exp(exponent * paces)
        value = float(np.median(samples))
        ruler = tuple((1e-3 * np.exp(paces + noise)).tolist())
        return replace(m, samples=tuple(samples.tolist()), ruler=ruler, value=value, low=value, high=value)

    told = {"rounds": {"ruler": "2"}}
    records = tuple(replace(r, measurements=tuple(map(held, r.measurements)), details=told) for r in base.records)
    return replace(base, records=records)
