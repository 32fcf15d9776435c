"""What one check found, and the guard that makes a finding of a check that fails.

guarded("machine", "memory", lambda: memory(...))      # a list of Findings, whatever happens inside
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from harness.errors import FirstSightError, oneline

# ok: as it should be. warning: it works, with a loss that is told. will not work: something that is needed does not.
# not here: what only some need, and this machine has not.
Status = Literal["ok", "warning", "will not work", "not here"]
AGAIN = "mend that, then `firstsight doctor` again"


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `remedy`: what to do, in one line, empty where nothing is to be done."""

    area: str
    name: str
    status: Status
    found: str
    remedy: str = ""

    def __post_init__(self) -> None:
        for field in ("found", "remedy"):
            object.__setattr__(self, field, oneline(getattr(self, field), 400))
        if self.status in ("warning", "will not work") and not self.remedy:
            raise ValueError(f"{self.area}, {self.name}: {self.status} without a remedy")


def guarded(area: str, name: str, check: Callable[[], Finding | Iterable[Finding]]) -> list[Finding]:
    """What the check finds. What a user can mend is told with its remedy; any other exception by its name."""
    try:
        found = check()
        return [found] if isinstance(found, Finding) else list(found)
    except FirstSightError as error:
        return [refused(area, name, error)]
    except Exception as error:
        if type(error).__name__ == "ModelFault":  # models.fault: no room of ours, and not imported for this
            return [refused(area, name, error)]
        said = f"the check itself failed: {type(error).__name__}: {oneline(error, 200)}"
        return [Finding(area, name, "warning", said, "nothing is known of it; please report this line")]


def refused(area: str, name: str, error: Exception) -> Finding:
    """An error that says what, where and what to do; the last after its first semicolon, where it has one."""
    what, _, remedy = str(error).partition("; ")
    return Finding(area, name, "will not work", what, remedy or AGAIN)
