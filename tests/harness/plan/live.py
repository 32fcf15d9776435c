"""The most bytes that tensors hold at once while a block runs: what plan's activations are held against.

with Live() as live: model.see(prepared)
live.peak  # bytes of storages made inside the block, at their largest
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """Follows every storage that an operation makes, until it is let go. Works on the meta device too."""

    def __init__(self, *known: torch.Tensor) -> None:
        super().__init__()
        self._known = {one.untyped_storage()._cdata for one in known}
        self._held: set[int] = set()
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = {one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)}
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor):
                storage = one.untyped_storage()
                key = storage._cdata
                if key in self._held or key in inputs or key in self._known:
                    continue
                size = storage.nbytes()
                self._held.add(key)
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, key, size)
        return out

    def _gone(self, key: int, size: int) -> None:
        if key in self._held:
            self._held.discard(key)
            self.now -= size
