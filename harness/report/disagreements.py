"""Every question that a variant answers otherwise than the teacher, read from a run's items: what flips.json holds.

found = disagreements(views)
text = as_json(run, views)              # the same records give the same bytes; no frames in it
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.record import JSON, Run
from harness.report.view import BASELINE, VariantView, dig
from harness.telling import OUTCOMES, outcome

ABOUT = (
    "every question that a variant answers otherwise than the teacher; null: the record does not say; "
    "teacher_p and answer_p: the probability that each gave its own answer"
)


@dataclass(frozen=True)
class Disagreement:
    """What a variant (of one training seed) answers otherwise than the teacher; None: the record does not say."""

    variant: str
    seed: int
    control: bool
    id: str
    clip: str
    type: str
    question: str | None
    gold: str | None
    teacher: str | None
    teacher_right: bool | None
    teacher_p: float | None
    answer: str | None
    answer_right: bool
    answer_p: float | None

    @property
    def outcome(self) -> str | None:
        """right → wrong: the teacher's answer is right, the variant's is not."""
        return None if self.teacher_right is None else outcome(self.teacher_right, self.answer_right)


def disagreements(views: Sequence[VariantView]) -> tuple[Disagreement, ...]:
    """All of every variant and seed, in the order of the records; of views, so answers of random weights are none."""
    told = _told(views)
    found = []
    for view in views:
        for seed, rows, flips in _answered(view):
            for row in rows:
                if row.get("agrees") is False:
                    found.append(_one(view, seed, row, flips.get(str(row.get("id")), {}), told))
            named = {str(row.get("id")) for row in rows}
            found += [_one(view, seed, flip, flip, told) for id, flip in flips.items() if id not in named]
    return tuple(found)


def counts(found: Sequence[Disagreement]) -> Counter[str]:
    """How many there are of each outcome; those whose outcome is not known are not in it."""
    return Counter(one.outcome for one in found if one.outcome)


def as_json(run: Run, views: Sequence[VariantView]) -> str:
    """The linked file: where the run is from, how many each variant has, and one disagreement a line."""
    found = disagreements(views)
    head: dict[str, Any] = {
        "about": ABOUT,
        "pair": dig(run.pair, "name"),
        "device": dig(run.environment, "device", "name"),
        "datetime": run.datetime,
        "commit": dig(run.commit, "id"),
    }
    variants = {}
    for view in views:
        mine = [one for one in found if one.variant == view.name]
        by_outcome = counts(mine)
        variants[view.name] = {
            "control": view.control,
            "questions": len(view.items) or None,
            "flips": len(mine) if view.items or mine else None,
            **{_key(name): by_outcome[name] for name in OUTCOMES if view.items or mine},
        }
    lines = [json.dumps({**vars(one), "outcome": one.outcome and _key(one.outcome)}) for one in found]
    opening = json.dumps({**head, "variants": variants}, indent=1).removesuffix("\n}")
    return f'{opening},\n "flips": [{",".join(f"{chr(10)}  {line}" for line in lines)}\n ]\n}}\n'


def _key(name: str) -> str:
    """right_to_wrong: JSON in ASCII would escape the arrow."""
    return name.replace(" → ", "_to_")


def _answered(view: VariantView) -> list[tuple[int, list[Mapping[str, JSON]], dict[str, Mapping[str, JSON]]]]:
    """Seed, items and kept flips by id, of each record that may be believed and holds answers."""
    found = []
    for record in view.records:
        if record.valid:
            rows, flips = _objects(record.details.get("items")), _objects(record.details.get("flips"))
            if rows or flips:
                seed = record.workload.get("seed")
                found.append((seed if isinstance(seed, int) else 0, rows, {str(one.get("id")): one for one in flips}))
    return found


def _told(views: Sequence[VariantView]) -> dict[str, dict[str, JSON]]:
    """What was asked, gold, and how the teacher fared: told once in a run, with the baseline, which is the teacher."""
    told: dict[str, dict[str, JSON]] = {}
    for view in views:
        for _, rows, flips in _answered(view):
            for row in (*rows, *flips.values()):
                known = told.setdefault(str(row.get("id")), {})
                for name in ("question", "gold", "teacher", "teacher_right", "teacher_p"):
                    if row.get(name) is not None:
                        known.setdefault(name, row[name])
            if view.name == BASELINE:
                for row in rows:
                    of_teacher = {"teacher_right": row.get("correct"), "teacher_p": row.get("sure")}
                    told[str(row.get("id"))].update({name: v for name, v in of_teacher.items() if v is not None})
    return told


def _one(
    view: VariantView,
    seed: int,
    row: Mapping[str, JSON],
    flip: Mapping[str, JSON],
    told: Mapping[str, Mapping[str, JSON]],
) -> Disagreement:
    known, right = told.get(str(row.get("id")), {}), row.get("correct", flip.get("answer_right"))
    gold, answer, teacher = known.get("gold"), row.get("answer"), known.get("teacher")
    teacher_right, sure = known.get("teacher_right"), row.get("sure")
    if teacher_right is None and flip:  # records of before had one right text, and did not write it down
        teacher_right = teacher == gold
    return Disagreement(
        variant=view.name,
        seed=seed,
        control=view.control,
        id=str(row.get("id")),
        clip=str(row.get("clip")),
        type=str(row.get("type")),
        question=_text(known.get("question")),
        gold=_text(gold),
        teacher=_text(teacher),
        teacher_right=teacher_right if isinstance(teacher_right, bool) else None,
        teacher_p=_share(known.get("teacher_p")),
        answer=_text(answer),
        answer_right=right if isinstance(right, bool) else answer == gold,
        answer_p=_share(flip.get("answer_p") if sure is None else sure),
    )


def _objects(raw: JSON) -> list[Mapping[str, JSON]]:
    """Rows; what is malformed was refused when the views were made."""
    return [one for one in raw if isinstance(one, dict)] if isinstance(raw, list) else []


def _text(raw: JSON) -> str | None:
    return None if raw is None or isinstance(raw, (dict, list)) else str(raw)


def _share(raw: JSON) -> float | None:
    """A probability, in four digits: more would be noise."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    return round(min(1.0, max(0.0, float(raw))), 4)
