"""May two runs be compared at all? Not across devices, drivers, images, versions, threads or workloads, unless told.

    require_comparable(a, b, across={"driver"})    # UsageError naming the first field that differs, and both values

Commit, date and command may differ: that is what a gate is for. Weights of another digest are told, not refused: a new
training is what one compares.
"""

import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.errors import UsageError, oneline
from harness.gate.rows import worded, workloads
from harness.record import JSON, Run
from harness.report.view import has_random_weights

LIBRARIES = ("torch", "transformers", "bitsandbytes")
VERSIONS = ("python", *LIBRARIES)
# What --across may name, and what it stands for.
FIELDS = (
    "device", "clock", "cpu", "cores", "driver", "image", "threads", *VERSIONS, "pair", "data", "weights", "workload",
)  # fmt: skip
# A card whose clock differs by more than this is another card; boost steps are 15 MHz of some 1,500.
CLOCK_LIMIT = 0.1
GROUPS = {"all": FIELDS, "versions": VERSIONS}


@dataclass(frozen=True)
class Difference:
    """A field in which two runs differ, with both values in words."""

    field: str
    path: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.path}: {self.a} and {self.b}"


def parse_across(text: str) -> frozenset[str]:
    """The fields of `--across device,driver`; UsageError naming one that there is not."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FIELDS and name not in GROUPS:
            raise UsageError(f"--across {oneline(name, 40)}: no such field; there are {', '.join((*FIELDS, *GROUPS))}")
    return frozenset(field for name in names for field in GROUPS.get(name, (name,)))


def require_comparable(a: Run, b: Run, across: Set[str] = frozenset()) -> tuple[Difference, ...]:
    """The differences that were allowed; UsageError for those that were not."""
    found = differences(a, b)
    refused = [one for one in found if one.field not in across]
    if refused:
        fields = ",".join(dict.fromkeys(one.field for one in refused))
        said = "; ".join(str(one) for one in refused[:3]) + ("; …" if len(refused) > 3 else "")
        raise UsageError(f"A and B differ in {said}; --across {fields} compares them all the same")
    return found


def differences(a: Run, b: Run) -> tuple[Difference, ...]:
    """Every difference that forbids a comparison, those of the environment in the order of FIELDS."""
    ours, theirs = measured_by(a), measured_by(b)
    found = [one for name in ours for one in _differing(name, name, ours[name], theirs[name])]
    threads = _latency_threads(a), _latency_threads(b)
    if all(threads):  # a run of before says nothing of them
        found += _differing("threads", "threads of latency", *(" and ".join(map(str, sorted(one))) for one in threads))
    found += [*_clocks(a, b), *_questions(a, b)]
    here, there = workloads(a), workloads(b)
    for suite in here:
        # Some in common: the others are rows that one side lacks, and are told as such.
        if suite in there and not set(here[suite]) & set(there[suite]):
            words = [" and ".join(worded(one) for one in side[:2]) for side in (here[suite], there[suite])]
            found.append(Difference("workload", f"workload of {suite}", words[0], words[1]))
    return tuple(found)


def measured_by(run: Run) -> dict[str, Any]:
    """What a run was measured on and with, by field; plain JSON."""
    env = run.environment
    device, versions = _mapping(env.get("device")), _mapping(env.get("versions"))
    return {
        "device": {"kind": device.get("kind"), "name": device.get("name")},
        "cpu": env.get("cpu"),
        "cores": env.get("cores") if device.get("kind") == "cpu" else None,  # of a card's host they decide nothing
        "driver": device.get("driver"),
        "image": env.get("image"),
        "threads": env.get("threads"),
        "python": env.get("python"),
        **{library: versions.get(library) for library in LIBRARIES},
        "pair": run.pair.get("name"),
        "data": {**_mapping(env.get("data")), "evaluation": run.pair.get("evaluation")},
        "weights": "random" if has_random_weights(run) else "as the pair says",
    }


def _latency_threads(run: Run) -> set[int]:
    """How many threads each process that timed the variants had: the pair file's, not those of pytest's process."""
    found = (rounds.get("threads") for rounds in _rounds(run))
    return {count for count in found if isinstance(count, int)}


def _clocks(a: Run, b: Run) -> Iterator[Difference]:
    """A card's power limit and its SM clock while it was timed; nothing where a run does not say."""
    limits, clocks = [], []
    for run in (a, b):
        processes = [one.get("processes") for one in _rounds(run)]
        states = [_mapping(_mapping(one).get("machine")) for some in processes for one in _listed(some)]
        limits.append(sorted({watts for one in states if isinstance(watts := one.get("power_limit_w"), (int, float))}))
        middle = [found[1] for one in states if len(found := _listed(one.get("sm_mhz"))) == 3]
        clocks.append(median(mhz for mhz in middle if isinstance(mhz, (int, float))) if middle else None)
    if all(limits) and limits[0] != limits[1]:
        words = [" and ".join(f"{watts:g} W" for watts in one) for one in limits]
        yield Difference("clock", "the card's power limit", words[0], words[1])
    before, after = clocks
    if before and after and abs(after / before - 1) > CLOCK_LIMIT:
        yield Difference("clock", "the SM clock", f"{before:g} MHz", f"{after:g} MHz")


def _questions(a: Run, b: Run) -> Iterator[Difference]:
    """Questions of one id that were asked, or are graded, otherwise: folders of one name may hold other data."""
    ours, theirs = _asked(a), _asked(b)
    changed = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        where = oneline(f"question {changed[0]}{more}", 80)
        yield from _differing(
            "data", where, *({"asked": one[0], "gold": one[1]} for one in (ours[changed[0]], theirs[changed[0]]))
        )


def _asked(run: Run) -> dict[str, tuple[JSON, JSON]]:
    items = [item for record in run.records for item in _listed(record.details.get("items"))]
    told = [_mapping(item) for item in items]
    return {str(item.get("id")): (item["question"], item.get("gold")) for item in told if "question" in item}


def _rounds(run: Run) -> list[dict[str, JSON]]:
    """What its latency records say of their rounds."""
    return [_mapping(record.details.get("rounds")) for record in run.records if record.suite == "latency"]


def retrained(a: Run, b: Run) -> tuple[str, ...]:
    """The variants whose weights have another digest in B than in A."""
    ours, theirs = _digests(a), _digests(b)
    return tuple(
        variant
        for variant, digests in ours.items()
        if variant in theirs and any(theirs[variant].get(role, digest) != digest for role, digest in digests.items())
    )


def _digests(run: Run) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for record in run.records:
        # Students of other seeds are other weights under the same name.
        roles = {f"{role} {record.workload.get('seed', 0)}": digest for role, digest in record.artifacts.items()}
        found.setdefault(record.variant, {}).update(roles)
    return found


def _differing(field: str, path: str, a: object, b: object) -> list[Difference]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        names = dict.fromkeys((*a, *b))
        return [one for name in names for one in _differing(field, f"{path}.{name}", a.get(name), b.get(name))]
    return [] if a == b else [Difference(field, oneline(path, 80), _words(a), _words(b))]


def _words(value: object) -> str:
    if value is None:
        return "none"
    return oneline(value if isinstance(value, str) else json.dumps(value, default=str), 80)


def _mapping(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []
