"""The terminal's table."""

from dataclasses import replace

from harness.record import Run
from harness.report import table
from tests.harness.report.sample import without


def test_the_table_has_every_variant_its_intervals_and_the_verdict(sample: Run) -> None:
    text = table.render(sample)
    lines = text.splitlines()
    row = next(line for line in lines if line.startswith("distilled-int8"))
    assert "81.3 % (77.8–84.4)" in row
    assert "0.243 MB ×0.23" in row
    assert lines[-1].startswith("Ship distilled-int8:")
    assert any(line.startswith("finetuned (control)") for line in lines)


def test_a_gap_is_a_dash_with_its_reason(sample: Run) -> None:
    text = table.render(without(sample, "int8", "latency"))
    assert "–: int8: no TTFT or Inter-token: the latency suite has no record of it in this run" in text
    assert "0.000" not in text


def test_a_hostile_name_cannot_steer_the_terminal(sample: Run) -> None:
    nasty = "\x1b[31mred\nsecond line\u202e"
    records = tuple(replace(r, variant=nasty) if r.variant == "int8" else r for r in sample.records)
    text = table.render(replace(sample, records=records))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == len(table.render(sample).splitlines())
