"""Python and what pyproject.toml asks for: is it there, in its range, can it be imported; and can films be read.

dependencies(requirements(ROOT), installed, told)      # one Finding for all that is well, one for each that is not
"""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.probing import Told
from harness.errors import oneline

AREA = "libraries"
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "nvidia-ml-py": "pynvml"}  # where a project's module is called otherwise
# These import torch, each for seconds; torch and bitsandbytes are tried by the probe of the device.
LATER = ("torch", "bitsandbytes", "accelerate", "peft", "transformers")
FILMS = ("h264", "hevc", "vp9")  # what first-person datasets are made of
INSTALL = "pip install -r requirements.lock (`make bench` does it)"


@dataclass(frozen=True)
class Requirement:
    """A line of pyproject.toml: the project's name and its range, as `torch>=2.11,<2.14`."""

    name: str
    line: str

    @property
    def module(self) -> str:
        """What is imported."""
        return MODULES.get(self.name, self.name.replace("-", "_"))


def python(version: tuple[int, int, int], asked: str) -> Finding:
    """Is this Python in `requires-python`?"""
    found = f"{'.'.join(map(str, version))} ({platform.python_implementation()}, {sys.executable})"
    least = re.search(r">=\s*(\d+)\.(\d+)", asked)
    if least and version[:2] < (int(least[1]), int(least[2])):
        remedy = f"make PYTHON=/path/to/python{least[1]}.{least[2]} bench"
        return Finding(AREA, "Python", "will not work", f"{found}; {asked} is asked", remedy)
    return Finding(AREA, "Python", "ok", found)


def asked_of(root: Path) -> tuple[str, list[Requirement]]:
    """requires-python and the dependencies: of the checkout's pyproject.toml, else of what is installed."""
    file = root / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        return str(project["requires-python"]), [_requirement(line) for line in project["dependencies"]]
    lines = [line for line in requires("firstsight") or () if "extra ==" not in line]
    return ">=3.11", [_requirement(line) for line in lines]


def installed(name: str) -> str | None:
    """The version of a project; None where it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def dependencies(
    asked: Sequence[Requirement],
    told: Told,
    version_of: Callable[[str], str | None] = installed,
    is_there: Callable[[str], bool] = lambda module: find_spec(module) is not None,
) -> Iterator[Finding]:
    """Those that are well in one line; a line for each that is absent, out of its range, or cannot be imported."""
    if told.late:
        yield Finding(AREA, "imports", "warning", f"not all known: {told.ended}", "again when the machine is quiet")
    versions = {one.name: version_of(one.name) for one in asked}
    well = [one for one in asked if versions[one.name] is not None]
    for one in asked:
        found = versions[one.name]
        if found is None:
            yield Finding(AREA, one.name, "will not work", f"not installed ({one.line})", INSTALL)
        elif not in_range(one.line, found):
            well.remove(one)
            yield Finding(AREA, one.name, "warning", f"{found}, but meant for {one.line}: not tried", INSTALL)
        elif fault := _fault(one, told, is_there):
            well.remove(one)
            said = f"{found} cannot be imported: {oneline(fault, 200)}"
            yield Finding(AREA, one.name, "will not work", said, f"pip install --force-reinstall '{one.line}'")
    tried = len([one for one in well if one.name not in LATER])
    words = f"{len(well)} of {len(asked)} there and in range, {tried} of them imported"
    yield (
        Finding(AREA, "dependencies", "ok", words)
        if len(well) == len(asked)
        else Finding(AREA, "dependencies", "warning", words, "the lines above say which are not, and why")
    )


def in_range(line: str, found: str) -> bool:
    """Is a version in the range of a requirement's line? True where nothing can tell (no `packaging`)."""
    try:
        from packaging.requirements import Requirement as Parsed
    except ImportError:
        return True
    return Parsed(line).specifier.contains(found, prereleases=True)


def video(told: Told) -> Finding:
    """Films are read by PyAV, with the decoders of its own FFmpeg."""
    if told.late and "video" not in told.steps:
        return Finding(AREA, "video", "warning", f"not known: {told.ended}", "again when the machine is quiet")
    if fault := told.fault("video"):
        said = f"no film can be read: {oneline(fault, 200)}"
        return Finding(AREA, "video", "will not work", said, "pip install --force-reinstall 'av>=18'")
    step = told.steps["video"]
    decoders: Sequence[str] = step["decoders"]
    words = f"PyAV {step['version']} reads {', '.join(decoders) or 'none of the usual films'}"
    if absent := [name for name in FILMS if name not in decoders]:
        remedy = "pip install --force-reinstall --only-binary av 'av>=18': the wheel brings all of them"
        return Finding(AREA, "video", "warning", f"{words}; not {', '.join(absent)}", remedy)
    return Finding(AREA, "video", "ok", words)


def _requirement(line: str) -> Requirement:
    return Requirement(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower(), line)


def _fault(one: Requirement, told: Told, is_there: Callable[[str], bool]) -> str:
    if one.name in LATER:
        return "" if is_there(one.module) else f"there is no module {one.module}"
    return "" if told.late and one.module not in told.steps else told.fault(one.module)


def versions(asked: Sequence[Requirement]) -> Mapping[str, str]:
    """Each requirement's line by its name."""
    return {one.name: one.line for one in asked}
