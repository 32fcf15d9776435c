"""The table, its last line, the exit code. Fake: the findings."""

from __future__ import annotations

import pytest

from harness.doctor import text
from harness.doctor.finding import Finding

FOUND = [
    Finding("a", "short", "ok", "fine"),
    Finding("a", "a longer name", "warning", "so so", "do this"),
    Finding("b", "x", "not here", "nobody needs it"),
]


def test_the_table_is_aligned_and_ends_with_what_it_comes_to() -> None:
    assert text.table(FOUND) == (
        "a\n"
        "  ✓ ok             short          fine\n"
        "  ! warning        a longer name  so so\n"
        "                                  → do this\n"
        "\n"
        "b\n"
        "  – not here       x              nobody needs it\n"
        "\n"
        "All that is needed works here; 1 warning."
    )
    assert "\x1b[33m" in text.table(FOUND, colour=True)
    assert text.exit_code(FOUND) == 0
    assert text.exit_code([*FOUND, Finding("b", "y", "will not work", "no", "mend")]) == 2


def test_what_does_not_work_has_a_remedy() -> None:
    with pytest.raises(ValueError, match="without a remedy"):
        Finding("a", "b", "will not work", "no")
