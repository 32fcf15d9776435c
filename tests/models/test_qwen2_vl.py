"""Qwen2-VL's packing and positions against the library's own image processor and rope index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from harness.distill.train import checkpoint_activations
from models.interface import ModelFault
from models.packing import pack_rows

RNG = np.random.default_rng(0)


def noise(frames: int, height: int, width: int) -> Any:
    return RNG.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def library_patches(images: Any) -> tuple[torch.Tensor, list[list[int]]]:
    """An image is, to the library, a video of two identical frames."""
    processor = Qwen2VLImageProcessorPil(patch_size=16, merge_size=2, temporal_patch_size=2)
    packed = processor([Image.fromarray(image) for image in images], return_tensors="pt")
    return packed["pixel_values"], packed["image_grid_thw"].tolist()


@pytest.mark.parametrize("size", [(96, 96), (64, 128), (100, 70), (33, 250)])
def test_patches_are_the_librarys_own(student: Any, size: tuple[int, int]) -> None:
    images = noise(2, *size)
    expected, grids = library_patches(images)
    patches, (grid,) = student.pack(np.repeat(images, 2, axis=0))  # each frame twice: a temporal pair of equals
    assert [grid[0], *grid[1:]] == [len(grids), *grids[0][1:]]
    torch.testing.assert_close(patches, expected, atol=1e-6, rtol=0)


def test_a_temporal_pair_holds_one_frame_after_the_other(student: Any) -> None:
    one, two = noise(2, 96, 96)
    patches, (grid,) = student.pack(np.stack([one, two]))
    assert grid == (1, 6, 6)
    pair = patches.reshape(36, 3, 2, 16, 16)
    for moment, frame in enumerate((one, two)):
        expected = library_patches(frame[None])[0].reshape(36, 3, 2, 16, 16)[:, :, moment]
        torch.testing.assert_close(pair[:, :, moment], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 3])
def test_an_odd_last_frame_is_repeated(student: Any, count: int) -> None:
    frames = noise(count, 96, 96)
    odd, grid = student.pack(frames)
    even, same = student.pack(np.concatenate([frames, frames[-1:]]))
    assert grid == same == (((count + 1) // 2, 6, 6),)
    assert torch.equal(odd, even)


def test_a_clip_is_wrapped_in_vision_tokens(student: Any, items: Any) -> None:
    prepared = student.prepare(items[0].clip.frames(), ["?"])
    assert prepared.grids == ((2, 6, 6),)
    assert int(prepared.spliced.sum()) == 2 * 3 * 3
    text = student.tokenizer.decode(prepared.prefix_ids)
    assert text.endswith("<|vision_start|>" + "<|video_pad|>" * 18 + "<|vision_end|>")
    assert student.tokenizer.decode(prepared.prefix_ids[prepared.spliced]) == "<|video_pad|>" * 18


@pytest.mark.parametrize(("frames", "size"), [(4, (96, 96)), (2, (64, 160)), (5, (160, 64))])
def test_positions_are_those_of_the_librarys_rope_index(student: Any, frames: int, size: tuple[int, int]) -> None:
    prepared = student.prepare(noise(frames, *size), ["which hand holds the cup at the start?"])
    with torch.inference_mode():
        packed = pack_rows(student.embed([prepared]), [[student.answer_ids("left")]], student.embed_ids)
    ids = torch.tensor([[*prepared.prefix_ids.tolist(), *prepared.questions[0], *student.answer_ids("left")[:-1]]])
    video = (ids == student.model.config.video_token_id).int() * 2
    expected, _ = student.model.model.get_rope_index(ids, video, video_grid_thw=torch.tensor(prepared.grids))
    assert torch.equal(packed.positions, expected)


def test_stills_are_packed_as_the_library_packs_images_and_positions_follow(student: Any) -> None:
    """Two photos of unequal size: the library is given ids, images and their grids, and splices and counts itself."""
    photos = [noise(1, 96, 128)[0], noise(1, 64, 70)[0]]
    prepared = student.prepare(photos, ["what is in both?"], still=True)
    theirs = [library_patches(photo[None]) for photo in photos]
    torch.testing.assert_close(prepared.pixels, torch.cat([patches for patches, _ in theirs]), atol=1e-6, rtol=0)
    assert [list(grid) for grid in prepared.grids] == [grids[0] for _, grids in theirs]
    ids = torch.tensor([[*prepared.prefix_ids.tolist(), *prepared.questions[0]]])
    with torch.inference_mode():
        expected = student.model(
            input_ids=ids,
            pixel_values=prepared.pixels,
            image_grid_thw=torch.tensor(prepared.grids),
            mm_token_type_ids=(ids == student.model.config.image_token_id).int(),
        ).logits[0, -1]
        mine = student.logits(student.prefill(student.embed([prepared])).hidden[0, 0])
    torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("still", [False, True], ids=["video", "stills"])
def test_our_stages_and_the_librarys_generate_say_the_same(student: Any, still: bool) -> None:
    """The library gets ids and pixels, splices and counts positions itself, and decodes with its own loop."""
    frames = [noise(1, 96, 128)[0], noise(1, 64, 70)[0]] if still else noise(4, 96, 96)
    prepared = student.prepare(frames, ["which hand holds the cup?"], still=still)
    ids = torch.tensor([[*prepared.prefix_ids.tolist(), *prepared.questions[0]]])
    config = student.model.config
    kind, token = ("image", config.image_token_id) if still else ("video", config.video_token_id)
    pixels = {"pixel_values" if still else "pixel_values_videos": prepared.pixels}
    with torch.inference_mode():
        theirs = student.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **pixels,
            **{f"{kind}_grid_thw": torch.tensor(prepared.grids)},
            mm_token_type_ids=(ids == token).int() * (1 if still else 2),
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=student.ending_id,
            pad_token_id=0,
        )
        ours = student.generate(student.embed([prepared]), 6)[0][0]
    assert ours == theirs[0, ids.shape[1] :].tolist()


def test_gradient_checkpointing_keeps_less_and_gives_the_same_gradients(build: Any, one_thread: None) -> None:
    found, kept, frames = [], [], noise(4, 96, 96)
    for checkpointed in (False, True):
        model = build("student")
        model.model.train()
        if checkpointed:
            checkpoint_activations(model, True)
        prepared = model.prepare(frames, ["which hand?"])
        held: dict[int, int] = {}

        def keep(tensor: torch.Tensor, held: dict[int, int] = held) -> torch.Tensor:
            held[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            states = model.answer_states(model.embed([prepared]), [[model.answer_ids("left hand")]])
        kept.append(sum(held.values()))
        states.square().sum().backward()
        found.append({name: p.grad for name, p in model.model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert any("visual" in name for name in found[0])
    for name, gradient in found[0].items():
        assert torch.equal(found[1][name], gradient), name
    assert kept[1] < 0.7 * kept[0]


def test_the_area_of_a_frame_can_be_bounded_by_the_pair_file(student: Any, tmp_path: Path) -> None:
    student.save(tmp_path)
    small = type(student).load(tmp_path, told={"max_pixels": 64 * 64})
    assert small.pack(noise(2, 96, 96))[1] == ((1, 4, 4),)
    assert type(student).video_tokens(small.model.config, 2, (96, 96)) == 4
    assert student.pack(noise(2, 96, 96))[1] == ((1, 6, 6),)


def test_the_prompt_is_that_of_the_released_chat_template(student: Any) -> None:
    """`<|vision_end|>` and the question, nothing between them."""
    prepared = student.prepare(noise(2, 96, 96), ["which hand?"])
    text = student.tokenizer.decode([*prepared.prefix_ids.tolist(), *prepared.questions[0]])
    squeezed = text.replace(" ", "")
    assert squeezed.startswith(
        "<|im_start|>system\nYouareahelpfulassistant.<|im_end|>\n<|im_start|>user\n<|vision_start|>"
    )
    assert squeezed.endswith("<|vision_end|>whichhand?<|im_end|>\n<|im_start|>assistant\n")


def test_every_question_of_a_clip_continues_from_its_prefix(student: Any, items: Any) -> None:
    prepared = student.prepare(items[0].clip.frames(), ["is there a cup?", "is there a bowl?"])
    with torch.inference_mode():
        embedded = student.embed([prepared])
        packed = pack_rows(embedded, [[(), ()]], student.embed_ids)
    for segment in (1, 2):
        start = packed.positions[:, 0, packed.segments[0] == segment][:, 0]
        assert start.tolist() == [embedded[0].next_position] * 3


def test_a_tokenizer_without_vision_tokens_is_a_fault(build: Any) -> None:
    with pytest.raises(ModelFault, match=r"initial.tokenizer_extra: qwen2_vl needs <\|vision_end\|>"):
        build("student", tokenizer_extra=["<|vision_start|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"])
