"""EgoThink: open questions on single first-person photos.

firstsight data check egothink:/data/EgoThink                    # all twelve kinds
firstsight data check egothink:/data/EgoThink:Reasoning          # comparing, counting and situated
firstsight data check egothink:/data/EgoThink:Reasoning/counting

Layout: `<Kind>/annotations.json` beside `<Kind>/images/<image_path>`. A kind is a part, and the type of its questions.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError, oneline
from harness.qa.annotations import Reading, entries_of, parts_asked, read_json
from harness.qa.clips import photos_clip
from harness.qa.items import QAItem
from harness.qa.media import Sampling


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """Every question of the part."""
    there = [
        f.parent.relative_to(root).as_posix()
        for f in (*root.glob("*/annotations.json"), *root.glob("*/*/annotations.json"))
    ]
    if not there:
        raise DataError(
            f"egothink: no <Kind>/annotations.json in {oneline(root)}: name the folder that holds Activity/"
        )
    reading = Reading("egothink")
    for kind in parts_asked("egothink", part, there):
        file = f"{kind}/annotations.json"
        for at, entry in enumerate(entries_of(read_json(root / file, file), file)):
            images = [f"{kind}/images/{name}" for name in entry.texts("image_path")]
            gold, *also = entry.texts("answer")
            clip = photos_clip("egothink", root, images, where=f"{entry.where}.image_path")
            reading.add(
                QAItem(f"egothink/{kind}/{at}", clip, entry.text("question"), gold, kind, kind, also=tuple(also))
            )
    return reading
