"""firstsight report: a record, or several, as a page, Markdown, JSON, LaTeX, pictures or a badge; and a folder's index.

The rooms below return text; here it is written, whole or not at all, and told. docs/report-formats.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import durable
from harness.errors import ResourceError, UsageError, oneline

if TYPE_CHECKING:
    from harness.record import Run
    from harness.report.across import Across

EPILOG = """examples:
  firstsight report results/tiny/cpu                            the page, beside the record
  firstsight report results/tiny/cpu --format md --out -        a table for a pull request, to the terminal
  firstsight report results/tiny/cpu --format latex,png         a table and figures for a paper
  firstsight report results/tiny/cpu --format badge             badge.svg for a README
  firstsight report results/tiny/cpu results/tiny/h100          several pairs, devices or commits on one page
  firstsight report before.json after.json --format json --out both.json
  firstsight report --index results/published                   index.html of all records below a folder

exit code: 0 written · 2 a record cannot be read, or the command makes no sense: one line says what; nothing is written
docs/report-formats.md tells what is in each format.
"""
PAGE, PICTURES = "html", "png"
TEXTS = ("md", "json", "latex", "badge", "shields")
FORMATS = (PAGE, *TEXTS, PICTURES)
FIGURES = "figures"
STDOUT = Path("-")


@dataclass(frozen=True)
class Given:
    """The runs to show, with what lies beside a single one: its history."""

    found: Across
    earlier: Sequence[Run]
    skipped: Sequence[str]
    folder: Path | None  # where files go by default; None: the records have no folder in common

    @property
    def single(self) -> Run | None:
        """The run, where there is one."""
        return self.found.runs[0].run if len(self.found.runs) == 1 else None


def add_commands(commands: Any) -> None:
    """`report` beside the other commands."""
    report = commands.add_parser(
        "report",
        help="render a record, or several on one page: HTML, Markdown, JSON, LaTeX, PNG, a badge",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument(
        "records", metavar="RECORD", nargs="*", type=Path, help="a run's JSON, or a folder (its newest run)"
    )
    report.add_argument(
        "--format",
        action="append",
        metavar="A,B",
        help=f"{', '.join(FORMATS)}; several with commas, or repeated (default: html)",
    )
    report.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="the file (of png, and of several formats: the folder) to write; - is standard output "
        "(default: report.html, report.md … beside the record; of several, across.html … in the folder that holds all)",
    )
    report.add_argument(
        "--across",
        metavar="FIELD,FIELD",
        default="",
        help="ratios although these differ: device,driver,… or all",
    )
    report.add_argument("--index", metavar="FOLDER", type=Path, help="index.html of all records below a folder")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    if options.index is not None:
        return _index(options)
    if not options.records:
        raise UsageError("report: no record; give a run's JSON or a folder of runs, such as results/tiny/cpu")
    formats = _asked(options.format)
    to_stdout = options.out == STDOUT
    if to_stdout and (len(formats) > 1 or formats[0] == PICTURES):
        raise UsageError("--out -: one format at a time, and no pictures; give a path")
    given = _given(options)
    whole = [name for name in formats if name != PICTURES and not (name == PAGE and given.single and not to_stdout)]
    texts = {name: _text(name, given, _page_folder(options, given, formats)) for name in whole}
    if to_stdout:
        sys.stdout.write(texts[formats[0]])
        return 0
    paths = {name: _path(name, given, options.out, alone=len(formats) == 1) for name in formats}
    _keep_records(paths.values())
    _say(given, list(_made(given, paths, texts)))
    return 0


def _asked(given: Sequence[str] | None) -> tuple[str, ...]:
    names = [name.strip() for text in given or (PAGE,) for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {oneline(name, 40)}: no such format; there are {', '.join(FORMATS)}")
    if not names:
        raise UsageError(f"--format: names none; there are {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def _given(options: argparse.Namespace) -> Given:
    from harness.gate.comparable import parse_across
    from harness.gate.storage import runs_below, storage_of
    from harness.record import load_run
    from harness.report.across import gather

    across = parse_across(options.across)
    runs = [load_run(path) for path in options.records]
    found = gather(runs, across)
    homes = [path if path.is_dir() else path.parent for path in options.records]
    if len(runs) > 1:
        return Given(found, (), (), _common(homes))
    storage = options.records[0] if options.records[0].is_dir() else storage_of(runs[0])
    stored = runs_below(storage, newest=60) if storage else None
    return Given(found, stored.runs if stored else (), stored.skipped if stored else (), homes[0])


def _common(folders: Sequence[Path]) -> Path | None:
    """The closest folder that holds all; None where that is the root of the disk."""
    shared = Path(os.path.commonpath([folder.resolve() for folder in folders]))
    if shared == Path(shared.anchor):
        return None
    here = Path.cwd().resolve()
    return shared.relative_to(here) if shared.is_relative_to(here) else shared


def _made(given: Given, paths: Mapping[str, Path], texts: Mapping[str, str]) -> Iterator[str]:
    """Everything written; a line on each. What may still fail comes first."""
    if PAGE in paths and given.single is not None:
        from harness.report import page

        yield f"report: {page.write(given.single, paths[PAGE], given.earlier)}"
    if PICTURES in paths:
        yield from (f"figure: {file}" for file in _draw(given, paths[PICTURES]))
    for name, text in texts.items():
        yield f"{'report' if name == PAGE else name}: {_written(paths[name], text)}"


def _text(name: str, given: Given, at: Path) -> str:
    from harness.report import across_page, page
    from harness.report.formats import FORMATS as MADE

    if name != PAGE:
        return MADE[name].render(given.found)
    if given.single is not None:
        return page.render(given.single, given.earlier, flips_file="")  # to standard output, with no file beside it
    return across_page.render(given.found, at)


def _path(name: str, given: Given, out: Path | None, *, alone: bool) -> Path:
    """Where a format goes: --out itself where it is the only one, else below it, else beside the record."""
    if out is not None and alone and not (out.is_dir() and name != PICTURES):
        return out
    folder = given.folder if out is None else out
    if folder is None:
        raise UsageError("the records have no folder in common; say with --out where to write")
    return folder / _name(name, given)


def _name(name: str, given: Given) -> str:
    from harness.report.formats import FORMATS as MADE

    if name == PICTURES:
        return FIGURES
    file = "report.html" if name == PAGE else MADE[name].file
    return file if given.single is not None else file.replace("report", "across")


def _page_folder(options: argparse.Namespace, given: Given, formats: Sequence[str]) -> Path:
    """The folder that the page will lie in: its links are seen from there."""
    return Path() if options.out == STDOUT else _path(PAGE, given, options.out, alone=len(formats) == 1).parent


def _keep_records(paths: Iterable[Path]) -> None:
    """A record is measured once: nothing is written over one, be it among those given or another run's."""
    for path in paths:
        if _is_record(path):
            raise UsageError(f"--out {oneline(path, 200)}: is a record, measured once; give another path")


def _is_record(path: Path) -> bool:
    """Whether pytest-benchmark's JSON lies there; one that was cut short, too."""
    try:
        held = path.read_bytes() if path.is_file() else b""
    except OSError:
        return False
    return held.startswith(b"{") and b'"machine_info"' in held and (b'"benchmarks"' in held or b'"commit_info"' in held)


def _written(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(path, text)
    except OSError as error:
        raise ResourceError(
            f"report {oneline(path, 200)}: cannot be written: {error.strerror}; choose another --out"
        ) from None
    return path


def _draw(given: Given, folder: Path) -> list[Path]:
    from harness.report.charts import charts_of
    from harness.report.charts.png import write_png

    if given.single is not None:
        return write_png(charts_of(given.single, given.earlier), folder)
    return [
        file
        for place, one in enumerate(given.found.runs, 1)
        for file in write_png(charts_of(one.run), folder / f"run-{place}")
    ]


def _say(given: Given, told: Sequence[str]) -> None:
    from harness.report import table

    if given.single is not None:
        print(table.render(given.single))
        for line in given.skipped:
            print(line)
        print()
    else:
        print(f"{oneline(given.found.headline)}\n")
        for place, one in enumerate(given.found.runs, 1):
            print(oneline(f"{place}. {', '.join(one.origin)}: {one.verdict.sentence}"))
        for held in given.found.between:
            if held.refused:
                print(oneline(f"runs {held.earlier + 1} and {held.later + 1} are not compared: {held.refused}"))
        print()
    for line in told:
        print(line)
    for one in given.found.runs:
        print(f"record: {one.run.path}")


def _index(options: argparse.Namespace) -> int:
    from harness.record import load_runs
    from harness.report.across_page import render_index

    folder = options.index
    if options.records or options.format or options.across:
        raise UsageError("--index takes a folder alone: leave records, --format and --across out")
    if not folder.is_dir():
        raise UsageError(f"--index {oneline(folder, 200)}: no such folder")
    runs = load_runs(folder)
    if not runs:
        raise UsageError(f"--index {oneline(folder, 200)}: no record in it; name them 0001_anything.json")
    path = options.out or folder / "index.html"
    _keep_records([path])
    text = render_index(runs, Path() if path == STDOUT else path.parent)
    if path == STDOUT:
        sys.stdout.write(text)
    else:
        print(f"index: {_written(path, text)}, of {len(runs)} record{'' if len(runs) == 1 else 's'}")
    return 0
