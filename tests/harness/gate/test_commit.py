"""Which commit a run is of: git's, the variable's, the label's; never that of another repository."""

import subprocess
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate.commit import commit_of, parse, tag

ROOT = Path(__file__).resolve().parents[3]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FIRSTSIGHT_COMMIT", raising=False)
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_git_says_it_whatever_the_working_directory(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = repository.parent
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as a hook of another repository sets it
    found = commit_of(repository)
    monkeypatch.delenv("GIT_DIR")
    assert found["id"] == git(repository, "rev-parse", "HEAD").strip()
    assert (found["branch"], found["dirty"]) == ("trunk", False)
    assert found["time"].startswith("20")


def test_a_change_that_is_not_committed_is_told(repository: Path) -> None:
    (repository / "code.py").write_text("2")
    found = commit_of(repository)
    assert found["dirty"] is True
    assert tag(found).endswith("_uncommitted-changes")


def test_a_copy_within_another_repository_is_not_its_commit(repository: Path) -> None:
    copy = repository / "vendored"
    copy.mkdir()
    assert commit_of(copy)["id"] == "unversioned"
    (copy / "COMMIT").write_text("a1b2c3d\n")
    assert commit_of(copy)["id"] == "a1b2c3d"


def test_inside_an_image_the_variable_or_the_label_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRSTSIGHT_COMMIT", raising=False)
    assert commit_of(tmp_path) == {
        "id": "unversioned",
        "time": None,
        "author_time": None,
        "dirty": False,
        "branch": "(unknown)",
        "project": tmp_path.name,
    }
    (tmp_path / "COMMIT").write_text("fff,main\n")
    assert commit_of(tmp_path)["id"] == "fff"
    monkeypatch.setenv("FIRSTSIGHT_COMMIT", "a1b2c3d,feature/gate,dirty")
    found = commit_of(tmp_path)
    assert (found["id"], found["branch"], found["dirty"]) == ("a1b2c3d", "feature/gate", True)


def test_without_git_at_all_nothing_breaks(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit_of(repository)["id"] == "unversioned"


@pytest.mark.parametrize("text", ["../../x", "a b", "", "a,b,c", "a,b,c,dirty", "-a", "x" * 80, "a,b\x1b[31m"])
def test_what_is_no_commit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"not a commit; write ID\[,BRANCH\]\[,dirty\]"):
        parse(text, "FIRSTSIGHT_COMMIT")
