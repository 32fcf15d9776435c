"""How many questions tell a difference."""

from harness.stats import more_items


def test_items_that_would_settle_it() -> None:
    assert more_items(0.81, 0.79, 0.83, 1000, 0.80) == 3000  # half the width: four times as many
    assert more_items(0.79, 0.77, 0.81, 1000, 0.80) == 3000
    assert more_items(0.9, 0.88, 0.92, 1000, 0.80) == 0
    assert more_items(0.8, 0.7, 0.9, 1000, 0.8) is None
