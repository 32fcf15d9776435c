"""A chain as files: one sbatch file a job, and the script that submits them in their order.

    texts = written(chain, site, run, checkout)      # {"01…": text}: nothing is written here

The templates and the shell that every job shares lie in containers/slurm/.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.cluster.chain import Job
from harness.cluster.site import Site, time_words

TEMPLATES = Path(__file__).resolve().parents[2] / "containers" / "slurm"
SHARED = "job.sh"
CHAIN = "chain.json"  # the run's jobs, for `firstsight status`
_VARIABLE = re.compile(r"@([A-Z]+)@")


@dataclass(frozen=True)
class Place:
    """Where a run's files lie, and what runs without an image. `binds`: folders that the image shall see."""

    run: Path
    checkout: Path
    python: str
    binds: tuple[str, ...] = ()


def files(jobs: Sequence[Job], site: Site, place: Place, pair: str) -> Mapping[str, str]:
    """Every file of the run's folder by its name."""
    found = {f"{job.name}.sbatch": sbatch(job, site, place, pair) for job in jobs}
    found["submit.sh"] = _environment().get_template("submit.sh.j2").render(jobs=jobs, run=str(place.run))
    found[SHARED] = (TEMPLATES / SHARED).read_text(encoding="utf-8")
    return found


def sbatch(job: Job, site: Site, place: Place, pair: str) -> str:
    """One job's file."""
    commands = [_command(one, spread=job.spread and one is job.commands[-1]) for one in job.commands]
    template = _environment().get_template("job.sbatch.j2")
    return template.render(
        job=job, options=_options(job, site, place, pair), values=_values(job, site, place), commands=commands
    )


def log_of(job: Job, run: Path, task: int | None = None) -> Path:
    """Where a job, or a task of its array by number, writes."""
    return run / "logs" / (f"{job.name}-{task}.log" if job.tasks else f"{job.name}.log")


def _options(job: Job, site: Site, place: Place, pair: str) -> list[str]:
    ask = job.resources
    return [
        f"--job-name=firstsight-{job.name}-{pair}",
        f"--partition={ask.partition}",
        *([f"--account={site.account}"] if site.account else []),
        *([f"--qos={site.qos}"] if site.qos else []),
        f"--time={time_words(ask.seconds)}",
        f"--nodes={ask.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={ask.cpus}",
        f"--mem={ask.memory // 2**20}M",
        *([f"--gres=gpu:{f'{ask.gpu}:' if ask.gpu else ''}{ask.gpus}"] if ask.gpus else []),
        *([f"--constraint={constraint}"] if (constraint := site.partition(ask.partition).constraint) else []),
        *([f"--array=0-{len(job.tasks) - 1}{'%1' if site.locks == 'local' else ''}"] if job.tasks else []),
        f"--output={place.run}/logs/{job.name}{'-%a' if job.tasks else ''}.log",
        "--open-mode=append",
        "--requeue",
        f"--signal=B:USR1@{site.warning}",
        "--export=NONE",
    ]


def _values(job: Job, site: Site, place: Place) -> dict[str, str]:
    """What the shared shell asks for, quoted."""
    values = {"SCRATCH": site.scratch, "RUN": str(place.run)}
    if site.image:
        values |= {"IMAGE": site.image, "APPTAINER": site.apptainer or "apptainer"}
        values |= {"BINDS": ",".join(dict.fromkeys((*site.binds, *place.binds)))}
    else:
        values |= {"IMAGE": "", "PYTHON": place.python, "CHECKOUT": str(place.checkout)}
    values |= {"MODULES": " ".join(site.modules), "REQUEUES": str(site.requeues), "GPUS": str(job.resources.gpus)}
    return {name: shlex.quote(value) for name, value in values.items()}


def _command(arguments: Sequence[str], *, spread: bool) -> str:
    """As a line of shell: what is fixed is quoted, what the job's shell knows is left to it."""
    kind = "suites" if arguments[0] == "suites" else "spread" if spread else "firstsight"
    words = arguments[1:] if kind == "suites" else arguments
    return " ".join((kind, *map(_quoted, words)))


def _quoted(word: str) -> str:
    parts = _VARIABLE.split(word)  # fixed, variable, fixed, …
    return (
        "".join(f'"${part}"' if at % 2 else shlex.quote(part) if part else "" for at, part in enumerate(parts)) or "''"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # shell, not HTML: every value is quoted for it
    )
    environment.filters["quoted"] = shlex.quote
    return environment
