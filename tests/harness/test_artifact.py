"""The store: nothing half-written is ever visible, nothing is done twice, no altered byte goes unseen."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import artifact
from harness.artifact import JSON, Artifact, Store, digest_of, file_digest, folder_digest
from harness.errors import ArtifactError, ResourceError

REPOSITORY = Path(__file__).resolve().parents[2]
KEY: dict[str, JSON] = {"recipe": {"alpha": 0.7, "epochs": 3}, "seed": 0}


def make(folder: Path) -> dict[str, JSON]:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "weights.bin").write_bytes(b"w" * 1000)
    (folder / "tokenizer.json").write_text("{}")
    return {"val_agreement": 0.9}


def never(folder: Path) -> None:
    raise AssertionError("was made again")


class Said(list[str]):
    """What the store told its user."""

    def has(self, text: str) -> bool:
        return any(text in line for line in self)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def store(tmp_path: Path, said: Said) -> Store:
    return Store(tmp_path / "artifacts", say=said.append)


def visible(store: Store) -> list[str]:
    return sorted(p.name for p in store.root.iterdir() if not p.name.startswith("."))


# --- made once, found again


def test_what_is_made_is_found_again(store: Store, said: Said) -> None:
    assert store.find("student", KEY) is None
    made = store.get("student", KEY, make)
    assert made.kind == "student"
    assert made.digest == digest_of("student", KEY)
    assert made.path == store.root / f"student-{made.digest[:16]}"
    assert made.meta == {"val_agreement": 0.9}
    assert (made.path / "model" / "weights.bin").read_bytes() == b"w" * 1000
    assert store.get("student", KEY, never) == made == Store(store.root).find("student", KEY)
    assert visible(store) == [made.path.name]
    assert list((store.root / ".partial").iterdir()) == []
    assert said == []


def test_the_manifest_says_what_made_it_and_what_it_holds(store: Store) -> None:
    made = store.get("student", KEY, make)
    manifest = json.loads((made.path / "artifact.json").read_text())
    assert manifest["format"] == 1
    assert manifest["kind"] == "student"
    assert manifest["digest"] == made.digest
    assert manifest["key"] == KEY
    assert manifest["meta"] == {"val_agreement": 0.9}
    assert manifest["files"]["model/weights.bin"] == {
        "size": 1000,
        "sha256": file_digest(made.path / "model" / "weights.bin"),
    }
    assert manifest["made"].endswith("+00:00")
    assert manifest["seconds"] >= 0


def test_another_key_or_kind_is_another_artifact(store: Store) -> None:
    store.get("student", KEY, make)
    assert store.find("student", KEY | {"seed": 1}) is None
    assert store.find("teacher", KEY) is None


def test_make_may_return_nothing_and_leave_nothing(store: Store) -> None:
    assert store.get("note", {}, lambda folder: None).meta == {}
    assert store.get("note", {}, never).meta == {}


def test_an_artifact_may_be_made_from_another(store: Store) -> None:
    def student(folder: Path) -> dict[str, JSON]:
        teacher = store.get("teacher", {}, make)
        shutil.copy(teacher.path / "tokenizer.json", folder)
        return {"teacher": teacher.digest}

    assert store.get("student", KEY, student).meta == {"teacher": digest_of("teacher", {})}


def test_an_artifact_that_asks_for_itself_is_told_so(store: Store) -> None:
    def itself(folder: Path) -> None:
        store.get("student", KEY, itself)

    with pytest.raises(ArtifactError, match=r"^student \w{16}: asks for itself while it is being made$"):
        store.get("student", KEY, itself)


# --- damage

DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered byte": (
        lambda p: (p / "model" / "weights.bin").write_bytes(b"w" * 999 + b"x"),
        "model/weights.bin was altered (sha256 differs)",
    ),
    "half-copied file": (
        lambda p: (p / "model" / "weights.bin").write_bytes(b"w" * 10),
        "model/weights.bin has 10 bytes instead of 1000",
    ),
    "missing file": (lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "extra file": (
        lambda p: (p / "model" / "notes.txt").write_text("hi"),
        "model/notes.txt does not belong there",
    ),
    "extra pipe": (lambda p: os.mkfifo(p / "pipe"), "pipe: neither a file nor a folder"),
    "dangling link": (lambda p: (p / "link").symlink_to("nowhere"), "link: neither a file nor a folder"),
    "truncated manifest": (
        lambda p: (p / "artifact.json").write_bytes((p / "artifact.json").read_bytes()[:100]),
        "artifact.json is truncated or not ours",
    ),
    "foreign manifest": (
        lambda p: (p / "artifact.json").write_text("[1, 2]"),
        "artifact.json is truncated or not ours",
    ),
    "no manifest": (lambda p: (p / "artifact.json").unlink(), "artifact.json is missing"),
    "altered figure": (
        lambda p: (p / "artifact.json").write_text((p / "artifact.json").read_text().replace("0.9", "0.8")),
        "artifact.json was altered",
    ),
    "a file in its place": (
        lambda p: p.rename(p.with_name(".was")) and p.write_text(""),
        "artifact.json is truncated or not ours",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_our_own_cache_says_what_is_damaged_and_makes_it_again(store: Store, said: Said, damage: str) -> None:
    harm, named = DAMAGES[damage]
    path = store.get("student", KEY, make).path
    harm(path)
    assert store.find("student", KEY) is None
    made = store.get("student", KEY, make)
    assert len(said) == 1
    assert named in said[0]
    assert "making it again" in said[0]
    assert store.get("student", KEY, never) == made
    assert [p.name.split(".")[0] for p in (store.root / ".damaged").iterdir()] == [path.name]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_ours_is_named_and_left_alone(store: Store, damage: str) -> None:
    harm, named = DAMAGES[damage]
    path = store.get("student", KEY, make).path
    harm(path)
    theirs = Store(store.root, ours=False)
    message = rf"^{re.escape(f'{path}: ')}.*{re.escape(named)}.*; --rebuild makes it again$"
    with pytest.raises(ArtifactError, match=message):
        theirs.find("student", KEY)
    with pytest.raises(ArtifactError, match=message):
        theirs.get("student", KEY, never)
    assert not (store.root / ".damaged").exists()
    rebuilt = theirs.get("student", KEY, make, rebuild=True)
    assert theirs.find("student", KEY) == rebuilt


def test_an_artifact_copied_under_another_name_is_not_believed(store: Store) -> None:
    made = store.get("student", KEY, make)
    other = KEY | {"seed": 1}
    shutil.copytree(made.path, store.root / f"student-{digest_of('student', other)[:16]}")
    with pytest.raises(ArtifactError, match=rf"belongs to another artifact \({made.digest}\)"):
        Store(store.root, ours=False).find("student", other)


def test_a_whole_copy_of_the_folder_is_the_artifact(store: Store, tmp_path: Path) -> None:
    made = store.get("student", KEY, make)
    elsewhere = tmp_path / "copied"
    shutil.copytree(made.path, elsewhere / made.path.name)
    found = Store(elsewhere, ours=False).find("student", KEY)
    assert found == Artifact(elsewhere / made.path.name, "student", made.digest, made.meta)


# --- rebuild


def test_rebuild_makes_an_intact_artifact_again(store: Store) -> None:
    store.get("student", KEY, make)
    again = store.get("student", KEY, lambda folder: {"second": True}, rebuild=True)
    assert again.meta == {"second": True}
    assert [p.name for p in again.path.iterdir()] == ["artifact.json"]
    assert list((store.root / ".partial").iterdir()) == []
    assert not (store.root / ".damaged").exists()


def test_a_rebuild_that_fails_leaves_the_old_one(store: Store) -> None:
    made = store.get("student", KEY, make)

    def fails(folder: Path) -> None:
        assert (made.path / "tokenizer.json").exists()
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        store.get("student", KEY, fails, rebuild=True)
    assert store.get("student", KEY, never) == made


# --- interruptions


def test_ctrl_c_passes_through_and_the_next_run_goes_on(store: Store, said: Said) -> None:
    def interrupted(folder: Path) -> None:
        (folder / ".resume").mkdir()
        (folder / ".resume" / "step").write_text("41")
        (folder / "log.txt").write_text("first half;")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("student", KEY, interrupted)
    assert visible(store) == []
    assert store.find("student", KEY) is None

    def resumed(folder: Path) -> dict[str, JSON]:
        (folder / "log.txt").write_text((folder / "log.txt").read_text() + "second half")
        return {"from_step": int((folder / ".resume" / "step").read_text())}

    made = store.get("student", KEY, resumed)
    assert made.meta == {"from_step": 41}
    assert (made.path / "log.txt").read_text() == "first half;second half"
    landed = sorted(p.name for p in made.path.iterdir())
    assert landed == ["artifact.json", "log.txt"], "checkpoints do not land"
    assert list((store.root / ".partial").iterdir()) == []
    assert said.has("going on from what an interrupted run left")


def test_killed_after_make_nothing_is_made_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def with_checkpoints(folder: Path) -> dict[str, JSON]:
        (folder / ".resume").mkdir()
        (folder / ".resume" / "step").write_text("99")
        return make(folder)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_publish", killed)
        with pytest.raises(KeyboardInterrupt):
            store.get("student", KEY, with_checkpoints)
    assert visible(store) == []
    assert store.get("student", KEY, never).meta == {"val_agreement": 0.9}
    assert list((store.root / ".partial").iterdir()) == []


def test_killed_while_sealing_the_checkpoints_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def last_step(folder: Path) -> None:
        (folder / ".resume").mkdir()
        (folder / ".resume" / "step").write_text("99")

    with monkeypatch.context() as patched:
        patched.setattr(artifact, "_seal", killed)
        with pytest.raises(KeyboardInterrupt):
            store.get("student", KEY, last_step)
    made = store.get("student", KEY, lambda folder: {"step": (folder / ".resume" / "step").read_text()})
    assert made.meta == {"step": "99"}


def test_killed_between_the_two_renames_of_a_rebuild(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.get("student", KEY, make)
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if ".partial" in self.parts and target.parent == store.root:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            store.get("student", KEY, lambda folder: {"second": True}, rebuild=True)
    assert visible(store) == []
    assert store.get("student", KEY, never).meta == {"second": True}


def run(root: Path, body: str) -> subprocess.Popen[str]:
    """Another process that asks for the same artifact; `body` is its make."""
    script = (
        "import sys, time, os\nfrom pathlib import Path\nfrom harness.artifact import Store\n"
        f"root = Path({str(root)!r})\n"
        f"def make(folder):\n    {body}\n"
        "store = Store(root, say=lambda line: print(line, flush=True))\n"
        f"print('meta', dict(store.get('student', {KEY!r}, make).meta), flush=True)\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, f"waited 30 s for {what}"
        time.sleep(0.02)


def test_kill_9_in_the_middle_then_resume(store: Store, said: Said) -> None:
    body = "(folder / 'half').write_text('half'); (folder / 'go').touch(); time.sleep(60)"
    with run(store.root, body) as process:
        wait_for(lambda: list(store.root.glob(".partial/student-*/go")), "make to begin")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert visible(store) == []

    def resumed(folder: Path) -> dict[str, JSON]:
        (folder / "go").unlink()
        return {"found": (folder / "half").read_text()}

    made = store.get("student", KEY, resumed)  # the killed run's lock is gone with it
    assert made.meta == {"found": "half"}
    assert said.has("going on from what an interrupted run left")


def test_of_two_runs_one_makes_and_one_waits_and_says_so(store: Store) -> None:
    gate = store.root.parent / "gate"
    body = f"""(folder / 'by').write_text(str(os.getpid())); print('making', flush=True)
    while not os.path.exists({str(gate)!r}): time.sleep(0.01)
    return {{'by': os.getpid()}}"""
    with run(store.root, body) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "making\n"
        with run(store.root, body) as second:
            assert second.stdout is not None
            digest = digest_of("student", KEY)[:16]
            assert second.stdout.readline() == f"another run is making student {digest}; waiting\n"
            assert visible(store) == []
            gate.touch()
            assert first.stdout.read() == second.stdout.read() == f"meta {{'by': {first.pid}}}\n"


def test_when_the_one_that_makes_is_killed_the_one_that_waits_takes_over(store: Store) -> None:
    with run(store.root, "print('making', flush=True); time.sleep(60)") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "making\n"
        with run(store.root, "return {'by': 'second'}") as second:
            assert second.stdout is not None
            assert second.stdout.readline().endswith("waiting\n")
            first.kill()
            assert second.stdout.read().endswith("meta {'by': 'second'}\n")


def test_many_runs_at_once_make_it_once(store: Store) -> None:
    made = store.root.parent / "made"
    body = f"open({str(made)!r}, 'a').write('x'); time.sleep(0.1)"
    runs = [run(store.root, body) for _ in range(4)]
    assert [r.wait() for r in runs] == [0] * 4
    assert made.read_text() == "x"
    for r in runs:
        assert r.stdout is not None
        r.stdout.close()


# --- the machine says no


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root; the error itself is raised in the test above")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_said_by_the_system(store: Store, code: int) -> None:
    def full(folder: Path) -> None:
        (folder / "half").write_bytes(b"0" * 2_000_000)
        raise OSError(code, os.strerror(code), str(folder))

    message = r"^disk full while making student \w{16}: 2 MB written so far, \d+ MB free .*run again to resume$"
    with pytest.raises(ResourceError, match=message):
        store.get("student", KEY, full)
    made = store.get("student", KEY, lambda folder: {"kept": (folder / "half").exists()})
    assert made.meta == {"kept": True}


def test_a_full_disk_hidden_in_another_exception(store: Store) -> None:
    def full(folder: Path) -> None:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError as error:
            raise RuntimeError("could not save") from error

    def safetensors(folder: Path) -> None:
        raise ValueError("Error while serializing: I/O error: No space left on device (os error 28)")

    for make_it in (full, safetensors):
        with pytest.raises(ResourceError, match=r"^disk full while making student"):
            store.get("student", KEY, make_it)


def test_a_really_full_disk(small_disk: Path) -> None:
    store = Store(small_disk / "artifacts")

    def too_much(folder: Path) -> None:
        (folder / "big").write_bytes(b"0" * 1_000_000)

    with pytest.raises(ResourceError, match=r"^disk full while making student"):
        store.get("student", KEY, too_much)
    partial = next((store.root / ".partial").iterdir())
    assert visible(store) == []
    (partial / "big").unlink()
    assert store.get("student", KEY, make).meta == {"val_agreement": 0.9}


def test_a_disk_that_fills_up_while_the_manifest_is_written(small_disk: Path) -> None:
    store = Store(small_disk / "artifacts")

    def fills(folder: Path) -> None:
        make(folder)
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "other").write_bytes(b"0" * 1_000_000)

    with pytest.raises(ResourceError, match=r"^disk full while making student"):
        store.get("student", KEY, fills)
    assert visible(store) == []
    (small_disk / "other").unlink()
    assert store.get("student", KEY, make).meta == {"val_agreement": 0.9}


def test_a_disk_without_room_for_a_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("harness.artifact.FileLock.acquire", full)
    with pytest.raises(ResourceError, match=r"^disk full: no room for a lock"):
        store.get("student", KEY, make)


def test_torch_save_on_a_full_disk(small_disk: Path) -> None:
    """torch.save raises a RuntimeError that speaks of positions in its archive; given here as it was seen."""

    def full(folder: Path) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")

    with pytest.raises(ResourceError, match=r"^disk full while making student"):
        Store(small_disk / "artifacts").get("student", KEY, full)


def test_an_error_of_make_is_not_mistaken_for_a_full_disk(store: Store) -> None:
    def missing(folder: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file", "clips.mp4")

    with pytest.raises(FileNotFoundError):
        store.get("student", KEY, missing)


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match=r"artifacts: cannot be written \(.+\); choose another folder$"):
        Store(tmp_path / "artifacts").get("student", KEY, make)


def test_a_root_on_a_disk_mounted_read_only(small_disk: Path) -> None:
    made = Store(small_disk / "artifacts").get("student", KEY, make)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert Store(small_disk / "artifacts").get("student", KEY, never) == made, "what is there can be used"
    with pytest.raises(ArtifactError, match=r"artifacts: cannot be written \(Read-only file system\)"):
        Store(small_disk / "artifacts").get("teacher", KEY, make)


# --- what may not be stored


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"recipe": {"lr": float("nan")}}, "student artifact.key.recipe.lr: nan is not JSON"),
        ({"lr": [1.0, float("inf")]}, "student artifact.key.lr.1: inf is not JSON"),
        ({"path": Path("/tmp")}, "student artifact.key.path: PosixPath is not JSON"),
        ({"splits": {"train", "val"}}, "student artifact.key.splits: set is not JSON"),
        ({"raw": b"x"}, "student artifact.key.raw: bytes is not JSON"),
        ({"scale": {1: 2.0}}, "student artifact.key.scale: the key 1 is not a string"),
    ],
)
def test_a_key_that_is_not_json(store: Store, key: dict[str, JSON], message: str) -> None:
    with pytest.raises(ArtifactError) as error:
        store.get("student", key, never)
    assert str(error.value).startswith(message)
    assert not store.root.exists()


def test_a_key_that_holds_itself(store: Store) -> None:
    key: dict[str, JSON] = {}
    key["again"] = key
    with pytest.raises(ArtifactError, match="nested deeper than 100 levels"):
        store.find("student", key)


def test_a_meta_that_is_not_json_does_not_land(store: Store) -> None:
    with pytest.raises(ArtifactError, match=r"student artifact's meta\.loss: nan is not JSON"):
        store.get("student", KEY, lambda folder: {"loss": float("nan")})
    assert visible(store) == []


@pytest.mark.parametrize("kind", ["", "../escape", "Student", "a b", ".hidden", "a/b", "x\n"])
def test_a_kind_that_cannot_name_a_folder(store: Store, kind: str) -> None:
    with pytest.raises(ArtifactError, match="cannot name a kind of artifact"):
        store.get(kind, KEY, never)


def test_make_may_leave_neither_links_nor_a_manifest(store: Store, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("shared")

    def link(folder: Path) -> None:
        (folder / "weights").symlink_to(tmp_path / "outside")

    with pytest.raises(ArtifactError, match="make left a link, weights"):
        store.get("student", KEY, link)

    def manifest(folder: Path) -> None:
        (folder / "artifact.json").write_text("{}")

    with pytest.raises(ArtifactError, match=r"make wrote artifact\.json"):
        store.get("teacher", KEY, manifest)
    assert visible(store) == []


# --- digests


def test_large_files_are_hashed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "HASH_ONCE_ABOVE", 100)
    hashed: list[str] = []

    def counting(path: Path) -> str:
        hashed.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(artifact, "file_digest", counting)
    path = store.get("student", KEY, make).path / "model" / "weights.bin"
    hashed.clear()
    assert store.find("student", KEY)
    assert hashed == ["tokenizer.json"]
    path.write_bytes(b"x" * 1000)
    os.utime(path, ns=(1, 1))
    assert store.find("student", KEY) is None, "another mtime: hashed again, and seen to be altered"


def test_a_folder_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    folders = {"a": {"x": "1", "d/y": "2"}, "b": {"d/y": "2", "x": "1"}, "c": {"x": "2", "d/y": "1"}}
    for name, files in folders.items():
        for file, text in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
    a, b, c = (folder_digest(tmp_path / n) for n in "abc")
    assert a == b != c
    (tmp_path / "b" / "x").rename(tmp_path / "b" / "z")
    assert folder_digest(tmp_path / "b") != a
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "d").mkdir()
    (tmp_path / "link" / "d" / "y").symlink_to(tmp_path / "a" / "d" / "y")
    (tmp_path / "link" / "x").symlink_to(tmp_path / "a" / "x")
    assert folder_digest(tmp_path / "link") == a, "a hub snapshot's links count as the files they point to"


def test_digests_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such folder"):
        folder_digest(tmp_path / "none")
    with pytest.raises(ArtifactError, match=r"cannot be read \(No such file or directory\)"):
        file_digest(tmp_path / "none")


def test_digests_stay_the_same_from_version_to_version() -> None:
    """If this fails, every artifact of every user is made again: raise FORMAT on purpose or not at all."""
    assert digest_of("student", KEY) == "f7685898e905d69ad9fa107a064f9ba12efd4996e553a24c82063be30b27e654"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keys = st.dictionaries(st.text(), values, max_size=5)


def shuffled(value: JSON) -> JSON:
    """The same value with every mapping's entries in reverse order."""
    if isinstance(value, dict):
        return {k: shuffled(v) for k, v in reversed(value.items())}
    return [shuffled(v) for v in value] if isinstance(value, list) else value


@given(keys)
def test_a_digest_does_not_depend_on_the_order_of_keys(key: dict[str, JSON]) -> None:
    assert digest_of("student", shuffled(key)) == digest_of("student", key)  # type: ignore[arg-type]


def test_numbers_that_python_takes_for_equal_are_different_keys() -> None:
    assert len({digest_of("a", {"x": x}) for x in (1, 1.0, True, "1", None, [1], {"1": 1}, 0, -0.0, 0.0)}) == 10


@given(keys, st.text(), values, values)
def test_any_change_changes_the_digest(key: dict[str, JSON], name: str, one: JSON, other: JSON) -> None:
    before, after = digest_of("a", {**key, name: one}), digest_of("a", {**key, name: other})
    assert (before == after) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
    assert digest_of("a", key) != digest_of("b", key)
