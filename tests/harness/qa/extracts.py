"""The extracts of real annotation files in tests/data/qa, laid out as their sets are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

EXTRACTS = Path(__file__).resolve().parents[2] / "data" / "qa"


def lay(extract: str, place: Path) -> Any:
    """Copy an extract to where its set keeps it; what it holds."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXTRACTS / extract, place)
    return json.loads(place.read_text())


def write(place: Path, held: Any) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(held))
    return place
