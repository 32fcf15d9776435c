"""How many questions tell a difference, and which difference so many questions tell."""

import math


def more_items(value: float, low: float, high: float, n: int, threshold: float) -> int | None:
    """How many further items would move the interval off the threshold, if the value stays and the width
    falls as 1/√n.

    None where the value lies on the threshold: no number settles that.
    """
    gap = abs(value - threshold)
    half = value - low if value > threshold else high - value
    if gap == 0 or n <= 0:
        return None
    needed = n * (max(half, 0.0) / gap) ** 2
    return max(0, math.ceil(needed) - n) if needed < 1e12 else None
