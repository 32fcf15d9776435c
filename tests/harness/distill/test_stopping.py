"""Who stopped us, and when: a signal waits for the loop's next look, and none is lost."""

from __future__ import annotations

import signal

import pytest

from harness.distill.stopping import Requeue, requeued_on_signal, stop_between


def steps(done: list[str], signalled_in: str) -> None:
    """Two loops of two steps each; the signal comes in one of the steps."""
    for loop in ("first", "second"):
        with stop_between() as stopping:
            for step in (f"{loop} 1", f"{loop} 2"):
                stopping.raise_if_asked()
                if step == signalled_in:
                    signal.raise_signal(signal.SIGUSR1)
                done.append(step)


def test_a_signal_waits_until_the_loop_looks() -> None:
    done: list[str] = []
    with pytest.raises(Requeue):
        steps(done, "first 1")
    assert done == ["first 1"], "the step that it came in was finished"


def test_a_signal_after_the_last_look_is_not_lost() -> None:
    """A scheduler that stops a run in the last step of one training does not want the next one begun."""
    done: list[str] = []
    with pytest.raises(Requeue):
        steps(done, "first 2")
    assert done == ["first 1", "first 2"]


def test_ctrl_c_is_not_a_schedulers_signal() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, stop_between():
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Requeue)


def fails() -> None:
    with stop_between():
        signal.raise_signal(signal.SIGTERM)
        raise ZeroDivisionError


def test_what_the_loop_raises_goes_before() -> None:
    with pytest.raises(ZeroDivisionError):
        fails()


def replaced(number: int | None) -> None:
    """As torch reads a checkpoint: an error of its own, whatever the code that it called has raised."""
    with requeued_on_signal():
        try:
            if number is not None:
                signal.raise_signal(number)
        finally:
            raise ValueError("could not determine the shape of an object")


def test_a_library_that_puts_its_error_in_place_of_a_signals_hides_no_signal() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
    try:
        with pytest.raises(Requeue):
            replaced(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt) as told:
            replaced(signal.SIGINT)
        assert not isinstance(told.value, Requeue)
        with pytest.raises(ValueError, match="the shape"):
            replaced(None)
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_as_they_were() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    with stop_between():
        pass
    with requeued_on_signal():
        pass
    assert before == {number: signal.getsignal(number) for number in before}
