"""HD-EPIC VQA: five options on a kitchen video, or on a part of one.

firstsight data check hd-epic:/data/HD-EPIC
firstsight data check hd-epic:/data/HD-EPIC:gaze_gaze_estimation       # one file of questions

Layout: `<kind>.json` in the folder or in `vqa-benchmark/`; videos `<id>.mp4` in `<participant>/`, or either in
`videos/` or `Videos/`. A kind is a part, and the type of its questions.

Texts hold times of the whole video, `<TIME 00:00:03.720 video 1>`: they are written relative to the clip that is shown,
as `00:03.720`. Boxes, `<BBOX …>` in pixels of 1408 × 1408, are written in thousandths of the picture. Questions on
several videos, or with an image beside the video, are left out: a clip is one medium.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import DataError, oneline
from harness.qa.annotations import Entry, Reading, clock_seconds, parts_asked, read_json
from harness.qa.clips import video_clip
from harness.qa.items import QAItem, letter
from harness.qa.media import Sampling, first_there

TIME = re.compile(r"<TIME\s+([\d:.]+)\s+([^<>]+?)\s*>")
BOX = re.compile(r"<BBOX\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*>")
SIDE = 1408  # pixels of the cameras' square picture


class Unsupported(Exception):
    """A question that cannot be asked on one clip, and why."""


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the part that is on one video."""
    folder = root / "vqa-benchmark" if (root / "vqa-benchmark").is_dir() else root
    files = {file.stem: file for file in folder.glob("*.json")}
    if not files:
        raise DataError(f"hd-epic: no <kind>.json in {oneline(folder)}: name the folder that holds vqa-benchmark/")
    reading = Reading("hd-epic")
    for kind in parts_asked("hd-epic", part, files):
        name = files[kind].name
        held = read_json(files[kind], name)
        if not isinstance(held, dict) or not all(isinstance(fields, dict) for fields in held.values()):
            raise DataError(f"{name}: must map each question's id to an object")
        for key, fields in held.items():
            try:
                reading.add(_item(root, kind, key, Entry(f"{name}[{oneline(key, 100)}]", fields), sampling))
            except Unsupported as why:
                reading.leave_out(str(why))
    return reading


def _item(root: Path, kind: str, key: str, entry: Entry, sampling: Sampling) -> QAItem:
    inputs = entry.fields.get("inputs")
    if not isinstance(inputs, dict) or not inputs or not all(isinstance(shown, dict) for shown in inputs.values()):
        entry.fail("inputs", "must map names such as 'video 1' to {id, start_time?, end_time?}")
    if any("image" in name for name in inputs):
        raise Unsupported("asks about an image")
    if len(inputs) > 1:
        raise Unsupported("asks about several videos")
    ((name, fields),) = inputs.items()
    shown = Entry(f"{entry.where}.inputs.{name}", fields)
    video = shown.text("id")
    start = shown.seconds("start_time") if "start_time" in fields else None
    end = shown.seconds("end_time") if "end_time" in fields else None
    if start is not None and end is not None and end <= start:
        end = start + 1.0  # a moment: as the benchmark's authors, one second of it is shown

    choices = entry.fields.get("choices")
    index = entry.fields.get("correct_idx")
    if not isinstance(choices, list) or not 2 <= len(choices) <= 26:
        entry.fail("choices", "must be a list of 2 to 26 texts")
    if type(index) is not int or not 0 <= index < len(choices):
        entry.fail("correct_idx", f"must be an index from 0 to {len(choices) - 1}")
    options = tuple(_option(entry, choice) for choice in choices)

    participant = video.split("-")[0]
    tops = ("", "videos/", "Videos/")
    places = [f"{top}{below}{video}.mp4" for top in tops for below in (f"{participant}/", "")]
    clip = video_clip(
        "hd-epic",
        root,
        first_there(root, places, f"{shown.where}.id"),
        sampling,
        where=shown.where,
        start=start,
        end=end,
        recording=video,
    )
    return QAItem(
        f"hd-epic/{kind}/{key}",
        clip,
        _told(entry.text("question"), name, start or 0.0, entry),
        letter(index),
        kind,
        kind,
        tuple(_told(option, name, start or 0.0, entry) for option in options),
        lettering="lines",
    )


def _option(entry: Entry, choice: object) -> str:
    """Amounts and counts stand as numbers in some kinds."""
    number = isinstance(choice, int | float) and not isinstance(choice, bool)
    return str(choice) if number else Entry(entry.where, {"choices": choice}).text("choices")


def _told(text: str, name: str, start: float, entry: Entry) -> str:
    """Times relative to the clip, boxes in thousandths."""

    def time(found: re.Match[str]) -> str:
        if found[2] != name:
            entry.fail("question", f"names {found[2]!r}, which is not among its inputs")
        try:
            at = clock_seconds(found[1]) - start
        except ValueError:
            entry.fail("question", f"{found[1]!r} is no time")
        if at < -0.5:
            raise Unsupported("names a time before the clip that is shown")
        milliseconds = max(0, round(at * 1000))
        hours, rest = divmod(milliseconds, 3_600_000)
        return (f"{hours:02d}:" if hours else "") + f"{rest // 60_000:02d}:{rest % 60_000 / 1000:06.3f}"

    def box(found: re.Match[str]) -> str:
        return "(" + ", ".join(str(int(float(side) / SIDE * 1000)) for side in found.groups()) + ")"

    return BOX.sub(box, TIME.sub(time, text))
