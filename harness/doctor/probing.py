"""The probe, started beside this process and read when it is done: which steps it told, and how it ended.

probing = Probing.start("device")
...
told = probing.told(60.0)            # told.steps["torch"]["version"], told.ended: "" or how it broke off
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import oneline

PROGRAM = Path(__file__).with_name("probe.py")


@dataclass(frozen=True)
class Told:
    """Each step by its name; `ended`: in words, where the process did not come to its own end."""

    steps: Mapping[str, Mapping[str, Any]]
    ended: str = ""
    late: bool = False  # it was not done in time, and nothing is known of the rest

    def fault(self, step: str) -> str:
        """Why a step is not known: its exception, or how the process ended before it; empty where it worked."""
        if step in self.steps:
            return str(self.steps[step].get("fault", ""))
        return self.ended or "not tried"


class Probing:
    """A probe that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @classmethod
    def start(cls, *arguments: str) -> Probing:
        """Without this folder on its path (-P): its files must not stand in for anyone's modules."""
        command = [sys.executable, "-P", str(PROGRAM), *arguments]
        pipe = subprocess.PIPE
        return cls(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True))

    def told(self, seconds: float) -> Told:
        """What it said in at most so many seconds; then it is ended."""
        ended = ""
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
            words = f"not done within {seconds:g} s (a very busy machine, or a driver that hangs)"
            return Told(_steps(out), words, late=True)
        code = self._process.returncode
        if code:
            last = (err.strip().splitlines() or [""])[-1]
            how = _signal(-code) if code < 0 else f"exit code {code}"
            ended = f"the interpreter was ended by {how}" + (f": {oneline(last, 120)}" if last else "")
        return Told(_steps(out), ended)


def _steps(out: str) -> dict[str, Mapping[str, Any]]:
    """Lines of JSON; what a library prints between them is passed over."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in out.splitlines():
        try:
            told = json.loads(line)
            found[str(told.pop("step"))] = told
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
