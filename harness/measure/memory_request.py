"""One request in a process of its own: the peak of each phase, what weights and KV cache take, the cold start.

    echo '{...}' | python -m harness.measure.memory_request    # a MemorySpec as JSON in, one JSON line out

Nothing is imported before it is measured; the first answer of the process really is its first.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from harness.measure.memory_meters import meter_of
from harness.qa.items import Clip, Frames


@dataclass(frozen=True)
class MemorySpec:
    """What the fresh process loads and asks. `clip` is what `write_clip` wrote."""

    variant: str
    architecture: str
    loader: str  # "module:function" of the variant's loading function, as `harness/variants.py` names it
    folder: str
    device: str
    told: dict[str, Any]  # what the pair file says of the checkpoint
    clip: str
    question: str
    new_tokens: int
    format: str = "native"  # of models/formats.py: what the plan is asked for
    card: str = ""  # UUID of the device's card, as NVML knows it; empty on a CPU
    threads: int | None = None  # of the model on a CPU, as where its times are taken; None: torch's own number


def write_clip(clip: Clip, path: Path) -> None:
    """A clip's frames and sound as one .npz file, for the fresh process."""
    sound = clip.sound()
    arrays: dict[str, Any] = {f"frame{at:04d}": frame for at, frame in enumerate(clip.frames())}
    if sound is not None:
        arrays["sound"] = sound
    np.savez(path, still=np.array(clip.still), **arrays)


def read_clip(path: Path) -> Clip:
    """What `write_clip` wrote."""
    held = np.load(path, allow_pickle=False)
    frames = tuple(held[name] for name in sorted(held.files) if name.startswith("frame"))
    still = bool(held["still"])
    sound = held["sound"] if "sound" in held.files else None
    shown: Frames = frames if still else np.stack(frames)
    return Clip("memory", str(path), lambda: shown, still=still, load_sound=lambda: sound)


def weight_bytes(model: Any) -> int:
    """Bytes of parameters and buffers, a tied tensor once, with the scales that hang on quantised weights.

    bitsandbytes moves int8 scales from the weight to its layer's state at the first forward pass.
    """
    held = [*model.parameters(), *model.buffers()]
    for owner in (*held, *(getattr(module, "state", None) for module in model.modules())):
        held += [getattr(owner, "SCB", None), getattr(getattr(owner, "quant_state", None), "absmax", None)]
    sizes = {one.data_ptr(): one.numel() * one.element_size() for one in held if one is not None}
    return sum(sizes.values())


def cache_tensors(cache: Any) -> list[Any]:
    """Keys and values of every layer of a KV cache."""
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values) if tensor is not None]


def measure(spec: MemorySpec) -> dict[str, Any]:
    """Load, see, prefill, decode one request, reading the peak of each phase. To be run in a fresh process."""
    with meter_of(spec.device, spec.card) as meter:
        with meter.phase("libraries"):
            import torch

            from harness.qa.asking import prepare_clip
            from models.interface import architecture, format_of

            if format_of(spec.format).bits:
                import_module("bitsandbytes")  # a library too, not part of what its weights take
            kind, device = architecture(spec.architecture), torch.device(spec.device)
            module, function = spec.loader.split(":")
            load = getattr(import_module(module), function)
            torch.zeros(1, device=device)
            if spec.threads is not None:
                torch.set_num_threads(spec.threads)

        def moment() -> float:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return time.perf_counter()

        with meter.phase("load"):
            begun = moment()
            model = load(kind, Path(spec.folder), device, spec.told)
            loading = moment() - begun
        weights, clip = weight_bytes(model.model), read_clip(Path(spec.clip))
        with torch.inference_mode():
            with meter.phase("vision"):
                begun = moment()
                prepared = [prepare_clip(model, clip, [spec.question])]
                sights, sounds = model.see(prepared), model.hear(prepared)
                answering = moment() - begun
            with meter.phase("prefill"):
                begun = moment()
                embedded = model.embed(prepared, sights, sounds)
                del prepared, sights, sounds  # as where nobody asks for them apart
                state = model.prefill(embedded)
                tokens = model.logits(state.hidden).argmax(-1)
                answering += moment() - begun
            with meter.phase("decode"):
                begun = moment()
                for _ in range(spec.new_tokens - 1):
                    state = model.decode_one_token(state, tokens)
                    tokens = model.logits(state.hidden).argmax(-1)
                    tokens.tolist()  # who asked sees each token
                answering += moment() - begun
    held = cache_tensors(state.cache)
    return {
        **asdict(meter.found()),
        "weights": weights,
        "kv_cache": sum(tensor.numel() * tensor.element_size() for tensor in held),
        "cached_tokens": state.cached,
        "cache_dtype": str(held[0].dtype).removeprefix("torch."),
        "new_tokens": spec.new_tokens,
        "threads": torch.get_num_threads(),
        "seconds": {"load": loading, "answer": answering},
    }


if __name__ == "__main__":
    print(json.dumps(measure(MemorySpec(**json.load(sys.stdin)))))
