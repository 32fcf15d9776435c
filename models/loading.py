"""From a folder to a model in memory, and back: in any format, whole or not at all, or made of random numbers.

A folder that holds `random_weights.json` instead of tensors is a model at its real shapes whose numbers are drawn where
they are needed, in the format asked for: speed and memory are true, answers mean nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from models import random_weights
from models.checkpoint import listed, read_config, read_shapes
from models.fault import ModelFault
from models.formats import format_of, quantisation

if TYPE_CHECKING:
    from models.interface import Architecture

transformers_logging.disable_progress_bar()  # only the harness's doors draw

RANDOM = "random_weights.json"
WHOLE = {"bf16": torch.bfloat16, "fp32": torch.float32}  # formats that are one type throughout


def load_model(
    kind: type[Architecture], folder: Path, format_name: str, device: torch.device, told: Mapping[str, Any]
) -> PreTrainedModel:
    """The network of a folder on `device`. ModelFault if the folder is not whole, or another architecture's."""
    format = format_of(format_name)
    if (folder / RANDOM).is_file():
        marker = json.loads((folder / RANDOM).read_text())
        config = kind.config_from(folder, told)
        dtype = WHOLE.get(format.name, getattr(torch, marker["dtype"]))
        return random_weights.materialise(
            kind.network, config, format, kind.PARTS, device=device, dtype=dtype, seed=int(marker["seed"])
        )
    options: dict[str, Any] = {"dtype": WHOLE.get(format.name, "auto")}
    if "quantization_config" in read_config(folder):
        if format.bits:
            raise ModelFault(f"{folder}: is quantised already; load it as native, not as {format.name}")
    elif format.bits:
        options["quantization_config"] = quantisation(format, kind.PARTS, saved_dtype(folder))
    if format.bits or device.type != "cpu":
        options["device_map"] = {"": device}
    read_shapes(folder)  # every shard is there and whole
    config = kind.config_from(folder, told)
    try:
        loaded: Any = kind.network.from_pretrained(
            folder,
            config=config,
            key_mapping=kind.key_mapping(folder),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelFault(f"{folder}: cannot be loaded: {str(error).partition(chr(10))[0]}") from error
    model, found = loaded
    said = [
        listed("missing", sorted(found["missing_keys"])),
        listed("unexpected", sorted(found["unexpected_keys"])),
        listed("mismatched", sorted(_shapes(one) for one in found["mismatched_keys"])),
    ]
    if wrong := "; ".join(filter(None, said)):  # transformers would go on with random weights
        raise ModelFault(f"{folder}: cannot be loaded: {wrong}")
    return model  # type: ignore[no-any-return]


def check_tokenizer(
    folder: Path, tokenizer: PreTrainedTokenizerBase, rows: int, entries: Mapping[str, int | None]
) -> None:
    """Every id of the tokenizer has a row in the embedding, and prompts can be spelt: `entries` are there, at the ids
    that the config says. ModelFault when not.
    """
    vocabulary = tokenizer.get_vocab()
    highest = max(vocabulary.values(), default=-1)
    if highest >= rows:
        entry = next(entry for entry, index in vocabulary.items() if index == highest)
        raise ModelFault(
            f"{folder}: its tokenizer does not match: {entry!r} has id {highest}, but the embedding has {rows} rows"
        )
    for entry, told in entries.items():
        if entry not in vocabulary:
            raise ModelFault(f"{folder}: its tokenizer does not match: it has no {entry}")
        if told not in (None, vocabulary[entry]):
            raise ModelFault(
                f"{folder}: its tokenizer does not match: {entry} has id {vocabulary[entry]}, config.json says {told}"
            )


@contextmanager
def _without_warning_of(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint folder, without its weights. ModelFault when it is not whole.

    AutoTokenizer may ask config.json for the class, and cannot know that of EgoGPT's authors: then tokenizer.json is
    read as it stands.
    """
    try:
        try:
            with _without_warning_of("transformers.configuration_utils"):  # that it is no model type it knows
                tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        except (KeyError, ValueError):
            if not (folder / "tokenizer.json").is_file():
                raise
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelFault(f"{folder}: its tokenizer cannot be loaded: {str(error).partition(chr(10))[0]}") from error
    except Exception as error:  # tokenizers raises plain Exception for a file cut short
        if type(error) is not Exception:
            raise
        raise ModelFault(f"{folder}: its tokenizer cannot be loaded: {str(error).partition(chr(10))[0]}") from error
    return tokenizer


def write_shell(
    folder: Path, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, *, seed: int, dtype: torch.dtype
) -> None:
    """A folder without tensors, which `load_model` fills with random numbers."""
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / RANDOM).write_text(json.dumps({"seed": seed, "dtype": str(dtype).removeprefix("torch.")}))


def is_random(folder: Path) -> bool:
    """Does a folder stand for weights that nobody trained?"""
    return (folder / RANDOM).is_file()


def saved_dtype(folder: Path) -> torch.dtype:
    """The type that a checkpoint's floating tensors are saved in, as its config says; bf16 where it does not."""
    config = read_config(folder)
    text = config.get("text_config") or {}
    name = config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or "bfloat16"
    found = getattr(torch, str(name), torch.bfloat16)
    return found if isinstance(found, torch.dtype) else torch.bfloat16


def _shapes(mismatched: Any) -> str:
    if isinstance(mismatched, tuple) and len(mismatched) == 3:
        key, found, wanted = mismatched
        return f"{key} {list(found)} instead of {list(wanted)}"
    return str(mismatched)
