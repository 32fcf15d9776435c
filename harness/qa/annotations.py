"""Annotation files to items: JSON with its faults named by file and key, and a count of what had to be left out.

reading = Reading("egotempo")
for entry in entries_of(read_json(root / "egotempo_openQA.json"), "egotempo_openQA.json"):
    reading.add(QAItem(..., question=entry.text("question"), gold=entry.text("answer"), ...))
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from harness.errors import DataError, oneline
from harness.qa.items import QAItem


class Reading(list[QAItem]):
    """The items of a dataset, each id once; `left_out` counts by reason the questions that could not become items."""

    def __init__(self, dataset: str) -> None:
        super().__init__()
        self.dataset = dataset
        self.left_out: Counter[str] = Counter()
        self._ids: set[str] = set()

    def add(self, item: QAItem) -> None:
        """DataError when the id is there already: two questions would share one answer in every record."""
        if item.id in self._ids:
            raise DataError(f"{self.dataset}: the id {oneline(item.id, 200)!r} is there twice: ids must differ")
        self._ids.add(item.id)
        self.append(item)

    def leave_out(self, reason: str) -> None:
        """Count a question that is not asked, and why."""
        self.left_out[reason] += 1


@dataclass(frozen=True)
class Entry:
    """One entry of an annotation file: typed access to its keys, and where it stands."""

    where: str  # "questions.json[3]"
    fields: Mapping[str, object]

    def text(self, key: str) -> str:
        """Text that says something, without the spaces around it. A list of one text is that text."""
        return self.texts(key)[0]

    def texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts: several right answers."""
        found = self.fields.get(key)
        listed: list[object] = found if isinstance(found, list) else [found]
        if key not in self.fields or not listed:
            self.fail(key, "missing")
        told: dict[str, None] = {}  # each once, in their order
        for one in listed:
            if not isinstance(one, str) or not one.strip():
                self.fail(key, f"must be text, not {oneline(json.dumps(one), 60)}")
            check_text(one, f"{self.where}.{key}")
            told[one.strip()] = None
        return tuple(told)

    def name(self, key: str) -> str:
        """An identifier, which some files write as a number."""
        found = self.fields.get(key)
        return str(found) if isinstance(found, int) and not isinstance(found, bool) else self.text(key)

    def seconds(self, key: str) -> float:
        """A time: seconds, or text such as 00:01:23.456."""
        found = self.fields.get(key)
        if isinstance(found, str):
            try:
                return clock_seconds(found)
            except ValueError:
                self.fail(key, f"must be seconds or hh:mm:ss, not {oneline(found, 60)!r}")
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e9:
            self.fail(key, "missing" if key not in self.fields else f"must be seconds, not {oneline(found, 60)!r}")
        return float(found)

    def fail(self, key: str, why: str) -> NoReturn:
        """DataError that names file, entry and key."""
        raise DataError(f"{self.where}.{key}: {why}")


def clock_seconds(text: str) -> float:
    """hh:mm:ss.mmm or mm:ss → seconds. ValueError for anything else."""
    parts = [float(part) for part in text.strip().split(":")]
    if not 1 <= len(parts) <= 3 or any(not 0 <= part < 1e6 for part in parts):
        raise ValueError(text)
    return round(sum(part * 60.0**place for place, part in enumerate(reversed(parts))), 6)


def check_text(text: str, where: str) -> None:
    """DataError for half a character (a lone surrogate), which JSON can spell and nothing can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: {oneline(text, 60)!r} holds half a character (a lone surrogate)") from None


def read_json(path: Path, name: str) -> object:
    """What a JSON file holds. DataError naming it when it is missing, cut short, or not JSON."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_no_constant)
    except OSError as error:
        raise DataError(f"{oneline(name, 300)}: cannot be read ({error.strerror}) in {oneline(path.parent)}") from None
    except (ValueError, RecursionError) as error:  # of which JSON's and UTF-8's errors are kinds
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{oneline(path)}: not JSON: {why}; fetch the file again") from None


def entries_of(listed: object, where: str) -> list[Entry]:
    """The entries of a list. DataError when it is no list of objects."""
    if not isinstance(listed, list):
        raise DataError(f"{where}: must be a list of entries, not {type(listed).__name__}")
    for at, fields in enumerate(listed):
        if not isinstance(fields, dict):
            raise DataError(f"{where}[{at}]: must be an object, not {oneline(json.dumps(fields), 60)}")
    return [Entry(f"{where}[{at}]", fields) for at, fields in enumerate(listed)]


def parts_asked(dataset: str, part: str | None, there: Iterable[str]) -> list[str]:
    """Which of the parts that are there: all, the one named, or those below a named group. DataError for none."""
    names: Sequence[str] = sorted(set(there))
    if part is None:
        return list(names)
    found = [name for name in names if name == part or name.startswith(f"{part}/")]
    if not found:
        raise DataError(f"{dataset}: no part {oneline(part, 100)!r}; there are {', '.join(names) or 'none'}")
    return found


def file_of(root: Path, dataset: str, *places: str) -> tuple[Path, str]:
    """The first of these annotation files that exists, and its name. DataError when there is none."""
    for place in places:
        if (root / place).is_file():
            return root / place, place
    raise DataError(f"{dataset}: no {' or '.join(places)} in {oneline(root)}: name the folder that holds it")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
