"""EgoTextVQA: what was seen before the question was asked."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.egotextvqa import read
from harness.qa.media import Sampling
from tests.harness.qa.extracts import lay, write
from tests.harness.qa.film import film, numbers

FOUR = Sampling(4)
UID = "0479bea8-d221-4c6a-8c91-60108e43fe56"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    lay("egotextvqa_indoor_total.json", tmp_path / "data" / "egotextvqa_indoor_total.json")
    outdoor = {"video_id": 17, "question_id": 1, "question": "which exit?", "question_type": "direction"}
    asked = [{**outdoor, "correct_answer": "exit 5", "timestamp": at} for at in (3, 0)]
    write(tmp_path / "egotextvqa_outdoor_total.json", [{"split": "outdoor", "data": asked}])
    return tmp_path


def test_the_extract_is_read(root: Path) -> None:
    items = read(root, "indoor", FOUR)
    assert len(items) == 6
    assert (items[3].question, items[3].gold, items[3].type) == (
        "what game are we possibly playing ?",
        "poker",
        "book-related",
    )
    assert items[0].clip.recording == UID


def test_the_clip_ends_when_the_question_is_asked(root: Path) -> None:
    (root / "videos").mkdir()
    film(root / "videos" / f"{UID}.mp4", frames=300, rate=10)
    assert numbers(read(root, "indoor", Sampling(32))[0].clip.frames()) == list(range(0, 103, 10))


def test_indoor_and_outdoor_are_parts(root: Path) -> None:
    items = read(root, None, FOUR)
    assert [item.id for item in items][-1] == "egotextvqa/outdoor/0"
    assert items[-1].clip.recording == "17", "a number names a video as well"
    assert items.left_out == {"asked before anything was seen (timestamp 0)": 1}
    with pytest.raises(DataError, match="egotextvqa: no part 'road'; there are indoor, outdoor"):
        read(root, "road", FOUR)


def test_a_bad_timestamp_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"egotextvqa: no egotextvqa_<indoor|outdoor>_total.json in"):
        read(tmp_path, None, FOUR)
    entry = {"video_id": "a", "question": "q", "question_type": "t", "correct_answer": "a", "timestamp": "soon"}
    write(tmp_path / "egotextvqa_indoor_total.json", [{"data": [entry]}])
    with pytest.raises(
        DataError, match=r"total.json\[0\].data\[0\].timestamp: must be seconds or hh:mm:ss, not 'soon'"
    ):
        read(tmp_path, None, FOUR)
