"""Charts as inline SVG: two sizes of each (wide, narrow), a title, a sentence that says what it shows, its
data as a table.

Colours are classes that the page's CSS variables fill, so that light, dark and print are the page's business.
Every mark is labelled where it is; hue is never the only difference.
"""

from collections.abc import Sequence

from harness.record import Run
from harness.report.charts.distributions import distributions
from harness.report.charts.history import history
from harness.report.charts.pareto import pareto
from harness.report.charts.svg import Chart
from harness.report.charts.training import training
from harness.report.history import history as over_commits
from harness.report.verdict import decide

__all__ = ["Chart", "charts_of", "distributions", "history", "pareto", "training"]


def charts_of(run: Run, earlier: Sequence[Run] = ()) -> tuple[Chart, ...]:
    """Every chart of a run's page, in the page's order."""
    traded, past = pareto(run, decide(run)), over_commits(run, earlier)
    found = (traded, *distributions(run), *training(run), *(history(past) if past else ()))
    return tuple(chart for chart in found if chart is not None)
