"""The cluster file: partitions with their limits and GPUs, scratch, account, image, modules.

    site = load_site(Path("containers/slurm/cluster.yaml"))     # ClusterError says what is wrong with it, key by key
    site.partition("gpu").gpu_memory

`$NAME` in a path is taken from the environment of whoever submits. containers/slurm/cluster.yaml is an example that
tells every key.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import ClusterError, oneline
from harness.pair import Count, Many, Name, Positive, Problem, Section, read_section, suggest
from harness.plan.cards import UNITS, size_in_bytes

EXAMPLE = "containers/slurm/cluster.yaml"
WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of SLURM: it becomes part of a command
_TIME = re.compile(r"(?:(\d{1,3})-)?(\d{1,3}):([0-5]\d):([0-5]\d)", re.ASCII)


def parse_time(text: object) -> int:
    """Seconds of `HH:MM:SS` or `D-HH:MM:SS`, as SLURM writes them. ValueError for anything else."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:  # YAML reads 12:00:00 without quotes as a number of base 60
        raise ValueError(f'is a time in quotes, "12:00:00" or "2-00:00:00", got {oneline(repr(text), 40)}')
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = ((24 * days + hours) * 60 + minutes) * 60 + seconds
    if total < 60:
        raise ValueError("is a minute at least")
    return total


def time_words(seconds: int) -> str:
    """As SLURM takes it: 1-02:03:04."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}-" if days else "") + f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def _bytes(value: object) -> int:
    size = size_in_bytes(value) if isinstance(value, str) else None
    if not size:
        raise ValueError(f"is a size with a unit ({', '.join(UNITS)}), as 40GB, got {oneline(repr(value), 40)}")
    return size


def _expanded(value: object) -> object:
    if not isinstance(value, str):
        return value
    path = os.path.expandvars(os.path.expanduser(value))
    if left := re.search(r"\$\{?(\w+)\}?", path):
        raise ValueError(f"names ${left[1]}, which is not set here; export it, or write the path out")
    if not path.startswith("/"):
        raise ValueError(f"is a whole path, as every node sees it, got {oneline(repr(value), 60)}")
    if re.search(r"[\s\"'\\$`,:]", path):
        raise ValueError(f"holds a blank, a comma, a colon or a quote, which jobs would trip over: {oneline(path, 60)}")
    return path


Time: TypeAlias = Annotated[int, BeforeValidator(parse_time)]
Bytes: TypeAlias = Annotated[int, BeforeValidator(_bytes)]
Place: TypeAlias = Annotated[str, BeforeValidator(_expanded)]
Word: TypeAlias = Annotated[str, Field(pattern=WORD, max_length=64)]


class Partition(Section):
    """What one job may have of a partition."""

    time: Time = Field(description="the longest a job may run")
    cpus: Count = Field(description="CPU cores of a node")
    memory: Bytes = Field(description="memory of a node")
    gpus: int = Field(0, ge=0, description="GPUs of a node; 0: none")
    gpu: Word | None = Field(None, description="what GRES calls them, as a100; null: any")
    gpu_memory: Bytes | None = Field(None, description="memory of one of them")
    constraint: Annotated[str, Field(pattern=r"^[\w.&|*\[\]-]+$", max_length=120)] | None = Field(
        None, description="features of its nodes, as --constraint takes them: where they differ; null: any node"
    )
    tflops: Positive = Field(0.1, description="dense bf16 TFLOP/s of a GPU, or of a node without one")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.gpus and self.gpu_memory is None:
            raise Problem("gpu_memory", "missing: without it nobody can tell what fits")
        if not self.gpus and (self.gpu or self.gpu_memory):
            raise Problem("gpus", "0, but its GPUs are told of; say how many a node has")
        return self


class Site(Section):
    """A cluster as its users see it."""

    name: Name = Field(description="what this cluster is called in records")
    scratch: Place = Field(description="a folder that all nodes share: artifacts, results, logs, weights, data")
    partitions: dict[Word, Partition] = Field(description="by name", min_length=1)
    gpu_partition: Word = Field(description="where models run")
    cpu_partition: Word = Field(description="where files are checked and reports are made")
    account: Word | None = Field(None, description="whom the hours are charged to; null: the user's own default")
    qos: Word | None = Field(None, description="quality of service; null: the partition's own")
    image: Place | None = Field(None, description="the Apptainer image; null: `python` with this checkout")
    apptainer: Place | None = Field(
        None, description="the program that runs it; null: `apptainer`, wherever PATH has it"
    )
    python: Place | None = Field(None, description="without an image: the interpreter; null: the one that submits")
    modules: Many[Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w./+-]*$")]] = Field(
        (), description="`module load` before anything runs"
    )
    binds: Many[Place] = Field((), description="more folders that the image shall see")
    locks: Literal["shared", "local"] = Field(
        "shared", description="local: scratch's locks hold on one node alone, so that tasks that share run one by one"
    )
    warning: Count = Field(300, description="seconds before its limit at which a job is told to save and requeue")
    requeues: Count = Field(50, description="how often one job may be requeued")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for key in ("gpu_partition", "cpu_partition"):
            name = getattr(self, key)
            if name not in self.partitions:
                raise Problem(key, f"no partition {name!r} in partitions; {suggest(name, self.partitions)}")
        for name, partition in self.partitions.items():
            if partition.time <= 2 * self.warning:
                raise Problem(f"partitions.{name}.time", f"is at most twice warning ({self.warning} s)")
        if self.image and self.python:
            raise Problem("python", "an image brings its own; remove the key")
        return self

    def partition(self, name: str) -> Partition:
        """ClusterError for one that the file does not tell of."""
        if name not in self.partitions:
            raise ClusterError(
                f"unknown partition {oneline(name, 60)!r}: {suggest(name, self.partitions)} (`sinfo -s` lists what the "
                f"cluster has, the cluster file what is used of it)"
            )
        return self.partitions[name]

    @property
    def least(self) -> int:
        """Seconds that a job asks for at least: as long as it is warned of its end, and five minutes, to get on."""
        return 2 * self.warning + 300

    @property
    def root(self) -> Path:
        return Path(self.scratch)


def load_site(path: Path) -> Site:
    """The cluster file at a path."""
    if not path.is_file():
        raise ClusterError(
            f"{oneline(path, 200)}: no such cluster file; copy {EXAMPLE} and write your cluster's values"
        )
    return read_section(path, Site, ClusterError, EXAMPLE)
