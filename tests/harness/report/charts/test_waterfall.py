"""The parts of a memory peak: they add up on the page as in the record, and cards are drawn where they are near."""

import csv
import io
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from harness.record import Run
from harness.report import page
from harness.report.charts import Chart, NoChart, waterfall
from tests.harness.report.sample import mapped, whole_run


@pytest.fixture(scope="module")
def on_card() -> Run:
    return whole_run(card=True)


def chart(run: Run) -> Chart:
    found = waterfall(run)
    assert isinstance(found, Chart)
    return found


def words(found: Chart) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(str(found.wide)).iter("text")]


def bars(found: Chart) -> list[tuple[float, float]]:
    """(left, right) of every bar, in order."""
    rects = list(ElementTree.fromstring(str(found.wide)).iter("rect"))
    return [(float(r.get("x") or 0), float(r.get("x") or 0) + float(r.get("width") or 0)) for r in rects]


def test_each_part_begins_where_the_one_before_ends_and_the_last_ends_at_the_peak(on_card: Run) -> None:
    found = bars(chart(on_card))
    for one in (found[at : at + 7] for at in range(0, 28, 7)):
        *parts, peak = one
        for before, after in pairwise(parts):
            assert after[0] == pytest.approx(before[1], abs=1.6)  # a bar has a least width
        assert parts[-1][1] == pytest.approx(peak[1], abs=1.6)
        assert parts[0][0] == peak[0]


def test_the_sentence_says_which_card_holds_which(on_card: Run) -> None:
    found = chart(on_card)
    assert "8 GB for distilled (7.55 GB) and distilled-int8 (5.82 GB)" in found.says
    assert "12 GB for int8 (11.83 GB)" in found.says
    assert "24 GB for baseline (19.08 GB)" in found.says
    assert [word for word in words(found) if word in ("8 GB", "12 GB", "16 GB", "24 GB", "40 GB", "80 GB")] == [
        "8 GB", "12 GB", "24 GB", "16 GB",
    ] * 2  # fmt: skip
    assert ElementTree.fromstring(str(found.wide)).find(".//path[@class='cut']") is None


def test_a_peak_that_no_card_holds_is_said(on_card: Run) -> None:
    run = mapped(on_card, "baseline", "waterfall_weights", value=95_000.0)
    run = mapped(run, "baseline", "memory_peak", value=95_000.0 + 3_130)
    assert "no card of up to 80 GB holds baseline (98.13 GB)" in chart(run).says


def test_the_libraries_of_a_toy_do_not_squash_its_own_memory(sample: Run) -> None:
    found = chart(sample)
    assert "The scale is cut: it begins at 42" in found.note
    assert "GB" not in "".join(words(found)), "no card on a CPU"
    assert "beyond the libraries it is at most 22.5 MB" in found.says
    assert ElementTree.fromstring(str(found.wide)).find(".//path[@class='cut']") is not None
    assert "Slack" not in words(found), "resident memory does not tell it"
    own = [right - left for left, right in bars(found)[1:4]]
    assert min(own[:2]) > 20, "px"


def test_a_toy_on_a_card_says_that_cards_lie_beyond(on_card: Run) -> None:
    run = on_card
    for name in ("baseline", "int8", "distilled", "distilled-int8"):
        run = mapped(run, name, "waterfall_weights", value=1.2)
        run = mapped(run, name, "memory_peak", value=3_131.2)
    found = chart(run)
    assert "8 GB for baseline (3.13 GB), int8" in found.says
    assert "The next card lies far beyond the scale" in found.note


def test_the_csv_has_megabytes_and_an_empty_field_for_what_is_not_known(sample: Run) -> None:
    data = chart(sample).data
    assert data is not None
    rows = list(csv.DictReader(io.StringIO(data.csv().decode())))
    first = rows[0]
    assert first["Weights (MB)"] == "8.4"
    assert (first["Slack (MB)"], first["Smallest card (GB)"]) == ("", "")
    parts = [float(value) for name, value in first.items() if name not in ("Variant", "Peak (MB)") and value]
    assert sum(parts) == pytest.approx(float(first["Peak (MB)"]))


def test_records_of_before_and_broken_peaks_say_why_there_is_no_chart(sample: Run) -> None:
    before = tuple(
        replace(r, measurements=tuple(m for m in r.measurements if not m.metric.startswith("waterfall")))
        for r in sample.records
    )
    found = waterfall(replace(sample, records=before))
    assert isinstance(found, NoChart)
    assert "its record is of before peaks were taken apart" in found.reason
    assert found.reason in page.render(replace(sample, records=before)).replace("\N{NO-BREAK SPACE}", " ")
    none = tuple(r for r in sample.records if r.suite != "vram")
    assert "the vram suite has no record of it in this run" in str(waterfall(replace(sample, records=none)))


def test_a_variant_whose_parts_are_not_there_is_named(sample: Run) -> None:
    run = sample
    for step in ("context", "weights", "vision", "kv_cache", "activations"):
        run = mapped(run, "int8", f"waterfall_{step}", value=None, absent="4.0 MB of the peak belong to no phase")
    assert "Not drawn: int8: 4.0 MB of the peak belong to no phase." in chart(run).note
