"""Signals: a person's, a scheduler's, one after the other, and who hears them."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from harness.distill.stopping import Requeue, requeued_on_signal, stop_between


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def loop(*signals: str) -> None:
    """One round of a loop that looks at its end."""
    with stop_between() as stopping:
        stopping.raise_if_asked()
        for name in signals:
            send(name)
        FINISHED.append(signals)
        stopping.raise_if_asked()


FINISHED: list[tuple[str, ...]] = []


@pytest.mark.parametrize(("name", "kind"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", Requeue), ("SIGUSR1", Requeue)])
def test_a_loop_is_stopped_where_it_looks(name: str, kind: type[BaseException]) -> None:
    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(KeyboardInterrupt) as caught:
        loop(name)
    assert FINISHED.pop() == (name,)
    assert type(caught.value) is kind
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_scheduler_may_ask_twice() -> None:
    """SLURM sends SIGUSR1 and, when the time is up, SIGTERM: the first is being obeyed."""
    with pytest.raises(Requeue):
        loop("SIGUSR1", "SIGTERM")
    assert FINISHED.pop() == ("SIGUSR1", "SIGTERM")


def test_a_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt):
        loop("SIGINT", "SIGINT")
    assert not FINISHED


def test_between_loops_a_scheduler_is_heard_at_once() -> None:
    def idle() -> None:
        with requeued_on_signal():
            send("SIGUSR1")
            pytest.fail("went on")

    with pytest.raises(Requeue):
        idle()


def test_a_thread_leaves_signals_to_whoever_runs_it() -> None:
    found: list[object] = []

    def run() -> None:
        with stop_between() as stopping:
            found.append(stopping.asked)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None]
