"""The arrows of docs and DESIGN point down: who may import whom, and what a laptop without torch can open.

An import is read from the source, also inside functions and under TYPE_CHECKING: a hidden arrow is an arrow.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# From the top down. A module belongs to the longest name that it begins with.
LAYERS = (
    (
        "conftest",
        "suites",
        "harness.cli",
        "harness.cluster_commands",
        "harness.doctor",
        "harness.report_commands",
        "harness.doorway",
        "harness.kept_answers",
        "harness.options",
        "harness.progress",
    ),
    ("harness.cluster", "harness.distill", "harness.variants", "harness.gate", "harness.report"),
    ("harness.measure", "harness.plan", "harness.qa"),
    (
        "harness.record",
        "harness.stats",
        "harness.artifact",
        "harness.pair",
        "harness.image",
        "harness.durable",
        "harness.telling",
    ),
    ("harness.errors",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
LIGHT = (
    "harness.errors",
    "harness.artifact",
    "harness.durable",
    "harness.image",
    "harness.pair",
    "harness.record",
    "harness.stats",
    "harness.telling",
    "harness.report",
    "harness.gate",
)
HEAVY = {"torch", "transformers", "bitsandbytes", "accelerate"}


@dataclass(frozen=True)
class Arrow:
    source: str
    target: str
    where: str  # file:line

    def wrong(self) -> str | None:
        """Why this import may not be, or None."""
        top, target_top = self.source.partition(".")[0], self.target.partition(".")[0]
        if target_top == "tests":
            return "only tests import tests"
        if top == "models":
            return None if target_top == "models" or target_top not in OURS else "models imports nothing of the rest"
        if target_top == "models":
            if within(self.target, "models.interface") or within(self.target, "models.fault"):
                return None
            return "the harness knows models.interface only" if top == "harness" else None
        if self.target.partition(".")[0] in HEAVY and any(within(self.source, room) for room in LIGHT):
            return "this room is opened without torch"
        if self.target == "harness" or target_top not in OURS:
            return None
        here, there = level(self.source), level(self.target)
        if here is None or there is None:
            return f"{self.source if here is None else self.target} has no place in LAYERS"
        return None if here <= there else "an import goes down, this one goes up"


OURS = {"conftest", "suites", "harness", "models", "tests"}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def level(module: str) -> int | None:
    return next((LEVEL[room] for room in LEVEL if within(module, room)), None)


def arrows(root: Path) -> Iterator[Arrow]:
    """Every import of every .py under harness/, models/, suites/ and of conftest.py."""
    files = [
        root / "conftest.py",
        *(f for top in ("harness", "models", "suites") for f in (root / top).rglob("*.py")),
    ]
    for file in sorted(f for f in files if f.is_file()):
        relative = file.relative_to(root).with_suffix("")
        is_package = relative.name == "__init__"
        module = ".".join(relative.parent.parts if is_package else relative.parts)
        package = module if is_package else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            where = f"{file.relative_to(root)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = (
                    resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
                )
                # `from harness import report` imports harness.report; `from harness.report import x` does not
                # import a module x. Only the first is told apart by looking for a file.
                targets = [f"{base}.{a.name}" if is_module(root, f"{base}.{a.name}") else base for a in node.names]
            elif isinstance(node, ast.Call) and called(node) in (
                "import_module",
                "__import__",
                "importorskip",
            ):
                argument = node.args[0] if node.args else None
                named = argument.value if isinstance(argument, ast.Constant) else None
                targets = [named] if isinstance(named, str) else []
            else:
                continue
            for target in dict.fromkeys(targets):
                yield Arrow(module, target, where)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def is_module(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def violations(root: Path) -> list[str]:
    return [f"{a.where}: {a.source} imports {a.target}: {why}" for a in arrows(root) if (why := a.wrong())]


# --- this repository


def test_imports_only_go_down() -> None:
    assert violations(REPOSITORY) == []


def test_there_is_something_to_check() -> None:
    sources = {arrow.source for arrow in arrows(REPOSITORY)}
    assert {"harness.artifact", "harness.pair"} <= sources


@pytest.mark.parametrize("module", [m for m in LIGHT if is_module(REPOSITORY, m)])
def test_what_a_laptop_opens_does_not_load_torch(module: str) -> None:
    """In a fresh process, as this one may have torch already; through every import, not only direct ones."""
    parts = [module]
    folder = REPOSITORY.joinpath(*module.split("."))
    for file in sorted(folder.rglob("*.py")) if folder.is_dir() else []:
        parts.append(".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"))
    loaded = f"sorted({HEAVY!r} & sys.modules.keys())"
    script = f"import importlib, sys\nfor m in {parts!r}: importlib.import_module(m)\nprint(*{loaded})"
    run = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == ""


# --- the check itself, on made-up trees


def tree(root: Path, **files: str) -> Path:
    for name, source in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


WRONG = {
    "up": ({"harness__stats": "import harness.report.table"}, "harness.stats imports harness.report.table: "),
    "up by one": (
        {"harness__errors": "from harness.pair import Pair"},
        "harness.errors imports harness.pair: ",
    ),
    "up from a package": (
        {"harness__measure__timing": "from harness.distill import train"},
        "harness.measure.timing imports harness.distill: ",
    ),
    "up by from": (
        {"harness__pair": "from harness import report", "harness__report__html": ""},
        "harness.pair imports harness.report: ",
    ),
    "up by dots": (
        {"harness__qa__scenes": "from ..variants import VARIANTS"},
        "harness.qa.scenes imports harness.variants: ",
    ),
    "up in a function": (
        {"harness__record": "def f():\n    import harness.cli"},
        "harness/record.py:2: harness.record imports harness.cli: ",
    ),
    "up by name": (
        {"harness__record": "import importlib\nimportlib.import_module('harness.cli')"},
        "harness.record imports harness.cli: ",
    ),
    "up to the suites": (
        {"harness__cli": "", "harness__report__a": "import suites.test_vram"},
        "imports suites.test_vram: ",
    ),
    "models to harness": (
        {"models__egogpt": "from harness.errors import ModelError"},
        "models imports nothing",
    ),
    "models to suites": ({"models__egogpt": "import suites"}, "models imports nothing"),
    "an architecture by its name": (
        {"harness__variants": "from models.egogpt import EgoGPT"},
        "harness.variants imports models.egogpt: the harness knows models.interface only",
    ),
    "an architecture from models": (
        {"harness__variants": "from models import egogpt", "models__egogpt": ""},
        "harness.variants imports models.egogpt: the harness knows models.interface only",
    ),
    "models as a whole": (
        {"harness__distill__train": "import models"},
        "the harness knows models.interface only",
    ),
    "torch in a report": ({"harness__report__chart": "import torch.nn"}, "opened without torch"),
    "torch in a record": ({"harness__record": "from transformers import AutoModel"}, "opened without torch"),
    "a room without a place": (
        {"harness__utils": "import harness.errors"},
        "harness.utils has no place in LAYERS",
    ),
    "to a room without a place": (
        {"harness__pair": "import harness.utils"},
        "harness.utils has no place in LAYERS",
    ),
    "tests": ({"harness__pair": "import tests.harness"}, "only tests import tests"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_arrow_is_found(tmp_path: Path, case: str) -> None:
    files, message = WRONG[case]
    found = violations(tree(tmp_path, **files))
    assert len(found) == 1
    assert message in found[0]


def test_right_arrows_are_left_alone(tmp_path: Path) -> None:
    files = {
        "conftest": "import harness.cli\nfrom harness.variants import VARIANTS\nimport torch, models.egogpt",
        "suites__test_vram": "from harness.measure import memory\nfrom suites import shared\nimport pytest",
        "harness__cli": "from harness import errors\nimport harness.report.html, harness.qa.scenes",
        "harness__errors": "",
        "harness__variants": "import torch\nfrom models.interface import Architecture\nfrom . import errors",
        "harness__distill__train": "from harness.variants import load\nfrom .loss import kl",
        "harness__report__html": "from harness.record import Record\nimport jinja2, json",
        "harness__measure__agreement": "from harness.qa.grading import same",
        "harness__pair": "from harness.artifact import JSON\nimport yaml",
        "models__interface": "import torch",
        "models__egogpt": "from models.interface import Architecture\nfrom .interface import Stage",
        "tests__anything": "import models.egogpt",
    }
    assert violations(tree(tmp_path, **files)) == []
    assert len(list(arrows(tmp_path))) > 20
