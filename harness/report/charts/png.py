"""Charts as PNG files for slides and papers: the standalone SVGs, rasterised by resvg, without a browser.

    write_png(charts_of(run), Path("pictures"))      # pictures/pareto.png, pictures/waterfall.png, …

Twice the size of the page's wide drawings: 2112 pixels are 300 dpi on the width of an A4 text.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.durable import written
from harness.errors import ResourceError, UsageError, oneline
from harness.report.charts.download import file_name, standalone
from harness.report.charts.svg import Chart

ZOOM = 2.0
_FONT = "DejaVu Sans"  # where none of the drawing's own families is there
_LETTERS = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><text y="16" font-size="16">Ag</text></svg>'


def write_png(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """A file a chart in the folder, which is made if need be; each is there whole or not at all. Their paths, in order.

    UsageError where there is no resvg, or no font to write with: a picture without its words is none. ResourceError
    where the folder cannot be written.
    """
    try:
        import resvg_py
    except ImportError:
        raise UsageError("PNG: resvg is not installed: pip install resvg-py (it is in requirements.lock)") from None

    def drawn(svg: str, zoom: float) -> bytes:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom, font_family=_FONT, sans_serif_family=_FONT))

    if drawn(_LETTERS, 1) == drawn(_LETTERS.replace("Ag", ""), 1):
        raise UsageError("PNG: no font is installed, and charts have words: apt-get install fonts-dejavu-core")
    paths = [folder / file_name(chart, "png") for chart in charts]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chart, path in zip(charts, paths, strict=True):
            with written(path) as aside:
                aside.write_bytes(drawn(standalone(chart).decode(), ZOOM))
    except OSError as error:
        where = oneline(folder, 200)
        raise ResourceError(f"PNG {where}: cannot be written: {error.strerror}; choose another folder") from None
    return paths
