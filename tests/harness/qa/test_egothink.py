"""EgoThink: photos by kind."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.egothink import read
from harness.qa.media import Sampling
from tests.harness.qa.extracts import EXTRACTS, lay, write
from tests.harness.qa.film import number, photo

FOUR = Sampling(4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """All twelve kinds; photos of two."""
    for extract in sorted(EXTRACTS.glob("egothink_*.json")):
        kind = extract.stem.removeprefix("egothink_").removesuffix("_annotations").replace("_", "/")
        for entry in lay(extract.name, tmp_path / kind / "annotations.json"):
            if kind in ("Activity", "Reasoning/counting"):
                photo(tmp_path / kind / "images" / entry["image_path"][0], len(kind) + int(entry["image_path"][0][0]))
    return tmp_path


def test_the_extract_of_every_kind_is_read(root: Path) -> None:
    items = read(root, None, FOUR)
    assert len(items) == 48
    assert len({item.type for item in items}) == 12
    first = items[0]
    assert (first.id, first.question, first.gold) == (
        "egothink/Activity/0",
        "What am I doing?",
        "tightening the screws",
    )
    assert first.template == first.type == "Activity"
    assert not first.options
    assert not items.left_out


def test_a_question_is_on_one_photo_at_its_own_size(root: Path) -> None:
    item = read(root, "Reasoning/counting", FOUR)[2]
    assert item.clip.still
    (frame,) = item.clip.frames()
    assert number(frame) == len("Reasoning/counting") + 3
    assert item.clip.sound() is None


def test_a_part_is_a_kind_or_a_group_of_kinds(root: Path) -> None:
    assert {item.type for item in read(root, "Reasoning", FOUR)} == {
        "Reasoning/comparing",
        "Reasoning/counting",
        "Reasoning/situated",
    }
    with pytest.raises(
        DataError, match="egothink: no part 'Reason'; there are Activity, Forecast, Localization/location"
    ):
        read(root, "Reason", FOUR)


def test_absent_photos_do_not_keep_the_questions_from_being_read(root: Path) -> None:
    item = read(root, "Forecast", FOUR)[0]
    assert "absent" in item.clip.source
    with pytest.raises(DataError, match=r"^Forecast/images/1.jpg: no such file: put it below"):
        item.clip.frames()


def test_the_same_photo_in_two_kinds_is_one_recording(root: Path) -> None:
    (root / "Forecast" / "images").mkdir()
    (root / "Forecast" / "images" / "4.jpg").write_bytes((root / "Activity" / "images" / "1.jpg").read_bytes())
    by_id = {item.id: item for item in read(root, None, FOUR)}
    assert by_id["egothink/Forecast/3"].clip.recording == by_id["egothink/Activity/0"].clip.recording
    assert by_id["egothink/Activity/1"].clip.recording != by_id["egothink/Activity/0"].clip.recording


def test_a_photos_source_is_not_changed_by_how_videos_are_sampled(root: Path) -> None:
    assert read(root, "Activity", FOUR)[0].clip.source == read(root, "Activity", Sampling(32, 384))[0].clip.source


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"image_path": ["../../1.jpg"], "question": "q", "answer": "a"},
            r"\[0\].image_path: .* leaves the data's folder",
        ),
        ({"image_path": [], "question": "q", "answer": "a"}, r"\[0\].image_path: missing"),
        ({"image_path": "1.jpg", "question": "q"}, r"Activity/annotations.json\[0\].answer: missing"),
        ({"image_path": "1.jpg", "question": 3, "answer": "a"}, r"\[0\].question: must be text, not 3"),
        ("1.jpg", r"\[0\]: must be an object"),
    ],
)
def test_bad_entries_are_named(entry: object, said: str, tmp_path: Path) -> None:
    write(tmp_path / "Activity" / "annotations.json", [entry])
    with pytest.raises(DataError, match=said):
        read(tmp_path, None, FOUR)


def test_a_folder_that_is_not_egothink_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"egothink: no <Kind>/annotations.json in .*: name the folder that holds"):
        read(tmp_path, None, FOUR)
    (tmp_path / "Activity").mkdir()
    (tmp_path / "Activity" / "annotations.json").write_bytes(b'[{"question":')
    with pytest.raises(DataError, match=r"annotations.json: not JSON: .*; fetch the file again"):
        read(tmp_path, None, FOUR)


def test_an_answer_may_be_a_list_and_a_text_once_is_enough(tmp_path: Path) -> None:
    entry = {"image_path": "1.jpg", "question": "q", "answer": ["a ", "b", "a"]}
    write(tmp_path / "Activity" / "annotations.json", [entry])
    (item,) = read(tmp_path, None, FOUR)
    assert (item.gold, item.also) == ("a", ("b",))
