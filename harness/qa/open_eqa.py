"""OpenEQA: open questions on an episode, a walk through a house kept as a folder of frames.

firstsight data check open-eqa:/data/open-eqa
firstsight data check open-eqa:/data/open-eqa:"object recognition"     # one category

Layout: `open-eqa-v0.json` in the folder or in `data/`; `<episode_history>/` in `frames/`, `data/frames/` or the folder.
Parts are categories. Where frames are called `…-rgb.png`, the depth maps beside them are passed over.
"""

from __future__ import annotations

from pathlib import Path

from harness.qa.annotations import Reading, entries_of, file_of, parts_asked, read_json
from harness.qa.clips import frames_clip
from harness.qa.items import Clip, QAItem
from harness.qa.media import Sampling, first_there


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the part."""
    path, name = file_of(root, "open-eqa", "open-eqa-v0.json", "data/open-eqa-v0.json")
    entries = entries_of(read_json(path, name), name)
    categories = set(parts_asked("open-eqa", part, (entry.text("category") for entry in entries)))
    reading = Reading("open-eqa")
    episodes: dict[str, Clip] = {}  # a folder of a thousand frames is listed once, and asked about nine times
    for entry in entries:
        category = entry.text("category")
        if category not in categories:
            continue
        episode, where = entry.text("episode_history"), f"{entry.where}.episode_history"
        if episode not in episodes:
            place = first_there(root, [f"{folder}{episode}" for folder in ("frames/", "data/frames/", "")], where)
            episodes[episode] = frames_clip("open-eqa", root, place, sampling, where=where, recording=episode)
        answers = entry.texts("answer")
        if entry.fields.get("extra_answers"):
            answers += entry.texts("extra_answers")
        gold, *also = dict.fromkeys(answers)
        item_id = f"open-eqa/{entry.text('question_id')}"
        reading.add(
            QAItem(item_id, episodes[episode], entry.text("question"), gold, category, category, also=tuple(also))
        )
    return reading
