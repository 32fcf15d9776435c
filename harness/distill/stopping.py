"""Being stopped: by a person (Ctrl-C), by a scheduler (SIGTERM, or SIGUSR1 as SLURM's --signal sends it).

A loop that makes something finishes what it is at, saves, and raises: KeyboardInterrupt for a person, `Requeue` for a
scheduler, which the command line turns into exit code 75 (EX_TEMPFAIL of sysexits.h: run me again).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUEUE_CODE = 75
BY_SCHEDULER = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Requeue(KeyboardInterrupt):
    """A scheduler stopped us. Everything made so far is kept: the same command goes on."""


class Stopping:
    """Whether somebody asked to stop, and who."""

    def __init__(self) -> None:
        self.asked: int | None = None  # the signal's number

    def raise_if_asked(self) -> None:
        if self.asked is not None:
            raise Requeue if self.asked in BY_SCHEDULER else KeyboardInterrupt


@contextmanager
def stop_between() -> Iterator[Stopping]:
    """Signals wait until the loop looks: `stopping.raise_if_asked()`. A second Ctrl-C interrupts at once. One that came
    after the last look is raised at the end: what follows would not know of it.
    """
    stopping = Stopping()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.asked is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopping.asked = stopping.asked or number

    with _handled((signal.SIGINT, *BY_SCHEDULER), stop):
        yield stopping
    stopping.raise_if_asked()


@contextmanager
def requeued_on_signal() -> Iterator[None]:
    """Between the loops nothing is half-made: a signal, a scheduler's or Ctrl-C, raises at once. Where it comes while a
    library's C code runs Python, that code may put an error of its own in place of ours (torch's reading of a
    checkpoint does): who was asked to stop was asked to stop.
    """
    stopping = Stopping()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.asked = number
        stopping.raise_if_asked()

    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # in a shell's background it is ignored
    with _handled((*BY_SCHEDULER, *([signal.SIGINT] if heard else [])), stop):
        try:
            yield
        except Exception as error:
            if stopping.asked is not None:
                raise (Requeue if stopping.asked in BY_SCHEDULER else KeyboardInterrupt) from error
            raise


@contextmanager
def _handled(numbers: tuple[int, ...], handler: object) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # whoever runs us handles signals
        return
    before = {number: signal.signal(number, handler) for number in numbers}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
