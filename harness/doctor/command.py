"""firstsight doctor: the examination on the command line. Exit code 0, or 2 where something needed will not work.

add_command(commands, data_options)      # beside the other commands; main() stands alone
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from harness.doctor import text
from harness.doctor.examination import Asked, examine
from harness.errors import FirstSightError, UsageError

EPILOG = """examples:
  firstsight doctor                                     this machine: what would not work, and the remedy
  firstsight doctor --pair egogpt-qwen2vl --qa egothink:/data/EgoThink     and would this pair run here
  firstsight doctor --json                              for programs
  python -m harness.doctor                              where nothing but Python is installed

exit code: 0 all that is needed works, warnings or not · 2 something needed will not work
"""
OF_PAIR = ("qa", "limit", "seed", "frames", "weights")
DESCRIPTION = "Checks this machine: libraries, device, memory, places, tools. Nothing is made or fetched."


def add_command(commands: Any, data_options: Callable[..., None]) -> None:
    """`doctor` beside the other commands; `data_options` adds those that choose data."""
    _filled(
        commands.add_parser(
            "doctor",
            help="what would not work on this machine, and the remedy",
            description=DESCRIPTION,
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ),
        data_options,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m harness.doctor`, without what `harness.cli` imports."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.doctor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _filled(parser, lambda parser: parser.add_argument("--qa", metavar="SET:PATH", help="what is asked"))
    try:
        return doctor(parser.parse_args(arguments))
    except FirstSightError as error:
        print(f"firstsight: {error}", file=sys.stderr)
        return error.exit_code


def _filled(parser: argparse.ArgumentParser, data_options: Callable[..., None]) -> None:
    parser.add_argument("--pair", metavar="NAME", help="would this pair run here: models/NAME.yaml, or a file's path")
    data_options(parser)
    parser.add_argument("--weights", choices=("random",), help="random: without checkpoints, speed and memory alone")
    parser.add_argument("--cache", metavar="DIR", help="where artifacts are kept (default: as for the other commands)")
    parser.add_argument("--results", metavar="DIR", help="where records go (default: as `pytest suites`)")
    parser.add_argument("--json", action="store_true", help="every finding as JSON")
    parser.set_defaults(run=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Examine and print. UsageError for a choice of data without a pair to ask it of."""
    chosen = [name for name in OF_PAIR if getattr(options, name, None) is not None]
    if options.pair is None and chosen:
        raise UsageError(f"--{chosen[0]} is of a pair: add --pair NAME")
    began = time.monotonic()
    asked = Asked(options.pair, options.cache, options.results, options.weights == "random", options)
    found = examine(asked)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ✓ is no reason to fail
    if options.json:
        print(text.as_json(found, time.monotonic() - began))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(text.table(found, colour=colour))
    return text.exit_code(found)
