"""The chain as a list: which jobs, what each runs, what each waits for, what each asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.chain import Job, notes
from harness.cluster.resources import GB, Need, Resources, fitted, needs_of
from harness.cluster.site import Site, load_site
from harness.errors import ClusterError, ResourceError, UsageError
from harness.pair import load_pair
from tests.harness.cluster.conftest import A100, TOLD

Jobs = Callable[..., tuple[Job, ...]]


def test_every_job_waits_for_the_one_before(jobs: Jobs) -> None:
    found = jobs("baseline", "distilled")
    assert [job.name for job in found] == ["check", "teacher", "targets", "distil", "suites", "report"]
    assert [job.after for job in found] == [None, "check", "teacher", "targets", "distil", "suites"]


def test_arrays_run_over_shards_students_and_variants(jobs: Jobs) -> None:
    found = {job.name: job for job in jobs("baseline", "int8", "distilled", "hard-labels", seeds=2, shards=3)}
    assert found["targets"].tasks == ("1", "2", "3")
    assert found["distil"].tasks == ("distilled:0", "distilled:1", "hard-labels:0", "hard-labels:1")
    assert found["suites"].tasks == ("baseline", "int8", "distilled", "hard-labels")
    assert "--seeds=2" in found["suites"].commands[0]


def test_what_needs_no_student_trains_none(jobs: Jobs) -> None:
    assert [job.name for job in jobs("baseline", "int8")] == ["check", "teacher", "suites", "report"]
    found = {job.name: job for job in jobs("baseline", "finetuned")}
    assert "targets" not in found, "gold answers need no teacher"
    assert found["distil"].tasks == ("finetuned:0",)


def test_random_weights_are_measured_and_no_more(jobs: Jobs) -> None:
    found = jobs("baseline", "distilled", random=True, chosen=("--pair", "micro", "--weights", "random"))
    assert [job.name for job in found] == ["check", "teacher", "suites", "report"]
    assert all("random" in " ".join(job.commands[0]) for job in found[:-1])


def test_models_run_where_the_gpus_are_and_files_elsewhere(jobs: Jobs) -> None:
    found = {job.name: job.resources for job in jobs("baseline", "distilled")}
    assert (found["check"].partition, found["check"].gpus) == ("cpu", 0)
    assert (found["distil"].partition, found["distil"].gpus, found["distil"].gpu) == ("gpu", 1, "a100")
    assert found["report"].partition == "cpu"


def test_a_job_takes_its_gpus_share_of_a_node(site: Site) -> None:
    whole = fitted(Need(30 * GB, 400 * GB, 1e15), site, "gpu", "distil", gpus=4)
    quarter = fitted(Need(30 * GB, 400 * GB, 1e15), site, "gpu", "distil")
    assert (quarter.cpus, quarter.memory) == (16, 120 * GB), "no more than a quarter of a node with four GPUs"
    assert (whole.cpus, whole.memory) == (64, 480 * GB)


def test_times_are_planned_and_capped(jobs: Jobs, site: Site) -> None:
    short = fitted(Need(GB, GB, 1e12), site, "gpu", "x")
    long = fitted(Need(GB, GB, 1e24), site, "gpu", "x")
    assert (short.seconds, long.seconds) == (900, 86400)
    work = Need(GB, GB, 1e18)
    assert fitted(work, site, "gpu", "x").seconds > fitted(work.over(4), site, "gpu", "x").seconds
    assert {job.resources.seconds for job in jobs("baseline", seconds=1200)} <= {600, 900, 1200}


def test_no_job_is_told_to_save_as_soon_as_it_begins(told: Callable[..., Path], jobs: Jobs) -> None:
    """Such a job would be requeued for ever."""
    site = load_site(told(warning=1200))
    assert min(job.resources.seconds for job in jobs("baseline", "distilled", on=site)) == 2 * 1200 + 300
    with pytest.raises(UsageError, match="--time 00:40:00: at least 00:45:00, as jobs are told 1200 s"):
        jobs("baseline", on=site, seconds=2400)
    assert {job.resources.seconds for job in jobs("baseline", on=site, seconds=2700)} == {2700}


def test_what_takes_longer_than_it_may_is_told_and_what_never_ends(told: Callable[..., Path], jobs: Jobs) -> None:
    site = load_site(told(partitions={"gpu": {**A100, "time": "02:00:00"}, "cpu": TOLD["partitions"]["cpu"]}))
    found = notes(jobs("baseline", "distilled", on=site), site)
    assert found[0].startswith("targets: planned 1-23:40:00, of which it may take 02:00:00 at a time: it saves and ")
    assert found[0].endswith("requeues itself, about 24 times")
    assert [line.partition(":")[0] for line in found] == ["targets", "distil"]
    few = load_site(told(requeues=9, partitions={"gpu": {**A100, "time": "12:00:00"}, "cpu": A100}))
    slow = notes(jobs("baseline", "distilled", on=few, seconds=3600), few)
    assert slow[1].endswith("; the cluster file allows 9 (requeues), so that it would not end")
    assert notes(jobs("baseline"), load_site(told())) == []


def test_checking_takes_as_long_as_hashing_what_is_given() -> None:
    variants = ["baseline", "distilled"]
    assert needs_of(load_pair("tiny"), variants).check.seconds == 600
    given = needs_of(load_pair("egogpt-qwen2vl"), variants).check
    assert (given.gpu, given.seconds) == (0, 600 + 5 * 22), "17 GB and 5 GB, in bf16"


def test_what_no_gpu_holds_is_told_before_anything_is_submitted(site: Site) -> None:
    with pytest.raises(ResourceError, match=r"distil needs 41\.0 GB on a GPU, and those of gpu hold 40\.0 GB"):
        fitted(Need(41 * GB, GB, 1e15), site, "gpu", "distil")
    with pytest.raises(ResourceError, match="8 GPUs a node, but a node of gpu has 4"):
        fitted(Need(GB, GB, 1e15), site, "gpu", "distil", gpus=8)


def test_a_cluster_without_gpus_asks_for_memory_instead(told: Callable[..., Path], jobs: Jobs) -> None:
    plain = {"time": "04:00:00", "cpus": 16, "memory": "200GB"}
    site = load_site(told(partitions={"all": plain}, gpu_partition="all", cpu_partition="all"))
    distil = {job.name: job.resources for job in jobs("baseline", "distilled", on=site)}["distil"]
    assert distil == Resources("all", 14400, 16, 98 * GB)


@pytest.mark.parametrize(
    ("ask", "said"),
    [({"seeds": 0}, "--seeds 0: at least 1"), ({"shards": 0}, "--shards 0"), ({"nodes": 0}, "--nodes 0")],
)
def test_numbers_that_make_no_sense_are_refused(jobs: Jobs, ask: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        jobs("baseline", **ask)


def test_another_partition_is_one_of_the_file(jobs: Jobs) -> None:
    assert {job.resources.partition for job in jobs("baseline", partition="cpu")} == {"cpu"}
    with pytest.raises(ClusterError, match="unknown partition 'fast'"):
        jobs("baseline", partition="fast")


def test_what_the_real_pair_needs_is_counted_from_shapes() -> None:
    """Bounds, not figures: a 7B teacher in int8, a 2B student with 8-bit moments."""
    needs = needs_of(load_pair("egogpt-qwen2vl"), ["baseline", "distilled", "distilled-nf4"])
    assert 9 * GB < needs.targets.gpu < 15 * GB
    assert 15 * GB < needs.distil.gpu < 24 * GB
    assert needs.suites["distilled"].gpu >= 16 * GB, "the teacher answers first, in bf16"
    assert needs.disk > 20 * GB
