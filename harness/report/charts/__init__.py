"""Charts as inline SVG: two sizes of each (wide, narrow), a title, a sentence that says what it shows, its
data as a table.

Colours are classes that the page's CSS variables fill, so that light, dark and print are the page's business.
Every mark is labelled where it is; hue is never the only difference.
"""

from harness.report.charts.distributions import distributions
from harness.report.charts.history import history
from harness.report.charts.pareto import pareto
from harness.report.charts.svg import Chart
from harness.report.charts.training import training

__all__ = ["Chart", "distributions", "history", "pareto", "training"]
