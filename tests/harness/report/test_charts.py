"""The rulers of the charts, and charts of unusual runs."""

from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Run
from harness.report import charts
from harness.report.charts.svg import Box, Chart, clipped, place, spread, text_width, ticks
from harness.report.verdict import decide
from tests.harness.report.sample import mapped


def all_charts(run: Run) -> list[Chart]:
    """Every chart of a run."""
    pareto = charts.pareto(run, decide(run))
    return [*([pareto] if pareto else []), *charts.distributions(run), *charts.training(run)]


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_few_even_and_within(low: float, width: float, most: int) -> None:
    found = ticks(low, low + width, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * width <= tick <= low + width + 1e-6 * width + 1e-9 for tick in found)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=8))
def test_spread_labels_keep_their_order_and_distance(wanted: list[float]) -> None:
    placed = spread(wanted, 15, 0, 200)
    ordered = [placed[i] for i in sorted(range(len(wanted)), key=lambda i: wanted[i])]
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(ordered))
    assert max(placed) <= 200 + 1e-9


@given(st.lists(st.tuples(st.floats(60, 740), st.floats(60, 340)), min_size=1, max_size=7))
def test_labels_of_up_to_seven_marks_do_not_overlap(spots: list[tuple[float, float]]) -> None:
    taken = [Box(x - 12, y - 12, x + 12, y + 12) for x, y in spots]
    labels: list[Box] = []
    for spot in spots:
        box, _ = place(spot, 12, (100, 28), taken, Box(0, 0, 800, 400))
        taken.append(box)
        assert all(box.overlap(other) == 0 for other in labels)
        labels.append(box)


@given(st.text(max_size=200), st.integers(0, 200))
def test_clipped_text_fits_and_stays_on_one_line(text: str, room: int) -> None:
    assert text_width(clipped(text, room)) <= room
    assert "\n" not in clipped(text, room)


def test_every_chart_is_well_formed_named_and_has_its_table(sample: Run) -> None:
    made = all_charts(sample)
    assert [chart.id for chart in made] == [
        "pareto", "ttft-1", "ttft-4", "itl-1", "itl-4", "answer-1", "answer-4", "training", "loss",
    ]  # fmt: skip
    for chart in made:
        for drawing in (chart.wide, chart.narrow):
            root = ElementTree.fromstring(str(drawing))
            assert [root[0].tag, root[1].tag] == ["title", "desc"]
            assert root[0].text == chart.title
            assert "style" not in {name for element in root.iter() for name in element.attrib}
        assert all(len(row) == len(chart.header) for row in chart.rows)
        assert chart.says.endswith(".")


def test_the_pareto_chart_greys_the_beaten_and_says_who_is_missing(sample: Run) -> None:
    chart = charts.pareto(sample, decide(sample))
    assert chart is not None
    assert "beaten here: int8 (by baseline) and distilled-int8 (by baseline)" in chart.says
    assert "distilled-int8 is shipped all the same" in chart.says
    assert "undistilled, finetuned and hard-labels" in chart.note


def test_far_rounds_are_counted_not_hidden(sample: Run) -> None:
    run = mapped(sample, "distilled", "ttft", samples=tuple([4.7] * 29 + [900.0]))
    chart = next(c for c in charts.distributions(run) if c.id == "ttft-1")
    assert "1 of distilled (up to 900 ms)" in chart.note
    assert "beyond" in str(chart.wide)


@pytest.mark.parametrize("samples", [(5.0,), (0.0, 0.0), (5.0,) * 40, tuple(float(i) for i in range(1, 900))])
def test_charts_of_few_equal_or_many_rounds(sample: Run, samples: tuple[float, ...]) -> None:
    run = sample
    for name in ("baseline", "int8", "distilled", "distilled-int8"):
        run = mapped(run, name, "ttft", value=sorted(samples)[0], low=None, high=None, samples=samples)
    for chart in all_charts(run):
        ElementTree.fromstring(str(chart.wide))
        assert "nan" not in str(chart.wide)
        assert len(str(chart.wide)) < 40_000


def test_a_run_without_latency_or_training_has_no_such_charts(sample: Run) -> None:
    records = tuple(replace(r, details={}) for r in sample.records if r.suite == "agreement")
    assert all_charts(replace(sample, records=records)) == []
