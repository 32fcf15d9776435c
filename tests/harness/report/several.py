"""Runs beside the synthetic one: of another commit, another device, another pair; and hostile ones."""

from dataclasses import replace
from functools import cache
from typing import Any

from harness.record import Run
from tests.harness.report.sample import sample_run

EVIL = (
    "<script>window.hit=1</script>",
    "a|b `c` **d** [e](http://example.org) ![f](//x.png)",
    "@octocat fixes owner/repo#12, GH-7, www.example.org, https://example.org/x, me@example.org",
    "\\input{/etc/passwd} & % $x$ # _ ^ ~ { } \\end{tabular}",
    "% comment\n\\\\ [2em] * 'quoted' \"twice\" ``",
    "</title></svg><svg onload=window.hit=1>",
    "naïve Žižek 中文 \u202egnp.exe \ud800 \x1b[31m κ × – 😀",
    "- list 1. item # heading\n\n---\n> quote",
    "1) one",
)


def of_commit(run: Run, commit: str, day: int) -> Run:
    """The run as if measured again on another commit and day."""
    return replace(run, commit={**run.commit, "id": commit * 5, "dirty": False}, datetime=f"2026-01-{day:02d}T00:00:00")


def of_device(run: Run, name: str) -> Run:
    """The run as if measured on a GPU."""
    device: dict[str, Any] = {"kind": "cuda", "name": name, "driver": "575.1", "memory_mb": 80000}
    return replace(run, environment={**run.environment, "device": device})


def of_pair(run: Run, **pair: Any) -> Run:
    """The run of another pair, or of one that states something else."""
    told: Any = dict(run.pair)
    return replace(run, environment={**run.environment, "pair": {**told, **pair}})


_sample = cache(sample_run)


def poisoned(text: str) -> Run:
    """A run whose every name and text is hostile."""
    run = _sample()
    told: Any = dict(run.environment)
    told["pair"] = {**told["pair"], "name": text, "description": text}
    told["device"] = {**told["device"], "name": text}
    records = tuple(
        replace(
            record,
            variant=f"{text} {record.variant}",
            measurements=tuple(replace(found, how=text) for found in record.measurements),
        )
        for record in run.records
    )
    return replace(run, records=records, environment=told, commit={"id": text, "dirty": False, "branch": text})
