"""How many CPU threads a training uses.

Toy models are faster in two processes of one thread than in one of two, and with a fixed number of threads the order of
every sum, and so the trained weights, do not depend on how many cores a machine has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Use `count` threads for CPU arithmetic inside, torch's own number if None."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
