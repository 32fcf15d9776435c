"""One error tree: what a user can cause is a FirstSightError, printed as one line without a traceback.

Raise with a message that says what, where and what to do:
    raise PairError("models/tiny.yaml: recipe.temprature: unknown key; did you mean temperature?")
"""


def oneline(text: object, limit: int = 1000) -> str:
    """`text` made safe to print on one line: no newlines, no terminal escapes, at most `limit` characters.

    What comes from a file or the command line may hold anything (escape sequences that recolour a terminal,
    reversed text, half a UTF-8 character), and an error message is where it is shown to a person.
    """
    limit = max(limit, 1)
    # Whole megabytes may come in; only what can be shown is worth escaping.
    raw = str(text)
    words = " ".join(raw[: 4 * limit + 64].split())
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in words)
    if len(safe) <= limit and len(raw) <= 4 * limit + 64:
        return safe
    return safe[: limit - 1].rstrip() + "…"


class FirstSightError(Exception):
    """Something the user can mend. `str(error)` is always a single printable line."""

    exit_code = 2

    def __init__(self, message: object) -> None:
        super().__init__(oneline(message))


class PairError(FirstSightError):
    """A pair file that is missing, unreadable or makes no sense."""


class ArtifactError(FirstSightError):
    """An artifact that is altered, half-copied, or cannot be stored."""


class DataError(FirstSightError):
    """A dataset, clip or question that is missing or malformed."""


class ModelError(FirstSightError):
    """Weights, a tokenizer or an architecture that cannot be loaded or does not fit."""


class ClusterError(FirstSightError):
    """A cluster file that makes no sense, or a scheduler that refuses a job."""


class RecordError(FirstSightError):
    """A run's JSON that is truncated, foreign, or holds what JSON cannot."""


class ResourceError(FirstSightError):
    """The machine ran out: disk, memory, or no such device."""


class UsageError(FirstSightError):
    """A command line that asks for what does not exist, such as an unknown variant."""
