"""The gate at the end of `pytest suites … --benchmark-compare --gate`: what was just saved against what it was compared
with.

    outcome = after(file, storage, session.compared_mapping, terms)      # its text to show, its exit_code to set
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import FirstSightError, RecordError, UsageError, oneline
from harness.gate import text
from harness.gate.comparable import differences, parse_across
from harness.gate.comparison import Terms, compare, margins
from harness.gate.storage import newest_first
from harness.record import KEY, Run, load_run


@dataclass(frozen=True)
class Outcome:
    """What the gate says, and the session's exit status by it: 0, 1, 3; 2 where nothing could be compared."""

    text: str
    exit_code: int


def terms_of(option: Any) -> Terms | None:
    """What the command line asks of the gate; None without --gate. UsageError where that cannot be."""
    if not option.gate:
        return None
    if not option.benchmark_compare:
        raise UsageError("--gate: compared with what? add --benchmark-compare for the last run, or =NUM for another")
    named = option.benchmark_compare
    if isinstance(named, str) and len(Path(named).parts) > 2 and not Path(named).is_file():
        raise UsageError(f"--benchmark-compare {oneline(named, 100)}: no such file; give a run's number, as 0007")
    if option.benchmark_disable or option.benchmark_skip:
        raise UsageError("--gate: without benchmarks there is nothing to compare; leave --benchmark-disable out")
    return Terms(
        across=parse_across(option.across),
        only_common=option.only_common,
        margins=margins(option.margin, option.margin_points),
    )


def baseline(storage: Path, commit: Mapping[str, Any]) -> str | None:
    """What `--benchmark-compare` without a number stands for under the gate: the newest run of another commit, or of
    this one as it was committed. A run that the gate stopped is saved: tried again it would be held against itself.
    None where there is no other: the newest of this commit then (A/A).
    """
    for run in newest_first(storage):
        if any(run.commit.get(name) != commit.get(name) for name in ("id", "dirty")):
            return str(run.path)
    return None


def after(saved: Path, storage: Path, compared_with: Iterable[object], terms: Terms) -> Outcome:
    """The run that was just saved against the last of those that pytest-benchmark read from `storage` before."""
    try:
        compared = compare(load_run(_baseline(storage, compared_with)), load_run(saved), terms)
    except FirstSightError as error:
        return Outcome(f"firstsight: gate: {oneline(error)}", FirstSightError.exit_code)
    return Outcome(text.render(compared), compared.exit_code)


def machine_words(now: Mapping[str, Any], saved: Mapping[str, Any]) -> str | None:
    """One line on the fields in which two machine_infos differ; None where nothing that matters does."""
    theirs = saved.get(KEY)
    if not isinstance(theirs, dict):
        return "what is compared with was measured by something else: its machine_info has no 'firstsight'"
    found = differences(_without_records(now.get(KEY)), _without_records(theirs))
    if not found:
        return None
    said = "; ".join(str(one) for one in found)
    return oneline(f"now and then were not measured alike: {said}", 500)


def _baseline(storage: Path, compared_with: Iterable[object]) -> Path:
    names = [Path(str(name)) for name in compared_with]
    if not names:
        raise RecordError(
            f"no baseline: pytest-benchmark found no run to compare with in {oneline(str(storage), 200)}; "
            "this run is saved there, run again"
        )
    # Relative to the storage, or as it was given on the command line.
    return storage / names[-1] if (storage / names[-1]).is_file() else names[-1]


def _without_records(environment: object) -> Run:
    return Run((), environment if isinstance(environment, dict) else {}, {}, "")
