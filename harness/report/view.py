"""What a run says about each variant: its rows merged, its answers typed, its gaps with their reasons.

Everything below `harness/report` reads a run through `variants(run)`; a malformed detail is a RecordError
here, not later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import RecordError, oneline
from harness.record import JSON, Measurement, Record, Run

BASELINE = "baseline"
RANDOM_ANSWERS = "the weights are random: what they answer means nothing"
# Compared in their answers only, to tell where a gain comes from; never shipped.
CONTROLS = ("undistilled", "finetuned", "hard-labels")

# The suite of a metric, by its name's first word.
_SUITES = {
    **dict.fromkeys(("media", "prepare", "vision", "prefill", "itl", "ttft", "answer"), "latency"),
    **dict.fromkeys(("floor", "light", "moved", "flops"), "latency"),
    **dict.fromkeys(("memory", "weights", "waterfall", "kv", "cold"), "vram"),
}
_LATENCY = ("joules_per_answer", "joules_per_token")  # `joules` alone is what training took


@dataclass(frozen=True)
class Item:
    """One question as one variant answered it."""

    id: str
    clip: str
    type: str
    agrees: bool
    correct: bool
    sure: float | None = None  # the probability that it gave its own answer; records of before do not say


@dataclass(frozen=True)
class Flip:
    """A question that a variant answers otherwise than the teacher, with the frames it was asked about."""

    id: str
    clip: str
    type: str
    question: str
    options: tuple[str, ...]
    gold: str
    teacher: str
    answer: str
    teacher_p: float | None
    answer_p: float | None
    frames: tuple[str, ...]
    teacher_right: bool = False
    answer_right: bool = False


@dataclass(frozen=True)
class Point:
    """One logged moment of a training; what was not evaluated then is None."""

    step: int
    loss: float | None
    val_agreement: float | None
    val_kl: float | None


@dataclass(frozen=True)
class Training:
    """How a student was trained, and how it went."""

    curve: tuple[Point, ...]
    seconds: float | None
    best_step: int | None
    labels: str
    recipe: Mapping[str, JSON]


@dataclass(frozen=True)
class VariantView:
    """One variant over all its rows."""

    name: str
    control: bool
    records: tuple[Record, ...]
    items: tuple[Item, ...]
    flips: tuple[Flip, ...]
    blind: tuple[float, str] | None
    training: Training | None
    silent: str = ""  # why its answers are not judged, where that is so for the whole run
    headline: Mapping[str, JSON] = field(default_factory=dict)  # the workload that budgets are held against
    failed: Mapping[str, str] = field(default_factory=dict)  # suites whose test of it failed, and why: no row tells

    @property
    def apart(self) -> str:
        """Where it was measured in a job of its own: what that means for its ratios; else empty."""
        return next((str(record.details["apart"]) for record in self.records if record.details.get("apart")), "")

    def batches(self) -> tuple[int, ...]:
        """The batch sizes that latency was measured at, smallest first; at the headline's frames and answer length."""
        sizes = {_batch(record) for record in self.records if record.suite == "latency" and self._is_headline(record)}
        return tuple(sorted(size for size in sizes if size is not None))

    def get(self, metric: str, batch: int | None = None) -> Measurement:
        """The measurement (latency: of the headline's workload, at the batch, else the smallest); a gap or an invalid
        one is absent with its reason.
        """
        suite = "latency" if metric in _LATENCY else _SUITES.get(metric.split("_")[0], "agreement")
        if suite == "latency" and batch is None:
            batch = min(self.batches(), default=None)
        best: Measurement | None = None
        for record in self.records:
            if suite == "latency" and (_batch(record) != batch or not self._is_headline(record)):
                continue
            for found in record.measurements:
                if found.metric == metric:
                    if not record.valid:
                        found = _emptied(found, "not valid: " + "; ".join(record.invalid_reasons))
                    if best is None or (best.value is None and found.value is not None):
                        best = found
        return best if best is not None else _nothing(metric, self._why_not(suite))

    def _is_headline(self, record: Record) -> bool:
        """Records of before had one number of frames and one answer length, and say nothing of a headline."""
        wanted = {name: self.headline[name] for name in ("frames", "new_tokens") if name in self.headline}
        return all(record.workload.get(name, value) == value for name, value in wanted.items())

    def metrics(self) -> tuple[str, ...]:
        """Every metric that some row of this variant names."""
        return tuple(dict.fromkeys(m.metric for record in self.records for m in record.measurements))

    def _why_not(self, suite: str) -> str:
        if suite == "agreement" and self.silent:
            return self.silent
        if self.control and suite != "agreement":
            return "a control: compared in its answers, not timed or weighed"
        if suite in self.failed:
            return f"its {suite} test failed: {self.failed[suite]}"
        if not any(record.suite == suite for record in self.records):
            return f"the {suite} suite has no record of it in this run"
        return "no record of this run holds it"


def variants(run: Run) -> tuple[VariantView, ...]:
    """The variants in the order of the run's records, controls after the others."""
    silent = RANDOM_ANSWERS if has_random_weights(run) else ""
    records = [r for r in run.records if not (silent and r.suite == "agreement")]
    failed = _failed(run)
    names = list(dict.fromkeys([*(record.variant for record in records), *failed]))
    stated = run.pair.get("controls")
    controls = [str(name) for name in stated] if isinstance(stated, list) else list(CONTROLS)
    stated_headline = run.environment.get("headline")
    headline = stated_headline if isinstance(stated_headline, dict) else {}
    views = [
        replace(
            _view(name, name in controls, [r for r in records if r.variant == name], silent),
            headline=headline,
            failed=failed.get(name, {}),
        )
        for name in names
    ]
    return tuple(sorted(views, key=lambda view: (view.control, view.name != BASELINE)))


def _failed(run: Run) -> dict[str, dict[str, str]]:
    """Why tests failed, by variant and suite; records of before do not say."""
    found: dict[str, dict[str, str]] = {}
    for place, raw in enumerate(_rows(run.environment, "failed", "environment")):
        at = f"environment: failed[{place}]"
        row = _object(raw, at)
        variant, suite, why = (_text(row, name, at) for name in ("variant", "suite", "why"))
        found.setdefault(variant, {}).setdefault(suite, why)
    return found


def dig(mapping: Mapping[str, JSON], *path: str) -> str:
    """The text or number at a path of an environment, as text; empty where there is none."""
    found: Any = mapping
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return "" if found is None or isinstance(found, (Mapping, list)) else str(found)


def on_cpu(run: Run) -> bool:
    """Whether the run was measured without an accelerator."""
    return dig(run.environment, "device", "kind") == "cpu"


def has_random_weights(run: Run) -> bool:
    """Whether nothing in this run was trained: its times and bytes are true, its answers are never shown."""
    return dig(run.environment, "weights") == "random"


def _view(name: str, control: bool, records: list[Record], silent: str = "") -> VariantView:
    items: tuple[Item, ...] = ()
    flips: tuple[Flip, ...] = ()
    blind = training = None
    for record in records:
        details, where = record.details, f"details of {oneline(name, 60)}"
        if record.valid and not items:
            items = tuple(_item(raw, f"{where}: items[{i}]") for i, raw in enumerate(_rows(details, "items", where)))
            flips = tuple(_flip(raw, f"{where}: flips[{i}]") for i, raw in enumerate(_rows(details, "flips", where)))
        if blind is None and isinstance(details.get("blind"), dict):
            raw_blind = _object(details["blind"], where)
            share = _number(raw_blind, "accuracy", where)
            blind = (share, _text(raw_blind, "how", where)) if share is not None else None
        if training is None and isinstance(details.get("training"), dict):
            training = _training(_object(details["training"], where), f"{where}: training")
    return VariantView(name, control, tuple(records), items, flips, blind, training, silent)


def _item(raw: JSON, where: str) -> Item:
    row = _object(raw, where)
    return Item(
        id=_text(row, "id", where),
        clip=_text(row, "clip", where),
        type=_text(row, "type", where),
        agrees=_flag(row, "agrees", where),
        correct=_flag(row, "correct", where),
        sure=_chance(row, "sure", where),
    )


def _flip(raw: JSON, where: str) -> Flip:
    row = _object(raw, where)
    return Flip(
        **{name: _text(row, name, where) for name in ("id", "clip", "type", "question", "gold", "teacher", "answer")},
        options=tuple(str(option) for option in _rows(row, "options", where)),
        teacher_p=_number(row, "teacher_p", where),
        answer_p=_number(row, "answer_p", where),
        frames=tuple(str(frame) for frame in _rows(row, "frames", where)),
        teacher_right=_graded(row, "teacher", where),
        answer_right=_graded(row, "answer", where),
    )


def _training(row: dict[str, JSON], where: str) -> Training:
    points = []
    for index, raw in enumerate(_rows(row, "curve", where)):
        at = f"{where}: curve[{index}]"
        point = _object(raw, at)
        step = _number(point, "step", at)
        if step is not None:
            loss, agreement, kl = (_number(point, name, at) for name in ("loss", "val_agreement", "val_kl"))
            points.append(Point(int(step), loss, agreement, kl))
    recipe, best = row.get("recipe"), _number(row, "best_step", where)
    return Training(
        curve=tuple(sorted(points, key=lambda point: point.step)),
        seconds=_number(row, "seconds", where),
        best_step=None if best is None else int(best),
        labels=str(row.get("labels") or ""),
        recipe=recipe if isinstance(recipe, dict) else {},
    )


def _batch(record: Record) -> int | None:
    size = record.workload.get("batch", 1)
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def _nothing(metric: str, reason: str) -> Measurement:
    return Measurement(metric, None, "1", 0, None, None, True, "not measured", absent=reason)


def _emptied(measurement: Measurement, reason: str) -> Measurement:
    return replace(
        measurement,
        value=None,
        low=None,
        high=None,
        samples=(),
        groups=(),
        ruler=(),
        absent=reason,
    )


def _object(raw: JSON, where: str) -> dict[str, JSON]:
    if not isinstance(raw, dict):
        raise RecordError(f"{where} must be an object, not {type(raw).__name__}")
    return raw


def _rows(row: Mapping[str, JSON], name: str, where: str) -> list[JSON]:
    raw = row.get(name)
    if raw is not None and not isinstance(raw, list):
        raise RecordError(f"{where}: {name} must be a list, not {type(raw).__name__}")
    return raw or []


def _text(row: Mapping[str, JSON], name: str, where: str) -> str:
    raw = row.get(name)
    if isinstance(raw, (dict, list)) or raw is None:
        raise RecordError(f"{where}: {name} must be text, not {type(raw).__name__}")
    return str(raw)


def _number(row: Mapping[str, JSON], name: str, where: str) -> float | None:
    raw = row.get(name)
    if raw is not None and (isinstance(raw, bool) or not isinstance(raw, (int, float))):
        raise RecordError(f"{where}: {name} must be a number or null, not {type(raw).__name__}")
    return None if raw is None else float(raw)


def _chance(row: Mapping[str, JSON], name: str, where: str) -> float | None:
    found = _number(row, name, where)
    if found is not None and not 0 <= found <= 1:
        raise RecordError(f"{where}: {name} must be a probability, from 0 to 1, not {found}")
    return found


def _graded(row: Mapping[str, JSON], whose: str, where: str) -> bool:
    """Whether an answer was right; records of before this was written down had one right text."""
    name = f"{whose}_right"
    return _flag(row, name, where) if name in row else row.get(whose) == row.get("gold")


def _flag(row: Mapping[str, JSON], name: str, where: str) -> bool:
    raw = row.get(name)
    if not isinstance(raw, bool):
        raise RecordError(f"{where}: {name} must be true or false, not {type(raw).__name__}")
    return raw
