"""The examination as an aligned table, or as JSON; and the exit code.

print(table(found, colour=sys.stdout.isatty())); sys.exit(exit_code(found))
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from harness.doctor.finding import Finding
from harness.errors import FirstSightError

MARKS = {"ok": "✓", "warning": "!", "will not work": "✗", "not here": "–"}
COLOURS = {"ok": "32", "warning": "33", "will not work": "31", "not here": "2"}


def table(found: Sequence[Finding], *, colour: bool = False) -> str:
    """A line a finding, its remedy beneath it, and what it comes to at the end."""
    wide = max((len(one.name) for one in found), default=0)
    status = max(map(len, MARKS))
    lines: list[str] = []
    area = ""
    for one in found:
        if one.area != area:
            area = one.area
            lines += ["", area] if lines else [area]
        word = f"{MARKS[one.status]} {one.status:<{status}}"
        if colour:
            word = f"\x1b[{COLOURS[one.status]}m{word}\x1b[0m"
        lines.append(f"  {word}  {one.name:<{wide}}  {one.found}")
        if one.remedy:
            lines.append(f"  {'':<{status + 2}}  {'':<{wide}}  → {one.remedy}")
    return "\n".join([*lines, "", verdict(found)])


def verdict(found: Sequence[Finding]) -> str:
    """What it comes to, in one sentence."""
    broken = [one.name for one in found if one.status == "will not work"]
    warned = sum(one.status == "warning" for one in found)
    warnings = f"{warned} warning{'' if warned == 1 else 's'}" if warned else "no warning"
    if broken:
        return f"Will not work here: {', '.join(broken)}; {warnings}."
    return f"All that is needed works here; {warnings}."


def as_json(found: Sequence[Finding], seconds: float) -> str:
    """For programs: every finding, the exit code, how long it took."""
    told = {"schema": 1, "exit_code": exit_code(found), "seconds": round(seconds, 2), "verdict": verdict(found)}
    return json.dumps({**told, "checks": [asdict(one) for one in found]}, indent=1)


def exit_code(found: Sequence[Finding]) -> int:
    """2, as for every command that cannot do what is asked, where something needed will not work; else 0."""
    return FirstSightError.exit_code if any(one.status == "will not work" for one in found) else 0
