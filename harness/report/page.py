"""The report: one HTML file that needs no network and no JavaScript, from a run's records alone.

    write(load_run(Path("results/tiny/cpu")), Path("results/tiny/cpu/report.html"))    # and flips.json beside it

The same records give the same bytes. Every text of a record is escaped, and the page's own policy (CSP)
allows nothing but its one style sheet and pictures that it carries.
"""

import base64
import errno
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from harness.errors import ResourceError, oneline
from harness.record import Run
from harness.report import charts, figures, provenance, sections
from harness.report.beside import identity
from harness.report.charts import download
from harness.report.compare import speed
from harness.report.cost import cost
from harness.report.counterfactual import what_would_change
from harness.report.disagreements import as_json
from harness.report.edge import edge
from harness.report.flips import flips
from harness.report.gain import gain
from harness.report.grading import graded
from harness.report.history import history
from harness.report.ledger import ledger
from harness.report.looking import looks
from harness.report.places import places
from harness.report.rounds import HEADINGS as ROUNDS
from harness.report.rounds import timed_rounds
from harness.report.seeds import by_seed
from harness.report.stages import sweep, where_time_goes
from harness.report.verdict import decide
from harness.report.view import dig, on_cpu, variants

_GAIN = (
    "Compared",
    "Rates",
    "Difference",
    "95 % interval",
    "Only one agrees",
    "p exact",
    "p by clips",
    "Shown",
)
FLIPS = "flips.json"
_HERE = Path(__file__).parent / "templates"
_UNIT = re.compile(r"(?<=[\d–]) (?=(?:%|ms|MB|GB|J|pt|s|W|\d{3})(?![\w]))|(?<=(?:least|.most)) (?=\d)")


def render(run: Run, earlier: Sequence[Run] = (), flips_file: str = FLIPS) -> str:
    """The whole page; with the runs before it, its history too. `flips_file` stands beside it, and is linked."""
    views, verdict = variants(run), decide(run)
    headings, budgets = sections.budget_table(verdict)
    chosen = next((view for view in views if view.name == verdict.ship), None)
    students = [view for view in views if view.items and view.name != "baseline" and not view.control]
    past = history(run, earlier)
    page = template("report.html.j2").render(
        **style(),
        identity=identity(run),
        pair=dig(run.pair, "name"),
        description=dig(run.pair, "description"),
        device=dig(run.environment, "device", "name"),
        measured=provenance.when(run),
        commit=dig(run.commit, "id")[:10],
        dirty=run.commit.get("dirty") is True,
        cpu=on_cpu(run),
        verdict=verdict,
        has_verdict=verdict.given,
        speed=speed(run),
        memory=provenance.memory_words(run, views),
        overview=sections.overview(views, verdict),
        held=sections.held(verdict),
        change=what_would_change(run),
        budget_headings=headings,
        budgets=budgets,
        pareto=charts.pareto(run, verdict),
        stages=where_time_goes(views),
        stage_bars=charts.stage_bars(run),
        memory_parts=charts.waterfall(run),
        frames=charts.frames(run),
        calibration=charts.calibration(run),
        panels=charts.distributions(run),
        history=charts.history(past) if past else (),
        sweep=sweep(views),
        edge=edge(run, views),
        rounds=timed_rounds(views),
        rounds_headings=ROUNDS,
        curves=charts.training(run),
        gain=gain(run),
        graded=graded(views),
        seeds=by_seed(run),
        gain_headings=_GAIN,
        by_type=sections.by_type(views, chosen if chosen in students else (students[-1] if students else None)),
        flips=flips(views, verdict.ship),
        flips_file=flips_file,
        flips_href="./" + quote(os.fsencode(flips_file)),  # a file name may hold anything
        looks=looks(views, verdict.ship),
        places=places(views, verdict.ship),
        cost=cost(views),
        ledger=ledger(run, views),
        recipes=provenance.recipes(views),
        blind=next((view.blind for view in views if view.blind), None),
        how=provenance.how(views),
        environment=provenance.environment(run),
        digests=provenance.digests(run, views),
        invalid=provenance.invalid(views),
        failed=provenance.failed(views),
        percent=figures.percent,
        p_value=figures.p_value,
        points=figures.points,
    )
    # A record may hold half a surrogate pair, which no UTF-8 file can.
    return page.encode("utf-8", "replace").decode("utf-8")


def write(run: Run, path: Path, earlier: Sequence[Run] = ()) -> Path:
    """The page at a path, `earlier` runs in its history, and beside it all disagreements as JSON (`flips.json`, or
    flips-x.json beside x.html). Both are written aside, then renamed: neither is seen half-written.
    """
    beside = path.with_name(FLIPS if path.stem == "report" else f"flips-{path.stem}.json")  # never a record's name
    texts = {beside: as_json(run, variants(run)), path: render(run, earlier, beside.name)}
    aside = {target: target.with_name(f".{target.name}.{os.getpid()}.partial") for target in texts}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, text in texts.items():
            if target.is_dir():  # found before the other one is in its place
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with aside[target].open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        for target in texts:
            os.replace(aside[target], target)
    except OSError as error:
        raise ResourceError(
            f"report {oneline(path, 200)}: cannot be written: {error.strerror}; choose another --out"
        ) from None
    finally:
        for partial in aside.values():
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    return path


def unbroken(text: object) -> str:
    """Blanks between a figure and its unit that a line does not break at."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", str(text))


def style() -> dict[str, Markup | str]:
    """What every page's head needs: the style sheet, and its digest for the page's policy."""
    css = "".join(file.read_text(encoding="utf-8") for file in sorted((_HERE / "css").glob("*.css")))
    return {"css": Markup(css), "css_hash": base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()}


def template(name: str) -> Template:
    """A page's template, escaping whatever is put into it."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        nb=unbroken, svg_uri=download.svg_uri, csv_uri=download.csv_uri, file_name=download.file_name
    )
    return environment
