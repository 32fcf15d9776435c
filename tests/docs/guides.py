"""Guides as a reader follows them: their files written into a copy of the repository, their commands typed there.

copy = Copy.of("adding-a-pair.md", folder); copy.run(copy.commands[0])

A fenced block whose first line is a comment with a path is that file: a new one is written, one that is there grows by
it at its end. A command is a line indented by four blanks; what follows three blanks in it is told, not typed. It runs
in a process of its own with the copy's modules (tests/warm.py).
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import warm

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PROGRAMS = {"firstsight": ["-m", "harness.cli"], "pytest": ["-m", "pytest"], "python": []}
CODE = ("harness", "models", "suites", "conftest.py", "pyproject.toml")


def text_of(name: str) -> str:
    """A guide; README.md is the repository's own."""
    return (ROOT / name if name == "README.md" else DOCS / name).read_text(encoding="utf-8")


def commands(text: str, *programs: str) -> list[str]:
    """Lines to type that begin with one of these programs; outside of fenced blocks."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [re.split(r"\s{3,}", line.strip())[0] for line in plain.splitlines() if re.match(r"    \S", line)]
    return [line for line in lines if line.split()[0] in programs]


def files(text: str) -> list[tuple[str, str]]:
    """Path and content of each block that names its file."""
    blocks = re.findall(r"^```\w+\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    named = [(re.match(r"# (\S+\.\w+)\n", block), block) for block in blocks]
    return [(found[1], block) for found, block in named if found]


@dataclass(frozen=True)
class Copy:
    """The repository's code with what a guide adds."""

    folder: Path
    commands: Sequence[str]

    @classmethod
    def of(cls, name: str, folder: Path) -> Copy:
        """A copy in a folder that is not there yet."""
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for entry in CODE:
            source, target = ROOT / entry, folder / entry
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy(source, target)
        shutil.copy(ROOT / "tests" / "data" / "micro.yaml", folder / "models")  # what is run in place of `tiny`
        text = text_of(name)
        for path, content in files(text):
            target = folder / path
            assert target.resolve().is_relative_to(folder.resolve()), path
            target.parent.mkdir(exist_ok=True)
            before = target.read_text(encoding="utf-8") + "\n\n" if target.is_file() else ""
            target.write_text(before + content, encoding="utf-8")
        return cls(folder, commands(text, *PROGRAMS))

    def run(self, command: str, *more: str, instead: Mapping[str, str] | None = None) -> str:
        """What a command prints, typed in the copy; `instead`: words that are replaced. AssertionError: it failed."""
        words = [(instead or {}).get(word, word) for word in shlex.split(command)]
        program = PROGRAMS[words[0]]
        own = {"PYTHONPATH": str(self.folder)}
        done = warm.run([*program, *words[1:], *more], cwd=self.folder, env=own, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout
