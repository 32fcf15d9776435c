"""A decoded frame the right way up: phones hold the sensor sideways and say so in the file's display matrix.

pixels = upright(frame)
"""

from __future__ import annotations

import av
import numpy as np

from harness.qa.items import Frame


def upright(frame: av.VideoFrame) -> Frame:
    """RGB, turned and mirrored as the file's display matrix says (phones hold the sensor sideways)."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32)  # type: ignore[call-overload]
        # A pixel at (x, y) is shown at (a·x + c·y, b·x + d·y), y downwards.
        if abs(b) > abs(a):
            pixels, a, d = pixels.transpose(1, 0, 2), c, b
        pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)
