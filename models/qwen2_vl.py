"""Qwen2-VL on stock transformers: frames as video in temporal pairs, stills as images, packed here.

The library's video processors need torchvision; its image processor repeats a still to a pair, and so do we. Vision
tokens are `time/2 × height/merge × width/merge`; positions are M-RoPE (time, height, width), equal along text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import (
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from models.checkpoint import read_config
from models.interface import Architecture, Grid, ModelFault, Prepared

VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)  # CLIP's, as Qwen2-VL's preprocessor_config
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
# a frame's or still's area; the pair file's config can say others
BOUNDS = {"min_pixels": 56 * 56, "max_pixels": 28 * 28 * 1280}


class Model(Architecture):
    """Student of the real pair, and of the tiny one at another size."""

    network = Qwen2VLForConditionalGeneration
    position_axes = 3
    PARTS: ClassVar[Mapping[str, str]] = {
        "language model": "model.language_model",
        "head": "lm_head",
        "vision": "model.visual",
    }

    @classmethod
    def config_from(cls, folder: Path, told: Mapping[str, Any]) -> PreTrainedConfig:
        kind = read_config(folder).get("model_type")
        if kind != Qwen2VLConfig.model_type:
            raise ModelFault(
                f"{folder}: cannot be loaded: model_type {kind!r} is another architecture; qwen2_vl reads "
                f"{Qwen2VLConfig.model_type}"
            )
        try:
            return _bounded(cast(PreTrainedConfig, Qwen2VLConfig.from_pretrained(folder)), told)
        except (ValueError, TypeError, OSError) as error:
            raise ModelFault(f"{folder}: cannot be loaded: config.json: {str(error).partition(chr(10))[0]}") from None

    @classmethod
    def config_of(
        cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase | None, vocabulary: int | None
    ) -> PreTrainedConfig:
        sizes = {name: value for name, value in config.items() if name not in BOUNDS}
        rows = vocabulary or config["text_config"]["vocab_size"]
        if tokenizer is None:
            plain = Qwen2VLConfig(**{**sizes, "text_config": {**sizes["text_config"], "vocab_size": rows}})
            return _bounded(plain, config)
        missing = [token for token in VISION_TOKENS if token not in tokenizer.get_vocab()]
        if missing:
            raise ModelFault(f"initial.tokenizer_extra: qwen2_vl needs {', '.join(missing)}")
        start, end, _, image, video = (tokenizer.get_vocab()[token] for token in VISION_TOKENS)
        ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}  # the defaults are the released model's
        sized = {**sizes, "text_config": {**ends, **sizes["text_config"], "vocab_size": rows}}
        made = Qwen2VLConfig(
            **sized, vision_start_token_id=start, vision_end_token_id=end, image_token_id=image, video_token_id=video
        )
        return _bounded(made, config)

    @classmethod
    def entries(cls, config: PreTrainedConfig) -> dict[str, int | None]:
        told = {"<|image_pad|>": config.image_token_id, "<|video_pad|>": config.video_token_id}
        return {entry: told.get(entry) for entry in VISION_TOKENS}

    @classmethod
    def video_tokens(cls, config: PreTrainedConfig, frames: int, size: tuple[int, int]) -> int:
        vision = config.vision_config
        merge, span = vision.spatial_merge_size, vision.temporal_patch_size
        height, width = _fitted(size, vision)
        side = vision.patch_size * merge
        return int(-(-frames // span) * (height // side) * (width // side))

    # --- what goes in ------------------------------------------------------------------------------

    def pack(self, frames: NDArray[np.uint8]) -> tuple[Tensor, tuple[Grid, ...]]:
        """→ float32 `[patches, channels × time × patch × patch]` in the tower's merge order, and its (t, h, w)."""
        vision = self.model.config.vision_config
        patch, merge, span = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
        height, width = _fitted((frames.shape[1], frames.shape[2]), vision)
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
        return patches, ((time, rows, columns),)

    def pack_stills(self, stills: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, tuple[Grid, ...]]:
        """As `pack`, each still a video of one frame, repeated to a temporal pair."""
        packed = [self.pack(still[None]) for still in stills]
        return torch.cat([pixels for pixels, _ in packed]), tuple(grid for _, grids in packed for grid in grids)

    def visual_prefix(self, grids: Sequence[Grid], still: bool) -> tuple[list[int], list[bool]]:
        vocabulary = self.tokenizer.get_vocab()
        pad_name = "image_pad" if still else "video_pad"
        start, end, pad = (vocabulary[f"<|{name}|>"] for name in ("vision_start", "vision_end", pad_name))
        ids: list[int] = []
        spliced: list[bool] = []
        for grid in grids:
            count = grid[0] * grid[1] * grid[2] // self.model.config.vision_config.spatial_merge_size**2
            ids += [start, *[pad] * count, end]
            spliced += [False, *[True] * count, False]
        return ids, spliced

    # --- stages ------------------------------------------------------------------------------------

    def see(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        merged = self.model.model.get_video_features(*self._patches(prepared)).pooler_output  # images take the same way
        return list(torch.cat(list(merged)).split([self._tokens(one) for one in prepared]))

    def look(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        """→ `[patches, embed_dim]` for each clip."""
        pixels, grids = self._patches(prepared)
        rows = self.model.model.visual(pixels.to(self.dtype), grid_thw=grids).last_hidden_state
        return list(rows.split([len(one.pixels) for one in prepared]))

    def connect(self, looked: Sequence[Tensor], prepared: Sequence[Prepared]) -> list[Tensor]:
        merged = self.model.model.visual.merger(torch.cat([one.to(self.device) for one in looked]))
        return list(merged.split([self._tokens(one) for one in prepared]))

    @property
    def tower(self) -> Sequence[nn.Module]:
        visual = self.model.model.visual
        return [child for name, child in visual.named_children() if name != "merger"]

    def _patches(self, prepared: Sequence[Prepared]) -> tuple[Tensor, Tensor]:
        grids = torch.tensor([grid for one in prepared for grid in one.grids], device=self.device)
        return torch.cat([one.pixels for one in prepared]).to(self.device), grids

    def _tokens(self, one: Prepared) -> int:
        merge: int = self.model.config.vision_config.spatial_merge_size
        return sum(time * rows * columns for time, rows, columns in one.grids) // merge**2

    def positions(self, prepared: Prepared) -> tuple[Tensor, int]:
        merge = self.model.config.vision_config.spatial_merge_size
        spliced, pieces, at, following = prepared.spliced.tolist(), [], 0, 0
        for time, height, width in prepared.grids:
            rows, columns = height // merge, width // merge
            first = spliced.index(True, at)
            pieces.append((following + torch.arange(first - at)).expand(3, -1))
            following += first - at
            grid = torch.stack(
                torch.meshgrid(torch.arange(time), torch.arange(rows), torch.arange(columns), indexing="ij")
            ).reshape(3, -1)
            pieces.append(grid + following)
            following += max(rows, columns)  # as the library counts: time does not move what follows
            at = first + time * rows * columns
        after = len(spliced) - at
        pieces.append((following + torch.arange(after)).expand(3, -1))
        return torch.cat(pieces, dim=1), following + after


def _bounded(config: PreTrainedConfig, told: Mapping[str, Any]) -> PreTrainedConfig:
    """The config with the area of a frame that the pair file allows, which transformers' own has no place for."""
    for name in BOUNDS:
        if name in told:
            setattr(config.vision_config, name, int(told[name]))
    return config


def _fitted(size: tuple[int, int], vision: Any) -> tuple[int, int]:
    """A frame's (height, width) as the tower sees it: multiples of a merged patch, within the area allowed."""
    least, most = (int(getattr(vision, name, usual)) for name, usual in BOUNDS.items())
    try:
        return smart_resize(  # type: ignore[no-any-return]
            *size, factor=vision.patch_size * vision.spatial_merge_size, min_pixels=least, max_pixels=most
        )
    except ValueError as error:  # a strip more than 200 times longer than wide
        raise ModelFault(f"a frame of {size[1]}×{size[0]} pixels: {error}") from None
