"""A dataset looked through: every question read, every medium decoded, and what is wrong said by name.

firstsight data check egothink:/data/EgoThink
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tabulate import tabulate
from tqdm import tqdm

from harness.errors import DataError, oneline
from harness.qa.datasets import module_of
from harness.qa.items import Clip, QAItem, by_clip
from harness.qa.media import Sampling

SHOW_AFTER_S = 2.0


@dataclass
class Findings:
    """What a look through a dataset found."""

    items: Sequence[QAItem]
    left_out: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)  # medium and reason → clips
    heard: int = 0  # clips with sound

    def text(self) -> str:
        """Counts by type, what was left out and why, what is broken."""
        items = self.items
        by_type: dict[str, list[QAItem]] = {}
        for item in items:
            by_type.setdefault(item.type, []).append(item)
        rows = [_row(name, of_type) for name, of_type in sorted(by_type.items())]
        if len(rows) > 1:
            rows.append(_row("all", items))
        head = ["type", "questions", "clips", "recordings", "multiple choice"]
        lines = [tabulate(rows, head, tablefmt="simple", colalign=("left", *["right"] * 4), disable_numparse=True)]
        lines.append(f"{_count(self.heard, 'clip')} with sound")
        lines += [f"left out: {_count(n, 'question')}: {why}" for why, n in sorted(self.left_out.items())]
        lines += [f"broken: {what}" + (f" ({n} clips)" if n > 1 else "") for what, n in sorted(self.broken.items())]
        clips = len(by_clip(items))
        lines.append(
            f"{_count(sum(self.broken.values()), 'clip')} of {clips} cannot be shown"
            if self.broken
            else f"all is well: {_count(clips, 'clip')} decoded"
        )
        return "\n".join(lines)


def check(dataset: str, path: str, part: str | None, sampling: Sampling, out: TextIO | None = None) -> Findings:
    """Read all of it and decode every clip. DataError for annotations that cannot be read; media are only reported."""
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"{dataset}: there is no {oneline(root)}: name the folder (or file) of the data")
    items = module_of(dataset).read(root, part, sampling)
    findings = Findings(items, Counter(getattr(items, "left_out", {})))
    if not items:
        why = "; ".join(f"{n} left out: {reason}" for reason, n in sorted(findings.left_out.items()))
        raise DataError(f"{dataset}: no question in {oneline(root)}{f' ({why})' if why else ''}")
    for clip in _shown([clip for clip, _ in by_clip(items)], out or sys.stderr):
        try:
            clip.frames()
            findings.heard += clip.sound() is not None
        except DataError as error:
            findings.broken[str(error)] += 1
    return findings


def _shown(clips: Sequence[Clip], out: TextIO) -> Iterator[Clip]:
    """The clips, with a bar when that takes a while."""
    began = time.monotonic()
    with tqdm(total=len(clips), desc="decoding", unit="clip", file=out, delay=SHOW_AFTER_S, leave=False) as bar:
        for clip in clips:
            yield clip
            bar.update()
    if (spent := time.monotonic() - began) > SHOW_AFTER_S:
        print(f"decoded in {spent:.0f} s", file=out)


def _row(name: str, items: Sequence[QAItem]) -> list[str]:
    clips = [clip for clip, _ in by_clip(items)]
    recordings = {clip.recording or clip.id for clip in clips}
    choice = sum(bool(item.options) for item in items) / len(items)
    return [oneline(name, 60), str(len(items)), str(len(clips)), str(len(recordings)), f"{choice:.0%}"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
