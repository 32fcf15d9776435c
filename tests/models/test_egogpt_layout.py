"""The authors' layout at toy size: loaded as a released checkpoint is, with sound and without, stills and video."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.egogpt import Model
from models.interface import ModelFault

RNG = np.random.default_rng(0)
VIDEO = RNG.integers(0, 256, (3, 90, 120, 3), dtype=np.uint8)
PHOTOS = [RNG.integers(0, 256, (200, 150, 3), dtype=np.uint8), RNG.integers(0, 256, (60, 240, 3), dtype=np.uint8)]
NOISE = (0.3 * RNG.standard_normal(24_000)).astype(np.float32)  # 1.5 s
QUESTION = "which hand holds the cup?"


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def told(twin: Any) -> dict[str, Any]:
    return dict(twin.teacher.sizes)


def test_the_authors_layout_loads_as_what_was_saved(hearing: Any, authors_folder: Path, told: Any) -> None:
    plain = json.loads((authors_folder / "config.json").read_text())
    assert plain["model_type"] == "egogpt_qwen"
    assert any(
        key.startswith("model.speech_encoder.encoder.blocks.")
        for key in load_file(authors_folder / "model.safetensors")
    )
    again = Model.load(authors_folder, told=told)
    mine, theirs = hearing.model.state_dict(), again.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_our_own_layout_needs_nothing_told(hearing: Any, tmp_path: Path) -> None:
    hearing.save(tmp_path)
    again = Model.load(tmp_path)
    said = [one.generate(one.embed([one.prepare(VIDEO, [QUESTION])]), 4) for one in (hearing, again)]
    assert said[0] == said[1]


def test_the_prompt_is_the_authors(hearing: Any) -> None:
    prepared = hearing.prepare(VIDEO, [QUESTION])
    ids = [*prepared.prefix_ids.tolist(), *prepared.questions[0]]
    spliced = [*prepared.spliced.tolist(), *[False] * len(prepared.questions[0])]
    text = hearing.tokenizer.decode([one for one, here in zip(ids, spliced, strict=True) if not here])
    wanted = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n\n\n\n"
        f"{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text.replace(" ", "") == wanted.replace(" ", "")
    # <image>, a line break, <speech>: 3 frames of 4 rows of 4 tokens and a newline, then 20 heard
    runs = "".join("s" if here else "." for here in prepared.spliced.tolist()).strip(".")
    assert runs == "s" * (3 * 4 * 5) + "." + "s" * 20
    assert prepared.sound_tokens == 20


def test_what_is_heard_changes_what_is_said(hearing: Any) -> None:
    states = [
        hearing.prefill(hearing.embed([hearing.prepare(VIDEO, [QUESTION], sound=sound)])).hidden
        for sound in (None, NOISE, NOISE * 0.1)
    ]
    assert not torch.allclose(states[0], states[1], atol=1e-4)
    assert torch.equal(states[0], hearing.prefill(hearing.embed([hearing.prepare(VIDEO, [QUESTION])])).hidden)


def test_absent_sound_is_a_spectrogram_of_zeros_and_not_of_silence(hearing: Any) -> None:
    """As the authors splice it; the log-mel of a silent wave is another one."""
    absent, silent = (hearing.prepare(VIDEO, [QUESTION], sound=s).sound for s in (None, np.zeros(16_000, np.float32)))
    assert not absent.any()
    assert silent.any()


def test_a_longer_sound_is_cut_to_what_the_ears_hold(hearing: Any) -> None:
    long = np.tile(NOISE, 10)
    mel = hearing.prepare(VIDEO, [QUESTION], sound=long).sound
    assert mel.shape == (128, 200)
    assert torch.equal(mel, hearing.prepare(VIDEO, [QUESTION], sound=long[:32_000]).sound)


@pytest.mark.parametrize("newline", ["grid", "one_token", "no_token"])
@pytest.mark.parametrize("sound", [None, NOISE], ids=["silent", "heard"])
def test_our_stages_and_the_librarys_generate_say_the_same(hearing: Any, newline: str, sound: Any) -> None:
    config = hearing.model.config
    config.mm_newline_position, before = newline, config.mm_newline_position
    try:
        (one,) = hearing.embed([hearing.prepare(VIDEO, [QUESTION], sound=sound)])
    finally:
        config.mm_newline_position = before
    assert hearing.generate([one], 6)[0][0] == by_library(hearing, one, 6)


@pytest.mark.parametrize("photos", [PHOTOS[:1], PHOTOS], ids=["one", "two"])
def test_stills_of_any_size_go_through_the_stages(hearing: Any, photos: Any) -> None:
    prepared = hearing.prepare(photos, [QUESTION], still=True)
    (one,) = hearing.embed([prepared])
    counted = int(prepared.spliced.sum()) - prepared.sound_tokens
    core = hearing.model.model
    seen = [core.get_image_features(*stock(hearing, photo)).pooler_output[0] for photo in photos]
    assert counted == sum(map(len, seen))
    torch.testing.assert_close(one.prefix[prepared.spliced][:counted], torch.cat(seen), atol=1e-5, rtol=1e-5)
    assert hearing.generate([one], 5)[0][0] == by_library(hearing, one, 5)


def test_clips_with_and_without_sound_and_stills_share_a_batch(hearing: Any) -> None:
    mixed = [
        hearing.prepare(VIDEO, [QUESTION], sound=NOISE),
        hearing.prepare(PHOTOS, [QUESTION], still=True),
        hearing.prepare(VIDEO[:2], [QUESTION]),
    ]
    together = hearing.embed(mixed)
    for one, alone in zip(together, (hearing.embed([prepared])[0] for prepared in mixed), strict=True):
        torch.testing.assert_close(one.prefix, alone.prefix, atol=1e-5, rtol=1e-5)


def stock(model: Any, photo: Any) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Pixels and sizes as the stock class takes them."""
    pixels, _ = model.pack_stills([photo])
    return pixels[None], [photo.shape[:2]]


def by_library(model: Any, one: Any, tokens: int) -> list[int]:
    inputs = torch.cat([one.prefix, model.embed_ids(torch.tensor(one.questions[0]))])[None]
    said = model.model.generate(
        inputs_embeds=inputs,
        attention_mask=torch.ones(inputs.shape[:2], dtype=torch.long),
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=model.ending_id,
        pad_token_id=0,
    )
    return said[0].tolist()  # type: ignore[no-any-return]


# --- what a checkpoint says, and what only the pair file can


def changed(folder: Path, to: Path, change: Callable[[dict[str, torch.Tensor]], object], **config: Any) -> Path:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    weights = load_file(to / "model.safetensors")
    change(weights)
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    plain = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps({**plain, **config}))
    return to


def nothing(weights: Any) -> None:
    pass


VISION = "model.vision_tower.vision_tower.vision_model."
WRONG: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], dict[str, Any], str]] = {
    "another vocabulary than config.json says": (
        nothing,
        {"vocab_size": 152064},
        r"config.json says vocab_size 152064",
    ),
    "another model": (nothing, {"model_type": "llama"}, r"model_type 'llama' is another architecture"),
    "another aspect": (nothing, {"image_aspect_ratio": "pad"}, r"image_aspect_ratio 'pad' is not one"),
    "another newline": (nothing, {"mm_newline_position": "frame"}, r"mm_newline_position 'frame'; there are grid"),
    "faster video": (nothing, {"add_faster_video": True}, r"add_faster_video is on"),
    "a layer that is missing": (
        lambda w: [w.pop(key) for key in list(w) if ".encoder.layers.0." in key],
        {},
        r"are not numbered from 0 without a gap: \[1\]|has no model.vision_tower",
    ),
    "no vision tower": (
        lambda w: [w.pop(key) for key in list(w) if key.startswith(VISION)],
        {},
        r"not an EgoGPT: it has no model.vision_tower",
    ),
    "three tensors that are missing": (
        lambda w: [w.pop(f"model.layers.1.mlp.{name}_proj.weight") for name in ("up", "gate", "down")],
        {},
        r"3 missing weights: .*down_proj.*gate_proj.*up_proj",
    ),
    "a misshapen tensor": (
        lambda w: w.update({"model.norm.weight": torch.ones(7)}),
        {},
        r"1 mismatched weights: model.language_model.norm.weight \[7\] instead of \[128\]",
    ),
    "a stranger among the tensors": (
        lambda w: w.update({"model.mm_resampler.weight": torch.ones(7)}),
        {},
        r"1 unexpected weights: model.mm_resampler.weight",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_checkpoint_that_is_not_one_is_a_fault_that_names_its_keys(
    authors_folder: Path, told: Any, tmp_path: Path, case: str
) -> None:
    change, config, said = WRONG[case]
    folder = changed(authors_folder, tmp_path / "wrong", change, **config)
    with pytest.raises(ModelFault, match=said) as caught:
        Model.load(folder, told=told)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        ({}, r"teacher.config.vision_config.num_attention_heads: no checkpoint says how many heads.*divisor of 64"),
        ({"vision_config": {"num_attention_heads": 7}}, r"divisor of 64 \(got 7\)"),
        ({"vision_config": {"num_attention_heads": 4, "hidden_size": 1152}}, r"hidden_size is 1152, but .* has 64"),
        ({"vision_config": {"num_attention_heads": 4}}, r"speech_config.encoder_attention_heads"),
    ],
)
def test_head_counts_are_told_by_the_pair_file_and_the_rest_by_the_tensors(
    authors_folder: Path, tell: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelFault, match=said):
        Model.load(authors_folder, told=tell)


def test_another_architectures_folder_is_named(twin_side: Any, authors_folder: Path, tmp_path: Path) -> None:
    if twin_side.position_axes == 1:
        twin_side.save(tmp_path)
        from models.qwen2_vl import Model as Student

        with pytest.raises(ModelFault, match="model_type 'egogpt' is another architecture; qwen2_vl reads qwen2_vl"):
            Student.load(tmp_path)
    else:
        twin_side.save(tmp_path)
        with pytest.raises(ModelFault, match="model_type 'qwen2_vl' is another architecture; egogpt reads egogpt_qwen"):
            Model.load(tmp_path)


def test_a_tokenizer_of_another_model_is_named(authors_folder: Path, told: Any, tmp_path: Path) -> None:
    from models.tokenizer import build_tokenizer

    shutil.copytree(authors_folder, tmp_path / "foreign")
    build_tokenizer([f"word{n}" for n in range(300)]).save_pretrained(tmp_path / "foreign")
    with pytest.raises(ModelFault, match=r"tokenizer does not match: .* has id \d+, but the embedding has \d+ rows"):
        Model.load(tmp_path / "foreign", told=told)


def test_a_tokenizer_in_the_released_files_is_read(
    hearing: Any, authors_folder: Path, told: Any, tmp_path: Path
) -> None:
    """Released checkpoints name Qwen2Tokenizer in tokenizer_config.json, beside a config.json that nobody knows."""
    folder = tmp_path / "released"
    shutil.copytree(authors_folder, folder)
    plain = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**plain, "tokenizer_class": "Qwen2Tokenizer"}))
    assert Model.load(folder, told=told).tokenizer.get_vocab() == hearing.tokenizer.get_vocab()


def test_more_frames_than_the_context_holds_are_refused_by_number(hearing: Any) -> None:
    many = np.zeros((2000, 112, 112, 3), np.uint8)
    with pytest.raises(ModelFault, match=r"2000 frames and the question are 40,0\d\d tokens, .* holds 32,768"):
        hearing.prepare(many, [QUESTION])
