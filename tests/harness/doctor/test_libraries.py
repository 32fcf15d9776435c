"""Dependencies against their ranges, and films. Fake: what is installed."""

from __future__ import annotations

from typing import Any

import pytest

from harness.doctor import libraries
from harness.doctor.libraries import Requirement
from harness.doctor.probing import Told

ASKED = [
    Requirement("numpy", "numpy>=2.0"),
    Requirement("pyyaml", "pyyaml>=6.0.2"),
    Requirement("torch", "torch>=2.11"),
]


@pytest.mark.parametrize(
    ("versions", "steps", "lines"),
    [
        (("2.1", "6.1", "2.13"), {"numpy": {}, "yaml": {}}, {"dependencies": "ok"}),
        ((None, "6.1", "2.13"), {"numpy": {}, "yaml": {}}, {"numpy": "will not work", "dependencies": "warning"}),
        (("1.26", "6.1", "2.13"), {"numpy": {}, "yaml": {}}, {"numpy": "warning", "dependencies": "warning"}),
        (("2.1", "6.1", "2.13"), {"numpy": {"fault": "ImportError: x"}, "yaml": {}}, {"numpy": "will not work"}),
        (("2.1", "6.1", "2.13"), {"numpy": {}}, {"pyyaml": "will not work"}),
    ],
)
def test_dependencies(versions: Any, steps: Any, lines: dict[str, str]) -> None:
    known = dict(zip(("numpy", "pyyaml", "torch"), versions, strict=True))
    found = {one.name: one for one in libraries.dependencies(ASKED, Told(steps), known.get, lambda module: True)}
    assert {name: found[name].status for name in lines} == lines
    assert len(found) <= 2


@pytest.mark.parametrize(("version", "status"), [((3, 11, 0), "ok"), ((3, 14, 1), "ok"), ((3, 10, 9), "will not work")])
def test_python(version: Any, status: str) -> None:
    assert libraries.python(version, ">=3.11").status == status


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"version": "18", "frames": 3, "decoders": ["h264", "hevc", "vp9", "av1"]}, "ok"),
        ({"version": "18", "frames": 3, "decoders": ["vp9"]}, "warning"),
        ({"fault": "ImportError: libav"}, "will not work"),
    ],
)
def test_video(step: Any, status: str) -> None:
    assert libraries.video(Told({"video": step})).status == status
