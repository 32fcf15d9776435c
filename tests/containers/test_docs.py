"""What docs/image.md says of the scripts is what they say of themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness.image import FIRST_DRIVER, VARIANT_FOR

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"containers/(build|exec|lock)\b([^\n`]*)", GUIDE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize(("script", "rest"), COMMANDS)
def test_every_option_of_the_guide_is_one_of_the_script(script: str, rest: str) -> None:
    told = subprocess.run([ROOT / "containers" / script, "--help"], capture_output=True, text=True, check=True).stdout
    own = rest.partition(" -- ")[0]
    for option in set(re.findall(r"(?<!\S)--[a-z]+", own)) - {"--help"}:
        assert re.search(rf"{option}\b", told), f"{option} is none of containers/{script}"


def test_the_drivers_are_those_that_are_asked_for() -> None:
    for major, driver in FIRST_DRIVER.items():
        assert re.search(rf"\| `{VARIANT_FOR[major]}`[^|]*\| {re.escape(driver)} or newer \|", GUIDE)


def test_the_places_are_those_of_the_definition() -> None:
    made = re.search(r"mkdir -p((?: /\w+)+)\n", (ROOT / "containers" / "firstsight.def").read_text())
    assert made
    assert set(re.findall(r"(?m)^\| `(/\w+)` \|", GUIDE)) == set(made[1].split())
