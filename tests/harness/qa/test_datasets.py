"""A dataset by its name, and the contact sheet to look at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.pair import DataSpec, SplitSpec
from harness.qa.contact_sheet import FRAME, GAP, write_sheet
from harness.qa.datasets import DESCRIPTIONS, load_items

REPOSITORY = Path(__file__).resolve().parents[3]


def data(dataset: str) -> DataSpec:
    return DataSpec(dataset=dataset, splits={"test": SplitSpec(clips=2, questions_per_clip=2)})


def test_an_unknown_split_is_named_with_those_that_exist(micro: Any) -> None:
    with pytest.raises(DataError) as caught:
        load_items(micro.data, "tset\x1b[31m")
    assert str(caught.value).startswith("no split 'tset")
    assert str(caught.value).endswith(f"in data.splits; there are {', '.join(micro.data.splits)}")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", ["scene", "../scenes", "scenes.py", "class", "scenes\n", "é"])
def test_an_unknown_dataset_is_named(name: str) -> None:
    with pytest.raises(DataError, match=r"^unknown dataset .*: there is no harness/qa/.*\.py$"):
        load_items(data(name), "test")


def test_a_module_that_is_no_dataset_is_named() -> None:
    with pytest.raises(DataError, match=r"harness/qa/grading.py is not a dataset: it has no load_split"):
        load_items(data("grading"), "test")


def test_descriptions_are_never_among_the_questions(micro: Any) -> None:
    assert not {item.type for item in load_items(micro.data, "pool")} & {*DESCRIPTIONS}


def test_items_of_a_type_can_be_asked_for(micro: Any) -> None:
    some = load_items(micro.data, "pool", ["count", "caption"])
    assert {item.type for item in some} == {"count", "caption"}
    with pytest.raises(DataError, match=r"scenes: no item of type 'cuont' in the split pool; there are .*count"):
        load_items(micro.data, "pool", ["count", "cuont"])


# --- the contact sheet


def test_a_sheet_shows_the_frames_of_each_clip_beside_its_questions(items: Any, tmp_path: Path) -> None:
    path = write_sheet(items, tmp_path / "sheet.png", clips=3)
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        pixels = np.asarray(sheet.convert("RGB"))
    first = items[0].clip.frames()
    for number, frame in enumerate(first):
        x = GAP + number * (FRAME + GAP)
        shown = pixels[GAP : GAP + FRAME, x : x + FRAME]
        assert np.array_equal(shown[::2, ::2], frame), "enlarged twofold, nothing resampled"
    text = pixels[GAP : GAP + FRAME, GAP + 4 * (FRAME + GAP) :]
    assert (text < 100).sum() > 500, "questions are written beside them"


def test_a_sheet_is_written_aside_and_nothing_else_is_left(items: Any, tmp_path: Path) -> None:
    write_sheet(items, tmp_path / "sheet.png", clips=1)
    write_sheet(items, tmp_path / "sheet.png", clips=2)
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]


def test_a_sheet_that_cannot_be_written_is_said_and_leaves_nothing(items: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing/sheet.png: cannot be written: No such file or directory"):
        write_sheet(items, tmp_path / "missing" / "sheet.png", clips=1)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(DataError, match=r"taken.png: cannot be written: Is a directory"):
        write_sheet(items, tmp_path / "taken.png", clips=1)
    assert [file.name for file in tmp_path.iterdir()] == ["taken.png"]


def test_a_writer_that_fails_leaves_the_sheet_that_was_there(items: Any, tmp_path: Path) -> None:
    """A full disk, by a limit on file size: the old sheet stays whole."""
    path = write_sheet(items, tmp_path / "sheet.png", clips=1)
    before = path.read_bytes()
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from harness.qa.contact_sheet import write_sheet; from harness.qa.scenes import load_split\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"write_sheet(load_split('test', 2, 2), Path({str(path)!r}))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True)
    assert "DataError" in run.stderr
    assert "cannot be written: File too large" in run.stderr
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]
