"""pytest-benchmark's clock, standing still but for what is replayed."""

from harness.measure.replay import Replay


def test_a_row_has_the_seconds_that_were_loaded() -> None:
    clock = Replay()
    taken = []
    for _ in range(clock.load([0.25, 1e-9, 3.0])):
        clock.begin()
        before = clock()
        clock.next()
        taken.append(clock() - before)
    assert taken == [0.25, 1e-9, 3.0]


def test_with_nothing_loaded_it_does_not_move() -> None:
    clock = Replay()
    clock.next()
    assert clock() == 0.0
