"""The tiny pair with ears, both sides for real and as plan sees them; the real pair as shapes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import untrained


@pytest.fixture(scope="session")
def heard_pair() -> Any:
    """models/egogpt-qwen2vl-tiny.yaml: the real pair's architectures, ears included, at toy sizes."""
    from harness.pair import load_pair

    return load_pair("egogpt-qwen2vl-tiny")


@pytest.fixture(scope="session", params=["teacher", "student"])
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def tiny(heard_pair: Any, side: str, one_thread: None) -> Any:
    """A real model of the tiny pair with ears."""
    return untrained(heard_pair, side, scale={})


@pytest.fixture(scope="session")
def tiny_shapes(heard_pair: Any, side: str) -> Any:
    from harness.plan.shapes import shapes_of

    return shapes_of(getattr(heard_pair, side), heard_pair.data)


@pytest.fixture(scope="session")
def real() -> Any:
    """(teacher's, student's) shapes of models/egogpt-qwen2vl.yaml."""
    from harness.pair import load_pair
    from harness.plan.shapes import shapes_of

    pair = load_pair("egogpt-qwen2vl")
    return shapes_of(pair.teacher, pair.data), shapes_of(pair.student, pair.data)
