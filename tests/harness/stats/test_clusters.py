"""Whole clusters drawn again: decided by the seed, as wide as clips that go together make it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import cluster_bootstrap


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 6)), min_size=1, max_size=40), st.integers(0, 9))
def test_bootstrap_is_decided_by_its_seed(rows: list[tuple[float, int]], seed: int) -> None:
    values, clusters = [v for v, _ in rows], [c for _, c in rows]
    once = cluster_bootstrap(values, clusters, seed=seed, resamples=100)
    assert once == cluster_bootstrap(values, clusters, seed=seed, resamples=100)
    assert min(values) - 1e-9 <= once[0] <= once[1] <= max(values) + 1e-9


def test_bootstrap_by_a_statistic_is_the_loopless_mean() -> None:
    values, clusters = np.arange(30.0), [i // 3 for i in range(30)]
    mean = cluster_bootstrap(values, clusters, resamples=200)
    assert cluster_bootstrap(values, clusters, lambda x: float(x.mean()), resamples=200) == pytest.approx(mean)


def test_bootstrap_widens_when_questions_of_a_clip_go_together() -> None:
    values = [float(i // 10 % 2) for i in range(400)]
    apart = cluster_bootstrap(values, list(range(400)))
    together = cluster_bootstrap(values, [i // 10 for i in range(400)])
    assert together[1] - together[0] > 2.5 * (apart[1] - apart[0])


def test_bootstrap_of_one_cluster_is_the_range_and_of_nothing_an_error() -> None:
    assert cluster_bootstrap([1.0, 4.0, 2.0], ["c"] * 3) == (1.0, 4.0)
    assert cluster_bootstrap([0.5] * 9, list(range(9))) == (0.5, 0.5)
    with pytest.raises(ValueError, match="no values"):
        cluster_bootstrap([], [])
    with pytest.raises(ValueError, match="2 values"):
        cluster_bootstrap([1.0, 2.0], ["c"])
