"""Several training seeds in one run: what another seed changes is told, and one seed says nothing of it."""

from dataclasses import replace

import pytest

from harness.record import Record, Run
from harness.report import page
from harness.report.gain import gain
from harness.report.seeds import by_seed
from tests.harness.report.sample import sample_run


def moved(record: Record, seed: int, by: float) -> Record:
    """The record of another seed, whose agreement differs."""
    figures = tuple(
        replace(m, value=m.value + by, low=None, high=None) if m.metric == "agreement" and m.value is not None else m
        for m in record.measurements
    )
    return replace(record, workload={**record.workload, "seed": seed}, measurements=figures)


@pytest.fixture(scope="module")
def three() -> Run:
    run = sample_run()
    trained = [r for r in run.records if r.suite == "agreement" and r.variant in ("distilled", "finetuned")]
    others = [moved(record, seed, by) for record in trained for seed, by in ((1, -0.02), (2, -0.04))]
    first = [replace(r, workload={**r.workload, "seed": 0}) if r in trained else r for r in run.records]
    return replace(run, records=(*first, *others))


def test_mean_and_spread_are_over_the_seeds(three: Run) -> None:
    row = next(row for row in by_seed(three).rows if row.variant == "distilled")
    first = row.agreements[0]
    assert row.seeds == (0, 1, 2)
    assert row.agreements == pytest.approx((first, first - 0.02, first - 0.04))
    assert row.mean == pytest.approx(first - 0.02)
    assert row.spread == pytest.approx(0.02)


def test_differences_are_told_seed_by_seed(three: Run) -> None:
    (sentence,) = by_seed(three).sentences
    assert sentence.startswith("distilled − finetuned over 3 seeds: ")
    assert "standard deviation 0.0 pt" in sentence


def test_the_page_has_them_and_one_seed_has_none(three: Run) -> None:
    assert "Over training seeds" in page.render(three)
    alone = sample_run()
    assert by_seed(alone).rows == ()
    assert "Over training seeds" not in page.render(alone)


def test_a_run_of_one_seed_says_that_it_is_one(three: Run) -> None:
    assert "one seed" in gain(sample_run()).sentences[-1]
    assert "first seed" in gain(three).sentences[-1]
