"""A model's answers to the micro pair's questions, and what it thinks of them; an NVIDIA card where there is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.measure.answers import Answers, answer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def answers(model: Any, items: Any) -> Answers:
    return answer(model, items, batch_clips=5, max_new_tokens=3)


@dataclass(frozen=True)
class StubbedCard:
    """A card that says what it is told (tests/data/nvml_stub.c), known to child processes only."""

    library: Path
    script: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a child process in which pynvml finds this card."""
        stubbed = {"LD_LIBRARY_PATH": str(self.library.parent), "NVML_STUB": str(self.script)}
        return {**os.environ, **stubbed, "PYTHONPATH": str(ROOT)}

    def says(self, *lines: str) -> None:
        """From now on, at once for a process that is running."""
        aside = self.script.with_suffix(".new")
        aside.write_text("\n".join(lines) + "\n")
        aside.rename(self.script)

    def told(self, program: str) -> Any:
        """What a child process prints that runs `program`, with `card`, `Card` and `show` at hand; as JSON."""
        opening = (
            "import json\nfrom harness.measure.nvml import Card\ncard = Card.open('GPU-1234')\n"
            "def show(x): print(json.dumps(x, default=vars))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", opening + program],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub, compiled once."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: what is read through NVML is tried against a stub in C")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = ROOT / "tests" / "data" / "nvml_stub.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


@pytest.fixture
def nvml(nvml_library: Path, tmp_path: Path) -> StubbedCard:
    """A card with nothing out of the ordinary."""
    card = StubbedCard(nvml_library, tmp_path / "card.txt")
    card.says("uuid GPU-1234")
    return card
