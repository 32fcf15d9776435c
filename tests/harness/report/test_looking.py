"""Does it look, and does the place of an option sway it: in words, with intervals, and absent with a reason."""

from dataclasses import replace

from harness.record import Measurement, Run
from harness.report import page
from harness.report.looking import looks
from harness.report.places import places
from harness.report.view import variants


def measured(run: Run, *found: Measurement) -> Run:
    """The run with these figures of every variant that may be shipped."""
    return replace(
        run,
        records=tuple(
            replace(r, measurements=(*r.measurements, *found))
            if r.suite == "agreement" and r.variant not in ("undistilled", "finetuned", "hard-labels")
            else r
            for r in run.records
        ),
    )


def way(name: str, value: float, change: float, low: float, high: float) -> tuple[Measurement, ...]:
    return (
        Measurement(f"accuracy_{name}", value, "1", 96, value - 0.05, value + 0.05, True, "right"),
        Measurement(f"accuracy_{name}_change", change, "1", 96, low, high, True, "less"),
        Measurement(f"unchanged_{name}", 0.2, "1", 96, 0.1, 0.3, True, "same"),
    )


BLIND = way("blind_frames", 0.31, -0.59, -0.68, -0.48)
SHUFFLED = way("shuffled_frames", 0.86, -0.02, -0.06, 0.02)


def test_what_can_be_told_is_told_and_what_cannot_is_said(sample: Run) -> None:
    found = looks(variants(measured(sample, *BLIND, *SHUFFLED)), "distilled-int8")
    assert (
        "Without its frames distilled-int8 is right on 31.0 % instead of 90.0 % (−59.0 pt): it looks."
        in found.sentences
    )
    assert (
        "With its frames in another order distilled-int8 is right on 86.0 % instead of 88.0 % (−2.0 pt): "
        "that their order matters is not shown."
    ) in found.sentences
    assert len(found.sentences) == 4, "of the shipped one and of baseline"
    assert [name for name, _ in found.rows] == ["baseline", "int8", "distilled", "distilled-int8"]
    assert found.rows[0][1][:2] == (("31.0 %", "26.0–36.0"), ("−59.0 pt", "−68.0 to −48.0"))
    assert "without its frames 96" in found.asked


def test_who_answers_without_looking_is_said_not_to_be_shown_to_look(sample: Run) -> None:
    found = looks(variants(measured(sample, *way("blind_frames", 0.5, -0.01, -0.1, 0.08))), None)
    assert any("that it looks is not shown" in sentence for sentence in found.sentences)
    assert "frames shuffled: no record of this run holds it" in found.absent


def test_records_of_before_say_that_it_was_not_measured(sample: Run, html: str) -> None:
    assert looks(variants(sample), None).absent == "no record of this run holds it"
    assert "was not measured: no record of this run holds it" in html


def test_stills_have_blind_frames_and_no_order(sample: Run) -> None:
    gone = Measurement("accuracy_shuffled_frames", None, "1", 0, None, None, True, "turned", absent="no order: stills")
    html = page.render(measured(sample, *BLIND, gone))
    section = html[html.index('id="looking"') : html.index('id="grading"') if 'id="grading"' in html else None]
    assert "Not there: frames shuffled: no order: stills." in section


def test_position_bias_says_what_it_means_or_why_it_is_not_there(sample: Run, html: str) -> None:
    assert "Position bias was not measured" in html
    same = Measurement("option_consistency", 0.8, "1", 40, 0.7, 0.9, True, "same")
    bias = Measurement("position_bias", 0.125, "1", 120, 0.1, 0.2, False, "places")
    found = places(variants(measured(sample, same, bias)), "distilled")
    assert found is not None
    assert found.rows[0] == ("baseline", (("80.0 %", "70.0–90.0", "n = 40"), ("12.5 %", "10.0–20.0", "n = 120")))
    assert found.sentences == tuple(
        f"{name}: on 80.0 % of 40 questions it keeps to one option in every order; "
        "12.5 % of its 120 choices would have to move for every place to be chosen alike."
        for name in ("distilled", "baseline")
    )
    assert "follows the option" in page.render(measured(sample, same, bias))


def test_without_answers_places_are_no_matter(sample: Run) -> None:
    run = replace(sample, records=tuple(r for r in sample.records if r.suite != "agreement"))
    assert places(variants(run), None) is None
    assert looks(variants(run), None).absent == "no answers in this run"
