"""EgoGPT: LLaVA-OneVision's SigLIP tower and Qwen2 on stock transformers, with EgoGPT's own video packing.

Where stock LLaVA-OneVision pools a frame's features bilinearly (27→14), EgoGPT average-pools 2×2 (27→13) and closes
each pooled row with a newline embedding (`mm_newline_position: grid`): see Prepared's grid = (frames, rows, columns+1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from models.interface import Architecture, Prepared


class Model(Architecture):
    """Teacher of the tiny pair; text and video (sound and still images belong to the released checkpoints)."""

    position_axes = 1

    @classmethod
    def read(cls, folder: Path, **options: Any) -> Any:
        return LlavaOnevisionForConditionalGeneration.from_pretrained(folder, **options)

    @classmethod
    def build(cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> PreTrainedModel:
        sized = {
            **config,
            "text_config": {"model_type": "qwen2", **config["text_config"], "vocab_size": vocabulary},
            "vision_config": {**config["vision_config"], "vision_use_head": False},  # EgoGPT's SigLIP has none
        }
        full = LlavaOnevisionConfig(**sized, vision_feature_layer=-1, vision_feature_select_strategy="full")
        return LlavaOnevisionForConditionalGeneration(full)

    def pack(self, frames: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int, int]]:
        """→ float32 `[frames, 3, size, size]` in [-1, 1], and (frames, pooled rows, pooled columns + newline)."""
        vision = self.model.config.vision_config
        size = vision.image_size
        if frames.shape[1:3] != (size, size):
            resized = [Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC) for f in frames]
            frames = np.stack([np.asarray(image) for image in resized])
        pixels = (torch.from_numpy(frames).float() / 255 - 0.5) / 0.5
        pooled = size // vision.patch_size // 2
        return pixels.permute(0, 3, 1, 2).contiguous(), (len(frames), pooled, pooled + 1)

    def visual_prefix(self, grid: tuple[int, int, int]) -> tuple[list[int], list[bool]]:
        count = grid[0] * grid[1] * grid[2]
        return [self.ending_id] * count, [True] * count  # the id under a placeholder is never looked at

    def see(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        core = self.model.model
        pixels = torch.cat([one.pixels for one in prepared]).to(self.device, self.dtype)
        features = core.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
        features = core.multi_modal_projector(features)
        side = int(features.shape[1] ** 0.5)
        grid = features.transpose(1, 2).unflatten(2, (side, side))
        pooled = functional.avg_pool2d(grid, 2).permute(0, 2, 3, 1)  # [frames, rows, columns, hidden]
        newline = core.image_newline.to(pooled.dtype).expand(*pooled.shape[:2], 1, -1)
        tokens = torch.cat([pooled, newline], dim=2).flatten(1, 2)
        return [part.flatten(0, 1) for part in tokens.split([one.grid[0] for one in prepared])]

    def positions(self, prepared: Prepared) -> tuple[Tensor, int]:
        count = len(prepared.prefix_ids)
        return torch.arange(count)[None], count
