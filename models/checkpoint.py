"""A checkpoint on disk, before any weight is read: where it is, its tensors' shapes, whether its shards are whole.

safetensors files begin with a header that names every tensor, its shape and its place, so a truncated shard or a
foreign checkpoint is told in milliseconds. Spec: the format page of safetensors.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from models.fault import ModelFault

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WANTED = ("*.safetensors", "*.json", "*.txt", "*.model")  # no pickles, no code
HEADER_LIMIT = 100_000_000  # bytes; the library's own


@dataclass(frozen=True)
class Header:
    """What one file says of itself."""

    shapes: dict[str, tuple[int, ...]]
    bytes: int  # of the tensors' data


def locate(weights: str, *, fetch: bool = True) -> Path:
    """The folder of `weights`: itself, or a hub id's snapshot in the Hugging Face cache, fetched if it may be.

    ModelFault says how to get the weights onto this machine, and that there is a way to measure without them.
    """
    given = Path(weights).expanduser()
    if weights.strip() and given.is_dir():
        return given
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+)?", weights) or given.is_absolute():
        raise ModelFault(f"no folder {weights} with a checkpoint in it; {without_weights()}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    repository, _, revision = weights.partition("@")
    for offline in (True, False)[: 1 + fetch]:  # what is in the cache counts only when it is whole
        try:
            folder = Path(
                snapshot_download(
                    repository, revision=revision or None, allow_patterns=list(WANTED), local_files_only=offline
                )
            )
            shards(folder)
            return folder
        except (OSError, ValueError, HfHubHTTPError, RuntimeError, ModelFault):
            continue
    tried = ", and cannot be fetched here" if fetch else ""
    raise ModelFault(
        f"{weights} is neither a folder nor whole in the Hugging Face cache ({_cache()}){tried}; "
        f"on a machine with network (a cluster's login node): `hf download {repository}`; {without_weights()}"
    )


def without_weights() -> str:
    """What one can do with no weights at all."""
    return "or measure speed and memory without weights: --weights random"


def read_config(folder: Path) -> dict[str, Any]:
    """config.json, as it is."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except FileNotFoundError:
        raise ModelFault(f"{folder}: cannot be loaded: no config.json; is it a checkpoint's folder?") from None
    except (OSError, ValueError) as error:
        raise ModelFault(f"{folder}: cannot be loaded: config.json is not a valid JSON file ({_line(error)})") from None
    if not isinstance(config, dict):
        raise ModelFault(f"{folder}: cannot be loaded: config.json is not a valid JSON file (no object)")
    return config


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by key over all shards, from their headers. ModelFault: a shard that is missing, truncated or doubled."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in shards(folder):
        for key, shape in read_header(file).shapes.items():
            if key in shapes:
                raise ModelFault(f"{folder}: cannot be loaded: {key} stands in two shards, one of them {file.name}")
            shapes[key] = shape
    return shapes


def shards(folder: Path) -> list[Path]:
    """The safetensors files that make up the checkpoint."""
    index = folder / INDEX
    if not index.is_file():
        if not (folder / SINGLE).is_file():
            other = sorted(file.name for file in folder.glob("*.bin"))
            found = f" (only {other[0]}: pickles are not read)" if other else ""
            raise ModelFault(f"{folder}: cannot be loaded: no file named {SINGLE} or {INDEX}{found}")
        return [folder / SINGLE]
    try:
        placed = json.loads(index.read_bytes())["weight_map"]
        names = sorted(set(placed.values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelFault(f"{folder}: cannot be loaded: {INDEX} is truncated or not an index ({_line(error)})") from None
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise ModelFault(f"{folder}: cannot be loaded: the shard {name} is missing; download it again")
    return [folder / name for name in names]


def read_header(file: Path) -> Header:
    """Names, shapes and size of one file's tensors. ModelFault when the file is shorter than its header says."""
    where = f"{file.parent}: cannot be loaded: {file.name}"
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size, HEADER_LIMIT):
            raise ModelFault(f"{where} is truncated ({size} bytes: header too small); download it again")
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            shapes = {str(key): tuple(int(n) for n in entry["shape"]) for key, entry in header.items()}
            ends = [int(entry["data_offsets"][1]) for entry in header.values()]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ModelFault(f"{where} is truncated or not safetensors; download it again") from None
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ModelFault(f"{where} is truncated: {size:,} bytes instead of {expected:,}; download it again")
    return Header(shapes, max(ends, default=0))


def listed(what: str, keys: Sequence[str], most: int = 12) -> str | None:
    """`3 missing weights: a, b, c`; None where there are none."""
    if not keys:
        return None
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{len(keys)} {what} weights: {', '.join(keys[:most])}{more}"


def _cache() -> str:
    return os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME") or "~/.cache/huggingface"


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:100]
