"""Processes that need not import torch and transformers first: each is forked from one that has done nothing but that.

    done = warm.run(["-m", "pytest", "suites", "--pair", "tiny"], cwd=ROOT, env={...})     # as subprocess.run, in text

Otherwise they are processes as any other: memory, signals, environment, output and exit code of their own. An import
takes five seconds of CPU time, and the suite starts four dozen. Processes that such a process starts to train, to time
or to weigh come from the same place (tests/stand_in.py). What a test says of importing, of a fresh interpreter or of
its memory is no case for this: subprocess.run(PYTHON + …).
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tests import stand_in

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = 300.0  # seconds; on a machine that others hold, too
OURS = ("harness", "models", "tests")


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
    """Import, then fork at every line and for every stand-in; a child leaves the loop and becomes what was asked."""
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background ignores it, and so would all of these
    for heavy in ("pytest", "bitsandbytes", "harness.doorway", "models.egogpt", "models.qwen2_vl"):
        __import__(heavy)
    gc.freeze()
    folder = Path(tempfile.mkdtemp())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "asked"))
    listener.listen()
    python = stand_in.write(folder, sys.executable)
    told = _asked(listener)
    listener.close()
    if told is None:
        shutil.rmtree(folder)
        return
    sys.executable = str(python)  # what it starts itself comes from here, too
    _become(**told)


def _asked(listener: socket.socket) -> dict[str, Any] | None:
    """In a forked child: what it is to become. In the process that forks: None, when nobody can ask any more."""
    forked: dict[int, bool] = {}  # a child's pidfd: are its pid and its exit code told?
    while True:
        for ready in select.select([0, listener, *forked], [], [])[0]:
            if ready == 0:
                if not (line := sys.stdin.readline()):
                    return None
                if not (pid := os.fork()):
                    told: dict[str, Any] = json.loads(line)
                    return told
                forked[os.pidfd_open(pid)] = True
                print(pid, flush=True)
            elif ready is listener:
                connection = listener.accept()[0]
                if not (pid := os.fork()):
                    return stand_in.stand_behind(connection)
                connection.close()
                forked[os.pidfd_open(pid)] = False
            else:
                code = stand_in.exit_code(ready)
                if forked.pop(ready):
                    print(code, flush=True)


def _become(arguments: list[str], cwd: str, env: dict[str, str], printed: list[str] | None = None) -> None:
    """`printed`: where its output goes; it leads a session then. Else it has the stand-in's."""
    if printed is not None:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, file in enumerate(printed, 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:] = [one for one in sys.path if one and Path(one) != ROOT]
    sys.path[:0] = [one for one in env.get("PYTHONPATH", "").split(os.pathsep) if one]
    what, *rest = arguments
    if what == "-m":
        sys.argv, sys.path[:0] = rest, [cwd]
    elif what == "-c":
        sys.argv, sys.path[:0] = ["-c", *rest[1:]], [""]
    else:
        sys.argv, sys.path[:0] = arguments, [str(Path(cwd, what).parent)]
    _forget_what_a_copy_has()
    if what == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif what == "-c":
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        runpy.run_path(what, run_name="__main__")


def _forget_what_a_copy_has() -> None:
    """In a copy of the repository its own modules are imported, those of libraries alone stay."""
    first = next((Path(one).resolve() for one in sys.path if Path(one, "harness").is_dir()), ROOT)
    if first != ROOT:
        for name in [one for one in sys.modules if one.partition(".")[0] in OURS]:
            del sys.modules[name]
