"""What is heard in a clip: mono, 16 kHz, float32, cut to the clip's start and end.

sound = read_sound(path, "videos/a.mp4", start=10.0, end=20.0)      # None where the file has no audio track
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from harness.errors import DataError
from harness.qa.items import Sound
from harness.qa.timeline import check_times, exact
from harness.qa.video import Video

RATE = 16_000
LEAD = 0.5  # seconds decoded before the clip: a codec's first frames after a seek are not yet what they should be


def read_sound(path: Path, name: str, start: float | None = None, end: float | None = None) -> Sound | None:
    """From the video's first frame on, so that sound and pictures share their zero; silence where there is none.

    With `end`, exactly (end − start) · 16 000 samples. DataError when a track is there but none of it decodes.
    """
    check_times(start, end, name)
    begin = exact(start or 0.0)
    with Video(path, name) as video:  # says why a file cannot be opened, and knows the zero
        zero = float(video.zero)
    try:
        with av.open(str(path), metadata_errors="replace", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                return None
            until = None if end is None else float(exact(end)) + zero
            if float(begin) + zero > LEAD:
                with suppress(av.error.FFmpegError):  # what cannot be sought is decoded from its beginning
                    container.seek(round((float(begin) + zero - LEAD) * av.time_base))
            pieces, first = _resampled(container, until)
    except av.error.FFmpegError as error:
        raise DataError(f"{name}: its sound cannot be decoded ({error.strerror}); fetch the file again") from None
    if first is None:
        if end is None or start:
            return np.zeros(0 if end is None else _samples(float(exact(end) - begin)), np.float32)
        raise DataError(f"{name}: it has an audio track, but none of it decodes; fetch the file again")
    heard = np.concatenate(pieces)
    skip = _samples(float(begin) + zero - first)  # below zero: the sound begins after the clip
    heard = np.concatenate([np.zeros(max(0, -skip), np.float32), heard[max(0, skip) :]])
    if end is not None:
        wanted = _samples(float(exact(end) - begin))
        heard = np.concatenate([heard[:wanted], np.zeros(max(0, wanted - len(heard)), np.float32)])
    return np.clip(heard, -1.0, 1.0)


def _resampled(container: InputContainer, until: float | None) -> tuple[list[Sound], float | None]:
    """Pieces of mono 16 kHz, and when the first begins (seconds on the file's clock); None when nothing decodes."""
    resampler = _resampler()
    pieces: list[Sound] = []
    first: float | None = None
    try:
        for frame in container.decode(container.streams.audio[0]):
            if first is None:
                first = float(frame.time or 0.0)
            try:
                made = resampler.resample(frame)
            except ValueError:  # rate or channels change within the track
                made, resampler = resampler.resample(None), _resampler()
                made += resampler.resample(frame)
            pieces += [piece.to_ndarray()[0] for piece in made]
            if until is not None and frame.time is not None and frame.time > until + LEAD:
                break
    except (av.error.InvalidDataError, IndexError):  # IndexError: garbage that looks like one stream more
        pass  # cut short: what came before is good
    if first is not None:
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return pieces, first


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="flt", layout="mono", rate=RATE)


def _samples(seconds: float) -> int:
    return round(seconds * RATE)
