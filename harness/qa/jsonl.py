"""Questions of your own: one JSON object a line, media beside the file. docs/adding-a-dataset.md tells it all.

{"id": "1", "media": "kitchen.mp4", "start": 2.5, "end": 9, "question": "What is cut?", "answers": ["bread", "a loaf"]}
{"id": "2", "media": "walk/", "question": "Which way?", "options": ["left", "right"], "answer": "B", "type": "way"}
{"id": "3", "media": ["1.jpg"], "question": "What is in the pan?", "answers": ["eggs"]}

firstsight data check jsonl:/data/ours/questions.jsonl               # or :type for the questions of one type
python -m harness.qa.jsonl > docs/jsonl.schema.json                  # the JSON Schema of a line
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic import WithJsonSchema as Shown

from harness.errors import DataError, oneline
from harness.qa.annotations import Reading, parts_asked
from harness.qa.clips import frames_clip, photos_clip, video_clip
from harness.qa.items import Clip, QAItem
from harness.qa.media import Sampling, inside
from harness.qa.photos import ENDINGS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _each_once(options: list[str]) -> list[str]:
    if len(set(options)) < len(options):
        raise ValueError("the options must differ")
    return options


Text = Annotated[str, Field(pattern=r"\S")]  # some character that is no space
Seconds = Annotated[float, Field(ge=0, le=1_000_000)]
Options = Annotated[
    list[Text],
    Field(min_length=2, max_length=len(LETTERS)),
    AfterValidator(_each_once),
    Shown(
        {
            "type": "array",
            "items": {"type": "string", "pattern": r"\S"},
            "minItems": 2,
            "maxItems": 26,
            "uniqueItems": True,
        }
    ),
]


class Asked(BaseModel):
    """What every line has."""

    model_config = ConfigDict(extra="forbid", strict=True, regex_engine="python-re")

    id: Text = Field(description="names the question; no two lines have the same")
    media: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        description="a video file; a folder of frames, with / at its end; or a list of photos. Below the file's folder"
    )
    start: Seconds | None = Field(None, description="where the clip starts, seconds; videos only (default: 0)")
    end: Seconds | None = Field(
        None, description="where it ends, seconds, after its start; videos only (default: the video's end)"
    )
    question: Text = Field(description="what is asked, without the options")
    type: Text | None = Field(None, description="kind of question, by which results are told apart")
    recording: Text | None = Field(
        None,
        description="what the clip was cut from: of one recording, nothing is both learnt and tested (default: media)",
    )


class MultipleChoice(Asked):
    """A question with options, of which one is right."""

    model_config = ConfigDict(
        # JSON Schema cannot compare a letter with a count, so that each letter says how many options it needs.
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"answer": {"const": letter}}},
                    "then": {"properties": {"options": {"minItems": at + 1}}},
                }
                for at, letter in enumerate(LETTERS)
                if at >= 2
            ]
        }
    )

    options: Options = Field(description="in the order in which they are shown, without letters")
    answer: Annotated[str, Field(pattern=r"^[A-Z]\Z"), Shown({"type": "string", "enum": list(LETTERS)})] = Field(
        description="the right option's letter: A is the first"
    )


class Open(Asked):
    """A question answered in one's own words."""

    answers: Annotated[list[Text], Field(min_length=1)] = Field(
        description="right answers; the first is the one to learn from, all of them count"
    )


def _kind(entry: Any) -> str:
    return "options" if isinstance(entry, dict) and ("options" in entry or "answer" in entry) else "answers"


Line = Annotated[Annotated[MultipleChoice, Tag("options")] | Annotated[Open, Tag("answers")], Discriminator(_kind)]
LINE: TypeAdapter[MultipleChoice | Open] = TypeAdapter(Line)


def schema() -> dict[str, Any]:
    """JSON Schema of one line. It cannot say that `end` comes after `start`; the reader does."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A line of a FirstSight jsonl dataset"}
    return {**title, **LINE.json_schema()}


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the file, or those of the type `part`."""
    lines = _lines(root)
    types = {entry.type or "question" for _, entry in lines}
    asked = set(parts_asked("jsonl", part, types))
    reading = Reading("jsonl")
    for where, entry in lines:
        type = entry.type or "question"
        if type not in asked:
            continue
        clip = _clip(root.parent, entry, where, sampling)
        if isinstance(entry, Open):
            gold, *also = entry.answers
            reading.add(QAItem(entry.id, clip, entry.question, gold, type, type, also=tuple(also)))
        else:
            options = tuple(entry.options)
            reading.add(QAItem(entry.id, clip, entry.question, entry.answer, type, type, options, lettering="lines"))
    return reading


def parse_line(text: str, where: str) -> MultipleChoice | Open:
    """One line. DataError that names file, line and key."""
    try:
        found = json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{where}: not JSON: {why}; write one object a line") from None
    try:
        entry = LINE.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        # The first step of the place is the kind of entry, which the file does not name.
        key = ".".join(str(step) for step in first["loc"][1:] if step not in ("str", "list[str]", "constrained-str"))
        _fail(where, key, first["type"], first["msg"], found)
    if isinstance(entry, MultipleChoice) and LETTERS.index(entry.answer) >= len(entry.options):
        raise DataError(f"{where}.answer: {entry.answer}, but the options end with {LETTERS[len(entry.options) - 1]}")
    if entry.end is not None and entry.end <= (entry.start or 0):
        raise DataError(f"{where}.end: {entry.end:g} s is not after the start ({entry.start or 0:g} s)")
    return entry


def _fail(where: str, key: str, kind: str, message: str, found: object) -> NoReturn:
    place = f"{where}.{key}" if key else where
    if kind == "missing" and key == "answers":
        raise DataError(f"{where}: neither answers nor options and answer: give one of them")
    if kind == "extra_forbidden":
        both = isinstance(found, dict) and key == "answers"
        why = "not together with options and answer" if both else f"unknown key; there are {', '.join(_keys())}"
        raise DataError(f"{place}: {why}")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        raise DataError(f'{where}: must be an object such as {{"id": …}}, not {oneline(json.dumps(found), 60)}')
    ours = {"missing": "missing", "string_pattern_mismatch": "must say something"}
    if key == "answer" and kind != "missing":
        ours[kind] = "must be the right option's letter, such as A"
    raise DataError(f"{place}: {ours.get(kind, message.removeprefix('Value error, '))}")


def _keys() -> list[str]:
    return list(dict.fromkeys([*Open.model_fields, *MultipleChoice.model_fields]))


def _lines(path: Path) -> list[tuple[str, MultipleChoice | Open]]:
    if path.is_dir():
        raise DataError(f"jsonl: {oneline(path)} is a folder: name the .jsonl file in it")
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"jsonl: {oneline(path)} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"jsonl: {oneline(path)} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    entries: list[tuple[str, MultipleChoice | Open]] = []
    first: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        entry = parse_line(line, where)
        if entry.id in first:
            raise DataError(f"{where}.id: {oneline(entry.id, 100)!r} is already in {first[entry.id]}: ids must differ")
        first[entry.id] = where
        entries.append((where, entry))
    return entries


def _clip(root: Path, entry: MultipleChoice | Open, where: str, sampling: Sampling) -> Clip:
    named = f"{where}.media"
    timed = entry.start is not None or entry.end is not None
    is_folder = isinstance(entry.media, str) and (
        entry.media.endswith("/") or inside(root, entry.media, named).is_dir()
    )
    if timed and (is_folder or not isinstance(entry.media, str)):
        raise DataError(
            f"{where}.{'start' if entry.start is not None else 'end'}: only a video has times; leave it out"
        )
    if not isinstance(entry.media, str):
        return photos_clip("jsonl", root, entry.media, where=named, recording=entry.recording)
    if is_folder:
        return frames_clip("jsonl", root, entry.media, sampling, where=named, recording=entry.recording)
    if Path(entry.media).suffix.lower() in ENDINGS:
        raise DataError(f'{named}: {oneline(entry.media, 100)!r} is a photo: write it as a list, ["…"]')
    return video_clip(
        "jsonl", root, entry.media, sampling, where=named, start=entry.start, end=entry.end, recording=entry.recording
    )


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
