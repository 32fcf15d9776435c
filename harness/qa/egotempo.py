"""EgoTempo: open questions on Ego4D clips that need the whole clip to be seen.

firstsight data check egotempo:/data/EgoTempo
firstsight data check egotempo:/data/EgoTempo:"action-specific object"     # one question type

Layout: `egotempo_openQA.json`; videos in the folder, in `videos/` or in `clips/`, each either the cut clip
`<clip_id>.mp4` or Ego4D's own `<video uid>.mp4`, of which `clip_id` says start and end. Parts are question types.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError
from harness.qa.annotations import Entry, Reading, entries_of, file_of, parts_asked, read_json
from harness.qa.clips import video_clip
from harness.qa.items import Clip, QAItem
from harness.qa.media import Sampling, first_there, inside

FOLDERS = ("", "videos/", "clips/")


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the part."""
    path, name = file_of(root, "egotempo", "egotempo_openQA.json", "data/egotempo_openQA.json")
    held = read_json(path, name)
    if not isinstance(held, dict):
        raise DataError(f"{name}: must be an object with 'annotations'")
    entries = entries_of(held.get("annotations"), f"{name}.annotations")
    types = set(parts_asked("egotempo", part, (entry.text("question_type") for entry in entries)))
    reading = Reading("egotempo")
    for at, entry in enumerate(entries):
        type = entry.text("question_type")
        if type in types:
            gold, *also = entry.texts("answer")
            clip = _clip(root, entry, sampling)
            reading.add(QAItem(f"egotempo/{at}", clip, entry.text("question"), gold, type, type, also=tuple(also)))
    return reading


def _clip(root: Path, entry: Entry, sampling: Sampling) -> Clip:
    clip_id = entry.text("clip_id")
    try:
        uid, start, end = clip_id.rsplit("_", 2)
        begin, until = float(start), float(end)
    except ValueError:
        entry.fail("clip_id", "must be <video uid>_<start>_<end>")
    where = f"{entry.where}.clip_id"
    cut = first_there(root, [f"{folder}{clip_id}.mp4" for folder in FOLDERS], where)
    if inside(root, cut, where).exists():
        return video_clip("egotempo", root, cut, sampling, where=where, recording=uid)
    whole = first_there(root, [f"{folder}{uid}.mp4" for folder in FOLDERS], where)
    return video_clip("egotempo", root, whole, sampling, where=where, start=begin, end=until, recording=uid)
