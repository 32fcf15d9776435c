"""Typed results to pytest-benchmark JSON and back: that JSON is the only truth, everything shown is derived
from it.

A suite puts `to_extra_info(record)` in `benchmark.extra_info["firstsight"]`; `load_run(path)` reads a file,
or the newest run of a folder such as results/tiny/cpu. No torch, so a report is rendered on any laptop.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any, TypeAlias, cast

from harness.errors import RecordError, oneline

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

SCHEMA = 1
KEY = "firstsight"
SUITES = ("latency", "vram", "agreement", "distillation")
_LATER = ("groups", "ruler")  # fields that records of before have not, nor rows of one process
_EACH = "ruler_each"  # beside a ruler that is written once for so many samples
_SAFE = frozenset((str, int, bool, type(None)))  # whatever they hold, JSON carries it
_MOST_EACH = 100_000  # tokens of an answer
_ITEMS = "items"  # of the details: what an agreement record says of every question
_SAVED = re.compile(r"^(\d{4,})_.*\.json$")  # as pytest-benchmark names what it saves


@dataclass(frozen=True)
class Measurement:
    """One number with its unit, count and 95 % interval; or absent, with the reason."""

    metric: str
    value: float | None
    unit: str
    n: int
    low: float | None
    high: float | None
    higher_is_better: bool
    how: str
    samples: tuple[float, ...] = ()
    absent: str | None = None
    # How many of the samples each process took, in their order; empty: one process. 0: a process whose rounds are not
    # valid keeps its place, so that process k of one variant stays beside process k of another.
    groups: tuple[int, ...] = ()
    ruler: tuple[float, ...] = ()  # beside each sample: seconds that a fixed piece of work took around it

    def __post_init__(self) -> None:
        where = f"measurement {oneline(str(self.metric), 60)}"
        for field in ("metric", "unit", "how"):
            if not _is_text(getattr(self, field)):
                raise RecordError(f"{where}: {field} must be text that is not empty (unit of a plain number: 1)")
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 0:
            raise RecordError(f"{where}: n must be a count, not {oneline(repr(self.n), 40)}")
        if not isinstance(self.higher_is_better, bool):
            raise RecordError(f"{where}: higher_is_better must be true or false")
        for field in ("value", "low", "high"):
            number = getattr(self, field)
            if number is not None:
                object.__setattr__(self, field, _finite(number, f"{where}: {field}"))
        object.__setattr__(self, "samples", _numbers(self.samples, f"{where}: samples"))
        if self.groups and (min(self.groups) < 0 or sum(self.groups) != len(self.samples)):
            raise RecordError(f"{where}: groups {self.groups} do not share out {len(self.samples)} samples")
        object.__setattr__(self, "ruler", _numbers(self.ruler, f"{where}: ruler"))
        if self.ruler and (len(self.ruler) != len(self.samples) or min(self.ruler) <= 0):
            raise RecordError(f"{where}: ruler must say of each of {len(self.samples)} samples a time above zero")
        if (self.value is None) != (self.absent is not None):
            raise RecordError(f"{where}: either a value or the reason why there is none (absent)")
        if self.absent is not None and not _is_text(self.absent):
            raise RecordError(f"{where}: absent must say why there is no value")
        if self.value is None and (self.low is not None or self.high is not None):
            raise RecordError(f"{where}: an interval without a value")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise RecordError(f"{where}: interval from {self.low} to {self.high}")

    def by_process(self) -> tuple[tuple[float, ...], ...]:
        """The samples of each process, none at the place of one that has none; one part where nothing says
        otherwise.
        """
        return self._parted(self.samples)

    def by_process_ruled(self) -> tuple[tuple[float, ...], ...]:
        """As `by_process`, each sample over what the ruler took around it; without a ruler as they are."""
        if not self.ruler:
            return self.by_process()
        return self._parted(tuple(sample / ruler for sample, ruler in zip(self.samples, self.ruler, strict=True)))

    def processes(self, *, ruled: bool) -> tuple[tuple[float, ...], ...]:
        """The samples of the processes that have any, for those who ask nothing of their places."""
        return tuple(filter(None, self.by_process_ruled() if ruled else self.by_process()))

    def rulers(self) -> tuple[tuple[float, ...], ...]:
        """Beside each of `processes` what the ruler took around its samples; empty without a ruler."""
        return tuple(filter(None, self._parted(self.ruler))) if self.ruler else ()

    def _parted(self, samples: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
        found, at = [], 0
        for size in self.groups or ((len(samples),) if samples else ()):
            found.append(samples[at : at + size])
            at += size
        return tuple(found)


@dataclass(frozen=True)
class Record:
    """One variant × workload × environment, with its measurements and whether they may be believed."""

    pair: str
    variant: str
    suite: str
    workload: Mapping[str, JSON]
    measurements: tuple[Measurement, ...]
    valid: bool
    invalid_reasons: tuple[str, ...]
    artifacts: Mapping[str, str]
    details: Mapping[str, JSON]

    def __post_init__(self) -> None:
        where = f"record of {oneline(str(self.variant), 60)}"
        for field in ("pair", "variant"):
            if not _is_text(getattr(self, field)):
                raise RecordError(f"{where}: {field} must be text that is not empty")
        if self.suite not in SUITES:
            raise RecordError(f"{where}: unknown suite {oneline(repr(self.suite), 40)}; there are {', '.join(SUITES)}")
        names = [m.metric for m in self.measurements]
        if len(set(names)) != len(names):
            raise RecordError(f"{where}: {self.suite}: a metric is measured twice: {oneline(', '.join(names), 200)}")
        if not isinstance(self.valid, bool) or self.valid == bool(self.invalid_reasons):
            raise RecordError(f"{where}: {self.suite}: invalid exactly when a reason says why")
        if not all(_is_text(reason) for reason in self.invalid_reasons):
            raise RecordError(f"{where}: {self.suite}: a reason must be text")
        if not all(isinstance(role, str) and isinstance(digest, str) for role, digest in self.artifacts.items()):
            raise RecordError(f"{where}: {self.suite}: artifacts must map a role to a digest")
        _checked(self.workload, f"{where}: {self.suite}: workload")
        _checked(self.details, f"{where}: {self.suite}: details")


@dataclass(frozen=True)
class Run:
    """All records of one pytest-benchmark file, with where they were measured."""

    records: tuple[Record, ...]
    environment: Mapping[str, JSON]
    commit: Mapping[str, JSON]
    datetime: str
    path: Path | None = None

    @property
    def pair(self) -> Mapping[str, JSON]:
        """What the pair file said when this was measured: name, budgets, objective, evaluation."""
        found = self.environment.get("pair")
        return found if isinstance(found, dict) else {}


def to_extra_info(record: Record) -> dict[str, JSON]:
    """The record as plain JSON for `benchmark.extra_info["firstsight"]`: samples and rulers in six digits, a ruler once
    for all samples of a round, items by column.
    """
    return {
        "schema": SCHEMA,
        "pair": record.pair,
        "variant": record.variant,
        "suite": record.suite,
        "workload": dict(record.workload),
        "measurements": [_plain(m) for m in record.measurements],
        "valid": record.valid,
        "invalid_reasons": list(record.invalid_reasons),
        "artifacts": dict(record.artifacts),
        "details": {name: _by_column(one) if name == _ITEMS else one for name, one in record.details.items()},
    }


def _plain(measurement: Measurement) -> dict[str, JSON]:
    ruler = [rounded(second) for second in measurement.ruler]
    each = math.gcd(*(len(list(of)) for _, of in groupby(ruler)))  # samples of a round, as the tokens of an answer
    plain = {
        **vars(measurement),
        "samples": [rounded(sample) for sample in measurement.samples],
        "groups": list(measurement.groups),
        "ruler": ruler[:: each or 1],
        "ruler_each": each if each > 1 else None,
    }
    return {name: value for name, value in plain.items() if value or name not in (*_LATER, _EACH)}


def rounded(number: float) -> float:
    """Six significant digits: a round's own noise is some hundred times as large, and a record a third as long."""
    return float(f"{number:.6g}")


def from_extra_info(extra: object) -> Record:
    """The record that `to_extra_info` wrote; anything else is a RecordError that names the field."""
    row = _fields(
        extra,
        "record",
        "schema pair variant suite workload measurements valid invalid_reasons artifacts details",
    )
    if row["schema"] != SCHEMA:
        raise RecordError(f"record: schema {oneline(repr(row['schema']), 40)}; this version reads {SCHEMA}")
    where = f"record of {oneline(str(row['variant']), 60)}"
    return Record(
        pair=row["pair"],
        variant=row["variant"],
        suite=row["suite"],
        workload=_mapping(row["workload"], f"{where}: workload"),
        measurements=tuple(_measurement(m, where) for m in _list(row["measurements"], f"{where}: measurements")),
        valid=row["valid"],
        invalid_reasons=tuple(_list(row["invalid_reasons"], f"{where}: invalid_reasons")),
        artifacts=cast(Mapping[str, str], _mapping(row["artifacts"], f"{where}: artifacts")),
        details={
            name: _by_row(one, f"{where}: details.{name}") if name == _ITEMS else one
            for name, one in _mapping(row["details"], f"{where}: details").items()
        },
    )


def _by_column(rows: JSON) -> JSON:
    """Rows of the same fields, field by field: names are written once. Anything else as it is."""
    names = list(rows[0]) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else []
    if not names or not all(isinstance(row, dict) and list(row) == names for row in cast(list[JSON], rows)):
        return rows
    return {name: [row[name] for row in cast(list[dict[str, JSON]], rows)] for name in names}


def _by_row(columns: JSON, where: str) -> JSON:
    """What `_by_column` made, as rows again; records of before have rows."""
    if not isinstance(columns, dict):
        return columns
    lists = [_list(column, f"{where}.{oneline(name, 40)}") for name, column in columns.items()]
    if len(set(map(len, lists))) > 1:
        raise RecordError(f"{where}: columns of {' and '.join(map(str, sorted(set(map(len, lists)))))} rows")
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def load_run(path: Path) -> Run:
    """The run in a pytest-benchmark file; of a folder, the newest one. Rows that are not ours are passed
    over.
    """
    file = latest_run(path) if path.is_dir() else path
    shown = oneline(str(file), 200)
    whole = _mapping(_read(file), f"{shown}: not pytest-benchmark JSON: the file")
    machine, rows = whole.get("machine_info"), whole.get("benchmarks")
    if not isinstance(machine, dict) or not isinstance(rows, list):
        raise RecordError(f"{shown}: not pytest-benchmark JSON: no machine_info or no benchmarks")
    environment = machine.get(KEY)
    if not isinstance(environment, dict):
        raise RecordError(
            f"{shown}: measured by something else: machine_info has no {KEY!r}; give a run of `pytest suites`"
        )
    if environment.get("schema") != SCHEMA:
        found = oneline(repr(environment.get("schema")), 40)
        raise RecordError(f"{shown}: schema {found}; this version reads {SCHEMA}: measure again")
    records = []
    for number, row in enumerate(rows):
        extra = row.get("extra_info") if isinstance(row, dict) else None
        if isinstance(extra, dict) and KEY in extra:
            try:
                records.append(from_extra_info(extra[KEY]))
            except RecordError as error:
                raise RecordError(f"{shown}: benchmarks[{number}]: {error}") from error
    if not records:
        raise RecordError(f"{shown}: no FirstSight record in it; run `pytest suites --pair NAME` first")
    commit = whole.get("commit_info")
    return Run(
        records=tuple(records),
        environment=environment,
        commit=commit if isinstance(commit, dict) else {},
        datetime=str(whole.get("datetime") or ""),
        path=file,
    )


def latest_run(folder: Path) -> Path:
    """The newest saved run below a folder: the highest number of each machine, of those the latest by its own
    clock.
    """
    newest: dict[Path, tuple[int, Path]] = {}
    for file in sorted(folder.rglob("*.json")):
        match = _SAVED.match(file.name)
        if match:
            entry = (int(match[1]), file)
            newest[file.parent] = max(newest.get(file.parent, entry), entry)
    files = [file for _, file in newest.values()]
    if not files:
        raise RecordError(f"{oneline(str(folder), 200)}: no run in it; run `pytest suites --pair NAME` first")
    return files[0] if len(files) == 1 else max(files, key=lambda file: (_when(file), str(file)))


def load_runs(folder: Path) -> tuple[Run, ...]:
    """Every saved run below a folder, oldest first."""
    files = sorted(file for file in folder.rglob("*.json") if _SAVED.match(file.name))
    return tuple(sorted((load_run(file) for file in files), key=lambda run: (run.datetime, str(run.path))))


def _when(file: Path) -> str:
    whole = _read(file)
    return str(whole.get("datetime") or "") if isinstance(whole, dict) else ""


def _read(file: Path) -> object:
    shown = oneline(str(file), 200)

    def refuse(constant: str) -> None:
        raise RecordError(f"{shown}: {constant} is not JSON; the run that wrote it let a number through unchecked")

    try:
        return json.loads(file.read_bytes().decode(), parse_constant=refuse)
    except FileNotFoundError:
        raise RecordError(f"{shown}: no such file; run `pytest suites --pair NAME` first") from None
    except OSError as error:
        raise RecordError(f"{shown}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{shown}: not JSON, or cut short: {oneline(str(error), 100)}; measure again") from None


def _measurement(raw: object, where: str) -> Measurement:
    names = "metric value unit n low high higher_is_better how samples absent"
    later = {}
    if isinstance(raw, dict):
        later = {name: tuple(_list(raw[name], f"{where}: {name}")) for name in _LATER if name in raw}
        if _EACH in raw:
            later["ruler"] = _repeated(later.get("ruler", ()), raw[_EACH], f"{where}: {_EACH}")
        raw = {name: value for name, value in raw.items() if name not in (*_LATER, _EACH)}
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in later.get("groups", ())):
        raise RecordError(f"{where}: groups must be counts")
    fields = _fields(raw, f"{where}: measurement", names)
    samples = tuple(_list(fields["samples"], f"{where}: samples"))
    return Measurement(**{**fields, "samples": samples, **later})


def _repeated(ruler: tuple[float, ...], each: object, where: str) -> tuple[float, ...]:
    """A ruler that is written once a round, beside each of the round's samples."""
    if isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= _MOST_EACH:
        raise RecordError(f"{where} must be how many samples a round has")
    return tuple(second for second in ruler for _ in range(each))


def _fields(raw: object, where: str, names: str) -> dict[str, Any]:
    mapping, wanted = _mapping(raw, where), names.split()
    found = {
        "missing": [name for name in wanted if name not in mapping],
        "unknown": [name for name in mapping if name not in wanted],
    }
    if any(found.values()):
        said = [f"{what} {oneline(', '.join(some), 100)}" for what, some in found.items() if some]
        raise RecordError(f"{where}: {'; '.join(said)}")
    return cast(dict[str, Any], mapping)


def _mapping(raw: object, where: str) -> dict[str, JSON]:
    if not isinstance(raw, dict):
        raise RecordError(f"{where} must be an object, not {type(raw).__name__}")
    return raw


def _list(raw: object, where: str) -> list[Any]:
    if not isinstance(raw, list):
        raise RecordError(f"{where} must be a list, not {type(raw).__name__}")
    return raw


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _numbers(values: Iterable[object], where: str) -> tuple[float, ...]:
    """All of them finite; most often all are floats, which is seen at once."""
    given = tuple(values)
    if set(map(type, given)) <= {float} and all(map(math.isfinite, cast(tuple[float, ...], given))):
        return cast(tuple[float, ...], given)
    return tuple(_finite(value, where) for value in given)


def _finite(value: object, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RecordError(f"{where} must be a finite number, not {oneline(repr(value), 40)}")
    return number


def _checked(value: object, where: str) -> None:
    """Refuse what JSON cannot carry: pytest-benchmark would write NaN, or the text UNSERIALIZABLE."""
    if fault := _fault(value):
        raise RecordError(f"{where}{fault}")


def _fault(value: object) -> str:
    """Where something is wrong within, and what; empty where nothing is. Words are made only then: a record has
    thousands of values.
    """
    if value is None or isinstance(value, (str, int)):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f": {value} is not a finite number; leave it out and say why"
    if isinstance(value, list):
        if _is_plain(value):
            return ""
        return next((f"[{index}]{fault}" for index, one in enumerate(value) if (fault := _fault(one))), "")
    if not isinstance(value, Mapping):
        return f": {type(value).__name__} is not JSON; give numbers, text, lists and objects"
    for key, one in value.items():
        if not isinstance(key, str):
            return f": key {oneline(repr(key), 40)} must be text"
        if fault := _fault(one):
            return f".{oneline(key, 40)}{fault}"
    return ""


def _is_plain(values: list[object]) -> bool:
    """Whether a list is of what is carried whatever it is, or of rows of that: most are, and it is seen at once."""
    if set(map(type, values)) == {dict}:
        rows = cast(list[dict[object, object]], values)
        keys, values = chain.from_iterable(rows), list(chain.from_iterable(row.values() for row in rows))
        return {str}.issuperset(map(type, keys)) and _SAFE.issuperset(map(type, values))
    return _SAFE.issuperset(map(type, values))
