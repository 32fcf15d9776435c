"""The report of a failed, partial, invalid or weight-less run says what is missing and why, and never invents it."""

import re
from dataclasses import replace
from typing import Any

import pytest
from markupsafe import Markup

from harness.errors import RecordError
from harness.report import page, table
from harness.report.across import gather
from harness.report.formats import FORMATS
from tests.harness.report.states import STATES

SAID = {
    "times alone": ["the agreement suite has no record of it in this run", "No answers in this run"],
    "memory alone": ["No raw rounds in this run: the latency suite did not run", "No answers in this run"],
    "answers alone": ["the latency suite has no record of it in this run", "the vram suite has no record of it"],
    "failed": [
        "is the only one shown to meet every budget",
        "These tests failed; what they measured is in no record, and in no figure",
        "int8, latency: no kernel for int8",
        "its vram test failed: no kernel for int8",
        "int8: nothing that a budget asks for was measured: its agreement test failed (no kernel for int8)",
    ],
    "without the baseline's answers": ["the agreement suite has no record of it in this run"],
    "invalid": ["Not valid", "31 of 60 rounds are broken", "left out, as if it had not been measured"],
    "random weights": ["No verdict: the weights are random", "what they answer means nothing"],
    "a CPU with an energy budget": ["Ship none", "energy"],
    "no budgets": ["No verdict: the pair states no budget"],
    "nothing": ["no variant that could be shipped was measured"],
}


def words(html: str) -> str:
    """What a reader sees, blanks and unbreakable ones alike."""
    text = Markup(re.sub(r"<style>.*?</style>", "", html, flags=re.S)).striptags()
    return re.sub(r"[\s\u00a0]+", " ", text)


@pytest.mark.parametrize("state", STATES)
def test_what_is_missing_is_said_with_its_reason(state: str) -> None:
    run = STATES[state]()
    seen, printed = words(page.render(run)), table.render(run)
    for said in SAID[state]:
        assert said in seen
    assert "nan" not in re.findall(r"\b\w+\b", seen.lower())
    assert "None" not in re.findall(r"\b\w+\b", seen)
    title = (
        "no verdict"
        if "No verdict" in seen
        else "ship distilled-int8"
        if "Ship distilled-int8" in seen
        else "ship none"
    )
    assert seen.startswith(f"synthetic: {title} ·")
    assert printed.splitlines()[-1].split(":")[0] in ("Ship none", "Ship none yet", "No verdict", "Ship distilled-int8")


def test_a_variant_whose_every_test_failed_is_in_every_form_with_the_reason() -> None:
    found = gather([STATES["failed"]()])
    for name in ("md", "json"):
        assert "its agreement test failed (no kernel for int8)" in FORMATS[name].render(found)
    assert "Failed" not in page.render(STATES["invalid"]())


@pytest.mark.parametrize("told", [5, ["int8"], [{"variant": "int8", "suite": "latency"}]])
def test_a_malformed_list_of_failures_is_one_line(told: Any) -> None:
    run = STATES["failed"]()
    with pytest.raises(RecordError, match="failed"):
        page.render(replace(run, environment={**run.environment, "failed": told}))


def test_nothing_that_was_not_measured_has_a_figure() -> None:
    """Of a run of memory alone no time is said anywhere, of random weights no share."""
    assert not re.search(r'class="value">[^<]*\d.ms<', page.render(STATES["memory alone"]()))
    assert not re.search(r"agrees? (?:with the teacher )?on \d", words(page.render(STATES["random weights"]())))
