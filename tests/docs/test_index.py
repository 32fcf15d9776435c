"""README.md and docs/: every document is in the index, every link leads somewhere, every command is one.

Nothing is run here: commands are held against the parsers that would read them.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import pytest

from conftest import pytest_addoption
from harness.cli import _parser
from tests.docs.guides import DOCS, ROOT, text_of

PAGES = ("README.md", *sorted(f"docs/{file.name}" for file in DOCS.glob("*.md")))
# What pytest and pytest-benchmark bring that the documents use; everything else must be an option of ours.
PYTEST = ("-k", "-n", "-x", "-m", "--benchmark-compare", "--benchmark-disable")
BEGUN = re.compile(r"(containers/)?firstsight (?=[a-z-])|pytest suites|python -m harness\.doctor")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """Of its headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        at = next(f"{plain}-{n}" if n else plain for n in range(99) if (f"{plain}-{n}" if n else plain) not in found)
        found.add(at)
    return found


def links(text: str) -> list[str]:
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [one for one in re.findall(r"\]\(([^)\s]+)\)", plain) if not re.match(r"[a-z]+:", one)]


def typed(text: str) -> list[str]:
    """Commands as somebody would type them: indented lines, and those in backticks."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [re.split(r"\s{3,}", line.strip())[0] for line in plain.splitlines() if re.match(r"    \S", line)]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^    .*$", "", plain, flags=re.MULTILINE))
    shown = [one for one in (*lines, *inline) if BEGUN.match(one)]
    return [re.split(r" [|>] | # ", one)[0].strip() for one in shown]


COMMANDS = [(name, one) for name in PAGES for one in typed(page(name))]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_anchor_leads_somewhere(name: str) -> None:
    for link in links(page(name)):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{name}: {link}"


def test_every_document_is_in_the_index() -> None:
    told = set(links(text_of("../docs/README.md")))
    there = {file.name for file in DOCS.iterdir() if file.suffix in (".md", ".json")} - {"README.md"}
    assert there - told == set()


def test_a_document_is_told_in_one_line() -> None:
    entries = [line for line in page("docs/README.md").splitlines() if line.startswith("- ")]
    assert all(re.match(r"- \[[\w.-]+\]\([\w.-]+\): \S", entry) for entry in entries)
    assert len(entries) >= 14


@pytest.mark.parametrize(("name", "typed"), COMMANDS)
def test_every_command_is_one(name: str, typed: str) -> None:
    assert refused(typed) == "", f"{name}: {typed}"


def refused(typed: str) -> str:
    """What a parser says against a command; empty where it would take it."""
    words = [word for word in shlex.split(typed.replace("…", "x")) if word != "x"]  # an ellipsis is left to the reader
    if words[0] == "pytest":
        parser, words = suites_parser(), words[1:]
    else:
        parser, words = _parser(), ["doctor", *words[3:]] if words[0] == "python" else words[1:]
    known = set(option_strings(parser))
    if unknown := [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]:
        return f"no option {unknown[0]}"  # argparse would take the beginning of one
    complaint = StringIO()
    try:
        with redirect_stderr(complaint):
            parser.parse_args(words)
    except SystemExit as stopped:
        is_named = "the following arguments are required" in complaint.getvalue() and len(words) <= 2  # in a sentence
        return complaint.getvalue()[-200:] if stopped.code and not is_named else ""
    return ""


def option_strings(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Of a parser and of all commands below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from option_strings(below)


def suites_parser() -> argparse.ArgumentParser:
    """`pytest suites …` as conftest.py and pytest would read it."""
    parser = argparse.ArgumentParser(prog="pytest", allow_abbrev=False)
    parser.add_argument("suites", nargs="+")

    class Group:
        def addoption(self, *names: str, **options: Any) -> None:
            parser.add_argument(*names, **options)

        def getgroup(self, *_: str) -> Any:
            return self

    pytest_addoption(Group())  # type: ignore[arg-type]
    for option in PYTEST:
        counts = option in ("-x", "--benchmark-disable")
        parser.add_argument(option, **({"action": "store_true"} if counts else {"nargs": "?"}))  # type: ignore[arg-type]
    return parser


def test_there_are_commands_of_every_kind() -> None:
    programs = {one.split()[1] for _, one in COMMANDS if "firstsight " in one}
    assert {"distill", "sweep", "report", "compare", "plan", "data", "submit", "status", "doctor"} <= programs
    assert len([one for _, one in COMMANDS if one.startswith("pytest")]) >= 10


@pytest.mark.parametrize("wrong", ["firstsight plan --par tiny", "pytest suites --seed3 1", "firstsight dostil --x"])
def test_a_command_that_is_none_is_found(wrong: str) -> None:
    assert refused(wrong)


def test_a_broken_anchor_is_found() -> None:
    assert anchors("# The share\n## A `b` c\n## The share\n") == {"the-share", "a-b-c", "the-share-1"}


def test_every_section_of_the_page_is_explained_in_its_order() -> None:
    templates = ROOT / "harness" / "report" / "templates"
    skeleton = (templates / "report.html.j2").read_text(encoding="utf-8")
    titles: list[str] = []
    for file in re.findall(r'include "(sections/[\w.]+)"', skeleton):
        titles += re.findall(r"<h2>([^<{]+)</h2>", (templates / file).read_text(encoding="utf-8"))
    told = re.findall(r"^## (.+)$", page("docs/reading-the-report.md"), re.MULTILINE)
    assert [title for title in titles if title not in told] == []
    assert sorted(titles, key=told.index) == titles
    assert re.search(r"<h2>Not valid</h2>", skeleton)
    assert "Not valid" in told
