"""Charts as PNG files, without a browser: as large as said, with their words, whole or not at all."""

import sys
import types
from pathlib import Path

import pytest

from harness.errors import ResourceError, UsageError
from harness.record import Run
from harness.report.charts import charts_of
from harness.report.charts.png import write_png

Image = pytest.importorskip("PIL.Image")


def test_every_chart_of_a_run_becomes_a_file_twice_its_size(whole: Run, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    charts = charts_of(whole)
    paths = write_png(charts, tmp_path / "deep" / "pictures")
    assert [path.name for path in paths] == [f"{chart.id}.png" for chart in charts]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width in (2112, 1016), "twice a wide drawing, or a panel of two"
            pixels = picture.convert("RGB")
            assert pixels.getpixel((0, 0)) == (255, 255, 255)
            assert len(pixels.resize((64, 64)).getcolors(4096)) > 8, "something is drawn"


def test_the_same_charts_give_the_same_files(whole: Run, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    first, second = (write_png(charts_of(whole)[:1], tmp_path / name)[0] for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_without_resvg_it_says_what_to_install(whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UsageError, match="pip install resvg-py"):
        write_png(charts_of(whole), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_without_any_font_it_says_so(whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blank = types.SimpleNamespace(svg_to_bytes=lambda **_: b"the same picture with and without letters")
    monkeypatch.setitem(sys.modules, "resvg_py", blank)
    with pytest.raises(UsageError, match="fonts-dejavu"):
        write_png(charts_of(whole), tmp_path / "none")


def test_a_folder_that_cannot_be_is_an_error_in_one_line(whole: Run, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="cannot be written"):
        write_png(charts_of(whole)[:1], tmp_path / "file")
