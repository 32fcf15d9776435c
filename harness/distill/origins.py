"""Where a side of the pair comes from: a folder, a hub id, random initial weights, or random numbers at real shapes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.artifact import Store, folder_digest
from harness.distill.keys import plain
from harness.errors import ModelError
from harness.pair import DataSpec, Initial, ModelSpec
from harness.qa.datasets import load_lexicon
from models.interface import ModelFault, architecture, locate

# what a stand-in tokenizer needs beyond words, where there is no checkpoint to bring its own
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")


@dataclass(frozen=True)
class Weights:
    """A folder with config, safetensors and tokenizer, and the digest that names it."""

    folder: Path
    digest: str
    meta: Mapping[str, Any]


def given(side: str, spec: ModelSpec, store: Store) -> Weights:
    """Finished weights: a folder, or a hub id in the cache. ModelError says how to get them where they are not.

    A checkpoint of many gigabytes is hashed once a version of its files, and then known by their sizes and times.
    """
    assert spec.weights is not None
    try:
        folder = locate(spec.weights)
    except ModelFault as error:
        raise ModelError(f"{side}.weights: {error}") from error
    return Weights(folder, _known_digest(folder, store), {})


def initial_key(spec: ModelSpec, data: DataSpec) -> Mapping[str, Any]:
    """Of random initial weights: architecture, sizes, seed, and the words of the tokenizer."""
    assert spec.initial is not None
    return {
        "architecture": spec.architecture,
        "initial": plain(spec.initial),
        "words": hashlib.sha256("\n".join(load_lexicon(data)).encode()).hexdigest(),
    }


def write_initial(folder: Path, spec: ModelSpec, data: DataSpec) -> None:
    """Random initial weights and a tokenizer made of the dataset's words."""
    initial = spec.initial
    assert initial is not None
    model = architecture(spec.architecture).initialise(
        config=initial.config,
        seed=initial.seed,
        words=load_lexicon(data),
        tokenizer_extra=initial.tokenizer_extra,
        pad_vocab_to=initial.pad_vocab_to,
        scale=initial.scale,
    )
    if initial.layout == "own":
        model.save(folder)
    elif hasattr(model, "save_as_authors"):
        model.save_as_authors(folder)
    else:
        raise ModelError(f"initial.layout: {spec.architecture} has no layout of its authors'; write own")


def random_key(spec: ModelSpec, data: DataSpec) -> Mapping[str, Any]:
    """Of random numbers at real shapes: nothing but the shapes and the stand-in tokenizer."""
    words = "\n".join(load_lexicon(data))
    return {
        "architecture": spec.architecture,
        "config": dict(spec.sizes),
        "initial": plain(spec.initial) if spec.initial else None,
        "words": hashlib.sha256(words.encode()).hexdigest(),
    }


def write_random(folder: Path, side: str, spec: ModelSpec, data: DataSpec) -> None:
    """A folder whose tensors are drawn when it is loaded. A pair made from nothing keeps its sizes and precision."""
    kind = architecture(spec.architecture)
    if spec.initial is not None:
        _write_shell_of(folder, kind, spec.initial, data)
        return
    if "text_config" not in spec.config:
        raise ModelError(f"{side}.config: no shapes, and --weights random has nothing else to go by")
    try:
        kind.write_random(folder, config=spec.config, words=load_lexicon(data), tokenizer_extra=VISION_TOKENS)
    except (ModelFault, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{side}.config: {error}") from error


def _write_shell_of(folder: Path, kind: Any, initial: Initial, data: DataSpec) -> None:
    words = load_lexicon(data)
    sized = kind.initialise(
        config=initial.config,
        seed=initial.seed,
        words=words,
        tokenizer_extra=initial.tokenizer_extra,
        pad_vocab_to=initial.pad_vocab_to,
        scale={},
    )
    rows = sized.head.weight.shape[0]
    text = {**initial.config["text_config"], "vocab_size": rows}  # type: ignore[dict-item]
    kind.write_random(
        folder,
        config={**initial.config, "text_config": text},
        words=words,
        tokenizer_extra=initial.tokenizer_extra,
        dtype=torch.float32,
    )


def _known_digest(folder: Path, store: Store) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    stamp = [[f.relative_to(folder).as_posix(), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    known = store.root / ".verified" / f"given-{name}.json"
    try:
        said = json.loads(known.read_bytes())
        if said["stamp"] == stamp:
            return str(said["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        pass  # never hashed, or changed since
    digest = folder_digest(folder)
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        beside = known.with_suffix(".partial")
        beside.write_text(json.dumps({"stamp": stamp, "digest": digest}))
        beside.replace(known)
    except OSError:
        pass  # a store that cannot be written hashes again
    return digest
