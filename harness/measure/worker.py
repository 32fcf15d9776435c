"""One process that times variants in turn: what `harness/measure/replicates.py` starts several times.

    echo '{...}' | python -m harness.measure.worker      # a Job as JSON in, a JSON line for each variant × workload out

A fresh process has its own memory layout, its own libraries' choices, its own moment; rounds within one share them. So
several processes, each taking the variants in another order, tell more than many rounds of one.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, FirstSightError, oneline
from harness.measure.enough import ANY, Enough
from harness.pair import DataSpec

if TYPE_CHECKING:
    import torch

    from harness.measure.timing import Round, Stages, Workload
    from harness.qa.items import QAItem
    from models.interface import Architecture

MOST_WARMUP = 40  # rounds; what is not steady by then is measured all the same, and the record says so


@dataclass(frozen=True)
class Loading:
    """How a variant is loaded. `loader`: "module:function", as `harness/variants.py` names it."""

    variant: str
    architecture: str
    loader: str
    folder: str
    told: Mapping[str, Any]  # what the pair file says of the checkpoint


@dataclass(frozen=True)
class Job:
    """What one process does. Variants are taken in this order, each with every workload (as `Workload`'s fields)."""

    variants: tuple[Loading, ...]
    workloads: tuple[Mapping[str, int], ...]
    data: Mapping[str, Any]  # a DataSpec
    split: str
    device: str
    threads: int
    rounds: int
    least_warmup: int
    most_warmup: int
    ceilings: bool  # measure what the device can do at best, at the end
    energy: bool  # and how many joules an answer of the first workload takes
    least_seconds: float = 0.0  # of rounds; of short ones there are more (harness/measure/enough.py)
    precision: float = ANY  # and more until the median is known within this share
    sweeps: tuple[Mapping[str, int], ...] = ()  # of the workloads those that need no such precision

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `json.dumps(asdict(job))` wrote."""
        raw = json.loads(text)
        variants = tuple(Loading(**one) for one in raw.pop("variants"))
        return cls(variants=variants, workloads=tuple(raw.pop("workloads")), sweeps=tuple(raw.pop("sweeps")), **raw)


def work(job: Job) -> Iterator[dict[str, Any]]:
    """One line for each variant × workload: the rounds, broken ones with their reasons; or the error that stood in the
    way. A variant that cannot be loaded does not keep the others from being timed.
    """
    import torch

    from harness.measure.timing import Workload
    from models.interface import architecture

    torch.set_num_threads(job.threads)
    data = DataSpec.model_validate(job.data)
    asked = cache(partial(_asked, data, job.split))
    device = torch.device(job.device)
    dtypes = {torch.float32}
    for loading in job.variants:
        module, function = loading.loader.split(":")
        try:
            kind = architecture(loading.architecture)
            model = getattr(import_module(module), function)(kind, Path(loading.folder), device, dict(loading.told))
            dtypes.add(model.dtype)
            for workload in job.workloads:
                energy = job.energy and workload == job.workloads[0]
                try:
                    found = _timed(job, model, Workload(**workload), asked(int(workload["frames"])), energy)
                except Exception as error:  # such as more frames than fit, or a kernel that this card has not
                    found = {"error": _said(error)}
                yield {"variant": loading.variant, "workload": dict(workload), **found}
                _release(device)
        except Exception as error:
            yield {"variant": loading.variant, "workload": None, "error": _said(error)}
        model = None
        _release(device)
    if job.ceilings:
        from harness.measure.ceilings import measure_ceilings

        with suppress(torch.OutOfMemoryError):  # a card that others fill: no floors, and all times are kept
            fastest = min(dtypes, key=lambda dtype: dtype.itemsize)  # so that no variant's floor lies above its time
            yield {"ceilings": measure_ceilings(device, fastest).as_json()}


def _said(error: Exception) -> str:
    """One line; of what nobody expected its type and where it was raised, too, as its traceback ends here."""
    import torch

    from models.interface import ModelFault

    if isinstance(error, (FirstSightError, ModelFault, torch.OutOfMemoryError, ImportError)):
        return oneline(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {oneline(error)}"


def _release(device: torch.device) -> None:
    """Let go of what nobody holds any more, on the host and the device."""
    gc.unfreeze()
    gc.collect()
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()


def _asked(data: DataSpec, split: str, frames: int) -> list[QAItem]:
    """The split's questions on clips of so many frames; of the pair's own number where the dataset has no other, and
    then `Stages` spreads them.
    """
    from harness.qa.datasets import load_items

    try:
        return load_items(data.model_copy(update={"frames": frames}), split)
    except DataError:
        return load_items(data, split)


def _timed(job: Job, model: Architecture, workload: Workload, items: Sequence[QAItem], energy: bool) -> dict[str, Any]:
    from harness.measure.machine_state import machine_state
    from harness.measure.ruler import VERSION, Readings, ruler_of
    from harness.measure.timing import Stages
    from harness.measure.validity import Watch, judge_rounds
    from harness.stats import steady_after

    stages = Stages(model, items, workload)
    if stages.still and workload.frames != job.data["frames"]:
        return {"error": f"photos are asked about as they are: {workload.frames} frames of a clip mean nothing"}
    began = time.perf_counter()
    warmup: list[float] = []
    steady: int | None = None
    while len(warmup) < job.least_warmup or (steady is None and len(warmup) < job.most_warmup):
        warmup.append(stages.round().answer)
        steady = steady_after(warmup)
    stages.begin_again()  # every variant, process and run times the same clips, however long its warm-up was
    gc.collect()
    gc.freeze()  # what stays is not looked through again while rounds are timed
    watch, ruler = Watch(model.device), ruler_of(model.device)
    readings = Readings(ruler)
    taken: list[Round] = []
    states = []
    measuring = time.perf_counter()
    enough = Enough(job.rounds, job.least_seconds, ANY if vars(workload) in job.sweeps else job.precision)
    while not enough(taken):
        watch.before()
        taken.append(stages.round())
        states.append(watch.after())
        readings.after_round()
    around = readings.around()
    ended = time.perf_counter()
    judged = judge_rounds(states)
    found: dict[str, Any] = {
        "rounds": [
            {
                **asdict(one),
                "broken": [[fault.kind, fault.text] for fault in state.faults],
                "ruler": seconds,
                "sm_mhz": state.after.sm_mhz if state.after else None,
            }
            for one, state, seconds in zip(taken, judged.states, around, strict=True)
        ],
        "warmup": warmup,
        "steady": steady is not None,
        "prompt_tokens": stages.prompt_tokens,
        "frame_size": list(stages.frame_size),
        "still": stages.still,
        "median_error": enough.error if math.isfinite(enough.error) else None,
        "wall": {"warmup": measuring - began, "rounds": ended - measuring},
        "stolen_ticks": sum(state.stolen_ticks or 0 for state in judged.states),
        "busy_ticks": sum(state.busy_ticks or 0 for state in judged.states),
        "notes": list(judged.notes),
        "ruler": VERSION if ruler is not None else None,
        "threads": job.threads,
        "machine": machine_state(judged.states),
    }
    if energy:
        found["energy"] = _energy(stages, workload)
    return found


def _energy(stages: Stages, workload: Workload) -> dict[str, Any]:
    """Joules an answer, in blocks of their own after the timed rounds."""
    from harness.measure.energy import energy_counter, energy_per_answer, idle_power

    def answer(tokens: int) -> int:
        stages.round(tokens)
        return workload.batch

    counter = energy_counter(stages.model.device)
    return vars(energy_per_answer(counter, idle_power(counter), answer, new_tokens=workload.new_tokens))


def main(arguments: Sequence[str] = ()) -> None:
    """Read a job, write its lines. What libraries print goes to stderr: stdout is the answer."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    for line in work(Job.from_json(sys.stdin.read())):
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
