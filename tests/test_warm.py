"""A process that was forked ready is as any other: what it is told, what it says, how it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import warm


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
