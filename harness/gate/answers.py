"""The answers of two runs, paired question by question: what a difference of shares is made of.

answers = paired_answers(row)      # answers.a[i], answers.b[i]: right or not, on the same question of answers.clips[i]
"""

from dataclasses import dataclass

from harness.errors import RecordError, oneline
from harness.gate.gated import COUNTED
from harness.gate.rows import Row, Side


@dataclass(frozen=True)
class Paired:
    """Whether each question counts, before and after, with its clip; a note where not all could be paired."""

    a: tuple[bool, ...]
    b: tuple[bool, ...]
    clips: tuple[str, ...]
    note: str = ""


def paired_answers(row: Row) -> Paired:
    """The questions that both runs asked, in A's order. RecordError for an item that is not one."""
    ours, theirs = _items(row.a, "A"), _items(row.b, "B")
    for name, items in (("A", ours), ("B", theirs)):
        if not items:
            return Paired((), (), (), f"no item-by-item answers in {name}; measure again")
    shared = [id for id in ours if id in theirs]
    most = max(len(ours), len(theirs))
    note = "" if len(shared) == most else f"{len(shared)} of {most} questions are in both runs"
    return Paired(
        tuple(ours[id][0] for id in shared),
        tuple(theirs[id][0] for id in shared),
        tuple(ours[id][1] for id in shared),
        note,
    )


def _items(side: Side, name: str) -> dict[str, tuple[bool, str]]:
    """id → counts, clip; empty where the record holds none. A question asked twice is told apart by its turn."""
    raw = side.record.details.get("items")
    field = COUNTED.get(side.measurement.metric)
    found: dict[str, tuple[bool, str]] = {}
    turns: dict[str, int] = {}
    for index, item in enumerate(raw if isinstance(raw, list) and field else ()):
        counts = item.get(field) if isinstance(item, dict) and field else None
        if not isinstance(item, dict) or not isinstance(counts, bool) or "id" not in item or "clip" not in item:
            where = f"{name}: items[{index}] of {oneline(side.record.variant, 60)}"
            raise RecordError(f"{where}: must have id, clip and {field} (true or false); measure again")
        id = str(item["id"])
        turns[id] = turns.get(id, 0) + 1
        found[id if turns[id] == 1 else f"{id} #{turns[id]}"] = counts, str(item["clip"])
    return found
