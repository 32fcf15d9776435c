"""Questions of one's own, a JSON object a line: what is read, what is refused, and the schema that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.qa.jsonl import parse_line, read, schema
from harness.qa.media import Sampling
from tests.harness.qa.film import film, number, numbers, photo

REPOSITORY = Path(__file__).resolve().parents[3]
FOUR = Sampling(4)
OPEN = {"id": "1", "media": "a.mp4", "question": "What is cut?", "answers": ["bread"]}
CHOICE = {"id": "2", "media": "a.mp4", "question": "Which way?", "options": ["left", "right"], "answer": "B"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))


def written(folder: Path, *entries: Any) -> Path:
    path = folder / "ours.jsonl"
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return path


def test_an_open_question_on_a_part_of_a_video(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=100, rate=10, tone=np.zeros(160_000, np.float32))
    entry = OPEN | {"start": 2.5, "end": 5, "answers": ["bread", "a loaf"], "type": "object"}
    (item,) = read(written(tmp_path, entry), None, FOUR)
    assert (item.id, item.question, item.gold, item.also) == ("1", "What is cut?", "bread", ("a loaf",))
    assert (item.type, item.template, item.clip.recording, item.clip.still) == ("object", "object", "a.mp4", False)
    assert numbers(item.clip.frames()) == [25, 35, 45]
    sound = item.clip.sound()
    assert sound is not None
    assert sound.shape == (40_000,)


def test_options_are_lettered_line_by_line(tmp_path: Path) -> None:
    (item,) = read(written(tmp_path, CHOICE), None, FOUR)
    assert (item.gold, item.options, item.type) == ("B", ("left", "right"), "question")
    assert item.prompt.startswith("Which way?\nA. left\nB. right\n")


def test_a_folder_of_frames_is_a_video_and_a_list_of_images_are_photos(tmp_path: Path) -> None:
    for place in range(9):
        photo(tmp_path / "walk" / f"{place}.png", place)
    path = written(
        tmp_path,
        OPEN | {"media": "walk/"},
        OPEN | {"id": "2", "media": "walk"},
        OPEN | {"id": "3", "media": ["walk/0.png", "walk/3.png"], "recording": "the walk"},
    )
    folder, same, photos = (item.clip for item in read(path, None, FOUR))
    assert numbers(folder.frames()) == [0, 2, 5, 8]
    assert folder.id == same.id
    assert photos.still
    assert photos.recording == "the walk"
    assert [number(frame) for frame in photos.frames()] == [0, 3]


def test_questions_on_one_clip_share_it(tmp_path: Path) -> None:
    timed = {"start": 1, "end": 2}
    items = read(written(tmp_path, OPEN | timed, CHOICE | timed, CHOICE | {"id": "3"}), None, FOUR)
    assert len({item.clip.id for item in items}) == 2
    assert {item.clip.recording for item in items} == {"a.mp4"}


def test_media_that_are_absent_are_an_error_only_when_they_are_asked_for(tmp_path: Path) -> None:
    items = read(written(tmp_path, OPEN, CHOICE | {"media": ["b.jpg"]}, OPEN | {"id": "3", "media": "c/"}), None, FOUR)
    for item, name in zip(items, ("a.mp4", "b.jpg", "c"), strict=True):
        assert " absent " in item.clip.source
        with pytest.raises(DataError, match=f"^{name}: no such f"):
            item.clip.frames()


def test_the_source_changes_with_the_file_the_times_and_the_sampling(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    path = written(tmp_path, OPEN)
    sources = {read(path, None, sampling)[0].clip.source for sampling in (FOUR, Sampling(8), Sampling(4, 32))}
    sources.add(read(written(tmp_path, OPEN | {"end": 3}), None, FOUR)[0].clip.source)
    film(tmp_path / "a.mp4", frames=40)
    sources.add(read(path, None, FOUR)[0].clip.source)
    assert len(sources) == 5
    assert not any(str(tmp_path) in source for source in sources), "no path of this machine is in it"


def test_a_type_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, OPEN | {"type": "object"}, CHOICE)
    assert [item.id for item in read(path, "object", FOUR)] == ["1"]
    with pytest.raises(DataError, match="jsonl: no part 'objects'; there are object, question"):
        read(path, "objects", FOUR)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ([1], r"ours.jsonl:1: must be an object such as .*, not \[1\]"),
        (OPEN | {"answer_": 1}, "ours.jsonl:1.answer_: unknown key; there are id, media"),
        (OPEN | {"options": ["a", "b"], "answer": "A"}, "answers: not together with options and answer"),
        ({k: v for k, v in OPEN.items() if k != "answers"}, "ours.jsonl:1: neither answers nor options and answer"),
        ({k: v for k, v in OPEN.items() if k != "question"}, "ours.jsonl:1.question: missing"),
        (OPEN | {"question": " "}, "ours.jsonl:1.question: must say something"),
        (OPEN | {"answers": []}, "ours.jsonl:1.answers: List should have at least 1 item"),
        (OPEN | {"id": 1}, "ours.jsonl:1.id: Input should be a valid string"),
        (CHOICE | {"answer": "right"}, "ours.jsonl:1.answer: must be the right option's letter, such as A"),
        (CHOICE | {"answer": "C"}, "ours.jsonl:1.answer: C, but the options end with B"),
        (CHOICE | {"options": ["left", "left"]}, "ours.jsonl:1.options: the options must differ"),
        (CHOICE | {"options": ["left"]}, "ours.jsonl:1.options: List should have at least 2 items"),
        (OPEN | {"start": -1}, "ours.jsonl:1.start: Input should be greater than or equal to 0"),
        (OPEN | {"start": "1"}, "ours.jsonl:1.start: Input should be a valid number"),
        (OPEN | {"start": 3, "end": 3}, r"ours.jsonl:1.end: 3 s is not after the start \(3 s\)"),
        (OPEN | {"media": "../a.mp4"}, "ours.jsonl:1.media: '../a.mp4' leaves the data's folder"),
        (OPEN | {"media": "a.jpg"}, r"ours.jsonl:1.media: 'a.jpg' is a photo: write it as a list"),
        (OPEN | {"media": ["a.jpg"], "end": 3}, "ours.jsonl:1.end: only a video has times"),
        (OPEN | {"media": "walk/", "start": 3}, "ours.jsonl:1.start: only a video has times"),
        (OPEN | {"question": "\ud800"}, "unable to parse raw data as a unicode string"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_key(entry: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read(written(tmp_path, entry), None, FOUR)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "ours.jsonl:1: not JSON: "),
        (b'{"id": NaN}', "ours.jsonl:1: not JSON: NaN is not a JSON number"),
        (b'{"id": "1", "id": "2"}', "ours.jsonl:1: not JSON: a key is there twice"),
        (b"[" * 100_000, "ours.jsonl:1: not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_what_is_no_json_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "ours.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(tmp_path / "ours.jsonl", None, FOUR)


def test_an_id_is_there_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ours.jsonl:2.id: '1' is already in ours.jsonl:1: ids must differ"):
        read(written(tmp_path, OPEN, OPEN), None, FOUR)


def test_a_folder_or_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder: name the .jsonl file in it"):
        read(tmp_path, None, FOUR)
    with pytest.raises(DataError, match=r"gone.jsonl cannot be read \(No such file or directory\)"):
        read(tmp_path / "gone.jsonl", None, FOUR)


# --- the schema


def test_the_schema_in_the_docs_is_up_to_date() -> None:
    told = json.loads((REPOSITORY / "docs" / "jsonl.schema.json").read_text())
    assert told == schema(), "python -m harness.qa.jsonl > docs/jsonl.schema.json"


VALIDATOR = jsonschema.Draft202012Validator(schema())
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**7)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
TEXTS = st.text(max_size=3) | st.sampled_from(["a", " ", "\x1f", "\u2028", "é"])
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXTS,
    "media": TEXTS | st.lists(TEXTS, max_size=2),
    "question": TEXTS,
    "type": st.none() | TEXTS,
    "recording": st.none() | TEXTS,
    "start": st.none() | st.integers(-1, 4) | st.floats(0, 4),
    "end": st.none() | st.integers(5, 9) | st.floats(5, 2_000_000),
    "options": st.lists(TEXTS, max_size=4),
    "answer": st.sampled_from(["A", "B", "C", "D", "E", "a", "AB", "", "A\n"]),
    "answers": st.lists(TEXTS, max_size=2),
}


@st.composite
def entries(draw: st.DrawFn) -> Any:
    """Mostly right lines: a good one with some keys drawn anew, taken away, or of another kind."""
    entry: dict[str, Any] = dict(draw(st.sampled_from([OPEN, CHOICE])))
    for key in draw(st.lists(st.sampled_from([*LIKELY, "other"]), max_size=4)):
        change = draw(st.sampled_from(["anew", "anew", "anew", "away", "anything"]))
        entry.pop(key, None)
        if change != "away":
            entry[key] = draw(LIKELY.get(key, ANYTHING) if change == "anew" else ANYTHING)
    return entry


@settings(max_examples=400, deadline=None)
@given(entries() | ANYTHING)
def test_the_schema_accepts_what_the_reader_accepts(entry: Any) -> None:
    """And the other way round; but for start < end, which JSON Schema cannot say."""
    accepted = VALIDATOR.is_valid(entry)
    if accepted and entry.get("end") is not None and entry["end"] <= (entry.get("start") or 0):
        accepted = False
    try:
        parse_line(json.dumps(entry), "ours.jsonl:1")
    except DataError:
        assert not accepted
    else:
        assert accepted
