"""The terminal's table: what the page's first screen says, set by tabulate.

print(table.render(load_run(Path("results/tiny/cpu"))))
"""

from tabulate import tabulate

from harness.errors import oneline
from harness.record import Run
from harness.report import figures
from harness.report.compare import baseline_of, relative, speed
from harness.report.counterfactual import what_would_change
from harness.report.verdict import decide
from harness.report.view import VariantView, dig, variants

# reason of an absence -> the variants, the metrics (dicts, to keep the order)
Notes = dict[str, tuple[dict[str, None], dict[str, None]]]


def render(run: Run) -> str:
    """The table of variants, the reasons of what is absent, what got faster, and the verdict; no line can
    hold control codes.
    """
    views = variants(run)
    baseline = baseline_of(views)
    notes: Notes = {}
    rows = [[_name(view), *(_cell(view, baseline, metric, notes) for metric in figures.COLUMNS)] for view in views]
    header = [
        "variant",
        *(figures.metric(name).heading.lower().replace("ttft", "TTFT") for name in figures.COLUMNS),
    ]
    name, device = dig(run.pair, "name"), dig(run.environment, "device", "name")
    verdict = decide(run)
    lines = [
        oneline(f"{name} on {device}: medians and 95 % intervals; × and pt: against baseline", 200),
        "",
        tabulate(rows, headers=header, tablefmt="simple", disable_numparse=True, stralign="left"),
        "",
        *(_gap(reason, list(who), list(what)) for reason, (who, what) in notes.items()),
        oneline(speed(run), 600),
        *(oneline(reason, 600) for reason in verdict.reasons),
        *(
            oneline(f"What would change it: {said[0].lower()}{said[1:]}", 600)
            for said in what_would_change(run).says[:1]
        ),
        "",
        oneline(verdict.sentence, 1000),
    ]
    return "\n".join(lines)


def _gap(reason: str, who: list[str], what: list[str]) -> str:
    return oneline(f"–: {figures.listed(who)}: no {figures.listed(what, 'or')}: {reason}", 400)


def _name(view: VariantView) -> str:
    return oneline(view.name, 40) + (" (control)" if view.control else "")


def _cell(view: VariantView, baseline: VariantView | None, metric: str, notes: Notes) -> str:
    found = view.get(metric)
    if found.value is None:
        who, what = notes.setdefault(found.absent or "", ({}, {}))
        who[view.name] = what[figures.metric(metric).heading] = None
        return "–"
    bounds = figures.interval(found) if figures.metric(metric).kind == "share" else ""
    beside = relative(view, baseline, metric)
    symbol = beside.symbol if beside is not None and figures.metric(metric).kind != "share" else ""
    return oneline(" ".join(filter(None, (figures.shown(found), f"({bounds})" if bounds else "", symbol))), 60)
