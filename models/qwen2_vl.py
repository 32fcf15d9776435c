"""Qwen2-VL on stock transformers: frames as video in temporal pairs, packed here (video processors need torchvision).

Vision tokens are `time/2 × height/merge × width/merge`; positions are M-RoPE (time, height, width), equal along text.
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
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from models.interface import Architecture, ModelFault, Prepared

VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)  # CLIP's, as Qwen2-VL's preprocessor_config
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
MIN_PIXELS, MAX_PIXELS = 56 * 56, 28 * 28 * 1280


class Model(Architecture):
    """Student of the real pair, and of the tiny one at another size."""

    position_axes = 3

    @classmethod
    def read(cls, folder: Path, **options: Any) -> Any:
        return Qwen2VLForConditionalGeneration.from_pretrained(folder, **options)

    @classmethod
    def build(cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> PreTrainedModel:
        missing = [token for token in VISION_TOKENS if token not in tokenizer.get_vocab()]
        if missing:
            raise ModelFault(f"initial.tokenizer_extra: qwen2_vl needs {', '.join(missing)}")
        start, end, _, image, video = (tokenizer.get_vocab()[token] for token in VISION_TOKENS)
        ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}  # the defaults are the released model's
        sized = {**config, "text_config": {**ends, **config["text_config"], "vocab_size": vocabulary}}
        return Qwen2VLForConditionalGeneration(
            Qwen2VLConfig(
                **sized,
                vision_start_token_id=start,
                vision_end_token_id=end,
                image_token_id=image,
                video_token_id=video,
            )
        )

    def pack(self, frames: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int, int]]:
        """→ float32 `[patches, channels × time × patch × patch]` in the tower's merge order, and its (t, h, w)."""
        vision = self.model.config.vision_config
        patch, merge, span = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
        height, width = smart_resize(
            frames.shape[1], frames.shape[2], factor=patch * merge, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS
        )
        if (height, width) != frames.shape[1:3]:
            resized = [Image.fromarray(f).resize((width, height), Image.Resampling.BICUBIC) for f in frames]
            frames = np.stack([np.asarray(image) for image in resized])
        if len(frames) % span:  # the last frame is repeated, as the library does
            frames = np.concatenate([frames, np.repeat(frames[-1:], span - len(frames) % span, axis=0)])
        pixels = (torch.from_numpy(frames).float() / 255 - torch.from_numpy(MEAN)) / torch.from_numpy(STD)
        time, rows, columns = len(frames) // span, height // patch, width // patch
        cut = pixels.permute(0, 3, 1, 2).reshape(
            time, span, 3, rows // merge, merge, patch, columns // merge, merge, patch
        )
        patches = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(time * rows * columns, 3 * span * patch * patch)
        return patches, (time, rows, columns)

    def visual_prefix(self, grid: tuple[int, int, int]) -> tuple[list[int], list[bool]]:
        vocabulary = self.tokenizer.get_vocab()
        start, end, pad = (vocabulary[f"<|{name}|>"] for name in ("vision_start", "vision_end", "video_pad"))
        count = grid[0] * grid[1] * grid[2] // self.model.config.vision_config.spatial_merge_size**2
        return [start, *[pad] * count, end], [False, *[True] * count, False]

    def see(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        grids = torch.tensor([one.grid for one in prepared], device=self.device)
        pixels = torch.cat([one.pixels for one in prepared]).to(self.device)
        return list(self.model.model.get_video_features(pixels, grids).pooler_output)

    def positions(self, prepared: Prepared) -> tuple[Tensor, int]:
        merge = self.model.config.vision_config.spatial_merge_size
        time, rows, columns = prepared.grid[0], prepared.grid[1] // merge, prepared.grid[2] // merge
        first = int(prepared.visual.int().argmax())
        count = int(prepared.visual.sum())
        grid = torch.stack(
            torch.meshgrid(torch.arange(time), torch.arange(rows), torch.arange(columns), indexing="ij")
        ).reshape(3, -1)
        resume = first + max(rows, columns)
        after = len(prepared.prefix_ids) - first - count
        text = [torch.arange(first).expand(3, -1), grid + first, (resume + torch.arange(after)).expand(3, -1)]
        return torch.cat(text, dim=1), resume + after
