"""The real pair's tiny twin: EgoGPT with ears, in its authors' layout too, and a Qwen2-VL, at sizes that NF4 takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.pair import load_pair
from models.interface import Architecture, architecture


@pytest.fixture(scope="session")
def twin() -> Any:
    """The pair file models/egogpt-qwen2vl-tiny.yaml."""
    return load_pair("egogpt-qwen2vl-tiny")


def untrained(spec: Any, scale: dict[str, float] | None = None) -> Architecture:
    return architecture(spec.architecture).initialise(
        config=spec.initial.config,
        seed=0,
        words=["which", "hand", "holds", "the", "cup", "?", "left", "right", "A", "B"],
        tokenizer_extra=spec.initial.tokenizer_extra,
        pad_vocab_to=spec.initial.pad_vocab_to,
        scale=scale or {},
    )


@pytest.fixture(scope="session")
def hearing(twin: Any, one_thread: None) -> Any:
    """EgoGPT with ears; its linear layers are scaled up, so that what it says depends on what it sees and hears."""
    return untrained(twin.teacher, {"_proj.weight": 8.0, "embed_tokens.weight": 5.0, "linear2.weight": 20.0})


@pytest.fixture(scope="session")
def authors_folder(hearing: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in the layout of its authors' released checkpoints."""
    folder = tmp_path_factory.mktemp("authors")
    hearing.save_as_authors(folder)
    return folder


@pytest.fixture(scope="session", params=["egogpt", "qwen2_vl"])
def twin_side(request: pytest.FixtureRequest, twin: Any, one_thread: None) -> Any:
    """Each side of the twin in turn."""
    scaled = {"_proj.weight": 8.0, "embed_tokens.weight": 5.0}
    return untrained(twin.teacher if request.param == "egogpt" else twin.student, scaled)
