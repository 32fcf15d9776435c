"""The chain of a pair: which jobs, what each runs, what each waits for. A list of plain values; nothing is submitted.

    check ─▶ teacher ─▶ targets (array: shards) ─▶ distil (array: students) ─▶ suites (array: variants) ─▶ report

Every arrow is `afterok`: a stage begins when all of the one before ended well. Jobs meet in two folders only: the
artifacts, content-addressed and locked, and the run's own `parts/`, one record a variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.cluster.resources import LIGHT, Needs, Resources, fitted
from harness.cluster.site import Site, time_words
from harness.errors import UsageError
from harness.pair import Pair
from harness.variants import Variant

# In a command, what its job's shell knows: an array's task by label and by number, how many there are, the folders.
TASK, TASKS, NUMBER, RUN, SCRATCH = "@TASK@", "@TASKS@", "@NUMBER@", "@RUN@", "@SCRATCH@"
PARTS, RESULTS, CACHE = f"{RUN}/parts", f"{SCRATCH}/results", f"{SCRATCH}/artifacts"


@dataclass(frozen=True)
class Job:
    """One sbatch file. `commands` are arguments of `firstsight`, or of pytest where they begin with `suites`."""

    name: str
    told: str  # in a sentence
    resources: Resources
    commands: tuple[tuple[str, ...], ...]
    tasks: tuple[str, ...] = ()  # an array's, by label; none: a single job
    after: str | None = None
    spread: bool = False  # the last command runs in several processes, over all nodes


@dataclass(frozen=True)
class Ask:
    """What the command line of `firstsight submit` chooses beside pair and data."""

    variants: Sequence[Variant]
    seeds: int = 1
    shards: int = 1
    partition: str | None = None
    seconds: int | None = None  # a limit for every job
    nodes: int = 1
    gpus: int = 1
    random: bool = False
    workloads: str | None = None  # what latency is measured of


def chain(pair: Pair, needs: Needs, site: Site, ask: Ask, chosen: Sequence[str]) -> tuple[Job, ...]:
    """The jobs in their order; `chosen`: --pair and the arguments beside it that choose data and weights.

    UsageError for numbers that make no sense, ClusterError for an unknown partition, ResourceError for what no GPU
    holds.
    """
    for name, value in (("--seeds", ask.seeds), ("--shards", ask.shards), ("--nodes", ask.nodes), ("--gpus", ask.gpus)):
        if value < 1:
            raise UsageError(f"{name} {value}: at least 1")
    if ask.seconds is not None and ask.seconds < site.least:
        raise UsageError(
            f"--time {time_words(ask.seconds)}: at least {time_words(site.least)}, as jobs are told {site.warning} s "
            "before their end to save and requeue (warning in the cluster file)"
        )
    where = ask.partition or site.gpu_partition
    pair_and_data, cache = tuple(chosen), ("--cache", CACHE)

    def capped(resources: Resources) -> Resources:
        return replace(resources, seconds=min(ask.seconds or resources.seconds, resources.seconds))

    make = ("make", *pair_and_data, *cache)
    jobs = [
        Job(
            "check",
            "Is all there that the chain reads: image, weights, clips, room on the disk?",
            capped(fitted(needs.check, site, site.cpu_partition, "check")),
            (("ready", *pair_and_data, *cache, "--room", str(needs.disk), "--locks", site.locks),),
        )
    ]

    def add(job: Job) -> None:
        jobs.append(replace(job, after=jobs[-1].name))

    if ask.random or _is_made(pair):
        told = "The teacher and the student's start: made, where they are not given."
        need, there = needs.teacher, where if needs.teacher.gpu else site.cpu_partition
        add(Job("teacher", told, capped(fitted(need, site, there, "teacher")), ((*make, "teacher", "undistilled"),)))
    students = [] if ask.random else _students(ask)
    taught = any(not name.startswith("finetuned:") for name in students)  # by the teacher, not by gold answers
    if taught:
        shards = tuple(str(number + 1) for number in range(ask.shards)) if ask.shards > 1 else ()
        part = ("--shard", f"{TASK}/{TASKS}") if shards else ()
        told = "The teacher answers what the student will learn from" + (
            ", each task a shard of it." if shards else "."
        )
        need = needs.targets.over(ask.shards)
        add(Job("targets", told, capped(fitted(need, site, where, "targets")), ((*make, *part, "targets"),), shards))
    if students:
        whole = (*make, "--shards", str(ask.shards), "targets")
        resources = fitted(needs.distil, site, where, "distil", gpus=ask.gpus, nodes=ask.nodes)
        add(
            Job(
                "distil",
                "Every student: a task for each arm and seed. Stopped, it saves and goes on where it was.",
                capped(resources),
                (*((whole,) if taught and ask.shards > 1 else ()), (*make, TASK)),
                tuple(students),
                spread=ask.nodes * ask.gpus > 1,
            )
        )
    names = tuple(variant.name for variant in ask.variants)
    worst = max((needs.suites[name] for name in names), key=lambda need: (need.gpu, need.flops))
    seeds = ("--seeds", str(ask.seeds)) if ask.seeds > 1 else ()
    asked = ("--workloads", ask.workloads) if ask.workloads else ()
    places = ("--variants", TASK, "--results", f"{PARTS}/{NUMBER}-{TASK}")
    suites = ("suites", *_joined((*pair_and_data, *cache, *seeds, *asked, *places)))
    told = "Every variant on a GPU of its own: answers, times, memory."
    add(Job("suites", told, capped(fitted(worst, site, where, "suites")), (suites,), names))
    add(
        Job(
            "report",
            "The variants' records become one; held against the run before; the page.",
            capped(fitted(LIGHT, site, site.cpu_partition, "report")),
            (("merge", PARTS, "--results", RESULTS, "--compare"),),
        )
    )
    return tuple(jobs)


def notes(jobs: Sequence[Job], site: Site) -> list[str]:
    """A line for each job that is planned to take longer than it may: what becomes of it."""
    return [
        f"{job.name}: planned {time_words(job.resources.planned)}, of which it may take "
        f"{time_words(job.resources.seconds)} at a time: it saves and requeues itself, about {often} times"
        + ("; answers are kept, times are taken anew" if job.name == "suites" else "")
        + (f"; the cluster file allows {site.requeues} (requeues), so that it would not end" * (often > site.requeues))
        for job in jobs
        if (often := job.resources.requeues(site.warning))
    ]


def _joined(arguments: Sequence[str]) -> list[str]:
    """--name=value: pytest takes a path that stands alone for a folder of tests."""
    return [f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True)]


def _is_made(pair: Pair) -> bool:
    """Is a side of the pair trained here, or drawn?"""
    return any(spec.weights is None or spec.training for spec in (pair.teacher, pair.student))


def _students(ask: Ask) -> list[str]:
    """The weights that variants are loaded from and that an arm of the experiment makes, of every seed."""
    arms = dict.fromkeys(variant.weights for variant in ask.variants if variant.trained)
    return [f"{arm}:{seed}" for arm in arms for seed in range(ask.seeds)]
