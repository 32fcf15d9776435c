"""EgoTextVQA: open questions about text in the scene, each asked at a moment of the video.

firstsight data check egotextvqa:/data/EgoTextVQA                # indoor and outdoor
firstsight data check egotextvqa:/data/EgoTextVQA:indoor

Layout: `egotextvqa_<indoor|outdoor>_total.json` in the folder or in `data/`; `<video_id>.mp4` in `<indoor|outdoor>/`,
`videos/` or the folder. A question is about what was seen before it was asked: the clip ends at its timestamp.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError, oneline
from harness.qa.annotations import Entry, Reading, entries_of, parts_asked, read_json
from harness.qa.clips import video_clip
from harness.qa.items import QAItem
from harness.qa.media import Sampling, first_there


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the part."""
    files = {
        f.stem.split("_")[1]: f
        for f in (*root.glob("data/egotextvqa_*_total.json"), *root.glob("egotextvqa_*_total.json"))
    }
    if not files:
        raise DataError(f"egotextvqa: no egotextvqa_<indoor|outdoor>_total.json in {oneline(root)}: name its folder")
    reading = Reading("egotextvqa")
    for split in parts_asked("egotextvqa", part, files):
        name = files[split].name
        listed = [one for held in entries_of(read_json(files[split], name), name) for one in _questions(held)]
        for at, entry in enumerate(listed):
            timestamp = entry.seconds("timestamp")
            if timestamp == 0:
                reading.leave_out("asked before anything was seen (timestamp 0)")
                continue
            video = entry.name("video_id")
            places = [f"{folder}{video}.mp4" for folder in (f"{split}/", "videos/", "")]
            where = f"{entry.where}.video_id"
            place = first_there(root, places, where)
            clip = video_clip(
                "egotextvqa", root, place, sampling, where=where, start=0.0, end=timestamp, recording=video
            )
            gold, *also = entry.texts("correct_answer")
            type = entry.text("question_type")
            reading.add(
                QAItem(f"egotextvqa/{split}/{at}", clip, entry.text("question"), gold, type, type, also=tuple(also))
            )
    return reading


def _questions(held: Entry) -> list[Entry]:
    return entries_of(held.fields.get("data"), f"{held.where}.data")
