"""Processes that need not import torch and transformers first: each is forked from one that has done nothing but that.

    done = warm.run(["-m", "pytest", "suites", "--pair", "tiny"], cwd=ROOT, env={...})     # as subprocess.run, in text

Otherwise they are processes as any other: memory, signals, environment, output and exit code of their own. An import
takes five seconds of CPU time, and the suite starts two dozen. What a test says of importing, of a fresh interpreter or
of its memory is no case for this: subprocess.run(PYTHON + …).
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = 300.0  # seconds; on a machine that others hold, too


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """What follows `python` on a command line (-m MODULE …, -c PROGRAM …, SCRIPT …): run, with what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    if Path("/dev/nvidiactl").exists():  # what looked at a card must not be forked
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
    server = _server()
    assert server.stdin is not None
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder) / name for name in ("stdout", "stderr")]
        told = {"arguments": [*arguments], "cwd": str(cwd), "env": environment, "printed": [*map(str, printed)]}
        server.stdin.write(json.dumps(told) + "\n")
        server.stdin.flush()
        pid = _said(server, IMPORTED)
        try:
            code = _said(server, timeout)
        except BaseException:
            os.killpg(pid, signal.SIGKILL)
            _said(server, IMPORTED)
            raise
        return subprocess.CompletedProcess(arguments, code, *(file.read_text(errors="replace") for file in printed))


@cache
def _server() -> subprocess.Popen[str]:
    """One for this process; it ends when nobody can ask any more."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", "from tests.warm import serve; serve()"]
    pipe = subprocess.PIPE
    return subprocess.Popen(program, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)


def _said(server: subprocess.Popen[str], seconds: float) -> int:
    assert server.stdout is not None
    if not select.select([server.stdout], [], [], seconds)[0]:
        raise TimeoutError(f"not done in {seconds:g} s")
    line = server.stdout.readline()
    assert line, f"the warm process ended with {server.wait()}"
    return int(line)


def serve() -> None:
    """Import, then fork at every line; each child leaves the loop and becomes what was asked for."""
    for heavy in ("pytest", "scipy.stats", "harness.doorway", "models.egogpt", "models.qwen2_vl"):
        __import__(heavy)
    gc.freeze()
    for line in sys.stdin:
        if not (pid := os.fork()):
            _become(**json.loads(line))
            return
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(arguments: list[str], cwd: str, env: dict[str, str], printed: list[str]) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(printed, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.path[:] = [one for one in sys.path if one and Path(one) != ROOT]
    sys.path[:0] = [one for one in env.get("PYTHONPATH", "").split(os.pathsep) if one]
    what, *rest = arguments
    if what == "-m":
        sys.argv, sys.path[:0] = rest, [cwd]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif what == "-c":
        sys.argv, sys.path[:0] = ["-c", *rest[1:]], [""]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv, sys.path[:0] = arguments, [str(Path(cwd, what).parent)]
        runpy.run_path(what, run_name="__main__")
