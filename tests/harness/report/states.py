"""Runs that are not whole, as they come: what the page says of each: test_states.py; how it looks: test_access.py."""

from dataclasses import replace
from pathlib import Path

from harness.record import Run
from harness.report import page
from tests.harness.report.sample import BUDGETS, sample_run, without


def only(suite: str) -> Run:
    """The run of `pytest suites -k SUITE`."""
    whole = sample_run()
    return replace(whole, records=tuple(r for r in whole.records if r.suite == suite))


def failed() -> Run:
    """The run in which int8's tests failed, and distilled's memory: their numbers never enter a record."""
    whole = sample_run()
    gone = [("int8", "agreement"), ("int8", "latency"), ("int8", "vram"), ("distilled", "vram")]
    told = [{"variant": variant, "suite": suite, "why": "no kernel for int8"} for variant, suite in gone]
    return replace(
        whole,
        records=tuple(r for r in whole.records if (r.variant, r.suite) not in gone),
        environment={**whole.environment, "failed": told},
    )


def invalid() -> Run:
    """The run in which something else held the machine while variants were timed."""
    whole, why = sample_run(), "31 of 60 rounds are broken, 31 by cpu wait, as: others held the CPU for 23 %"
    return replace(
        whole,
        records=tuple(
            replace(r, valid=False, invalid_reasons=(why,)) if r.suite == "latency" else r for r in whole.records
        ),
    )


def random_weights() -> Run:
    """`--weights random`: speed and memory at the real shapes."""
    whole = sample_run()
    return replace(
        whole,
        records=tuple(r for r in whole.records if r.suite != "agreement"),
        environment={**whole.environment, "weights": "random"},
    )


def with_energy() -> Run:
    """A CPU, and a budget for what only a card's meter knows."""
    return sample_run(budgets={**BUDGETS, "answer_j": 2.0})


STATES = {
    "times alone": lambda: only("latency"),
    "memory alone": lambda: only("vram"),
    "answers alone": lambda: only("agreement"),
    "failed": failed,
    "without the baseline's answers": lambda: without(sample_run(), "baseline", "agreement"),
    "invalid": invalid,
    "random weights": random_weights,
    "a CPU with an energy budget": with_energy,
    "no budgets": lambda: sample_run(budgets={}),
    "nothing": lambda: replace(sample_run(), records=()),
}


def page_of(state: str, folder: Path) -> Path:
    """The page of a run in that state, as a file."""
    return page.write(STATES[state](), folder / "report.html")
