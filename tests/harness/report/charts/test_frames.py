"""Times over the number of frames: rows that differ in nothing else."""

from dataclasses import replace
from xml.etree import ElementTree

from harness.record import Run
from harness.report import page
from harness.report.charts import NoChart, frames
from tests.harness.report.sample import memory


def test_a_line_a_variant_with_its_intervals(whole: Run) -> None:
    found = frames(whole)
    assert not isinstance(found, NoChart)
    (ttft,) = found
    assert ttft.title == "TTFT by number of frames"
    assert [row[0] for row in ttft.rows] == ["2", "4", "8", "16"]
    assert ttft.header == ("Frames", "baseline", "int8", "distilled", "distilled-int8")
    assert ttft.says.startswith("Time to the first token from 2 to 16 frames: baseline from 3.48 ms to 13.4 ms, 3.8×,")
    drawing = ElementTree.fromstring(str(ttft.wide))
    curves = [path.get("class") for path in drawing.iter("path")]
    assert len(curves) == 4
    assert len({(one or "").split()[-1] for one in curves}) == 4, "a dash of its own each: colour is not all"
    assert sum((line.get("class") or "").startswith("whisker") for line in drawing.iter("line")) == 16


def test_rows_of_another_batch_or_answer_length_are_not_in_it(whole: Run) -> None:
    longer = [
        replace(r, workload={**r.workload, "new_tokens": 32, "frames": 64})
        for r in whole.records
        if r.suite == "latency"
    ]
    wider = [
        replace(r, workload={**r.workload, "batch": 4, "frames": 64}) for r in whole.records if r.suite == "latency"
    ]
    found = frames(replace(whole, records=(*whole.records, *longer, *wider)))
    assert not isinstance(found, NoChart)
    assert [row[0] for row in found[0].rows] == ["2", "4", "8", "16"]


def test_memory_is_drawn_where_it_is_known_at_two_numbers_of_frames(whole: Run) -> None:
    more = replace(memory("int8"), workload={"batch": 1, "frames": 8})
    more = replace(more, measurements=tuple(replace(m, value=(m.value or 0) * 2) for m in more.measurements if m.value))
    found = frames(replace(whole, records=(*whole.records, more)))
    assert not isinstance(found, NoChart)
    assert [chart.id for chart in found] == ["frames-ttft", "frames-memory_peak"]
    assert found[1].rows == (("4", "458 MB"), ("8", "916 MB"))
    assert "Whiskers" not in found[1].note, "one process tells no interval"


def test_one_number_of_frames_is_no_sweep_and_the_page_says_so(sample: Run) -> None:
    found = frames(sample)
    assert isinstance(found, NoChart)
    assert "every row was timed at 4." in found.reason
    assert found.reason.split(". ")[0] in page.render(sample)
    without = replace(sample, records=tuple(r for r in sample.records if r.suite != "latency"))
    assert "no row says how many frames" in str(frames(without))
