"""The reading of the controls says no more than the figures allow."""

from dataclasses import replace
from pathlib import Path

from harness.record import Run, load_run
from harness.report.gain import compare, gain
from harness.report.view import Item, VariantView
from tests.harness.report.sample import without

ROOT = Path(__file__).resolve().parents[3]


def view(name: str, agrees: list[bool]) -> VariantView:
    """A variant that answers so, two questions a clip."""
    items = tuple(Item(f"q{i}", f"c{i // 2}", "colour", hit, True) for i, hit in enumerate(agrees))
    return VariantView(name, False, (), items, (), None, None)


def test_the_sample_gains_by_more_clips_and_not_shown_by_probabilities(sample: Run) -> None:
    found = gain(sample)
    said = " ".join(found.sentences)
    assert "Distilled agrees with the teacher 26.5 points more often than finetuned" in said
    assert "Answering more clips brings 22.2 points of those 26.5" in said
    assert "That the teacher’s probabilities add anything to its answers is not shown" in said
    assert "one seed" in said
    assert [c.shown for c in found.comparisons] == [True, True, True, False]
    assert found.missing == ()


def test_a_control_that_gains_more_than_distilled_is_not_a_share_of_it() -> None:
    """ "39.6 points of those 38.2" can nobody read."""
    run = load_run(ROOT / "results" / "published" / "cpu" / "tiny")
    said = " ".join(gain(run).sentences)
    assert "Answering more clips brings 39.6 points, no less than all of it: a student" in said


def test_without_hard_labels_the_source_of_the_gain_is_left_open(sample: Run) -> None:
    found = gain(without(sample, "hard-labels", "agreement"))
    assert "cannot be said without hard-labels" in " ".join(found.sentences)
    assert found.missing[0] == "hard-labels against finetuned: no answers of hard-labels in this run."


def test_without_controls_nothing_is_said(sample: Run) -> None:
    run = replace(sample, records=tuple(r for r in sample.records if r.variant == "baseline"))
    assert gain(run).sentences == ()
    assert len(gain(run).missing) == 4


def test_a_comparison_counts_the_questions_that_only_one_gets() -> None:
    made = compare(view("a", [True] * 8 + [False] * 2), view("b", [True] * 3 + [False] * 6 + [True]))
    assert made is not None
    assert (made.only_first, made.only_second, made.n, made.clips) == (5, 1, 10, 5)
    assert made.rates == (0.8, 0.4)
    assert made.difference.value == 0.4


def test_equal_answers_are_no_difference() -> None:
    same = [True, False] * 20
    made = compare(view("a", same), view("b", same))
    assert made is not None
    assert made.p_exact == made.p_clustered == 1.0
    assert not made.shown
    assert compare(view("a", same), view("b", [])) is None
