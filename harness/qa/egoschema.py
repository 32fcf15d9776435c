"""EgoSchema: five options on three-minute clips; the 500 questions whose answers are known.

firstsight data check egoschema:/data/EgoSchema

Layout: `questions.json` and `subset_answers.json`, in the folder or in `benchmark/`; `<q_uid>.mp4` in `videos/`,
`good_clips_git/` or the folder itself. Part: `subset`. Questions outside it have no public answer and are left out.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError
from harness.qa.annotations import Reading, entries_of, file_of, parts_asked, read_json
from harness.qa.clips import video_clip
from harness.qa.items import QAItem, letter
from harness.qa.media import Sampling, first_there

OPTIONS = 5


def read(root: Path, part: str | None, sampling: Sampling) -> Reading:
    """The questions of the subset."""
    parts_asked("egoschema", part, ["subset"])
    questions, name = file_of(root, "egoschema", "questions.json", "benchmark/questions.json")
    answers, answers_name = file_of(root, "egoschema", "subset_answers.json", "benchmark/subset_answers.json")
    right = read_json(answers, answers_name)
    if not isinstance(right, dict):
        raise DataError(f"{answers_name}: must map q_uid to the right option's index")
    reading = Reading("egoschema")
    for entry in entries_of(read_json(questions, name), name):
        uid = entry.text("q_uid")
        if uid not in right:
            reading.leave_out("no public answer (outside the subset)")
            continue
        index = int(right[uid]) if isinstance(right[uid], str) and right[uid].isdecimal() else right[uid]
        if type(index) is not int or not 0 <= index < OPTIONS:
            raise DataError(f"{answers_name}.{uid}: must be an index from 0 to {OPTIONS - 1}, not {index!r}")
        places = [f"{folder}{uid}.mp4" for folder in ("videos/", "good_clips_git/", "")]
        clip = video_clip(
            "egoschema",
            root,
            first_there(root, places, f"{entry.where}.q_uid"),
            sampling,
            where=entry.where,
            recording=uid,
        )
        options = tuple(entry.text(f"option {at}") for at in range(OPTIONS))
        reading.add(
            QAItem(
                f"egoschema/{uid}",
                clip,
                entry.text("question"),
                letter(index),
                "subset",
                "subset",
                options,
                lettering="lines",
            )
        )
    return reading
