"""A run in brief, for whoever shows it elsewhere than on its own page: of what it is, its verdict, its first table.

summary = summarise(load_run(Path("results/tiny/cpu")))
summary.name       # tiny on AMD EPYC
summary.verdict.sentence
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.gate.commit import UNKNOWN
from harness.record import Measurement, Run
from harness.report import figures, provenance
from harness.report.sections import Overview, overview
from harness.report.verdict import Verdict, decide
from harness.report.view import VariantView, dig, variants


@dataclass(frozen=True)
class Summary:
    """What every format says of a run. Texts are as the record holds them: each format escapes for itself."""

    run: Run
    views: tuple[VariantView, ...]
    verdict: Verdict
    table: Overview
    pair: str
    device: str
    commit: str  # its first ten digits, or that it is not recorded
    dirty: bool
    measured: str

    @property
    def name(self) -> str:
        """tiny on AMD EPYC."""
        return f"{self.pair} on {self.device}"

    @property
    def origin(self) -> tuple[str, ...]:
        """Pair and device, commit, date."""
        dirty = " with uncommitted changes" if self.dirty else ""
        return self.name, f"{self.commit}{dirty}", self.measured

    @property
    def asked(self) -> tuple[tuple[str, str], ...]:
        """Every budget that the pair states: its heading, and what it asks; those without a column, too."""
        checks = self.verdict.table[0].checks if self.verdict.table else ()
        return tuple((figures.metric(check.metric).heading, check.asked) for check in checks)

    @property
    def beyond(self) -> tuple[str, ...]:
        """Budgets that no column of the table is of: Whole answer, at most 250 ms: int8 met (21.7 ms)."""
        held: dict[str, list[str]] = {}
        for judged in self.verdict.table:
            for check in () if judged.control else judged.checks:
                if check.metric not in figures.COLUMNS:
                    value = "" if check.measurement.value is None else f" ({figures.shown(check.measurement)})"
                    heading = f"{figures.metric(check.metric).heading}, {check.asked}"
                    held.setdefault(heading, []).append(f"{judged.variant} {check.status}{value}")
        return tuple(f"{heading}: {figures.listed(told)}" for heading, told in held.items())

    @property
    def has_verdict(self) -> bool:
        """Whether there was something to judge, and something to judge by."""
        return self.verdict.given

    @property
    def basis(self) -> tuple[str, ...]:
        """What the figures rest on: questions and clips, rounds and processes, the workload that was timed."""
        return tuple(_basis(self.views))

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Each column's heading and how it was measured, the first clause of it: the whole stands on the page."""
        found = {name: _first(self.views, name) for name in figures.COLUMNS}
        told = {name: one.how.partition(";")[0] for name, one in found.items() if one is not None}
        return tuple((figures.metric(name).heading, how) for name, how in told.items())


def summarise(run: Run) -> Summary:
    """The run in brief; RecordError where its details are malformed."""
    views, verdict = variants(run), decide(run)
    commit = dig(run.commit, "id")
    return Summary(
        run=run,
        views=views,
        verdict=verdict,
        table=overview(views, verdict),
        pair=dig(run.pair, "name") or "a pair without name",
        device=dig(run.environment, "device", "name") or "a device that is not recorded",
        commit="commit not recorded" if commit in UNKNOWN else commit[:10],
        dirty=run.commit.get("dirty") is True,
        measured=provenance.when(run) or "date not recorded",
    )


def _basis(views: tuple[VariantView, ...]) -> Iterator[str]:
    answered = _first(views, "agreement")
    if answered is not None:
        clips = next((len({item.clip for item in view.items}) for view in views if view.items), 0)
        on_clips = f" on {figures.count(clips)} clips" if clips else ""
        yield f"answers: {figures.count(answered.n)} questions{on_clips}"
    timed = _first(views, "ttft")
    if timed is not None:
        processes = len(timed.processes(ruled=False))
        whose = f"means of {processes} processes’ medians, " if processes > 1 else "medians of "
        at = next((dict(view.headline) for view in views if view.headline), {})
        words = {"frames": "frames", "batch": "batch", "new_tokens": "new tokens"}
        said = [f"{words[name]} {at[name]}" for name in words if name in at]
        yield f"times: {whose}{figures.count(timed.n)} rounds" + (f" ({', '.join(said)})" if said else "")


def _first(views: tuple[VariantView, ...], metric: str) -> Measurement | None:
    return next((found for view in views if (found := view.get(metric)).value is not None), None)
