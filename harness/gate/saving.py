"""How a run is kept in pytest-benchmark's storage: whole or not at all, without blanks, and without a number where the
session was cut short.

    FileStorage.save = save      # save(storage, what pytest-benchmark would write, its name)

pytest-benchmark writes a number a line, indented by what it is in: of a record of thousands of rounds half is blanks.
And it writes in place: what a signal leaves would stand in the storage as the last run.
"""

import json
from collections.abc import Mapping
from typing import Any

from pytest_benchmark.utils import SafeJSONEncoder

from harness.durable import write_text
from harness.errors import ResourceError
from harness.record import rounded

CUT = "cut-short_"  # no number: neither the newest run of a folder, nor what --benchmark-compare takes


def cut(name: str) -> str:
    """What a run is called that was cut short, by the name that it would have had."""
    return f"{CUT}{name}"


def save(storage: Any, output: Mapping[str, Any], name: str) -> None:
    """In the place of `FileStorage.save`. `output` is written as it is but for pytest-benchmark's own copy of the
    rounds (seconds), of which six digits are kept, as a record's samples. ResourceError where it finds no room.
    """
    for row in output["benchmarks"]:
        if data := row["stats"].get("data"):
            row["stats"]["data"] = [rounded(second) for second in data]
    number = "" if name.startswith(CUT) else f"{storage._next_num}_"
    try:
        file = storage.get(f"{number}{name}.json")  # makes the folder, too
        write_text(file, json.dumps(output, cls=SafeJSONEncoder, separators=(",", ":")))
    except OSError as error:
        raise ResourceError(
            f"the record could not be saved in {storage.path}: {error.strerror}; free some room and run again, "
            "what was made is kept"
        ) from None
    storage.saved = file  # another session may save into the same folder before ours is read again
    storage.logger.info(f"Saved benchmark data in: {file}")
