"""How long steps are shown: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TextIO

from tqdm import tqdm

from harness.distill.making import Watcher

LOG_EVERY_S = 10.0


def watcher(
    stream: TextIO | None = None, unmuted: Callable[[], AbstractContextManager[object]] | None = None
) -> Watcher:
    """A Watcher that draws on `stream` (stderr). `unmuted` lifts pytest's capture while something is drawn."""

    @contextmanager
    def start(title: str) -> Iterator[Callable[[int, int, str], None]]:
        with unmuted() if unmuted else _nothing():
            out = stream or sys.stderr  # looked up here: capture swaps it
            if out.isatty() and os.environ.get("FIRSTSIGHT_BARS") != "lines":
                with tqdm(desc=title, file=out, dynamic_ncols=True, unit="step", leave=True) as bar:
                    yield lambda done, total, note: _draw(bar, done, total, note)
            else:
                yield _Lines(title, out).tell

    return Watcher(start)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _draw(bar: tqdm[Any], done: int, total: int, note: str) -> None:
    bar.total = total
    bar.set_postfix_str(note, refresh=False)
    bar.update(done - bar.n)


class _Lines:
    """Progress for a log: the first, the last, and one line every LOG_EVERY_S in between, with the time left."""

    def __init__(self, title: str, out: TextIO) -> None:
        self._title, self._out = title, out
        self._began = self._told = time.monotonic()
        self._first: int | None = None

    def tell(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done - 1  # a resumed training starts in the middle
        if done == total or now - self._told >= LOG_EVERY_S:
            self._told = now
            spent = now - self._began
            left = spent / (done - self._first) * (total - done)
            when = f"{spent:.0f} s" if done == total else f"{left:.0f} s left"
            said = ", ".join(part for part in (f"{self._title}: {done}/{total}", note, when) if part)
            print(said, file=self._out, flush=True)
