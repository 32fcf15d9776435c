"""What trainings cost, on the page: a row a training, gaps with their reasons, and nothing else that changes by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.record import Record, Run
from harness.report import page, table
from harness.report.cost import cost
from harness.report.gain import gain
from harness.report.seeds import by_seed
from harness.report.verdict import decide
from harness.report.view import variants

MB = 1_000_000


def meta(**changes: Any) -> dict[str, Any]:
    train = {"seconds": 66.0, "tokens_per_second": 2923.2, "mfu": 0.314, "peak_bytes": 700 * MB, "peak_how": "resident",
             "ceiling_how": "best product", "absent": {"joules": "no GPU here"}}  # fmt: skip
    held = {"kl": 0.114, "token_agreement": 0.93, "free_agreement": 0.855}
    told = {"price": {"targets": {**train, "seconds": 30.0}, "train": train}, "held_out": held, "best_step": 500}
    return {**told, **changes}


def priced(told: dict[str, Any], seed: int = 0) -> Record:
    """The row that suites/test_distillation.py records."""
    from harness.measure.price import measurements  # needs torch; a report does not

    return Record(
        "synthetic", "distilled", "agreement", {"seed": seed}, measurements(told), True, (), {"distilled": "c" * 64}, {}
    )


def with_rows(run: Run, *rows: Record) -> Run:
    return replace(run, records=(*run.records, *rows))


def test_a_training_has_a_row_and_its_gaps_have_reasons(sample: Run) -> None:
    html = page.render(with_rows(sample, priced(meta())))
    shown = html[html.index('id="cost"') : html.index('id="how"')].replace("\N{NO-BREAK SPACE}", " ")
    for figure in ("96.0 s", "2 923 tokens/s", "31.4 %", "700 MB", "0.114 nats/token", "93.0 %", "85.5 %"):
        assert f"<td>{figure}</td>" in shown
    assert ">distilled</th>" in shown
    assert "Energy</th>" not in shown
    assert "Not there: Energy: no GPU here." in shown


def test_seeds_are_told_apart(sample: Run) -> None:
    found = cost(variants(with_rows(sample, priced(meta()), priced(meta(), seed=1))))
    assert found is not None
    assert [name for name, _ in found.rows] == ["distilled, seed 0", "distilled, seed 1"]


def test_nothing_else_changes_by_these_rows(sample: Run) -> None:
    """Verdict, terminal's table, gains and seeds read the answers, not the price."""
    run = with_rows(sample, priced(meta()), priced(meta(), seed=1))
    assert decide(run) == decide(sample)
    assert table.render(run) == table.render(sample)
    assert gain(run).comparisons == gain(sample).comparisons
    assert by_seed(run).rows == by_seed(sample).rows
    before, after = (html[html.index("<title>") : html.index('id="gain"')] for html in map(page.render, (sample, run)))
    assert after == before


@pytest.mark.parametrize("told", [{}, meta(price={}, held_out=None)])
def test_an_artifact_that_tells_nothing_makes_no_table(sample: Run, told: dict[str, Any]) -> None:
    run = with_rows(sample, priced(told))
    assert cost(variants(run)) is None
    assert 'id="cost"' not in page.render(run)
    assert 'id="cost"' not in page.render(sample)


def test_a_run_of_nothing_else_has_a_page(sample: Run) -> None:
    run = replace(sample, records=(priced(meta()),))
    assert 'id="cost"' in page.render(run)
    assert "Ship none" in table.render(run)
