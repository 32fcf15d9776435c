"""EgoGPT's packing: 2×2 average pooling, a newline after every pooled row, one position a token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def seen(model: Any, frames: Any) -> torch.Tensor:
    """The visual tokens as `embed` lays them out: [frames, rows, columns + newline, hidden]."""
    prepared = model.prepare(frames, ["?"])
    (embedded,) = model.embed([prepared])
    ((frames, rows, columns),) = prepared.grids
    return embedded.prefix[prepared.spliced].reshape(frames, rows, columns + 1, -1)


def projected(model: Any, frames: Any) -> torch.Tensor:
    """Features before pooling, layer by layer: [frames, hidden, side, side]. No norm after the last layer."""
    tower = model.model.model.vision_tower
    states = tower.embeddings(model.pack(frames)[0])
    for layer in tower.encoder.layers:
        states = layer(states, None)
        states = states[0] if isinstance(states, tuple) else states
    features = model.model.model.multi_modal_projector(states)
    side = int(features.shape[1] ** 0.5)
    return features.transpose(1, 2).unflatten(2, (side, side))


def test_a_frame_is_three_rows_of_three_tokens_and_a_newline(teacher: Any, items: Any) -> None:
    """96 pixels in patches of 16 are 6×6, pooled 3×3."""
    prepared = teacher.prepare(items[0].clip.frames(), ["?"])
    assert prepared.grids == ((4, 3, 3),)
    assert int(prepared.spliced.sum()) == 4 * 3 * 4
    assert prepared.pixels.shape == (4, 3, 96, 96)


def test_pixels_are_scaled_to_minus_one_to_one(teacher: Any) -> None:
    frames = np.zeros((1, 96, 96, 3), np.uint8)
    frames[0, :, :, 1] = 255
    pixels, _ = teacher.pack(frames)
    assert pixels.dtype == torch.float32
    assert [float(channel.mean()) for channel in pixels[0]] == [-1.0, 1.0, -1.0]


def test_every_pooled_row_ends_with_the_newline_embedding(teacher: Any, items: Any) -> None:
    newline = teacher.model.model.image_newline
    tokens = seen(teacher, items[0].clip.frames())
    assert torch.equal(tokens[:, :, -1], newline.expand(4, 3, -1))
    assert not (tokens[:, :, :-1] == newline).all(-1).any()


def test_features_are_averaged_over_two_by_two_patches(teacher: Any, items: Any) -> None:
    frames = items[0].clip.frames()
    features = projected(teacher, frames)
    expected = torch.zeros(4, 3, 3, features.shape[1])
    for row in range(3):
        for column in range(3):
            four = features[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, row, column] = four.sum((2, 3)) / 4
    torch.testing.assert_close(seen(teacher, frames)[:, :, :-1], expected, atol=1e-5, rtol=1e-5)


def test_an_odd_number_of_patches_loses_its_last_row_as_egogpt_does(build: Any, micro: Any, one_thread: None) -> None:
    """Released: 27 → 13. Stock LLaVA-OneVision resizes bilinearly, 27 → 14. Here 5 → 2, where stock gives 3."""
    config = micro.teacher.initial.config
    odd = build("teacher", config={**config, "vision_config": {**config["vision_config"], "image_size": 80}})
    frames = np.random.default_rng(0).integers(0, 255, (2, 80, 80, 3), dtype=np.uint8)
    tokens = seen(odd, frames)
    assert tokens.shape[:3] == (2, 2, 3)
    features = projected(odd, frames)
    torch.testing.assert_close(tokens[0, 1, 1], features[0, :, 2:4, 2:4].mean((1, 2)), atol=1e-5, rtol=1e-5)
    bilinear = functional.interpolate(features, size=(2, 2), mode="bilinear")
    assert (tokens[:, :, :-1] - bilinear.permute(0, 2, 3, 1)).abs().max() > 0.01


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_frames_is_taken(teacher: Any, items: Any, count: int) -> None:
    frames = items[0].clip.frames()[:count]
    tokens = seen(teacher, frames)
    assert len(tokens) == count
    torch.testing.assert_close(tokens, seen(teacher, items[0].clip.frames())[:count], atol=1e-5, rtol=1e-5)


def test_frames_of_another_size_are_resized_bicubically(teacher: Any, items: Any) -> None:
    large = np.stack([np.asarray(Image.fromarray(f).resize((160, 120))) for f in items[0].clip.frames()])
    pixels, grid = teacher.pack(large)
    assert grid == ((4, 3, 3),)
    expected = np.asarray(Image.fromarray(large[1]).resize((96, 96), Image.Resampling.BICUBIC))
    torch.testing.assert_close(pixels[1].permute(1, 2, 0), torch.tensor(expected) / 127.5 - 1, atol=1e-6, rtol=0)


def test_clips_of_unequal_length_keep_their_own_tokens_in_a_batch(teacher: Any, items: Any) -> None:
    one, two = items[0].clip.frames(), items[-1].clip.frames()[:3]
    prepared = [teacher.prepare(frames, ["?"]) for frames in (one, two)]
    first, second = teacher.see(prepared)
    torch.testing.assert_close(first, seen(teacher, one).flatten(0, 2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(second, seen(teacher, two).flatten(0, 2), atol=1e-5, rtol=1e-5)


def test_positions_count_up(teacher: Any, items: Any) -> None:
    prepared = teacher.prepare(items[0].clip.frames(), ["?"])
    positions, following = teacher.positions(prepared)
    assert positions.tolist() == [list(range(len(prepared.prefix_ids)))]
    assert following == len(prepared.prefix_ids)
