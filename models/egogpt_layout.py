"""The EgoGPT authors' checkpoint layout: their keys, and a config of ours read from their config.json and the tensors.

Their config.json describes the language model; what the towers are like only the tensors say (widths, layers, patches)
or nobody (head counts, activations), and then the pair's YAML does: `teacher.config.vision_config.num_attention_heads`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

from models.checkpoint import Shapes
from models.fault import ModelFault

MODEL_TYPE = "egogpt_qwen"

# their name ↔ ours; the longest that fits is taken
KEYS: tuple[tuple[str, str], ...] = (
    ("model.embed_tokens.", "model.language_model.embed_tokens."),
    ("model.layers.", "model.language_model.layers."),
    ("model.norm.", "model.language_model.norm."),
    ("model.vision_tower.vision_tower.vision_model.", "model.vision_tower."),
    ("model.mm_projector.0.", "model.multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "model.multi_modal_projector.linear_2."),
    ("model.speech_encoder.encoder.positional_embedding", "model.speech_encoder.embed_positions.weight"),
    ("model.speech_encoder.encoder.ln_post.", "model.speech_encoder.layer_norm."),
    ("model.speech_encoder.encoder.blocks.", "model.speech_encoder.layers."),
    ("model.speech_encoder.encoder.", "model.speech_encoder."),
)
BLOCK: tuple[tuple[str, str], ...] = (  # within a block of the speech encoder
    (".attn.query.", ".self_attn.q_proj."),
    (".attn.key.", ".self_attn.k_proj."),
    (".attn.value.", ".self_attn.v_proj."),
    (".attn.out.", ".self_attn.out_proj."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".mlp.0.", ".fc1."),
    (".mlp.2.", ".fc2."),
    (".mlp_ln.", ".final_layer_norm."),
)


def key_mapping() -> dict[str, str]:
    """Patterns and replacements for `from_pretrained(key_mapping=…)`."""
    rules = {f"^{re.escape(theirs)}": ours for theirs, ours in KEYS if "blocks" not in theirs}
    blocks = {
        rf"^model\.speech_encoder\.encoder\.blocks\.(\d+){re.escape(theirs)}": rf"model.speech_encoder.layers.\1{ours}"
        for theirs, ours in BLOCK
    }
    return blocks | rules  # the first that matches is applied


def theirs(key: str) -> str:
    """Our key in the authors' layout: what a checkpoint of ours is written with where it must look like theirs."""
    for authors, ours in KEYS:
        if key.startswith(ours):
            renamed = authors + key.removeprefix(ours)
            if "blocks" in authors:
                for block, inner in BLOCK:
                    renamed = renamed.replace(inner, block)
            return renamed
    return key


def read_config(authors: Mapping[str, Any], shapes: Shapes, told: Mapping[str, Any]) -> dict[str, Any]:
    """EgoGPTConfig's arguments. ModelFault where checkpoint, config.json and what is told contradict each other."""
    newline = str(authors.get("mm_newline_position", "grid"))
    aspect = str(authors.get("image_aspect_ratio", "anyres_max_9"))
    if not re.fullmatch(r"anyres_max_\d+", aspect):
        raise ModelFault(f"config.json: image_aspect_ratio {aspect!r} is not one of this architecture (anyres_max_N)")
    if authors.get("add_faster_video"):
        raise ModelFault("config.json: add_faster_video is on, which this architecture does not have")
    rows, hidden = shapes["model.embed_tokens.weight"]
    for name, found in (("vocab_size", rows), ("hidden_size", hidden)):
        if name in authors and authors[name] != found:
            raise ModelFault(f"config.json says {name} {authors[name]}, but the embedding has {found}")
    text_names = [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "hidden_act",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "use_sliding_window",
        "sliding_window",
        "max_window_layers",
        "bos_token_id",
        "eos_token_id",
        "initializer_range",
        "attention_dropout",
    ]
    text = {name: authors[name] for name in text_names if name in authors}
    rope = {"rope_type": "default", "rope_theta": float(authors.get("rope_theta", 1e6))}
    if authors.get("rope_scaling"):
        rope |= dict(authors["rope_scaling"])
    config: dict[str, Any] = {
        "text_config": {"model_type": "qwen2", **text, "vocab_size": rows, "rope_parameters": rope},
        "vision_config": _vision(shapes, str(authors.get("mm_vision_tower", "")), told.get("vision_config", {})),
        "mm_newline_position": newline,
        "vision_aspect_ratio": aspect,
        "tie_word_embeddings": bool(authors.get("tie_word_embeddings", False)),
        "image_grid_pinpoints": authors.get("image_grid_pinpoints"),
    }
    if "model.speech_encoder.encoder.conv1.weight" in shapes:
        config |= _speech(shapes, authors, told.get("speech_config", {}))
    return config


def write_config(config: Any) -> dict[str, Any]:
    """config.json as the authors' checkpoints have it, for a network of ours (the tiny twin is saved like this)."""
    text = config.text_config.to_dict()
    rope = text.pop("rope_parameters", None) or {}
    size, patch = config.vision_config.image_size, config.vision_config.patch_size
    whisper = config.speech_config
    return {
        **{name: value for name, value in text.items() if name not in ("model_type", "architectures", "layer_types")},
        "architectures": ["EgoGPTQwenForCausalLM"],
        "model_type": MODEL_TYPE,
        "rope_theta": rope.get("rope_theta", 1e6),
        "tie_word_embeddings": config.tie_word_embeddings,
        "mm_vision_tower": f"made/siglip-patch{patch}-{size}",
        "mm_newline_position": config.mm_newline_position,
        "image_aspect_ratio": config.vision_aspect_ratio,
        "image_grid_pinpoints": config.image_grid_pinpoints,
        **({"speech_encoder_ds_rate": config.speech_stack, "speech_encoder_type": "whisper"} if whisper else {}),
    }


def _vision(shapes: Shapes, tower: str, told: Mapping[str, Any]) -> dict[str, Any]:
    within = "model.vision_tower.vision_tower.vision_model."
    hidden, channels, patch, _ = shapes[f"{within}embeddings.patch_embedding.weight"]
    places, _ = shapes[f"{within}embeddings.position_embedding.weight"]
    side = isqrt(places)
    named = re.search(r"-patch(\d+)-(\d+)", tower)
    size = told.get("image_size") or (int(named[2]) if named else side * patch)
    if side * side != places or size // patch != side:
        raise ModelFault(
            f"vision tower: {places} positions do not fit images of {size} pixels in patches of {patch}; "
            "say teacher.config.vision_config.image_size"
        )
    found = {
        "model_type": "siglip_vision_model",
        "hidden_size": hidden,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": size,
        "intermediate_size": shapes[f"{within}encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _layers(shapes, f"{within}encoder.layers."),
        "vision_use_head": False,
    }
    return found | _told(told, found, "vision_config", "num_attention_heads", hidden)


def _speech(shapes: Shapes, authors: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    within = "model.speech_encoder.encoder."
    width, mels, _ = shapes[f"{within}conv1.weight"]
    places, _ = shapes[f"{within}positional_embedding"]
    found = {
        "d_model": width,
        "num_mel_bins": mels,
        "max_source_positions": places,
        "encoder_ffn_dim": shapes[f"{within}blocks.0.mlp.0.weight"][0],
        "encoder_layers": _layers(shapes, f"{within}blocks."),
    }
    between, stacked = shapes["model.speech_projector.linear1.weight"]
    stack, rest = divmod(stacked, width)
    if rest or stack != authors.get("speech_encoder_ds_rate", stack):
        raise ModelFault(f"speech projector takes {stacked} values, which is not a number of states of {width}")
    return {
        "speech_config": found | _told(told, found, "speech_config", "encoder_attention_heads", width),
        "speech_projector_hidden": between,
        "speech_stack": stack,
    }


def _told(told: Mapping[str, Any], found: Mapping[str, Any], where: str, heads: str, width: int) -> dict[str, Any]:
    """What only the pair file can say. Where it repeats what the tensors say, it must say the same."""
    for name, value in told.items():
        if name in found and value != found[name]:
            raise ModelFault(f"teacher.config.{where}.{name} is {value}, but the checkpoint has {found[name]}")
    count = told.get(heads)
    if not isinstance(count, int) or count < 1 or width % count:
        raise ModelFault(
            f"teacher.config.{where}.{heads}: no checkpoint says how many heads its towers have; "
            f"give a divisor of {width} (got {count})"
        )
    return {name: value for name, value in told.items() if name not in found}


def _layers(shapes: Shapes, within: str) -> int:
    numbers = {int(key.removeprefix(within).partition(".")[0]) for key in shapes if key.startswith(within)}
    if numbers != set(range(len(numbers))):
        raise ModelFault(f"layers {within}* are not numbered from 0 without a gap: {sorted(numbers)}")
    return len(numbers)
