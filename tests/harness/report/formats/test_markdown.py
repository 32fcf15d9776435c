"""Markdown for a pull request, read by a Markdown reader: hostile text is shown, and does nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Run
from harness.report.across import gather
from harness.report.formats.markdown import render
from harness.report.marked import escaped
from harness.report.summary import summarise
from tests.harness.report.several import EVIL, of_commit, of_device, of_pair, poisoned

markdown_it = pytest.importorskip("markdown_it", reason="no markdown-it-py: pip install markdown-it-py")
READER = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(text: str) -> str:
    """What a reader sees of a line of Markdown; an error where there is anything but text and bold."""
    tokens = [inline for block in READER.parse(text) for inline in block.children or ()]
    assert {token.type for token in tokens} <= {"text", "text_special", "strong_open", "strong_close"}, text
    return "".join(token.content for token in tokens)


def test_the_text_is_verdict_table_and_where_it_was_measured(sample: Run) -> None:
    text = render(gather([sample]))
    lines = text.splitlines()
    assert lines[0].startswith("**Ship distilled-int8: it answers like the teacher on ")
    assert lines[2].startswith("| Variant | Agreement, at least 75 % | Accuracy | TTFT, at most 40 ms |")
    assert "| **distilled-int8** (ship) | ✓ 81." in text
    assert "not timed or weighed" in text
    assert "synthetic on Synthetic CPU @" in text
    assert "answers: 600 questions on 80 clips; times: medians of 30 rounds" in text
    assert text == render(gather([sample]))


def test_every_row_has_as_many_cells_as_the_heading(sample: Run) -> None:
    tables = [token for token in READER.parse(render(gather([sample]))) if token.type in ("th_open", "td_open")]
    assert len(tables) == 7 * (1 + 7)


def test_several_runs_have_one_table_and_are_held_against_each_other(sample: Run) -> None:
    runs = [sample, of_commit(sample, "abcdef01", 3), of_device(of_commit(sample, "abcdef01", 4), "Some GPU")]
    text = render(gather(runs))
    assert text.startswith("**Ship distilled\\-int8 in all 3 runs.**") or "in all 3 runs" in text.splitlines()[0]
    assert "| Run | Variant |" in text
    assert "**Run 3 against run 2**" in text
    assert "not compared, they differ in device" in text


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_is_shown_and_does_nothing(evil: str) -> None:
    text = render(gather([poisoned(evil)]))
    kinds = {token.type for block in READER.parse(text) for token in (block, *(block.children or ()))}
    assert not {kind for kind in kinds if kind.startswith(("link", "image", "html", "code", "em_", "heading", "s_"))}
    assert not re.search(r"[@#]\w|https?://|www\.", text.replace("\\", ""), re.IGNORECASE)
    cells = [token for token in READER.parse(text) if token.type == "td_open"]
    assert len(cells) == 7 * 7


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_whatever_is_escaped_is_read_as_itself(text: str) -> None:
    plain = escaped(text)
    assert "\n" not in plain
    assert shown(f"x {plain}").replace("\N{WORD JOINER}", "").split() == f"x {escaped_as_shown(text)}".split()
    row = f"| a | b |\n| --- | --- |\n| {plain} | y |\n"
    assert sum(token.type == "td_open" for token in READER.parse(row)) == 2


def escaped_as_shown(text: str) -> str:
    from harness.errors import oneline

    return oneline(text).replace("\N{WORD JOINER}", "")


@given(st.text("-+=1.)#> x*", max_size=12))
def test_a_line_is_no_list_heading_or_quote(text: str) -> None:
    kinds = {token.type for token in READER.parse(f"- {escaped(text)}")}
    assert kinds <= {"bullet_list_open", "list_item_open", "paragraph_open", "inline", "paragraph_close",
                     "list_item_close", "bullet_list_close"}  # fmt: skip


def test_a_budget_that_no_column_is_of_is_held_all_the_same(sample: Run) -> None:
    run = of_pair(sample, budgets={"agreement": 0.75, "answer_ms": 40})
    assert summarise(run).asked == (("Agreement", "at least 75 %"), ("Whole answer", "at most 40 ms"))
    told = next(line for line in render(gather([run])).splitlines() if line.startswith("- Whole answer, at most 40 ms"))
    assert "baseline met" in told
    assert "int8 missed" in told
    assert "finetuned" not in told
