"""What a phase has cost so far, kept beside what it has made: a phase that is taken up again goes on counting.

with billed(folder, device, ceiling) as bill:
    bill.add(tokens, flops)          # after each batch whose work is safely on disk
meta["price"] = bill.told()
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from harness.durable import write_text
from harness.measure.ceilings import Ceiling
from harness.measure.price import Price, priced, priced_json


class Bill:
    """Seconds, peak, joules, tokens and FLOPs of one phase over all its runs."""

    def __init__(self, price: Price, folder: Path, ceiling: Ceiling | None) -> None:
        self._price, self._ceiling = price, ceiling
        self._path = folder / ".resume" / "price.json"
        self._tokens = self._flops = 0
        try:
            self._before: Mapping[str, Any] | None = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._before = None  # nothing was interrupted

    def add(self, tokens: int, flops: int) -> None:
        """Work that is done and kept. What a kill takes away is neither kept nor counted."""
        self._tokens += tokens
        self._flops += flops
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self._path, json.dumps(self.told()))

    def told(self) -> dict[str, Any]:
        """The price as the artifact tells it."""
        return priced_json(
            self._price, tokens=self._tokens, flops=self._flops, ceiling=self._ceiling, before=self._before
        )


@contextmanager
def billed(folder: Path, device: torch.device, ceiling: Ceiling | None) -> Iterator[Bill]:
    """Count what runs inside."""
    with priced(device) as price:
        yield Bill(price, folder, ceiling)
