"""What a card holds: `--vram 24GB` as bytes, and the cards that are shown where none is named.

GB is 10⁹ bytes and GiB 2³⁰, everywhere. A card sold as 24 GB reports about 24 GiB (25.7 · 10⁹ bytes): planning with
24 · 10⁹ leaves the 7 % between as a reserve for the driver and the allocator's fragments.
"""

from __future__ import annotations

import re
from decimal import Decimal

from harness.errors import UsageError, oneline

UNITS = {"GB": 10**9, "GiB": 2**30, "MB": 10**6, "MiB": 2**20}
CARDS = ("8GB", "12GB", "16GB", "24GB", "40GB", "80GB")  # sizes that are sold


def parse_vram(text: str) -> int:
    """Bytes of a size such as 24GB, 24GiB, 24000MB or 7.5GB. UsageError for anything else, or for nothing."""
    size = size_in_bytes(text)
    if size is None:
        raise UsageError(
            f"--vram {oneline(text, 40)}: give a number with a unit, {', '.join(UNITS)}, as in 24GB (24 billion bytes)"
        )
    if size < 1:
        raise UsageError(f"--vram {text}: must be above zero")
    return size


def size_in_bytes(text: str) -> int | None:
    """Bytes of a number with a unit; None where it is something else."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([A-Za-z]+)", text, re.ASCII)
    return int(Decimal(found[1]) * UNITS[found[2]]) if found is not None and found[2] in UNITS else None


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of a size such as 432x768. UsageError for anything else, or sides outside 16 to 16384 pixels."""
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text, re.ASCII)
    if found is None:
        raise UsageError(f"--size {oneline(text, 40)}: give height and width of a frame in pixels, as in 432x768")
    height, width = int(found[1]), int(found[2])
    if not (16 <= height <= 16384 and 16 <= width <= 16384):
        raise UsageError(f"--size {text}: a frame's sides are 16 to 16384 pixels")
    return height, width
