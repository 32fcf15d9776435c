"""A process that was forked ready is as any other: what it is told, what it says, how it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import MICRO


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("", 0),
        ("import sys; sys.exit(7)", 7),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("raise KeyboardInterrupt", -2),
    ],
)
def test_it_ends_as_it_would(tmp_path: Path, program: str, code: int) -> None:
    assert warm.run(["-c", program], cwd=tmp_path).returncode == code


def test_it_knows_where_it_is_and_what_it_was_told(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import os, sys; print(os.getcwd(), os.environ['TOLD'], *sys.argv[1:])")
    for given in (["-m", "own"], ["-c", "import own"], ["own.py"]):
        done = warm.run([*given, "a", "b"], cwd=tmp_path, env={"TOLD": "this"})
        assert (done.stdout, done.stderr, done.returncode) == (f"{tmp_path} this a b\n", "", 0)


def test_torch_is_there_at_once_and_nothing_of_the_one_before(tmp_path: Path) -> None:
    program = "import sys, torch; print('torch' in sys.modules, hasattr(torch, 'mine')); torch.mine = 1"
    assert [warm.run(["-c", program], cwd=tmp_path).stdout for _ in range(2)] == ["True False\n"] * 2


def test_one_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    program = "import os, time; os.fork(); open(str(os.getpid()), 'w'); time.sleep(60)"
    with pytest.raises(TimeoutError, match="not done in 1 s"):
        warm.run(["-c", program], cwd=tmp_path, timeout=1)
    time.sleep(0.1)
    assert not [pid for pid in tmp_path.iterdir() if alive(pid.name)]
    assert warm.run(["-c", "print(1)"], cwd=tmp_path).stdout == "1\n"


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


# --- what a warm process starts itself ----------------------------------------------------------------

STARTS = """
import subprocess, sys
done = subprocess.run([sys.executable, *{words!r}], input="in", capture_output=True, text=True)
print(done.returncode, done.stdout, done.stderr, sep="|")
"""


def test_what_it_starts_is_forked_ready_and_has_its_streams_and_its_code(tmp_path: Path) -> None:
    for words, said in (
        (["-m", "harness.cli", "plan", "--pair", "tinny"], "2||firstsight: unknown pair 'tinny'; did you mean tiny?"),
        (["-m", "harness.measure.worker"], "1||"),  # "in" is no job
        (["-c", "import sys; print(sys.stdin.read(), 'torch' in sys.modules)"], "0|in False\n|"),
    ):
        shown = warm.run(["-c", STARTS.format(words=words)], cwd=warm.ROOT).stdout
        assert shown.startswith(said), shown


SIGNALLED = """
import os, signal, subprocess, sys, time
from pathlib import Path
cache = Path(sys.argv[1])
command = [sys.executable, "-m", "harness.cli", "make", "--pair", sys.argv[3], "--cache", str(cache), "teacher"]
run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "FIRSTSIGHT_BARS": "lines"})
next(line for line in run.stderr if "sees: 2/2" in line)
run.send_signal(getattr(signal, sys.argv[2]))
sys.stderr.write(run.stderr.read())
print(run.wait())
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130), ("SIGKILL", -9)])
def test_a_signal_reaches_it(tmp_path: Path, name: str, code: int) -> None:
    """Of SIGKILL the stand-in dies, and nobody holds its stderr after."""
    told = warm.run(["-c", SIGNALLED, str(tmp_path), name, str(MICRO)], cwd=warm.ROOT)
    assert told.stdout == f"{code}\n", told.stderr[-2000:]


def test_a_copy_of_the_repository_has_its_own_modules(tmp_path: Path) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").touch()
    (tmp_path / "harness" / "pair.py").write_text("print('mine')")
    done = warm.run(["-m", "harness.pair"], cwd=tmp_path)
    assert done.stdout == "mine\n"
    done = warm.run(["-c", "import sys, harness.pair; print('torch' in sys.modules)"], cwd=tmp_path)
    assert done.stdout == "mine\nTrue\n"
