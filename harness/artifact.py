"""Content-addressed store: a digest of all that makes a thing goes in, a finished folder comes out.

    store = Store(Path("artifacts"), say=print)
    student = store.get("student", {"recipe": {...}, "teacher": teacher.digest}, make=train)  # or finds it
    weights = student.path / "model.safetensors"

`make(folder)` writes into artifacts/.partial/, which survives an interruption (its own checkpoints belong in
folder/.resume/); the finished folder is renamed into place, so that nothing half-written is ever visible.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock, Timeout

from harness.errors import ArtifactError, FirstSightError, ResourceError, oneline

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
Make: TypeAlias = Callable[[Path], Mapping[str, JSON] | None]

FORMAT = 1
MANIFEST = "artifact.json"
RESUME = ".resume"
HASH_ONCE_ABOVE = 1 << 30  # bytes; larger files are hashed once and then known by size and mtime


@dataclass(frozen=True)
class Artifact:
    """A finished folder, named by the digest of all that made it."""

    path: Path
    kind: str
    digest: str
    meta: Mapping[str, JSON]


def canonical(value: JSON, where: str) -> bytes:
    """The one way to write `value` as JSON; ArtifactError naming the place if it is not JSON."""

    def check(v: object, at: str, depth: int = 0) -> None:
        if depth > 100:
            raise ArtifactError(f"{at}: nested deeper than 100 levels")
        if isinstance(v, float) and not math.isfinite(v):
            raise ArtifactError(f"{at}: {v} is not JSON; leave the value out or write null")
        if isinstance(v, Mapping):
            for k, inner in v.items():
                if not isinstance(k, str):  # json would turn 1, True and "1" into one and the same key
                    raise ArtifactError(f"{at}: the key {k!r} is not a string")
                check(inner, f"{at}.{k}", depth + 1)
        elif isinstance(v, list | tuple):
            for i, inner in enumerate(v):
                check(inner, f"{at}.{i}", depth + 1)
        elif v is not None and not isinstance(v, bool | int | float | str):
            raise ArtifactError(f"{at}: {type(v).__name__} is not JSON; give numbers, text, lists, mappings")

    check(value, where)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict).encode("ascii")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of(kind: str, key: Mapping[str, JSON]) -> str:
    """sha256 (64 hex digits) of kind and key, whatever the order of the key's entries."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", kind):
        raise ArtifactError(f"{kind!r} cannot name a kind of artifact: use a-z, 0-9, - and _")
    return _sha256(canonical({"format": FORMAT, "key": key, "kind": kind}, f"{kind} artifact"))


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from error


def folder_digest(path: Path) -> str:
    """sha256 over names and contents of all files below a folder; a link counts as the file it points to."""
    if not path.is_dir():
        raise ArtifactError(f"{path}: no such folder")
    return _sha256(canonical({f: file_digest(path / f) for f in _files(path)}, str(path)))


class Store:
    """Artifacts below one folder. In `ours` a damaged one is made again; elsewhere it is an error."""

    def __init__(self, root: Path, *, ours: bool = True, say: Callable[[str], None] = lambda _: None) -> None:
        self.root = Path(root)
        self.ours = ours
        self.say = say

    def find(self, kind: str, key: Mapping[str, JSON]) -> Artifact | None:
        """The artifact if it is there and intact; with ours=False damage raises an ArtifactError."""
        digest = digest_of(kind, key)
        found = self._look(kind, digest)
        if isinstance(found, str) and not self.ours:
            raise ArtifactError(f"{self._path(kind, digest)}: {found}; --rebuild makes it again")
        return None if isinstance(found, str) else found

    def get(self, kind: str, key: Mapping[str, JSON], make: Make, *, rebuild: bool = False) -> Artifact:
        """The artifact: found, or waited for while another run makes it, or made here by `make(folder)`."""
        if not rebuild and (found := self.find(kind, key)):
            return found
        digest = digest_of(kind, key)
        final = self._path(kind, digest)
        with self._locked(f"{kind} {digest[:16]}", final.name) as waited:
            there = self._look(kind, digest)
            # Whoever held the lock may have made it, and then there is no reason to make it once more.
            if isinstance(there, Artifact) and (waited or not rebuild):
                return there
            if isinstance(there, str):
                self.say(f"{final}: {there}; making it again, the old one goes to {self.root / '.damaged'}")
            self._make(kind, digest, key, make, there)
            made = self._look(kind, digest)
        if not isinstance(made, Artifact):
            raise ArtifactError(f"{final}: {made or 'gone'} just after it was made; who else writes there?")
        return made

    def _path(self, kind: str, digest: str) -> Path:
        return self.root / f"{kind}-{digest[:16]}"

    def _look(self, kind: str, digest: str) -> Artifact | str | None:
        """The intact artifact, or what is wrong with it, or None where there is nothing."""
        path = self._path(kind, digest)
        if not os.path.lexists(path):
            return None
        manifest = self._intact(path, digest)
        return manifest if isinstance(manifest, str) else Artifact(path, kind, digest, manifest["meta"])

    def _intact(self, path: Path, digest: str) -> dict[str, Any] | str:
        """The manifest if every file is as it was when the artifact was sealed, else what is wrong."""
        try:
            manifest: dict[str, Any] = json.loads((path / MANIFEST).read_bytes())
            seal = manifest.pop("seal")
            if _sha256(canonical(manifest, MANIFEST)) != seal:
                return f"{MANIFEST} was altered"
            listed: dict[str, dict[str, Any]] = manifest["files"]
            if manifest["format"] != FORMAT or digest_of(manifest["kind"], manifest["key"]) != digest:
                return f"{MANIFEST} belongs to another artifact ({oneline(manifest['digest'], 70)})"
        except FileNotFoundError:
            return f"{MANIFEST} is missing"
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, FirstSightError):
            return f"{MANIFEST} is truncated or not ours"
        try:
            present = set(_files(path)) - {MANIFEST}
            if extra := sorted(present - listed.keys()):
                return f"{oneline(extra[0], 100)} does not belong there"
            known = self._verified(path.name)
            for name, entry in sorted(listed.items()):
                if name not in present:
                    return f"{oneline(name, 100)} is missing"
                status = (path / name).stat()
                if status.st_size != entry["size"]:
                    return f"{oneline(name, 100)} has {status.st_size} bytes instead of {entry['size']}"
                stamp = [status.st_size, status.st_mtime_ns, entry["sha256"]]
                if known.get(name) == stamp:
                    continue
                if file_digest(path / name) != entry["sha256"]:
                    return f"{oneline(name, 100)} was altered (sha256 differs)"
                if status.st_size > HASH_ONCE_ABOVE:
                    known[name] = stamp
                    self._verify(path.name, known)
        except (OSError, ArtifactError) as error:
            return oneline(error, 200)
        return manifest

    def _verified(self, name: str) -> dict[str, list[object]]:
        try:
            known = json.loads((self.root / ".verified" / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _verify(self, name: str, known: Mapping[str, Sequence[object]]) -> None:
        try:
            _write(self.root / ".verified" / f"{name}.json", json.dumps(known).encode())
        except OSError:
            return  # only spares time: a store that is read-only, or a full disk, hashes again

    @contextmanager
    def _locked(self, label: str, name: str) -> Iterator[bool]:
        """One run at a time; yields whether another one had to be waited for."""
        try:
            (self.root / ".locks").mkdir(parents=True, exist_ok=True)
            (self.root / ".partial").mkdir(exist_ok=True)
            lock = FileLock(self.root / ".locks" / f"{name}.lock")
            waited = False
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waited = True
                self.say(f"another run is making {label}; waiting")
                lock.acquire()
        except RuntimeError as error:  # filelock's: this very thread holds it
            raise ArtifactError(f"{label}: asks for itself while it is being made") from error
        except OSError as error:
            if is_disk_full(error, self.root):
                raise ResourceError(f"disk full: no room for a lock in {self.root}") from error
            why = f"cannot be written ({error.strerror}); choose another folder"
            raise ArtifactError(f"{self.root}: {why}") from error
        try:
            yield waited
        finally:
            lock.release()

    def _make(self, kind: str, digest: str, key: Mapping[str, JSON], make: Make, old: Artifact | str | None) -> None:
        final = self._path(kind, digest)
        partial = self.root / ".partial" / final.name
        checkpoints = partial.with_name(final.name + RESUME)  # where .resume/ waits while the rest is sealed
        started = time.monotonic()

        def said() -> str:
            free, written = shutil.disk_usage(self.root).free / 1e6, _size(partial) / 1e6
            return (
                f"disk full while making {kind} {digest[:16]}: {written:.0f} MB written so far, {free:.0f} "
                f"MB free in {self.root}; partial work is kept in {partial}: free some, run again to resume"
            )

        with told_if_full(self.root, said):
            # Sealed but not renamed: the run was killed in its last moment, and nothing is left to make.
            if isinstance(self._intact(partial, digest), str):
                if partial.is_dir():
                    self.say(f"{kind} {digest[:16]}: going on from what an interrupted run left in {partial}")
                    (partial / MANIFEST).unlink(missing_ok=True)
                    if checkpoints.exists() and not (partial / RESUME).exists():
                        checkpoints.rename(partial / RESUME)
                partial.mkdir(exist_ok=True)
                shutil.rmtree(checkpoints, ignore_errors=True)
                meta = make(partial) or {}
                if (partial / RESUME).exists():
                    (partial / RESUME).rename(checkpoints)
                took = round(time.monotonic() - started, 3)
                about: dict[str, JSON] = {"format": FORMAT, "kind": kind, "digest": digest, "key": key}
                _seal(partial, about | {"meta": meta, "seconds": took})
            self._publish(partial, final, old)
            shutil.rmtree(checkpoints, ignore_errors=True)

    def _publish(self, partial: Path, final: Path, old: Artifact | str | None) -> None:
        """Put the sealed folder in its place; killed between the renames, the next run does it."""
        aside = self.root / (".damaged" if isinstance(old, str) else ".partial")
        if old is not None:
            aside.mkdir(exist_ok=True)
            aside /= f"{final.name}.{time.time_ns()}"
            final.rename(aside)
        partial.rename(final)
        _fsync(self.root)
        if isinstance(old, Artifact):
            shutil.rmtree(aside, ignore_errors=True)


def _seal(folder: Path, manifest: dict[str, JSON]) -> None:
    """Write the manifest of what `make` left; from here on the folder is whole, wherever it lies."""
    kind = manifest["kind"]
    canonical(manifest["meta"], f"{kind} artifact's meta")
    files: dict[str, JSON] = {}
    for name in sorted(_files(folder)):
        if name == MANIFEST:
            raise ArtifactError(f"{kind}: make wrote {MANIFEST}, which is the store's own file")
        if (folder / name).is_symlink():
            raise ArtifactError(f"{kind}: make left a link, {name}; an artifact holds copies")
        files[name] = {"size": (folder / name).stat().st_size, "sha256": file_digest(folder / name)}
        _fsync(folder / name)
    for inner, _, _ in os.walk(folder):
        _fsync(Path(inner))
    # The manifest is not in its own list of files: its seal tells when one of its figures was altered.
    manifest |= {"files": files, "made": datetime.now(UTC).isoformat(timespec="seconds")}
    manifest["seal"] = _sha256(canonical(manifest, MANIFEST))
    _write(folder / MANIFEST, json.dumps(manifest, indent=1, default=dict).encode("ascii"))


def _files(folder: Path) -> Iterator[str]:
    """Names, relative and with /, of all files below a folder; what is neither file nor folder raises."""
    for inner, folders, files in os.walk(folder):
        for name in [*files, *(f for f in folders if (Path(inner) / f).is_symlink())]:
            path = Path(inner) / name
            try:
                plain = stat.S_ISREG(path.stat().st_mode)  # opening a pipe would wait for ever
            except OSError:
                plain = False
            if not plain:
                raise ArtifactError(f"{path}: neither a file nor a folder, or a link to no file")
            yield path.relative_to(folder).as_posix()


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, on the disk and not only in its cache, when this returns."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        _fsync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _fsync(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file())


@contextmanager
def told_if_full(root: Path, said: Callable[[], str]) -> Iterator[None]:
    """ResourceError with what `said` gives where a full disk (or quota) below `root` ends the block; others go by."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ResourceError) or not is_disk_full(error, root):
            raise
        raise ResourceError(said()) from error


def is_disk_full(error: BaseException, root: Path) -> bool:
    """Whether a full disk (or quota) is the cause, also where a library hides it in its own exception."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if re.search(r"no space left on device|disk quota exceeded|os error 28\b", str(seen), re.IGNORECASE):
            return True  # safetensors
        if "inline_container" in str(seen) and shutil.disk_usage(root).free < 1 << 20:
            return True  # torch.save, which does not pass on why it could not write
        seen = seen.__cause__ or seen.__context__
    return False
