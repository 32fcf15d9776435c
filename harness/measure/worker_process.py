"""Starts a worker, hears its lines, and says how it ended where it ended badly.

    for line in lines_of(job, timeout_s=3600): …

A process that is killed for its memory says nothing itself, so the signal is named, and what it did last.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import ModelError, oneline
from harness.measure.worker import Job

ROOT = Path(__file__).resolve().parents[2]


def lines_of(job: Job, timeout_s: float) -> Iterator[dict[str, Any]]:
    """The worker's lines as they come. ModelError where it fails, dies or takes longer."""
    late, heard = threading.Event(), "before the first variant"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            cwd=ROOT,
        )

        def end() -> None:
            late.set()
            process.kill()

        hung = threading.Timer(timeout_s, end)
        hung.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asdict(job)))
            process.stdin.close()
            for line in process.stdout:
                if not line.endswith("\n"):
                    break  # it died while it wrote
                one = json.loads(line)
                heard = f"after {one['variant']}" if "variant" in one else "after the ceilings"
                yield one
            process.wait()
        finally:  # also when whoever reads the lines was interrupted
            hung.cancel()
            process.kill()
            process.wait()
        if late.is_set():
            raise ModelError(f"a process that timed the variants was not done in {timeout_s:g} s, {heard}; killed")
        if process.returncode:
            said.seek(0)
            how = how_it_ended(process.returncode, said.read())
            raise ModelError(f"a process that timed the variants {how[0]}, {heard}{how[1]}")


def how_it_ended(returncode: int, stderr: str) -> tuple[str, str]:
    """Of a process that did not end well: "was ended by SIGKILL" or "failed", and what is known of why."""
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return f"was ended by {name}", "; too little memory?" if name == "SIGKILL" else ""
    last = [line for line in stderr.splitlines() if line.strip()] or [f"exit code {returncode}"]
    return "failed", f": {oneline(last[-1])}"
