"""When distilling has paid for itself: by hand in joules and in time, where it never does, where nobody can tell."""

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.record import Measurement, Record, Run
from harness.report import page
from harness.report.ledger import Ledger, ledger
from harness.report.view import variants
from tests.harness.report.plain import Figure, plain_run
from tests.harness.report.sample import sample_run

GPU: dict[str, Any] = {"device": {"kind": "cuda", "name": "a card"}}
CPU: dict[str, Any] = {"device": {"kind": "cpu", "name": "a CPU"}}
NO_GPU = "no GPU: NVML counts none of a CPU"
PRICE = {
    "targets": {"seconds": 1800.0, "device_seconds": 1800.0, "joules": 500_000.0},
    "train": {"seconds": 3600.0, "device_seconds": 7200.0, "joules": 700_000.0},  # on two cards
}


def training(price: dict[str, Any] | None = PRICE, seed: int = 0, digest: str = "d" * 64, **told: Any) -> Record:
    """The row that tells what the student cost; joules as of the whole, in its measurement."""
    joules = told.get("joules", 1_200_000.0)
    why = None if joules is not None else NO_GPU
    found = (
        Measurement("distil_seconds", 5400.0, "s", 1, None, None, False, "wall clock"),
        Measurement("joules", joules, "J", int(joules is not None), None, None, False, "NVML of the card", absent=why),
    )
    details: dict[str, Any] = {} if price is None else {"training": {"price": price}}
    artifacts = {"distilled": digest}
    return Record("plain", "distilled", "distillation", {"seed": seed}, found, True, (), artifacts, details)


def kept(figures: dict[str, dict[str, Figure]], *rows: Record, **environment: Any) -> Ledger | None:
    """The ledger of such a run; the weights of every variant but baseline and int8 are the student's."""
    run = plain_run(figures, {}, **environment)
    records = [
        replace(r, artifacts={"w": ("t" if r.variant in ("baseline", "int8") else "d") * 64}) for r in run.records
    ]
    run = replace(run, records=(*records, *rows))
    return ledger(run, variants(run))


def after(figures: dict[str, dict[str, Figure]], *rows: Record, **environment: Any) -> str:
    found = kept(figures, *(rows or (training(),)), **environment)
    assert found is not None
    return found.rows[0].after


@pytest.mark.parametrize(
    ("teacher", "student", "said"),
    [
        # 1 200 000 J over 10 J less: 120 000 answers. √(1² + 1²) about it: over 11.4 J and 8.59 J.
        ((30.0, 29.0, 31.0), (20.0, 19.0, 21.0), "120 000 answers (105 000–140 000)"),
        (30.0, 20.0, "120 000 answers (no interval)"),
        ((20.0, 19.0, 21.0), (30.0, 29.0, 31.0), "never has: an answer takes no less than baseline’s"),
        (20.0, 20.0, "never has: an answer takes no less than baseline’s"),
        (
            (21.0, 18.0, 24.0),
            (20.0, 16.0, 24.0),
            "cannot be told: it may save nothing; not before 200 000 answers",
        ),
        (
            (20.0, 16.0, 24.0),
            (21.0, 18.0, 24.0),
            "cannot be told: it may save nothing; not before 300 000 answers",
        ),
        ((30.0, 29.0, None), (20.0, 19.0, 21.0), "120 000 answers (no interval)"),
    ],
)
def test_joules_of_making_it_over_joules_saved(teacher: Figure, student: Figure, said: str) -> None:
    assert after({"baseline": {"answer_j": teacher}, "distilled": {"answer_j": student}}, **GPU) == said


def test_in_time_of_the_device_where_there_are_no_joules() -> None:
    """1.5 hours of a CPU over 10 ms less an answer: 540 000 answers; on a GPU the hours of every card count."""
    figures: dict[str, dict[str, Figure]] = {
        "baseline": {"answer_ms": (30.0, 29.0, 31.0), "answer_j": NO_GPU},
        "distilled": {"answer_ms": (20.0, 19.0, 21.0), "answer_j": NO_GPU},
    }
    found = kept(figures, training(joules=None), **CPU)
    assert found is not None
    assert (found.unit, found.by) == ("CPU-hours", "time of the device")
    assert found.rows[0].after == "540 000 answers (473 000–629 000)"
    assert found.rows[0].saved == "10.0 ms (8.59 to 11.4)"
    assert found.phases == (
        ("distilled: The teacher’s answers and states (shared)", "0.500", "500 000"),
        ("distilled: Training", "1.00", "700 000"),
        ("distilled: together", "1.50", "–"),
    )
    assert f"Not in energy: making the student: {NO_GPU}." in found.notes
    assert any("one answer at a time (batch 1)" in note for note in found.notes)
    on_cards = kept(figures, training(), **GPU)
    assert on_cards is not None
    assert (on_cards.unit, on_cards.phases[-1]) == ("GPU-hours", ("distilled: together", "2.50", "1 200 000"))
    assert on_cards.rows[0].after.startswith("900 000 answers")
    assert f"Not in energy: an answer of baseline: {NO_GPU}." in on_cards.notes


def test_every_form_of_the_student_has_a_row_and_the_teachers_have_none() -> None:
    figures: dict[str, dict[str, Figure]] = {
        name: {"answer_j": joules}
        for name, joules in {"baseline": 30.0, "int8": 25.0, "distilled": 20.0, "distilled-int8": 40.0}.items()
    }
    found = kept(figures, training(), **GPU)
    assert found is not None
    assert {row.variant: row.after for row in found.rows} == {
        "distilled": "120 000 answers (no interval)",
        "distilled-int8": "never has: an answer takes no less than baseline’s",
    }
    assert any("what the card draws idle is in them" in note for note in found.notes)
    assert found.says == (
        "In energy, distilled has paid for itself after 120 000 answers (no interval); distilled-int8 never has: an "
        "answer takes no less than baseline’s."
    )


def test_the_training_that_was_timed_counts_and_not_another_seeds() -> None:
    figures: dict[str, dict[str, Figure]] = {"baseline": {"answer_j": 30.0}, "distilled": {"answer_j": 20.0}}
    other = training(seed=0, digest="e" * 64, joules=9e9)
    assert after(figures, other, training(seed=1), **GPU) == "120 000 answers (no interval)"


@pytest.mark.parametrize(
    ("figures", "row", "said"),
    [
        ({"distilled": {"answer_ms": 20.0}}, training(), "cannot be told: baseline was not measured"),
        (
            {"baseline": {"answer_ms": 30.0}, "distilled": {"ttft_ms": 2.0}},
            training(),
            "cannot be told: no record of this run holds it",
        ),
        (
            {"baseline": {"answer_ms": 30.0}, "distilled": {"answer_ms": 20.0}},
            training({"targets": {"seconds": "x"}, "train": {"seconds": 4.0}}, joules=None),
            "cannot be told: what making the student took is not recorded",
        ),
        (  # of a record that does not tell its phases, the whole
            {"baseline": {"answer_ms": 30.0}, "distilled": {"answer_ms": 20.0}},
            training(None, joules=None),
            "540 000 answers (no interval)",
        ),
    ],
)
def test_a_gap_is_said(figures: dict[str, dict[str, Figure]], row: Record, said: str) -> None:
    assert after(figures, row, **CPU) == said


def test_a_batch_counts_by_its_answers() -> None:
    figures: dict[str, dict[str, Figure]] = {"baseline": {"answer_ms": 120.0}, "distilled": {"answer_ms": 80.0}}
    run = plain_run(figures, {}, **CPU)
    run = replace(run, records=(*(replace(r, workload={"batch": 4}) for r in run.records), training(joules=None)))
    found = ledger(run, variants(run))
    assert found is not None
    assert found.rows[0].after == "540 000 answers (no interval)"
    assert any("4 answers at once" in note for note in found.notes)


def test_without_a_priced_training_there_is_no_ledger(sample: Run) -> None:
    assert ledger(sample, variants(sample)) is None
    assert 'id="ledger"' not in page.render(sample)
    assert kept({"baseline": {"answer_ms": 30.0}, "int8": {"answer_ms": 20.0}}, **CPU) is None


def test_it_stands_on_the_page_with_its_assumptions() -> None:
    run = sample_run()
    html = page.render(replace(run, records=(*run.records, training(joules=None))))
    shown = re.sub(r"<[^>]+>", " ", html[html.index('id="ledger"') : html.index('id="how"')])
    for words in ("When it has paid for itself", "CPU-hours", "In time of the device", "Assumed: one answer at a time"):
        assert words in shown.replace("\N{NO-BREAK SPACE}", " ")
