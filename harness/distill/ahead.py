"""Artifacts made side by side: chains that do not wait for one another run in processes of their own.

What a chain needs of another one (a student its teacher's targets) it waits for at the store's lock: artifacts are all
that passes between processes. Used on a CPU when the recipes leave cores idle; a GPU trains one at a time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.pair import Pair


def chains(wanted: Iterable[str]) -> list[list[str]]:
    """Split weights (`name` or `name:seed`) into two chains of about equal length, in the order they must be made.

    The teacher and what is distilled from it make the first; the students' start, what needs no teacher and the hard
    labels the second. Empty chains are left out.
    """
    names = list(dict.fromkeys(wanted))
    first = [n for n in names if n == "teacher"] + [n for n in names if n.startswith("distilled")]
    second = [n for n in names if n == "undistilled"] + [n for n in names if n.startswith("finetuned")]
    labels = [n for n in names if n.startswith("hard-labels")]
    if labels and not first:
        first = labels
    else:
        second += labels
    return [chain for chain in (first, second) if chain]


def spare_cores(pair: Pair) -> bool:
    """Is there a core for a second chain, and do the recipes say how many they use?"""
    threads = pair.recipe.threads
    return threads is not None and (os.cpu_count() or 1) >= 2 * threads


def make_ahead(chosen: Sequence[str], cache: Path, wanted: Sequence[Sequence[str]]) -> None:
    """Run one `firstsight make` a chain, all at once, and wait. A chain that fails is left to fail again in sight.

    `chosen`: --pair, and the arguments beside it that choose data and weights.

    Ctrl-C reaches every process of the terminal's group: each saves what it has and stops.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "harness.cli", "make", *chosen, "--cache", str(cache), *chain],
            stdout=subprocess.DEVNULL,  # it names the folders; progress is on stderr
            env={**os.environ, "FIRSTSIGHT_BARS": "lines"},  # two bars cannot share a terminal's line
        )
        for chain in wanted
    ]
    try:
        for process in processes:
            process.wait()
    except BaseException:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        raise
