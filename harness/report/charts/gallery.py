"""Every chart of a page in its order, for whoever takes them out of it: a folder of pictures, a paper.

write_png(charts_of(run), Path("pictures"))
"""

from collections.abc import Sequence

from harness.record import Run
from harness.report.charts.calibration import calibration
from harness.report.charts.distributions import distributions
from harness.report.charts.frames import frames
from harness.report.charts.history import history as over_commits
from harness.report.charts.pareto import pareto
from harness.report.charts.stage_bars import stage_bars
from harness.report.charts.svg import Chart, NoChart
from harness.report.charts.training import training
from harness.report.charts.waterfall import waterfall
from harness.report.history import history
from harness.report.verdict import decide


def charts_of(run: Run, earlier: Sequence[Run] = ()) -> tuple[Chart, ...]:
    """The charts that the run's page shows, those of its history too where earlier runs are given."""
    past, swept = history(run, earlier), frames(run)
    found = (
        pareto(run, decide(run)),
        stage_bars(run),
        waterfall(run),
        *distributions(run),
        *(() if isinstance(swept, NoChart) else swept),
        calibration(run),
        *training(run),
        *(over_commits(past) if past else ()),
    )
    return tuple(chart for chart in found if isinstance(chart, Chart))
