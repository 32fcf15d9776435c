"""Chains: what is made side by side, and in which order."""

from typing import Any

import pytest

from harness.distill.ahead import chains


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["teacher"], [["teacher"]]),
        (["teacher", "distilled", "undistilled"], [["teacher", "distilled"], ["undistilled"]]),
        (
            ["teacher", "distilled", "undistilled", "finetuned", "hard-labels"],
            [["teacher", "distilled"], ["undistilled", "finetuned", "hard-labels"]],
        ),
        (["hard-labels"], [["hard-labels"]]),
        (["distilled", "distilled:1", "distilled"], [["distilled", "distilled:1"]]),
        ([], []),
    ],
)
def test_two_chains_in_the_order_they_must_be_made(wanted: list[str], expected: list[list[str]]) -> None:
    assert chains(wanted) == expected


def test_what_is_missing_is_told_without_making_it(lineage: Any, tmp_path: Any, micro: Any) -> None:
    from harness.artifact import Store
    from harness.distill.lineage import Lineage

    lineage.student("distilled")
    assert lineage.missing(["teacher", "undistilled", "distilled", "distilled:7"]) == ["distilled:7"]
    nothing = Lineage(micro, Store(tmp_path / "empty"))
    assert nothing.missing(["teacher", "distilled"]) == ["teacher", "distilled"]
    assert not list((tmp_path / "empty").glob("*-*"))
