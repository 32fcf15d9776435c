"""Photos and folders of frames: image files to RGB arrays.

photo = read_photo(path, "images/1.jpg")            # as it was taken: EXIF orientation applied, never shrunk
frames = read_frames(paths, names, max_side=384)    # moments of one video: all of one size
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.errors import DataError, oneline
from harness.qa.items import Frame
from harness.qa.media import inside, natural

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def read_photo(path: Path, name: str) -> Frame:
    """uint8 RGB `[height, width, 3]`. DataError naming the file when it is missing, cut short, or no image."""
    if not path.exists():
        raise DataError(f"{oneline(name, 300)}: no such file: put it below the data's folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PIL thinks of a file's metadata
            # PIL only warns from 90 to 180 megapixels; beyond, it raises. Both would take gigabytes.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                return np.array(upright.convert("RGB"), dtype=np.uint8)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{oneline(name, 300)}: too large to be decoded safely: {error}") from None
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        # PIL raises any of these on files that are cut short or lie about themselves.
        why = "not an image that PIL can read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"{oneline(name, 300)}: cannot be decoded: {why}; fetch the file again") from None


def shrink(frame: Frame, max_side: int | None) -> Frame:
    """Bicubic, to a longest side of `max_side`; never enlarged."""
    height, width = frame.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return frame
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)


def read_frames(paths: Sequence[Path], names: Sequence[str], max_side: int | None) -> NDArray[np.uint8]:
    """uint8 RGB `[frames, height, width, 3]`. DataError when two frames differ in size: it is not one video."""
    frames: list[Frame] = []
    for path, name in zip(paths, names, strict=True):
        frame = read_photo(path, name)
        size = frames[0].shape if frames else frame.shape
        if frame.shape != size:
            raise DataError(
                f"{oneline(name, 300)}: {frame.shape[1]}×{frame.shape[0]} pixels, but {oneline(names[0], 300)} has "
                f"{size[1]}×{size[0]}: frames of one video are of one size"
            )
        frames.append(frame)
    return np.stack([shrink(frame, max_side) for frame in frames])


def frames_in(root: Path, folder: str, where: str) -> list[str]:
    """Names of the frames in a folder, sorted naturally; whether each stays below the root is for `inside` to say.

    Where files are called `…-rgb.…`, as beside depth maps, only those are frames. No such folder: no names.
    """
    path = inside(root, folder, where)
    try:
        found = [file.name for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.name[0] != "."]
    except OSError:
        return []
    coloured = [name for name in found if Path(name).stem.endswith("-rgb")]
    return [f"{folder.rstrip('/')}/{name}" for name in sorted(coloured or found, key=natural)]
