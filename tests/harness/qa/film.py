"""Small films made on the spot: every frame carries its own number in twelve black or white blocks.

film(tmp_path / "a.mp4", frames=50, rate=10)      # number(frames[3]) says which frame of the film that is
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

BLOCK, COLUMNS, ROWS = 16, 4, 3
WIDTH, HEIGHT = BLOCK * COLUMNS, BLOCK * ROWS


def picture(number: int) -> Any:
    """A frame that says `number`, up to 4095."""
    bits = np.array([number >> bit & 1 for bit in range(COLUMNS * ROWS)], np.uint8).reshape(ROWS, COLUMNS) * 255
    return np.repeat(np.repeat(bits, BLOCK, 0), BLOCK, 1)[..., None].repeat(3, 2)


def number(frame: Any) -> int:
    """What a frame says, whatever the codec did to its pixels."""
    assert frame.shape == (HEIGHT, WIDTH, 3)
    bits = frame.reshape(ROWS, BLOCK, COLUMNS, BLOCK, 3).mean((1, 3, 4)).ravel() > 127
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def numbers(frames: Any) -> list[int]:
    return [number(frame) for frame in frames]


def film(
    path: Path,
    frames: int = 50,
    rate: int | Fraction = 10,
    *,
    at: Sequence[float] | None = None,
    keyframes: int = 12,
    rotation: int | None = None,
    matrix: Sequence[int] | None = None,
    tone: Any = None,
    pictures: bool = True,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """An MP4, or what the name ends in. `at`: seconds of each frame (a variable rate). `tone`: mono sound, 16 kHz."""
    with av.open(str(path), "w", options=options or {}) as container:
        if pictures:
            video = container.add_stream(codec, rate=rate, options={"g": str(keyframes), "keyint_min": str(keyframes)})
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            if rotation is not None:
                video.set_display_rotation(rotation)
            if matrix is not None:
                video.set_display_matrix(matrix)
            if at is not None:
                video.codec_context.time_base = Fraction(1, 1000)
        if tone is not None:
            audio = container.add_stream("aac", rate=16_000, layout="mono")
            audio.bit_rate = 96_000
        if pictures:
            for place in range(len(at) if at is not None else frames):
                frame = av.VideoFrame.from_ndarray(picture(place), format="rgb24")
                if at is not None:
                    frame.pts, frame.time_base = round(at[place] * 1000), Fraction(1, 1000)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if tone is not None:
            for first in range(0, len(tone), 1024):
                piece = np.ascontiguousarray(tone[None, first : first + 1024], np.float32)
                sound = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                sound.sample_rate, sound.pts, sound.time_base = 16_000, first, Fraction(1, 16_000)
                container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path


def cut_short(path: Path, keep: float) -> Path:
    """The same file without its end. Make it with options={"movflags": "faststart"}: the index comes first."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


def photo(path: Path, number: int = 0, **saving: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number)).save(path, **saving)
    return path
