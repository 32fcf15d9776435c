"""EgoSchema: five options, and only the questions whose answers are known."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.qa.egoschema import read
from harness.qa.media import Sampling
from tests.harness.qa.extracts import write
from tests.harness.qa.film import film, numbers

FOUR = Sampling(4)


def question(uid: str) -> dict[str, Any]:
    options = {f"option {at}": f"C doing thing {at}" for at in range(5)}
    return {"q_uid": uid, "google_drive_id": "x", "question": f"What does C do in {uid}?", **options}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "questions.json", [question(uid) for uid in ("aa", "bb", "cc")])
    write(tmp_path / "subset_answers.json", {"aa": 3, "cc": 0})
    return tmp_path


def test_the_subset_is_read_and_the_rest_is_counted(root: Path) -> None:
    items = read(root, None, FOUR)
    assert [(item.id, item.gold) for item in items] == [("egoschema/aa", "D"), ("egoschema/cc", "A")]
    assert items.left_out == {"no public answer (outside the subset)": 1}
    assert items[0].prompt == (
        "What does C do in aa?\nA. C doing thing 0\nB. C doing thing 1\nC. C doing thing 2\nD. C doing thing 3\n"
        "E. C doing thing 4\nAnswer with the option's letter from the given choices directly."
    )
    assert [item.id for item in read(root, "subset", FOUR)] == [item.id for item in items]
    with pytest.raises(DataError, match="egoschema: no part 'full'; there are subset"):
        read(root, "full", FOUR)


@pytest.mark.parametrize("folder", ["", "videos", "good_clips_git"])
def test_the_video_is_found_in_the_folders_people_keep_it_in(folder: str, root: Path) -> None:
    (root / folder).mkdir(exist_ok=True)
    film(root / folder / "aa.mp4", frames=100, rate=10)
    clip = read(root, None, FOUR)[0].clip
    assert clip.recording == "aa"
    assert numbers(clip.frames()) == [0, 33, 66, 99]
    assert numbers(clip.frames()) == [0, 33, 66, 99], "the second time from the cache"
    assert len(list((root / "cache" / "frames").rglob("*.npy"))) == 1


def test_annotations_may_lie_in_benchmark(root: Path) -> None:
    (root / "benchmark").mkdir()
    for name in ("questions.json", "subset_answers.json"):
        (root / name).rename(root / "benchmark" / name)
    assert len(read(root, None, FOUR)) == 2


@pytest.mark.parametrize("right", [5, -1, "x", None, 1.0, True])
def test_an_answer_is_an_index(right: object, root: Path) -> None:
    write(root / "subset_answers.json", {"aa": right})
    with pytest.raises(DataError, match=r"subset_answers.json.aa: must be an index from 0 to 4"):
        read(root, None, FOUR)


def test_missing_files_duplicates_and_paths_that_leave_are_named(root: Path) -> None:
    write(root / "questions.json", [question("aa"), question("aa")])
    with pytest.raises(DataError, match="egoschema: the id 'egoschema/aa' is there twice"):
        read(root, None, FOUR)
    write(root / "questions.json", [question("../aa")])
    write(root / "subset_answers.json", {"../aa": 1})
    with pytest.raises(DataError, match=r"questions.json\[0\].q_uid: .* leaves the data's folder"):
        read(root, None, FOUR)
    (root / "subset_answers.json").unlink()
    with pytest.raises(DataError, match=r"egoschema: no subset_answers.json or benchmark/subset_answers.json in "):
        read(root, None, FOUR)
