"""The cluster file: what may stand in it, and one line for what may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.site import EXAMPLE, load_site, parse_time, time_words
from harness.errors import ClusterError
from tests.harness.cluster.conftest import A100

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_is_a_cluster_file_that_tells_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    site = load_site(ROOT / EXAMPLE)
    assert site.scratch == "/scratch/me/firstsight"
    assert site.partition(site.gpu_partition).gpu_memory == 40 * 10**9
    text = (ROOT / EXAMPLE).read_text()
    keys = {*type(site).model_fields, *type(site.partition("gpu")).model_fields}
    assert [key for key in keys if f"{key}:" not in text] == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:10:00", 600), ("12:00:00", 43200), ("1-02:03:04", 93784), ("100:00:00", 360000)]
)
def test_times_are_as_slurm_writes_them(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds
    assert parse_time(time_words(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "10", "1:2", "12:60:00", "2 days", "-1:00:00", "00:00:30", 43200, None])
def test_what_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is a "):
        parse_time(text)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"acount": "lab"}, "acount: unknown key; did you mean account?"),
        ({"partitions": {"gpu": {**A100, "memry": 1}}}, "partitions.gpu.memry: unknown key; did you mean memory?"),
        ({"partitions": {"gpu": {**A100, "memory": 480}}}, "partitions.gpu.memory: is a size with a unit"),
        ({"partitions": {"gpu": {**A100, "time": 86400}}}, 'partitions.gpu.time: is a time in quotes, "12:00:00"'),
        ({"partitions": {"gpu": {**A100, "gpu_memory": None}}}, "partitions.gpu.gpu_memory: missing"),
        ({"partitions": {"gpu": {**A100, "gpus": 0}}}, "partitions.gpu.gpus: 0, but its GPUs are told of"),
        ({"gpu_partition": "gpus"}, "gpu_partition: no partition 'gpus' in partitions; did you mean gpu?"),
        ({"scratch": None}, "scratch: missing (a folder that all nodes share"),
        ({"scratch": "work"}, "scratch: is a whole path, as every node sees it, got 'work'"),
        ({"scratch": "$NO_SUCH_PLACE/x"}, "scratch: names $NO_SUCH_PLACE, which is not set here"),
        ({"scratch": "/my scratch"}, "scratch: holds a blank"),
        ({"scratch": "/scratch/$(id)"}, "scratch: holds a blank, a comma, a colon or a quote"),
        ({"account": "lab; rm -rf"}, "account: "),
        ({"modules": ["apptainer; id"]}, "modules.0: "),
        ({"image": "/a.sif", "python": "/b/python"}, "python: an image brings its own"),
        ({"warning": 0}, "warning: "),
        ({"warning": 7200}, "partitions.cpu.time: is at most twice warning"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(told: Callable[..., Path], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ClusterError) as error:
        load_site(told(**changes))
    assert said in str(error.value)
    assert "cluster.yaml: " in str(error.value)


def test_a_file_that_is_not_there_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=f"no such cluster file; copy {EXAMPLE}"):
        load_site(tmp_path / "none.yaml")


def test_an_unknown_partition_says_which_there_are(told: Callable[..., Path]) -> None:
    with pytest.raises(ClusterError, match=r"unknown partition 'gppu': did you mean gpu\?"):
        load_site(told()).partition("gppu")


def test_a_time_without_quotes_is_a_number_to_yaml_and_said(told: Callable[..., Path]) -> None:
    path = told()
    path.write_text(path.read_text().replace("'1-00:00:00'", "12:00:00").replace("1-00:00:00", "12:00:00"))
    with pytest.raises(ClusterError, match="time in quotes"):
        load_site(path)
