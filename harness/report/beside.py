"""Which report is of which run: a page names its run, so that a link never leads to the report of another.

found = report_of(run)                       # Path of the run's own report.html, or None
link(found, seen_from=Path("results"))       # a relative address
"""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote

from harness.record import Run
from harness.report.view import dig

NAME = "report.html"
_HEAD = 400_000  # bytes in which a page's head ends, style sheet and all
_NAMED = re.compile(r'<meta name="firstsight-run" content="([0-9a-f]{16})">')


def identity(run: Run) -> str:
    """16 hexadecimal digits of when, of what and on what a run was measured; the same wherever its file lies."""
    device = dig(run.environment, "device", "name")
    told = (run.datetime, dig(run.commit, "id"), dig(run.pair, "name"), device, str(len(run.records)))
    return hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()[:16]


def report_of(run: Run) -> Path | None:
    """The run's own report, beside its record or where `pytest suites` puts it; None where there is none."""
    if run.path is None:
        return None
    folder = run.path.parent
    return next((place / NAME for place in (folder, folder.parent) if _names(place / NAME) == identity(run)), None)


def link(file: Path, seen_from: Path) -> str:
    """A relative address of a file, for a page in a folder; it begins with a dot, so that no name makes it a scheme."""
    way = Path(os.path.relpath(file.absolute(), seen_from.absolute())).as_posix()
    return quote(os.fsencode(way if way.startswith("../") else f"./{way}"), safe="/")


def _names(page: Path) -> str | None:
    try:
        with page.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
    except OSError:
        return None
    found = _NAMED.search(head)
    return found[1] if found else None
