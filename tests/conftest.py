"""What tests share: the micro pair, its untrained models, and one lineage of artifacts, each made once a session.

torch is imported when a fixture is asked for: tests of records, statistics and reports do not wait for it.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

MICRO = Path(__file__).parent / "data" / "micro.yaml"

with suppress(ImportError):  # the GPU checks need no requirements-dev.lock
    from hypothesis import settings

    # How long an example takes tells how busy the machine is. The same examples each time: a failure is of the change
    # that was tried, not of the day. `make test ARGS="tests --hypothesis-profile=new-examples"` looks for others.
    settings.register_profile("new-examples", deadline=None, max_examples=500)
    settings.register_profile("same-examples", deadline=None, derandomize=True)
    settings.load_profile("same-examples")

# What tests start are runs of their own: pytest-benchmark measures nothing where it sees pytest-xdist's mark.
for name in [one for one in os.environ if one.startswith("PYTEST_XDIST")]:
    del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with many slow tests first, so that no process is left with a long one at the end (-n, --dist loadfile)."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def no_chosen_frame_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame cache that a door opened by an earlier test chose does not reach the next one."""
    if chosen := sys.modules.get("harness.qa.frame_cache"):
        monkeypatch.setattr(chosen, "_chosen", [])


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Models this small are fastest on one thread, and the order of their sums is then the same everywhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def micro() -> Any:
    """The pair of tests/data/micro.yaml."""
    from harness.pair import load_pair

    return load_pair(str(MICRO))


@pytest.fixture(scope="session")
def items(micro: Any) -> Any:
    """The micro pair's test questions: twelve clips, four questions each."""
    from harness.qa.datasets import load_items

    return load_items(micro.data, "test")


def untrained(micro: Any, side: str, **changes: Any) -> Any:
    """A side of the pair with random weights. Its linear layers are scaled up, so that what it says depends on what it
    sees: at the usual initial size every prompt has the same greedy answer, and comparing answers shows nothing."""
    from harness.qa.datasets import load_lexicon
    from models.interface import architecture

    spec = getattr(micro, side)
    initial = spec.initial
    options = {
        "config": initial.config,
        "seed": initial.seed,
        "words": load_lexicon(micro.data),
        "tokenizer_extra": initial.tokenizer_extra,
        "pad_vocab_to": initial.pad_vocab_to,
        "scale": {**initial.scale, "_proj.weight": 8.0, "embed_tokens.weight": 5.0},
    }
    return architecture(spec.architecture).initialise(**{**options, **changes})


@pytest.fixture(scope="session")
def build(micro: Any) -> Any:
    """build("teacher", seed=1): a model of one's own, to change as one likes."""
    return partial(untrained, micro)


@pytest.fixture(scope="session")
def teacher(micro: Any, one_thread: None) -> Any:
    return untrained(micro, "teacher")


@pytest.fixture(scope="session")
def student(micro: Any, one_thread: None) -> Any:
    return untrained(micro, "student")


@pytest.fixture(scope="session", params=["egogpt", "qwen2_vl"])
def model(request: pytest.FixtureRequest) -> Any:
    """Each architecture in turn, untrained. Shared by all tests: leave it as it was."""
    return request.getfixturevalue({"egogpt": "teacher", "qwen2_vl": "student"}[request.param])


@pytest.fixture(scope="session")
def saved(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, as `save` writes it."""
    folder = tmp_path_factory.mktemp("saved")
    model.save(folder)
    return folder


@pytest.fixture(scope="session")
def micro_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from harness.artifact import Store

    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def lineage(micro: Any, micro_store: Any, one_thread: None) -> Any:
    """Everything the micro pair can make, in a store of this session."""
    from harness.distill.lineage import Lineage

    return Lineage(micro, micro_store)
