"""VidEgoThink: open questions on clips of Ego4D GoalStep.

firstsight data check videgothink:/data/VidEgoThink
firstsight data check videgothink:/data/VidEgoThink:action_count       # one file of questions

Layout: `final_vqa_<part>.json` in the folder or in `data/`. Of each clip the first that is there is taken: the cut clip
`<video_path>`, the authors' eight frames `<image_path>`, Ego4D's `<video_uid>.mp4` from start_time to end_time; each in
the folder, or in `videos/`, `clips/`, `frames/`, `images/`. The times are the original video's, so that a cut clip is
shown whole. Clips of one original video are never parted.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError, oneline
from harness.qa.annotations import Entry, Reading, entries_of, parts_asked, read_json
from harness.qa.clips import frames_clip, video_clip
from harness.qa.items import Clip, QAItem
from harness.qa.media import Sampling, first_there, inside

PREFIX = "final_vqa_"
FOLDERS = ("", "videos/", "clips/", "frames/", "images/")


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the part."""
    found = (*root.glob(f"data/{PREFIX}*.json"), *root.glob(f"{PREFIX}*.json"))
    files = {file.stem.removeprefix(PREFIX): file for file in found}
    if not files:
        raise DataError(f"videgothink: no {PREFIX}<kind>.json in {oneline(root)}: name the folder that holds them")
    reading = Reading("videgothink")
    for kind in parts_asked("videgothink", part, files):
        name = files[kind].name
        for at, entry in enumerate(entries_of(read_json(files[kind], name), name)):
            gold, *also = entry.texts("answer")
            clip = _clip(root, entry, sampling)
            reading.add(
                QAItem(f"videgothink/{kind}/{at}", clip, entry.text("question"), gold, kind, kind, also=tuple(also))
            )
    return reading


def _clip(root: Path, entry: Entry, sampling: Sampling) -> Clip:
    uid, video = entry.text("video_uid"), entry.text("video_path")
    where = f"{entry.where}.video_path"
    cut = first_there(root, [f"{folder}{video}" for folder in FOLDERS], where)
    if not inside(root, cut, where).exists():
        if entry.fields.get("image_path"):
            frames, named = entry.texts("image_path"), f"{entry.where}.image_path"
            for folder in FOLDERS:
                listed = [f"{folder}{frame}" for frame in frames]
                if inside(root, listed[0], named).exists():
                    return frames_clip("videgothink", root, listed, sampling, where=named, recording=uid)
        whole = first_there(root, [f"{folder}{uid}.mp4" for folder in FOLDERS], where)
        if inside(root, whole, where).exists():
            start, end = entry.seconds("start_time"), entry.seconds("end_time")
            return video_clip("videgothink", root, whole, sampling, where=where, start=start, end=end, recording=uid)
    return video_clip("videgothink", root, cut, sampling, where=where, recording=uid)
