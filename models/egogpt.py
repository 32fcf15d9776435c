"""EgoGPT: LLaVA-OneVision on stock transformers with EgoGPT's own video packing, and ears.

Where stock LLaVA-OneVision pools a frame's features bilinearly (27→14), EgoGPT average-pools 2×2 (27→13) and puts a
newline embedding after each pooled row (`mm_newline_position: grid`), once at the end (`one_token`), or nowhere
(`no_token`). Stills are cut any-resolution, as the stock class does. Sound is 30 s of log-mel, absent sound is zeros,
which the authors splice in too. A folder is read in the authors' layout or in the one that `save` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedTokenizerBase, WhisperFeatureExtractor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from models import egogpt_layout
from models.checkpoint import read_config, read_shapes
from models.egogpt_network import EgoGPT, EgoGPTConfig, EgoGPTModel
from models.fault import ModelFault
from models.interface import Architecture, Grid, Prepared

SAMPLING_RATE = 16_000  # Hz, Whisper's
MEL_HOP = 160  # samples a mel frame
STOCK = "llava_onevision"


class Model(Architecture):
    """Teacher of the real pair, and of the tiny one without ears."""

    network = EgoGPT
    position_axes = 1
    PARTS: ClassVar[Mapping[str, str]] = {
        "language model": "model.language_model",
        "head": "lm_head",
        "vision": "model.vision_tower",
        "projector": "model.multi_modal_projector",
        "newline": "model.image_newline",
        "speech encoder": "model.speech_encoder",
        "speech projector": "model.speech_projector",
    }

    @cached_property
    def hears(self) -> bool:  # asked for every clip
        return self._core.hears

    @property
    def question_opening(self) -> str:
        """`<image>\\n<speech>\\n\\n{question}`, and without ears `<image>\\n{question}`."""
        return "\n\n" if self.hears else "\n"

    # --- config ------------------------------------------------------------------------------------

    @classmethod
    def config_from(cls, folder: Path, told: Mapping[str, Any]) -> PreTrainedConfig:
        plain = read_config(folder)
        kind = plain.get("model_type")
        try:
            if kind == egogpt_layout.MODEL_TYPE:
                shapes = read_shapes(folder)
                return _config(egogpt_layout.read_config(plain, shapes, told))
            if kind in (EgoGPTConfig.model_type, STOCK):
                return cast(PreTrainedConfig, EgoGPTConfig.from_pretrained(folder))
        except KeyError as error:
            raise ModelFault(f"{folder}: cannot be loaded: not an EgoGPT: it has no {error.args[0]}") from None
        except ModelFault as error:
            raise ModelFault(f"{folder}: cannot be loaded: {error}") from None
        except (ValueError, TypeError, OSError) as error:
            raise ModelFault(f"{folder}: cannot be loaded: config.json: {str(error).partition(chr(10))[0]}") from None
        raise ModelFault(
            f"{folder}: cannot be loaded: model_type {kind!r} is another architecture; egogpt reads "
            f"{egogpt_layout.MODEL_TYPE}, {EgoGPTConfig.model_type} and {STOCK}"
        )

    @classmethod
    def config_of(
        cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase | None, vocabulary: int | None
    ) -> PreTrainedConfig:
        rows = vocabulary or config["text_config"]["vocab_size"]
        return _config(
            {
                **config,
                "text_config": {"model_type": "qwen2", **config["text_config"], "vocab_size": rows},
                # EgoGPT's SigLIP has no pooling head
                "vision_config": {
                    "model_type": "siglip_vision_model",
                    **config["vision_config"],
                    "vision_use_head": False,
                },
            }
        )

    @classmethod
    def key_mapping(cls, folder: Path) -> dict[str, str] | None:
        authors = read_config(folder).get("model_type") == egogpt_layout.MODEL_TYPE
        return egogpt_layout.key_mapping() if authors else None

    @classmethod
    def video_tokens(cls, config: PreTrainedConfig, frames: int, size: tuple[int, int]) -> int:
        vision = config.vision_config
        side = vision.image_size // vision.patch_size // 2
        return _count((frames, side, side), config.mm_newline_position)

    @classmethod
    def speech_tokens(cls, config: PreTrainedConfig) -> int:
        whisper = cast(EgoGPTConfig, config).whisper
        return 0 if whisper is None else whisper.max_source_positions // config.speech_stack

    # --- what goes in ------------------------------------------------------------------------------

    @property
    def _core(self) -> EgoGPTModel:
        return cast(EgoGPTModel, self.model.model)

    @cached_property
    def _image_processor(self) -> LlavaOnevisionImageProcessorPil:
        config = self.model.config
        size = config.vision_config.image_size
        half = [0.5, 0.5, 0.5]
        return LlavaOnevisionImageProcessorPil(
            size={"height": size, "width": size},
            image_mean=half,
            image_std=half,
            image_grid_pinpoints=config.image_grid_pinpoints,
        )

    @cached_property
    def _listener(self) -> WhisperFeatureExtractor:
        whisper = self._core.config.whisper
        assert whisper is not None
        seconds = whisper.max_source_positions * 2 * MEL_HOP // SAMPLING_RATE
        return WhisperFeatureExtractor(feature_size=whisper.num_mel_bins, chunk_length=seconds)

    def pack(self, frames: NDArray[np.uint8]) -> tuple[Tensor, tuple[Grid, ...]]:
        """→ float32 `[frames, 3, size, size]` in [-1, 1], and (frames, pooled rows, pooled columns)."""
        vision = self.model.config.vision_config
        size = vision.image_size
        if frames.shape[1:3] != (size, size):
            resized = [Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC) for f in frames]
            frames = np.stack([np.asarray(image) for image in resized])
        pixels = (torch.from_numpy(frames).float() / 255 - 0.5) / 0.5
        pooled = size // vision.patch_size // 2
        return pixels.permute(0, 3, 1, 2).contiguous(), ((len(frames), pooled, pooled),)

    def pack_stills(self, stills: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, tuple[Grid, ...]]:
        """→ float32 `[patches of all stills, 3, size, size]`, and (patches, height, width) of each; the first patch of
        a still is the whole of it.
        """
        packed = [
            torch.as_tensor(self._image_processor(images=[still], return_tensors="pt").pixel_values)[0]
            for still in stills
        ]
        grids = tuple((len(one), still.shape[0], still.shape[1]) for one, still in zip(packed, stills, strict=True))
        return torch.cat(packed), grids

    def visual_prefix(self, grids: Sequence[Grid], still: bool) -> tuple[list[int], list[bool]]:
        counts = [self._still_tokens(grid) if still else _count(grid, self._newline) for grid in grids]
        return [self.ending_id] * sum(counts), [True] * sum(counts)  # the id under a placeholder is never looked at

    def pack_sound(self, sound: NDArray[np.float32] | None) -> tuple[Tensor | None, list[int], list[bool]]:
        """→ log-mel float32 `[mels, frames]` of 30 s, zeros where there is no sound; a line break comes before it."""
        whisper = self._core.config.whisper
        if whisper is None:
            return None, [], []
        if sound is None:
            mel = torch.zeros(whisper.num_mel_bins, 2 * whisper.max_source_positions)
        else:
            heard = self._listener(sound, sampling_rate=SAMPLING_RATE, return_tensors="pt")
            mel = torch.as_tensor(heard.input_features)[0].float()
        opening = self._text_ids("\n", special=False)
        count = self.speech_tokens(self.model.config)
        return mel, [*opening, *[self.ending_id] * count], [*[False] * len(opening), *[True] * count]

    @property
    def _newline(self) -> str:
        return self._core.config.mm_newline_position

    def _still_tokens(self, grid: Grid) -> int:
        """Counted by the stock class's own packing, on tensors without memory."""
        side = self.model.config.vision_config.image_size // self.model.config.vision_config.patch_size
        shape = torch.empty(grid[0], side * side, 1, device="meta")
        (packed,) = self._pack_features([shape], [grid], torch.empty(1, device="meta"))
        return len(packed)

    def _pack_features(self, features: list[Tensor], grids: Sequence[Grid], newline: Tensor) -> list[Tensor]:
        sizes = [grid[1:] for grid in grids]
        aspect = self._core.config.vision_aspect_ratio
        packed, _ = self._core.pack_image_features(  # type: ignore[no-untyped-call]
            features, sizes, image_newline=newline, vision_aspect_ratio=aspect
        )
        return list(packed)

    # --- stages ------------------------------------------------------------------------------------

    def see(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        return self.connect(self.look(prepared), prepared)

    def look(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        """→ `[frames or patches of stills, tower's tokens, tower's width]` for each clip."""
        core = self._core
        pixels = torch.cat([one.pixels for one in prepared]).to(self.device, self.dtype)
        # the last layer's own output: what the tower returns is normed, and asking it for hidden states keeps all 27
        tower = core.vision_tower
        features = tower.encoder(inputs_embeds=tower.embeddings(pixels)).last_hidden_state
        return list(features.split([len(one.pixels) for one in prepared]))

    def connect(self, looked: Sequence[Tensor], prepared: Sequence[Prepared]) -> list[Tensor]:
        core = self._core
        features = core.multi_modal_projector(torch.cat([one.to(self.device) for one in looked]))
        newline = core.image_newline.to(features.dtype)
        seen = []
        for one, part in zip(prepared, features.split([len(one) for one in looked]), strict=True):
            if one.still:
                patches = list(part.split([grid[0] for grid in one.grids]))
                seen.append(torch.cat(self._pack_features(patches, one.grids, newline)))
            else:
                seen.append(self._pool(part, newline))
        return seen

    @property
    def tower(self) -> Sequence[nn.Module]:
        return [self._core.vision_tower]

    def _pool(self, features: Tensor, newline: Tensor) -> Tensor:
        """`[frames, patches, hidden]` → a video's tokens `[tokens, hidden]`."""
        side = int(features.shape[1] ** 0.5)
        grid = features.transpose(1, 2).unflatten(2, (side, side))
        pooled = functional.avg_pool2d(grid, 2).permute(0, 2, 3, 1)  # [frames, rows, columns, hidden]
        if self._newline == "grid":
            pooled = torch.cat([pooled, newline.expand(*pooled.shape[:2], 1, -1)], dim=2)
        tokens = pooled.flatten(0, 2)
        return torch.cat([tokens, newline[None]]) if self._newline == "one_token" else tokens

    def hear(self, prepared: Sequence[Prepared]) -> list[Tensor]:
        if not self._core.hears:
            return super().hear(prepared)
        heard = self._core.get_speech_features(
            torch.stack([one.sound for one in prepared if one.sound is not None]).to(self.device, self.dtype)
        )
        return [tokens[: one.sound_tokens] for one, tokens in zip(prepared, heard, strict=True)]

    def positions(self, prepared: Prepared) -> tuple[Tensor, int]:
        count = len(prepared.prefix_ids)
        return torch.arange(count)[None], count

    # --- saving ------------------------------------------------------------------------------------

    def _save_weights(self, folder: Path) -> None:
        self.model.save_pretrained(folder, save_original_format=False)  # with HF's config, HF's keys

    def save_as_authors(self, folder: Path) -> None:
        """The same weights in the authors' layout: `load` then reads them as it reads a released checkpoint."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {egogpt_layout.theirs(key): value.contiguous() for key, value in self.model.state_dict().items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = egogpt_layout.write_config(self.model.config)
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        self.tokenizer.save_pretrained(folder)


def _config(sized: Mapping[str, Any]) -> PreTrainedConfig:
    return EgoGPTConfig(**sized, vision_feature_layer=-1, vision_feature_select_strategy="full")


def _count(grid: Grid, newline: str) -> int:
    frames, rows, columns = grid
    return frames * rows * (columns + (newline == "grid")) + (newline == "one_token")
