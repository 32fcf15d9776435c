"""suites/workloads.yaml → the workloads of a pair: frames × batch × answer length.

load_workloads(None, pair)          # the suites' own file; "headline" is its first line, else a file's path
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import yaml

from harness.errors import UsageError, oneline
from harness.measure.timing import Workload
from harness.pair import Pair

FILE = Path(__file__).resolve().parents[2] / "suites" / "workloads.yaml"
KEYS = ("frames", "batch", "new_tokens")
LEAST = {"frames": 1, "batch": 1, "new_tokens": 2}  # inter-token latency needs two


def load_workloads(name: str | None, pair: Pair) -> dict[Workload, bool]:
    """In the file's order, the headline's first; True for those of a sweep, which are not of the file's first line.
    UsageError names the file, the entry and the key.
    """
    path = FILE if name in (None, "headline") else Path(str(name))
    shown = oneline(str(name) if path is not FILE else "suites/workloads.yaml", 120)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--workloads {shown}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--workloads {shown}: not YAML: {oneline(error, 100)}") from None
    if not isinstance(raw, list) or not raw:
        raise UsageError(f"--workloads {shown}: a list of {{{', '.join(KEYS)}}}, as suites/workloads.yaml is")
    found: dict[Workload, bool] = {}
    for number, entry in enumerate(raw[:1] if name == "headline" else raw, 1):
        for workload in _entry(entry, f"--workloads {shown}: entry {number}", pair):
            found.setdefault(workload, number > 1)
    return found


def _entry(entry: object, where: str, pair: Pair) -> Iterator[Workload]:
    if not isinstance(entry, dict) or set(entry) != set(KEYS):
        raise UsageError(f"{where}: must have the keys {', '.join(KEYS)} and no other")
    own = {"frames": (pair.data.frames,), "batch": pair.latency.batch_sizes, "new_tokens": (pair.latency.new_tokens,)}
    numbers = [_numbers(entry[key], own[key], LEAST[key], f"{where}: {key}") for key in KEYS]
    return (Workload(*one) for one in product(*numbers))


def _numbers(raw: object, own: tuple[int, ...], least: int, where: str) -> list[int]:
    found: list[int] = []
    for one in raw if isinstance(raw, list) else [raw]:
        if one == "pair":
            found += own
        elif isinstance(one, str) and one.startswith("x") and (factor := _factor(one[1:])):
            found += [max(least, round(number * factor)) for number in own]
        elif isinstance(one, int) and not isinstance(one, bool) and least <= one <= 100_000:
            found.append(one)
        else:
            raise UsageError(f"{where}: {oneline(one, 40)}: a number from {least}, `pair`, or a multiple as x2")
    return found


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        return 0.0
    return factor if 0 < factor <= 1000 else 0.0
