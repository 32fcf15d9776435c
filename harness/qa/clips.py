"""Clips of a dataset's media: a video, a folder or list of frames, photos. Nothing is decoded before it is asked for.

clip = video_clip("egoschema", root, "videos/a.mp4", sampling, start=10.0, end=20.0, where="questions.json[3]")

A clip's source tells medium, digest, times and sampling, so that artifacts made of it are made again when any changes.
It says `absent` for a medium that is not there; only asking for its frames is then an error. With `shift` it is the
clip that looks between the frames of the unshifted one (`Clip.between`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, oneline
from harness.qa.frame_cache import cached
from harness.qa.items import Clip, Frames, Sound
from harness.qa.media import ABSENT, Sampling, inside, quick_digest
from harness.qa.photos import frames_in, read_frames, read_photo
from harness.qa.sound import read_sound
from harness.qa.timeline import between, check_times, spread
from harness.qa.video import DECODER, Video

UNSHIFTED = Fraction(0)
# Seconds, give or take a rounding of the end: so short a clip is the very moment that is asked about (where one looks,
# where a thing is in the picture), and half a second later the answer may be another. It is never looked at beside it.
MOMENT = 1.000001
HEARD = 30.0  # seconds from a clip's beginning: no ears here (Whisper's) hold more


def video_clip(
    dataset: str,
    root: Path,
    entry: str,
    sampling: Sampling,
    shift: Fraction = UNSHIFTED,
    *,
    where: str,
    start: float | None = None,
    end: float | None = None,
    recording: str | None = None,
) -> Clip:
    """From `start` to `end` of a video file (None: its beginning, its end), with what is heard in it."""
    path = inside(root, entry, where)
    check_times(start, end, f"{where}: {oneline(entry, 300)}")
    span = "" if start is None and end is None else f"@{_seconds(start or 0)}-{'' if end is None else _seconds(end)}"
    seen_once = sampling.frames == 1 or (end is not None and end - (start or 0) <= MOMENT)
    again = partial(video_clip, dataset, root, entry, sampling, where=where, start=start, end=end, recording=recording)
    return Clip(
        id=f"{dataset}/{entry}{span}",
        source=_video_source(f"{dataset} {entry}", path, start, end, sampling, shift),
        load=partial(_video_frames, path, entry, start, end, sampling, shift),
        load_sound=partial(_video_sound, path, entry, start, end),
        absent=quick_digest(path) == ABSENT,
        recording=recording or entry,
        shifted=None if seen_once else again,
    )


def photos_clip(dataset: str, root: Path, entries: Sequence[str], *, where: str, recording: str | None = None) -> Clip:
    """Photos, each looked at on its own, at the size they have."""
    if not entries:
        raise DataError(f"{where}: names no image: give at least one")
    paths = [inside(root, entry, where) for entry in entries]
    digest = _digest_of(entries, paths)
    return Clip(
        id=f"{dataset}/{_name_of(entries)}",
        source=f"{dataset} {_name_of(entries)} {digest} photos",
        load=partial(_photos, tuple(paths), tuple(entries)),
        still=True,
        absent=digest == ABSENT,
        # The same photo may go by several names: by its bytes it is known to be one.
        recording=recording or (_name_of(entries) if digest == ABSENT else digest),
    )


def frames_clip(
    dataset: str,
    root: Path,
    entries: Sequence[str] | str,
    sampling: Sampling,
    shift: Fraction = UNSHIFTED,
    *,
    where: str,
    recording: str | None = None,
) -> Clip:
    """Frames as image files: a folder (its name), or a list in the order of time. `sampling.frames` at most."""
    if isinstance(entries, str):
        name, held = entries.rstrip("/"), frames_in(root, entries, where)
    elif not entries:
        raise DataError(f"{where}: names no frame: give at least one")
    else:
        name, held = _name_of(entries), list(entries)
    listed = held
    if len(held) > sampling.frames:
        listed = [held[at] for at in between(range(len(held)), spread(len(held), sampling.frames), shift)]
    paths = [inside(root, entry, where) for entry in listed]
    digest = _digest_of(listed, paths)
    return Clip(
        id=f"{dataset}/{name}",
        source=f"{dataset} {name} {digest} {sampling}",
        absent=digest == ABSENT,
        load=partial(_listed_frames, tuple(paths), tuple(listed), name, sampling.max_side),
        recording=recording or name,
        shifted=partial(frames_clip, dataset, root, entries, sampling, where=where, recording=recording),
    )


# --- loading: functions of the module, so that a clip can be handed to another process -------------


def _seconds(time: float) -> str:
    """To the microsecond, as the source says it: two clips of one hour-long video are never one."""
    return f"{time:.6f}".rstrip("0").rstrip(".")


def _video_source(
    name: str, path: Path, start: float | None, end: float | None, sampling: Sampling, shift: Fraction
) -> str:
    told = f"{name} {quick_digest(path)} {start or 0:.6f}–{'end' if end is None else f'{end:.6f}'} s {sampling}"
    return f"{told} shift={shift}" if shift else told


def _video_frames(
    path: Path, entry: str, start: float | None, end: float | None, sampling: Sampling, shift: Fraction
) -> NDArray[np.uint8]:
    def decode() -> NDArray[np.uint8]:
        with Video(path, entry) as video:
            return video.frames(start, end, sampling.frames, sampling.max_side, shift)

    # The file as it is now: it may have come, or changed, since the clip was listed.
    if quick_digest(path) == ABSENT:
        return decode()
    return cached(f"{_video_source('', path, start, end, sampling, shift)} decoder {DECODER}", decode)


def _video_sound(path: Path, entry: str, start: float | None, end: float | None) -> Sound | None:
    heard = (start or 0.0) + HEARD
    return read_sound(path, entry, start, heard if end is None else min(end, heard))


def _photos(paths: Sequence[Path], entries: Sequence[str]) -> Frames:
    return tuple(read_photo(path, entry) for path, entry in zip(paths, entries, strict=True))


def _listed_frames(paths: Sequence[Path], entries: Sequence[str], name: str, max_side: int | None) -> Frames:
    if not paths:
        raise DataError(
            f"{oneline(name, 300)}: no such folder of frames, or no image in it: put it below the data's root"
        )
    return read_frames(paths, entries, max_side)


def _name_of(entries: Sequence[str]) -> str:
    """A list of images by its first, how many follow, and all their names' digest; a single one by itself."""
    if len(entries) == 1:
        return entries[0]
    names = hashlib.sha256("\0".join(entries).encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{entries[0]}+{len(entries) - 1}-{names}"


def _digest_of(entries: Sequence[str], paths: Sequence[Path]) -> str:
    digests = [quick_digest(path) for path in paths]
    if not digests or ABSENT in digests:
        return ABSENT
    return digests[0] if len(digests) == 1 else hashlib.sha256("\0".join(digests).encode()).hexdigest()[:32]
