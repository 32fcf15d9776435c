"""A process that stands in for one that is forked: it has its pid, its pipes and its signals, and imports nothing.

    python = write(folder, sys.executable)       # an interpreter that stands in for `python -m harness.cli …`
    told = stand_behind(connection)              # in the process that answers it

`sys.executable` of a warm process is this one, so what a training, a timing or a weighing starts is forked from the
warm server with its libraries imported. Everything else that it is asked to run is run by the real interpreter.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from pathlib import Path
from typing import Any

MODULES = ("harness.cli", "harness.measure.worker", "harness.measure.memory_request")
# A signal is handed on; when this one is killed, or its caller closes in another way, so is the one behind it.
PROGRAM = """#!{python} -IS
import os, sys
words = sys.argv[1:]
if words[:1] == ["-u"]:  # accelerate says it
    del words[0]
if words[:1] != ["-m"] or words[1:2] == [] or words[1] not in {modules!r}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import json, signal, socket
behind = socket.socket(socket.AF_UNIX)
behind.connect({address!r})
socket.send_fds(behind, [b"."], [0, 1, 2])
told = dict(arguments=words, cwd=os.getcwd(), env=dict(os.environ))
behind.sendall(json.dumps(told).encode() + b"\\n")
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(one, lambda number, _: behind.sendall(bytes([number])))
code = int(behind.recv(16) or b"1")
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def write(folder: Path, python: str) -> Path:
    """The program, to be run in Python's place; who is asked listens at `folder`/asked."""
    file = folder / "python"
    file.write_text(PROGRAM.format(python=python, modules=MODULES, address=str(folder / "asked")))
    file.chmod(0o755)
    return file


def stand_behind(connection: socket.socket) -> dict[str, Any]:
    """Fork: the child returns what it is to become, with the stand-in's standard streams. This process waits for it,
    hands signals on, tells its end, and ends.
    """
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    said = b""
    while b"\n" not in said:
        said += connection.recv(65536)
    line, _, signals = said.partition(b"\n")
    if not (pid := os.fork()):
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        told: dict[str, Any] = json.loads(line)
        return told
    for stream in (0, 1, 2, *streams):
        os.close(stream)  # who reads them waits for their last holder
    child, over = os.pidfd_open(pid), False
    while True:
        for number in signals:
            signal.pidfd_send_signal(child, number)
        ready = select.select([child] if over else [child, connection], [], [])[0]
        if child in ready:
            code = exit_code(child)
            if not over:
                connection.sendall(str(code).encode())
            os._exit(0)
        signals = connection.recv(64)
        if not signals:  # the stand-in was killed
            over, signals = True, bytes([signal.SIGKILL])


def exit_code(child: int) -> int:
    """How a child ended, by its pidfd: its code, or the negative number of the signal."""
    ended = os.waitid(os.P_PIDFD, child, os.WEXITED)
    os.close(child)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
