"""The page as text: same records, same bytes; everything shown, gaps with reasons, nothing half-written."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecordError, ResourceError
from harness.record import Measurement, Run, load_run
from harness.report import page
from harness.report.verdict import decide
from harness.report.view import variants
from tests.harness.report.sample import as_json, mapped, sample_run, without


def test_the_same_records_give_the_same_bytes(sample: Run, html: str, tmp_path: Path) -> None:
    assert page.render(sample_run()) == html
    saved = tmp_path / "0001_x.json"
    saved.write_text(json.dumps(as_json(sample)))
    assert page.render(load_run(saved)) == html  # and after a trip through JSON


@pytest.mark.parametrize(
    "part",
    ["Ship distilled-int8:", "Held against the budgets", "Where the gain comes from", "round by round",
     "Agreement by type of question", "Where they answer otherwise", "How the students learned", "VmHWM",
     "How each number was measured", "Synthetic CPU @ 2.0 GHz", "0123456789abcdef0123456789abcdef01234567",
     "with uncommitted changes", "Memory is the resident memory of a fresh process", "a" * 64, "41.2",
     "torch 0.0-synthetic"],
)  # fmt: skip
def test_the_page_holds(html: str, part: str) -> None:
    assert part in html


def test_the_page_needs_nothing_from_outside(html: str) -> None:
    assert "<script" not in html
    assert not re.search(
        r'(?:src|href)="(?!data:image/(?:png|svg\+xml);base64,|data:text/csv;charset=utf-8;base64,|#|data:,"|./flips.json")',
        html,
    )
    assert "url(" not in html
    assert " style=" not in html
    assert "default-src 'none'" in html
    assert len(html) < 2_000_000


def test_a_gap_stands_with_its_reason_and_is_never_a_zero(sample: Run) -> None:
    html = page.render(without(sample, "int8", "latency"))
    assert "the latency suite has no record of it in this run" in html
    assert "absent<sup>" in html
    assert "0.000" not in html


def test_what_is_not_valid_is_named_and_left_out(sample: Run) -> None:
    records = tuple(
        replace(r, valid=False, invalid_reasons=("another process held the device",)) if r.variant == "int8" else r
        for r in sample.records
    )
    html = page.render(replace(sample, records=records))
    assert "<h2>Not valid</h2>" in html
    assert "int8, latency: another process held the device" in html
    assert "15.3\N{NO-BREAK SPACE}ms" not in html


def only(sample: Run, keep: Callable[[Any], bool]) -> Run:
    """The run with some records only."""
    return replace(sample, records=tuple(r for r in sample.records if keep(r)))


@pytest.mark.parametrize("suite", ["latency", "vram", "agreement"])
def test_a_partial_run_has_a_page_all_the_same(sample: Run, suite: str) -> None:
    html = page.render(only(sample, lambda r: r.suite == suite))
    assert "Ship none" in html
    assert "<h2>Where it was measured</h2>" in html


def test_a_run_of_one_variant_or_without_surroundings(sample: Run) -> None:
    bare = replace(only(sample, lambda r: r.variant == "distilled"), environment={}, commit={}, datetime="yesterday")
    html = page.render(bare)
    assert "No verdict: the pair states no budget." in html
    assert "not recorded" in html
    assert "cannot be said: no TTFT to compare" in html


def test_half_a_character_does_not_stop_the_page(sample: Run, tmp_path: Path) -> None:
    run = replace(sample, environment={**sample.environment, "command": "pytest \ud800"})
    assert "pytest ?" in page.write(run, tmp_path / "r.html").read_text()


def test_a_malformed_detail_is_named_in_one_line(sample: Run) -> None:
    broken: dict[str, Any] = {"items": [{"id": "q1", "clip": "c", "type": "colour", "agrees": "yes", "correct": True}]}
    records = tuple(replace(r, details=broken) if r.suite == "agreement" else r for r in sample.records)
    with pytest.raises(RecordError, match=r"details of baseline: items\[0\]: agrees must be true or false"):
        page.render(replace(sample, records=records))


def test_a_page_is_written_whole_or_not_at_all(sample: Run, tmp_path: Path) -> None:
    target = page.write(sample, tmp_path / "deep" / "report.html")
    before = target.read_bytes()
    with pytest.raises(RecordError):
        page.write(replace(sample, environment={**sample.environment, "pair": {"objective": "x"}}), target)
    assert target.read_bytes() == before
    assert sorted(file.name for file in target.parent.iterdir()) == ["flips.json", "report.html"]
    with pytest.raises(ResourceError, match="cannot be written"):
        page.write(sample, target / "below a file.html")


def test_frames_that_are_no_pictures_are_counted_not_embedded(sample: Run) -> None:
    agreement = next(r for r in sample.records if (r.variant, r.suite) == ("int8", "agreement"))
    details: Any = json.loads(json.dumps(agreement.details))
    for flip in details["flips"]:
        flip["frames"] = ["https://example.org/x.png", "data:image/svg+xml;base64,AAAA", *flip["frames"]]
    html = page.render(replace(sample, records=(replace(agreement, details=details),)))
    assert "example.org" not in html
    assert "2 frames are not PNG or JPEG and are not shown." in html


def test_a_device_that_is_no_cpu_is_not_called_one(sample: Run) -> None:
    device: dict[str, Any] = {"kind": "cuda", "name": "Synthetic GPU", "driver": "1.0", "memory_mb": 80000}
    html = page.render(replace(sample, environment={**sample.environment, "device": device}))
    assert "on this CPU" not in html
    assert "resident memory of a fresh process, interpreter" not in html


def test_more_than_a_thousand_of_something_is_set_apart(sample: Run) -> None:
    run = mapped(sample, "int8", "memory_peak", value=14250.0)
    assert "14\N{NO-BREAK SPACE}250\N{NO-BREAK SPACE}MB" in page.render(run)


def test_answers_graded_in_other_ways_have_a_table_of_their_own(sample: Run) -> None:
    """Only what was measured has a column; why the others are not there is said beneath."""
    figures = [
        Measurement("accuracy_letter", 0.5, "1", 40, 0.4, 0.6, True, "by letter"),
        Measurement("token_f1", 0.25, "1", 60, 0.2, 0.3, True, "by words"),
        Measurement("similarity", None, "1", 0, None, None, True, "meaning", absent="no model was named"),
    ]
    records = tuple(
        replace(record, measurements=(*record.measurements, *figures)) if record.suite == "agreement" else record
        for record in sample.records
    )
    html = page.render(replace(sample, records=records))
    section = html[html.index('id="grading"') : html.index('id="flips"')]
    assert "Token F1" in section
    assert "n = 40" in section
    assert "Similarity: no model was named" in section
    assert "Likeliest letter</th>" not in section
    assert 'id="grading"' not in page.render(sample)


def test_a_run_of_random_weights_shows_no_answer_and_no_verdict(sample: Run) -> None:
    """Even where its file holds agreement rows: what random weights say means nothing."""
    random = replace(sample, environment={**sample.environment, "weights": "random"})
    html = page.render(random)
    assert "No verdict: the weights are random" in html
    assert "the weights are random: what they answer means nothing" in html
    assert 'class="flips"' not in html
    assert all(view.get("agreement").value is None and not view.items for view in variants(random))
    assert decide(random).ship is None
    assert any(view.get("ttft").value is not None for view in variants(random))
