"""A dataset by its name, and the contact sheet to look at it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DataError
from harness.pair import DataSpec, SplitSpec
from harness.qa import jsonl
from harness.qa.contact_sheet import FRAME, GAP, write_sheet
from harness.qa.datasets import DESCRIPTIONS, dataset_names, items_digest, load_items, read_all
from harness.qa.media import Sampling

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
    with pytest.raises(DataError, match=r"harness/qa/grading.py is not a dataset: it has neither load_split nor read"):
        load_items(data("grading"), "test")


def test_descriptions_are_never_among_the_questions(micro: Any) -> None:
    assert not {item.type for item in load_items(micro.data, "pool")} & {*DESCRIPTIONS}


def test_items_of_a_type_can_be_asked_for(micro: Any) -> None:
    some = load_items(micro.data, "pool", ["count", "caption"])
    assert {item.type for item in some} == {"count", "caption"}
    with pytest.raises(DataError, match=r"scenes: no item of type 'cuont' in the split pool; there are .*count"):
        load_items(micro.data, "pool", ["count", "cuont"])


# --- what is read is dealt to the splits


def asked_set(tmp_path: Path, recordings: int, clips: int = 1, questions: int = 1) -> str:
    """A jsonl of so many recordings, each with clips, each with questions. No media: nothing is decoded here."""
    lines = [
        {
            "id": f"{recording}/{clip}/{question}",
            "media": f"{recording}.mp4",
            "start": clip,
            "end": clip + 1,
            "question": f"what is it? ({question})",
            "answers": ["it"],
            "type": "even" if question % 2 == 0 else "odd",
        }
        for recording in range(recordings)
        for clip in range(clips)
        for question in range(questions)
    ]
    path = tmp_path / f"{recordings}-{clips}-{questions}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def dealt(path: str, splits: dict[str, SplitSpec], **changes: Any) -> dict[str, list[Any]]:
    spec = DataSpec(dataset="jsonl", path=path, splits=splits, **changes)
    return {name: load_items(spec, name) for name in splits}


def recordings_of(items: list[Any]) -> set[str]:
    return {item.clip.recording for item in items}


SHARES = {"train": SplitSpec(share=0.7), "val": SplitSpec(share=0.1), "test": SplitSpec(share=0.2)}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_recording_is_in_two_splits_and_none_is_lost(seed: int, tmp_path: Path) -> None:
    splits = dealt(asked_set(tmp_path, 50, clips=3), SHARES, seed=seed)
    parts = [recordings_of(items) for items in splits.values()]
    assert [len(part) for part in parts] == [35, 5, 10]
    assert len(set.union(*parts)) == 50
    assert sum(len(items) for items in splits.values()) == 150


def test_who_is_dealt_where_is_a_function_of_the_seed(tmp_path: Path) -> None:
    path = asked_set(tmp_path, 30)
    first, again, other = (dealt(path, SHARES, seed=seed)["test"] for seed in (0, 0, 1))
    assert [item.id for item in first] == [item.id for item in again]
    assert recordings_of(first) != recordings_of(other)


@given(st.integers(1, 40), st.lists(st.integers(1, 10), min_size=1, max_size=5))
def test_shares_are_rounded_where_they_end(recordings: int, weights: list[int]) -> None:
    """Whatever the shares: nothing twice, nothing lost, nobody empty-handed, and nobody a recording and more off."""
    splits = {f"s{at}": SplitSpec(share=weight / sum(weights)) for at, weight in enumerate(weights)}
    with tempfile.TemporaryDirectory() as folder:
        path = asked_set(Path(folder), recordings)
        if recordings < len(splits):
            with pytest.raises(DataError, match=r"too few for data\.splits"):
                dealt(path, splits)
            return
        parts = [recordings_of(items) for items in dealt(path, splits).values()]
    sizes = [len(part) for part in parts]
    assert min(sizes) >= 1
    assert sum(sizes) == recordings == len(set.union(*parts))
    ideals = [weight / sum(weights) * recordings for weight in weights]
    if min(ideals) >= 1:
        assert all(abs(size - ideal) <= 1.000001 for size, ideal in zip(sizes, ideals, strict=True))


def test_four_quarters_of_six_recordings_are_dealt(tmp_path: Path) -> None:
    quarters = {name: SplitSpec(share=0.25) for name in "abcd"}
    splits = dealt(asked_set(tmp_path, 6), quarters)
    assert [len(items) for items in splits.values()] == [2, 1, 1, 2]


def test_clips_can_be_counted_and_recordings_still_stay_whole(tmp_path: Path) -> None:
    splits = dealt(
        asked_set(tmp_path, 6, clips=3),
        {"train": SplitSpec(clips=4), "rest": SplitSpec(share=0.5), "test": SplitSpec(clips=1)},
    )
    clips = {name: {item.clip.id for item in items} for name, items in splits.items()}
    assert {name: len(of_split) for name, of_split in clips.items()} == {"train": 4, "rest": 9, "test": 1}
    assert sum(len(recordings_of(items)) for items in splits.values()) == 2 + 3 + 1


def test_a_limit_keeps_the_first_clips_of_each_split(tmp_path: Path) -> None:
    path = asked_set(tmp_path, 20, questions=2)
    whole, limited = dealt(path, SHARES), dealt(path, SHARES, limit=2)
    for name in SHARES:
        assert [item.id for item in limited[name]] == [item.id for item in whole[name]][:4]


def test_questions_per_clip_are_the_first_of_each(tmp_path: Path) -> None:
    (items,) = dealt(asked_set(tmp_path, 3, questions=5), {"all": SplitSpec(share=1.0, questions_per_clip=2)}).values()
    assert len(items) == 6
    assert {item.id[-1] for item in items} == {"0", "1"}


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        ({"train": SplitSpec(clips=9)}, "train 9"),
        ({"train": SplitSpec(clips=8), "test": SplitSpec(clips=1)}, "train 8, test 1"),
        (
            {"train": SplitSpec(share=0.5), "val": SplitSpec(share=0.5), "test": SplitSpec(clips=3)},
            "train 50%, val 50%, test 3",
        ),
    ],
)
def test_too_few_clips_are_said_with_what_was_asked_for(
    splits: dict[str, SplitSpec], told: str, tmp_path: Path
) -> None:
    path = asked_set(tmp_path, 4, clips=2)
    with pytest.raises(DataError) as caught:
        dealt(path, splits)
    assert str(caught.value) == (
        f"jsonl: 4 recordings (8 clips) in {path} are too few for data.splits ({told}); "
        "name smaller splits in the pair file"
    )


def test_a_dataset_without_a_folder_or_with_a_wrong_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"jsonl is read from a folder: --qa jsonl:/path/to/it"):
        load_items(DataSpec(dataset="jsonl", splits=SHARES), "test")
    with pytest.raises(DataError, match=r"jsonl: no folder .*gone"):
        dealt(str(tmp_path / "gone"), SHARES)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="jsonl: no question in"):
        dealt(str(tmp_path / "empty.jsonl"), SHARES)


def test_every_dataset_is_listed_by_the_name_that_is_typed() -> None:
    assert dataset_names() == [
        "egoschema",
        "egotempo",
        "egotextvqa",
        "egothink",
        "hd-epic",
        "jsonl",
        "open-eqa",
        "videgothink",
    ]


def test_the_digest_of_what_is_asked_changes_with_questions_answers_and_files(tmp_path: Path) -> None:
    path = Path(asked_set(tmp_path, 3))
    text = path.read_text()
    changes = [
        text,
        text.replace("(0)", "(1)"),
        text.replace('["it"]', '["it", "that"]'),
        text.replace('"end": 1', '"end": 2'),
    ]
    digests = set()
    for at, changed in enumerate(changes):
        other = path.with_name(f"{at}.jsonl")
        other.write_text(changed)
        digests.add(items_digest(read_all(DataSpec(dataset="jsonl", path=str(other), splits=SHARES))))
    (tmp_path / "0.mp4").write_bytes(b"a video came")
    digests.add(items_digest(jsonl.read(path.with_name("0.jsonl"), None, Sampling(4))))
    assert len(digests) == 5


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
