"""Charts as inline SVG: two sizes of each (wide, narrow), a title, a sentence that says what it shows, its
data as a table, and as files to take away.

Colours are classes that the page's CSS variables fill, so that light, dark and print are the page's business.
Every mark is labelled where it is; hue is never the only difference.
"""

from harness.report.charts.calibration import calibration
from harness.report.charts.distributions import distributions
from harness.report.charts.frames import frames
from harness.report.charts.gallery import charts_of
from harness.report.charts.history import history
from harness.report.charts.pareto import pareto
from harness.report.charts.stage_bars import stage_bars
from harness.report.charts.svg import Chart, NoChart
from harness.report.charts.training import training
from harness.report.charts.waterfall import waterfall

__all__ = [
    "Chart", "NoChart", "calibration", "charts_of", "distributions", "frames", "history", "pareto", "stage_bars",
    "training", "waterfall",
]  # fmt: skip
