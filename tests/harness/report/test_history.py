"""Figures over commits: which runs stand in one row, where a level changed, and how the page shows it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.gate.storage import runs_below
from harness.record import Run
from harness.report import page
from harness.report.charts import history as drawn
from harness.report.history import history
from tests.harness.gate.made import answers, elsewhere, in_a_minute, memory, run
from tests.harness.report.sample import as_json

SHIFTED = 25  # the commit from which decoding takes 6.1 % longer


def commits(count: int, shifted: int | None = SHIFTED) -> list[Run]:
    """A run a commit, a day apart; two variants."""
    hits = [i % 5 > 0 for i in range(80)]
    made = []
    for day in range(1, count + 1):
        slower = {"itl": 1.061} if shifted is not None and day >= shifted else {}
        extra = (memory("int8"), answers("int8", hits))
        base = run(
            day, day=day, commit=f"{day:04x}beef", slower=slower, variants=("baseline", "int8"), extra=extra,
            between=0.005, within=0.01,
        )  # fmt: skip
        made.append(replace(base, path=Path(f"{day:04d}_{base.commit['id']}.json")))
    return made


@pytest.fixture(scope="module")
def forty() -> list[Run]:
    return commits(40)


def test_a_shift_is_named_by_its_commit_in_words(forty: list[Run]) -> None:
    found = history(forty[-1], forty)
    assert found is not None
    assert len(found.labels) == 40
    panel = next(panel for panel in found.panels if panel.metric == "itl")
    for one in panel.series:
        assert [shift.index for shift in one.shifts] == [SHIFTED - 1]
        said = re.fullmatch(rf"0025 0019bee: inter-token latency of {one.variant} up (\d\.\d) %", one.shifts[0].words)
        assert said is not None
        assert float(said[1]) == pytest.approx(6.1, abs=0.8)
    assert panel.says.startswith("Over 40 runs, from 0001 0001bee to 0040 0028bee: 0025 0019bee: inter-token")


def test_without_a_shift_nothing_is_made_of_chance() -> None:
    found = history(commits(40, None)[-1], commits(40, None))
    assert found is not None
    assert [shift for panel in found.panels for one in panel.series for shift in one.shifts] == []
    assert all(panel.says.endswith("no change that chance does not explain.") for panel in found.panels)


SLOW = range(14, 22)  # days on which somebody else's work slows the machine by a tenth


def days(runs: list[Run], ruler: str = "1") -> list[Run]:
    """The runs, each measured on its day; their rulers say how slow it was."""
    return [in_a_minute(one, 1.1 if day in SLOW else 1.0, ruler) for day, one in enumerate(runs, 1)]


def test_a_slow_day_is_no_change_and_slower_code_is(forty: list[Run]) -> None:
    """Drawn is what was measured, slow days and all."""
    found = history(days(forty)[-1], days(forty))
    assert found is not None
    panels = {panel.metric: panel for panel in found.panels}
    assert [[shift.index for shift in one.shifts] for one in panels["itl"].series] == [[SHIFTED - 1]] * 2
    assert not [shift for one in panels["ttft"].series for shift in one.shifts]
    ordinary, slow = (panels["ttft"].series[0].points[day - 1] for day in (13, 14))
    assert slow is not None
    assert ordinary is not None
    assert slow.value == pytest.approx(1.1 * ordinary.value, rel=0.02)
    assert panels["ttft"].says.endswith(
        "no change that chance does not explain (looked for in times over the ruler, so that a slow day is no change; "
        "drawn as measured)."
    )
    assert "ruler" not in panels["memory_peak"].says


def test_runs_of_two_rulers_are_looked_at_as_they_are(forty: list[Run]) -> None:
    """And the sentence says what may be among the changes."""
    mixed = [*days(forty, ruler="0")[:10], *days(forty)[10:]]
    found = history(mixed[-1], mixed)
    assert found is not None
    panel = found.panels[0]
    assert panel.metric == "ttft"
    assert SLOW[0] - 1 in {shift.index for one in panel.series for shift in one.shifts}
    assert "raw times, as not all runs were held against the same ruler: a slow day may be among them" in panel.says


def test_a_history_has_at_least_three_runs() -> None:
    few = commits(3, None)
    assert history(few[1], few) is None
    assert history(few[2], few) is not None


def test_what_is_measured_later_does_not_change_a_page(forty: list[Run]) -> None:
    early = forty[:12]
    assert page.render(early[-1], early) == page.render(early[-1], forty)
    assert page.render(early[-1], early) == page.render(early[-1], tuple(reversed(early)))


def test_runs_of_another_kind_are_left_out_and_counted(forty: list[Run]) -> None:
    mixed = [*forty[:5], elsewhere(forty[5], weights="random"), elsewhere(forty[6], data={"dataset": "x"}), forty[7]]
    found = history(forty[7], mixed)
    assert found is not None
    assert len(found.labels) == 6
    assert found.note == "2 runs of another device, pair, data or kind of weights left out."


def test_another_workload_and_what_is_not_valid_are_gaps(forty: list[Run]) -> None:
    longer = replace(forty[1], records=tuple(replace(r, workload={"frames": 64}) for r in forty[1].records))
    spoilt = replace(
        forty[2], records=tuple(replace(r, valid=False, invalid_reasons=("throttled",)) for r in forty[2].records)
    )
    found = history(forty[5], [forty[0], longer, spoilt, *forty[3:6]])
    assert found is not None
    points = found.panels[0].series[0].points
    assert [point is None for point in points] == [False, True, True, False, False, False]


def test_a_library_that_came_with_the_shift_is_named(forty: list[Run]) -> None:
    newer: Any = {"torch": "2.14.0", "transformers": "5.17", "bitsandbytes": "0.50"}
    runs = [*forty[:24], *(elsewhere(one, versions=newer) for one in forty[24:])]
    found = history(runs[-1], runs)
    assert found is not None
    assert any("(torch 2.13.0 → 2.14.0 in the same step)" in panel.says for panel in found.panels)


def test_commits_stand_in_their_order_not_in_that_of_measuring(forty: list[Run]) -> None:
    """An old commit that is measured again stands in its place."""
    again = replace(forty[0], datetime="2026-01-10T00:00:00+00:00", path=Path("0041_again.json"))
    found = history(forty[11], [*forty[1:12], again])
    assert found is not None
    assert found.labels[0] == "0041 0001bee"


def test_a_chart_has_its_sentence_its_table_and_its_marks(forty: list[Run]) -> None:
    found = history(forty[-1], forty)
    assert found is not None
    charts = {chart.id: chart for chart in drawn(found)}
    assert list(charts) == [f"history-{name}" for name in ("ttft", "itl", "answer", "memory_peak", "agreement")]
    chart = charts["history-itl"]
    assert "<desc" in chart.wide
    assert "0019bee +6." in chart.wide
    assert len(chart.rows) == 40
    assert chart.header == ("Run", "baseline", "int8")
    assert re.match(r"2\.\d+ ms", chart.rows[0][1])
    assert "Dashed: from this commit on" in chart.note


def test_the_page_shows_it_only_where_there_is_one(forty: list[Run]) -> None:
    html = page.render(forty[-1], forty)
    assert '<section id="history">' in html
    assert "<script" not in html
    assert "inter-token latency of int8 up" in html.replace("\N{NO-BREAK SPACE}", " ")
    assert '<section id="history">' not in page.render(forty[-1])
    assert '<section id="history">' not in page.render(forty[1], forty)


def test_a_hostile_commit_is_escaped(forty: list[Run]) -> None:
    nasty = [replace(one, commit={**one.commit, "id": "<b>\x1b\n&"}) for one in forty[:5]]
    html = page.render(nasty[-1], nasty)
    section = html.partition('<section id="history">')[2].partition("</section>")[0]
    assert "&lt;b&gt;" in section
    assert "<b>" not in section
    assert "\x1b" not in section


def test_a_file_that_cannot_be_read_is_passed_over_with_a_line(forty: list[Run], tmp_path: Path) -> None:
    for one in forty[:4]:
        assert one.path is not None
        (tmp_path / one.path).write_text(json.dumps(as_json(one)))
    (tmp_path / "0005_cut.json").write_text('{"machine_info": {')
    stored = runs_below(tmp_path)
    assert len(stored.runs) == 4
    assert len(stored.skipped) == 1
    assert "0005_cut.json: not JSON, or cut short" in stored.skipped[0]
    assert history(stored.runs[-1], stored.runs) is not None
