"""What the run's times would be on devices that it was not measured on: projections, each with its bar, none a record.

    edge(run, variants(run))                                # Edge, or None where no stage was timed
    edge(run, variants(run), {"h100-sxm": load_run(…)})     # held against what a second device measured

How is told in harness/measure/edge.py and docs/edge.md. A CPU's times are not projected: what share of a roofline its
kernels reach says nothing of a GPU's. TTFT is shown without `prepare`, which is the host's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.measure.devices import Cannot, Device, Least, load_devices, reported_as
from harness.measure.edge import (
    METRICS,
    Missed,
    Projected,
    Timed,
    held_against,
    leave_one_out,
    missed_on,
    project,
    room,
    together,
)
from harness.record import Run
from harness.report import figures
from harness.report.edge_times import Stages, by_device, format_of, headline, needed, only_timed, stages_of
from harness.report.view import VariantView, dig, on_cpu

SHOWN = {"TTFT without prepare": ("vision", "prefill"), "Inter-token": ("decode",)}
FILE = "harness/measure/devices.yaml"
KERNELS = {  # what a format assumes of a device, by its name in the record
    "int8": "int8 is bitsandbytes’ LLM.int8, whose kernels are assumed to reach the same share there, untried.",
    "nf4": "No device multiplies nf4: weights are made whole before each product, there as where it was measured.",
}
Cells = tuple[tuple[str, str], ...]  # value, what stands beneath


@dataclass(frozen=True)
class EdgeTable:
    """One variant: a row a device, a cell a heading. `shares`: of the data sheet's roofline, by stage, as measured."""

    variant: str
    shares: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, Cells], ...]


@dataclass(frozen=True)
class Edge:
    """The section. `label` always says that these are projections; without tables it says why there are none.

    `held`: device, variant, stage, workload, projected over measured by share and by rest. `sources`: device, figure,
    where it is from.
    """

    label: str
    headings: tuple[str, ...] = ()
    tables: tuple[EdgeTable, ...] = ()
    held: tuple[tuple[str, ...], ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[tuple[str, str, str], ...] = ()


def edge(
    run: Run,
    views: tuple[VariantView, ...],
    others: Mapping[str, Run] | None = None,
    devices: Mapping[str, Device] | None = None,
) -> Edge | None:
    """`others`: runs of the same pair by the device (its id in devices.yaml) that they were measured on; which runs are
    refused, `by_device` says.
    """
    known = load_devices() if devices is None else devices
    timed = [(view, stages) for view in views if any((stages := stages_of(view)).values())]
    if not timed:
        return None
    name = dig(run.environment, "device", "name") or "a device without a name"
    source = reported_as(known, name)
    if on_cpu(run):
        why = f"it was measured on a CPU ({name}), whose share of its roofline says nothing of a GPU’s kernels"
        return Edge(f"No projection to other devices: {why}. Measure on a GPU that {FILE} lists.")
    if source is None:
        why = f"it was measured on {name}, which {FILE} does not list, so there is no data sheet to hold it against"
        return Edge(f"No projection to other devices: {why}. An entry there, with its sources, is all it takes.")
    measured = by_device(run, source, others or {}, known)
    found = _Projecting(source, known)
    for view, stages in timed:
        elsewhere = {device: stages_of(of[view.name]) for device, of in measured.items() if view.name in of}
        found.add(view, stages, elsewhere)
    return Edge(
        f"Projections, not measurements: times on {source.name}, carried over to other devices by data sheets, at "
        f"{headline(timed[0][0])}.",
        tuple(f"{heading}, projected" for heading in SHOWN),
        tuple(found.tables),
        tuple(found.held),
        (*found.assumed(), *_assumed([view for view, _ in timed], known)),
        found.notes(),
        tuple((one.name, *row) for one in known.values() for row in _sources(one)),
    )


@dataclass
class _Projecting:
    """Tables, and what is learnt on the way: reasons of gaps, how far shares were tried, how far they are carried."""

    source: Device
    known: Mapping[str, Device]
    tables: list[EdgeTable] = field(default_factory=list)
    held: list[tuple[str, ...]] = field(default_factory=list)
    missed: dict[str, list[Missed]] = field(default_factory=dict)
    reach: dict[str, list[float]] = field(default_factory=dict)
    gaps: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)  # what, why → on which devices

    def add(self, view: VariantView, stages: Stages, elsewhere: Mapping[str, Stages]) -> None:
        at, rows, need = headline(view), [], needed(view)
        if isinstance(need, Cannot):
            self.gaps[f"{view.name}, whether it fits", f"not known: {need.why}"] = {}
        misses = {stage: self._misses(view.name, stage, stages, elsewhere) for stage in METRICS}
        own = {stage: stages[stage].get(at, Cannot("not measured at this workload")) for stage in METRICS}
        for target in self.known.values():
            there = stages if target is self.source else elsewhere.get(target.id)
            full = None if isinstance(need, Cannot) else room(need, target)
            if there is not None:
                cells = [_measured([there[part].get(at) for part in parts]) for parts in SHOWN.values()]
            elif full is not None:
                cells = [("does not fit", full.why)] * len(SHOWN)
            else:
                cells = [self._cell(view.name, heading, own, target, misses) for heading in SHOWN]
            rows.append((target.name, tuple(cells)))
        least = {stage: self.source.least(one.work) for stage, one in own.items() if isinstance(one, Timed)}
        shares = [
            (stage, figures.percent(found.seconds / one.seconds))
            for stage, found in least.items()
            if isinstance(found, Least) and isinstance(one := own[stage], Timed)
        ]
        self.tables.append(EdgeTable(view.name, tuple(shares), tuple(rows)))

    def _cell(
        self,
        variant: str,
        heading: str,
        own: Mapping[str, Timed | Cannot],
        target: Device,
        misses: Mapping[str, list[Missed]],
    ) -> tuple[str, str]:
        parts: list[Projected | Cannot] = []
        for stage in SHOWN[heading]:
            one = own[stage]
            if isinstance(one, Timed) and isinstance(lacking := target.least(one.work), Cannot):
                self.gaps[target.name, lacking.why] = {}
                return "–", ""
            part = one if isinstance(one, Cannot) else project(one, self.source, target, misses[stage])
            parts.append(part)
            if isinstance(part, Projected):
                self.reach.setdefault(stage, []).append(part.reach)
                if part.bound_otherwise:
                    what = f"{stage} of {variant}"
                    why = f"bound by {part.binds}, as it is not on {self.source.name}: its share is of another ceiling"
                    self.gaps.setdefault((what, why), {})[target.name] = None
        found = together(parts)
        if isinstance(found, Cannot):
            self.gaps.setdefault((f"{heading} of {variant}", found.why), {})[target.name] = None
            return "–", ""
        low, high, share, rest = (figures.digits(1e3 * t) for t in (found.low, found.high, found.share, found.rest))
        return f"≈ {low}–{high} ms", f"{share} by share, {rest} by rest"

    def _misses(self, variant: str, stage: str, stages: Stages, elsewhere: Mapping[str, Stages]) -> list[Missed]:
        ours = only_timed(stages[stage])
        found = [leave_one_out(ours, self.source)]
        for device, theirs in elsewhere.items():
            target = self.known[device]
            held = held_against(ours, self.source, only_timed(theirs[stage]), target)
            self.held += [
                (target.name, variant, stage, one.workload, figures.times(one.share), figures.times(one.rest))
                for one in held
            ]
            found.append(missed_on(held, target))
        misses = [one for one in found if one is not None]
        self.missed.setdefault(stage, []).extend(misses)
        return misses

    def notes(self) -> tuple[str, ...]:
        """Why cells are empty, or to be read with care; devices are named where it is not so of all."""
        most = len(self.known) - 1
        return tuple(
            f"{what}{f' on {figures.listed(list(on))}' if 0 < len(on) < most else ''}: {why}"
            for (what, why), on in self.gaps.items()
        )

    def assumed(self) -> tuple[str, ...]:
        """What the projection rests on, and how far it was tried."""
        found = [
            f"By share: each stage is assumed to reach the share of its data sheet’s roofline that it reached on "
            f"{self.source.name}, by the same software. By rest: all time beyond the roofline is assumed not to be the "
            "device’s, and to stay as it was. Data sheets are of peaks, at full power.",
            "The bar reaches over both, each widened by its worst miss where it could be tried, and never below the "
            "data sheet’s roofline. It is no confidence interval.",
        ]
        for stage, misses in self.missed.items():
            if misses and (reach := self.reach.get(stage)):
                share, rest = (
                    figures.times(max(values)) for values in zip(*((m.share, m.rest) for m in misses), strict=True)
                )
                tried = figures.listed(list(dict.fromkeys(one.against for one in misses)))
                spanned = figures.times(max(one.spanned for one in misses))
                far = f"{figures.times(min(reach))} to {figures.times(max(reach))}"
                found.append(
                    f"{stage}: against {tried} the share missed by at most {share} and the rest by at most {rest}, "
                    f"over least times up to {spanned} apart; they are carried to {far} of {self.source.name}’s."
                )
        return tuple(found)


def _measured(parts: Sequence[Timed | Cannot | None]) -> tuple[str, str]:
    timed = [one for one in parts if isinstance(one, Timed)]
    if len(timed) < len(parts):
        return "–", "measured here, but not this"
    return f"{figures.digits(1e3 * sum(one.seconds for one in timed))} ms", "measured"


def _assumed(views: Sequence[VariantView], known: Mapping[str, Device]) -> tuple[str, ...]:
    took = [(view.name, view.get("prepare")) for view in views]
    host = ", ".join(f"{name} {figures.shown(one)}" for name, one in took if one.value is not None)
    found = [
        "prepare is the host’s work and is not projected; it comes on top of TTFT"
        + (f". On the host that was measured it took: {host}." if host else ".")
    ]
    formats = {format_of(record) for view in views for record in view.records}
    found += [words for name, words in KERNELS.items() if name in formats]
    found += [f"{one.name}: {one.note}." for one in known.values() if one.note]
    if shared := [one.name for one in known.values() if one.shared_memory]:
        found.append(f"{figures.listed(shared)}: memory is shared with the host’s programs, and none are counted.")
    return tuple(found)


def _sources(device: Device) -> tuple[tuple[str, str], ...]:
    rates = ((f"{one.value / 1e12:g} TFLOP/s in {kind}, dense", one.source) for kind, one in device.rates.items())
    lacks = ((f"no products of {kind}", why) for kind, why in device.lacks.items())
    memory = (f"{device.memory.value / 1e9:g} GB", device.memory.source)
    return (memory, (f"{device.bandwidth.value / 1e9:g} GB/s", device.bandwidth.source), *rates, *lacks)
