"""Every error a user can cause is one printable line."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import errors
from harness.errors import FirstSightError, PairError, oneline

CHILDREN = [
    "ArtifactError",
    "ClusterError",
    "DataError",
    "ModelError",
    "PairError",
    "RecordError",
    "ResourceError",
    "UsageError",
]


@pytest.mark.parametrize("name", CHILDREN)
def test_every_error_is_caught_at_the_door_by_one_class(name: str) -> None:
    error = getattr(errors, name)("models/tiny.yaml: no such file")
    assert isinstance(error, FirstSightError)
    assert error.exit_code == 2
    assert str(error) == "models/tiny.yaml: no such file"


def test_the_tree_has_no_other_children() -> None:
    assert sorted(c.__name__ for c in FirstSightError.__subclasses__()) == CHILDREN


def test_a_hostile_message_cannot_break_the_line_or_the_terminal() -> None:
    error = PairError("first\nsecond\r\n\x1b[31mred\x07 \u202ereversed \udc80half\u2028end\x00")
    assert str(error) == r"first second \x1b[31mred\x07 \u202ereversed \udc80half end\x00"


def test_other_scripts_and_punctuation_are_left_as_they_are() -> None:
    assert oneline("Größe 尺寸 κ ≥ 0.9 — “ok” 🎥") == "Größe 尺寸 κ ≥ 0.9 — “ok” 🎥"


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert oneline("a" * 50, limit=10) == "a" * 9 + "…"
    assert oneline("a" * 10, limit=10) == "a" * 10
    assert oneline("a" * 10_000_000, limit=80) == "a" * 79 + "…"
    assert len(str(FirstSightError("x" * 10_000))) == 1000


def test_anything_can_be_made_a_line() -> None:
    assert oneline(None) == "None"
    assert oneline({"a": [1, "b\n"]}) == "{'a': [1, 'b\\n']}"
    assert oneline("") == ""


def test_an_error_crosses_a_process_boundary() -> None:
    copy = pickle.loads(pickle.dumps(PairError("a: b")))
    assert type(copy) is PairError
    assert str(copy) == "a: b"


@given(st.text(st.characters(), max_size=400), st.integers(1, 200))
def test_oneline_is_printable_bounded_and_idempotent(text: str, limit: int) -> None:
    line = oneline(text, limit)
    assert line.isprintable()
    assert len(line) <= limit
    assert oneline(line, limit) == line
