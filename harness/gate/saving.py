"""How a run is kept in pytest-benchmark's storage: whole or not at all, without blanks, and without a number where the
session was cut short.

    FileStorage.save = save      # save(storage, what pytest-benchmark would write, its name)

pytest-benchmark writes a number a line, indented by what it is in: of a record of thousands of rounds half is blanks.
And it writes in place: what a signal leaves would stand in the storage as the last run.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_benchmark.utils import SafeJSONEncoder

from harness.record import rounded

CUT = "cut-short_"  # no number: neither the newest run of a folder, nor what --benchmark-compare takes


def cut(name: str) -> str:
    """What a run is called that was cut short, by the name that it would have had."""
    return f"{CUT}{name}"


def save(storage: Any, output: Mapping[str, Any], name: str) -> None:
    """In the place of `FileStorage.save`. `output` is written as it is but for pytest-benchmark's own copy of the
    rounds (seconds), of which six digits are kept, as a record's samples.
    """
    number = "" if name.startswith(CUT) else f"{storage._next_num}_"
    file = storage.get(f"{number}{name}.json")
    for row in output["benchmarks"]:
        if data := row["stats"].get("data"):
            row["stats"]["data"] = [rounded(second) for second in data]
    _write(file, json.dumps(output, cls=SafeJSONEncoder, separators=(",", ":")))
    storage.logger.info(f"Saved benchmark data in: {file}")


def _write(file: Path, text: str) -> None:
    """Aside, flushed, and then renamed: after a kill or a power cut there is the whole file or none."""
    aside = file.with_name(f"{file.name}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
