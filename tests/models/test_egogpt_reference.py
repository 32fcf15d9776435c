"""EgoGPT against its authors: a tiny checkpoint in their layout, their inputs, and what their own code made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import WhisperFeatureExtractor

from models.egogpt import Model
from models.interface import Prepared
from models.loading import load_model
from models.tokenizer import build_tokenizer

REFERENCE = Path(__file__).parents[1] / "data" / "egogpt-tiny"
SPEECH = -200  # the authors' sentinels in a prompt's ids; a picture's is -300
PICTURE = -300
LOGITS, LOGIT_SUMS, EMBEDDING_SUMS = 1e-5, 5e-4, 5e-5  # tighter than any wrong constant: 1e-4 misses a layer norm's eps


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the checkpoint does not say, as a pair file would."""
    towers = json.loads((REFERENCE / "towers.json").read_text())
    return {
        "vision_config": {
            "num_attention_heads": towers["vision_num_attention_heads"],
            "hidden_act": towers["vision_hidden_act"],
            "layer_norm_eps": towers["vision_layer_norm_eps"],
        },
        "speech_config": {"encoder_attention_heads": towers["whisper_num_attention_heads"]},
    }


@pytest.fixture(scope="module")
def egogpt(told: dict[str, Any], one_thread: None) -> Model:
    """The reference has no tokenizer: any with fewer ids than the embedding has rows will do, for ids are given."""
    with torch.inference_mode():
        network = load_model(Model, REFERENCE, "native", torch.device("cpu"), told)
        return Model(network.eval(), build_tokenizer([]))


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    return load_file(REFERENCE / "inputs.safetensors")


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(REFERENCE / "expected.safetensors")


def pixels(patches: torch.Tensor) -> torch.Tensor:
    """uint8 `[n, 3, 48, 48]`, each pixel eight times as large, in [-1, 1]."""
    large = patches.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    return (large.float() / 255 - 0.5) / 0.5


def asked(model: Model, inputs: dict[str, torch.Tensor], case: str) -> Prepared:
    """A case of the reference, as `prepare` would have laid it out."""
    kind, _, _ = case.partition("_")
    names = {"video": "ids.image_only", "image": "ids.image_only", "av": "ids.av", "va": "ids.va"}
    names |= {"speech": "ids.speech_only", "text": "text.input_ids"}
    ids = inputs[names[kind]][0].tolist()
    still, frames, grids = False, torch.empty(0, 3, 384, 384), ()
    if case in ("image_small", "image_big"):
        width, height = inputs[f"{case}.size_wh"].tolist()
        frames, still = pixels(inputs[f"{case}.patches_u8"]), True
        grids = ((len(frames), height, width),)
    elif kind in ("video", "av", "va"):
        frames = pixels(inputs["video.frames_u8"])
        grids = ((len(frames), 13, 13),)
    seen = sum(model.visual_prefix(grids, still)[1]) if grids else 0
    mel = inputs["speech.mel"][0].T
    heard = (123 + 1) // 2 // 5 if case == "speech_short" else 20
    heard = heard if SPEECH in ids else 0
    # whatever the order of the sentinels, what is seen goes in first
    counts = [count for count in (seen, heard) if count]
    laid: list[int] = []
    spliced: list[bool] = []
    for one in ids:
        count = counts.pop(0) if one in (SPEECH, PICTURE) else 1
        laid += [max(one, 0)] * count
        spliced += [one < 0] * count
    return Prepared(frames, grids, still, torch.tensor(laid), torch.tensor(spliced), ((),), mel, heard)


def embeddings(model: Model, prepared: Prepared) -> torch.Tensor:
    if not prepared.grids:  # no picture: nothing to see, which no prompt of ours has
        text = model.embed_ids(prepared.prefix_ids)
        if prepared.sound_tokens:
            (heard,) = model.hear([prepared])
            text = text.masked_scatter(prepared.spliced[:, None], heard)
        return text
    return model.embed([prepared])[0].prefix


CASES = [
    "text", "video_grid", "video_one_token", "video_no_token", "av_grid", "av_one_token", "av_no_token", "va_grid",
    "speech_only", "speech_short", "image_small", "image_big",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_case_of_the_reference(egogpt: Model, inputs: Any, expected: Any, case: str) -> None:
    config = egogpt.model.config
    newline = case.partition("_")[2]
    config.mm_newline_position = newline if newline in ("grid", "one_token", "no_token") else "grid"
    try:
        embedded = embeddings(egogpt, asked(egogpt, inputs, case))
    finally:
        config.mm_newline_position = "grid"
    hidden = egogpt.language_model(inputs_embeds=embedded[None]).last_hidden_state[0]
    logits = egogpt.logits(hidden)
    assert len(embedded) == int(expected[f"{case}.len"])
    close = torch.testing.assert_close
    close(embedded.sum(-1), expected[f"{case}.embeds_rowsum"], atol=EMBEDDING_SUMS, rtol=0)
    close(logits[-16:], expected[f"{case}.logits_tail"], atol=LOGITS, rtol=0)
    close(logits.sum(-1), expected[f"{case}.logits_rowsum"], atol=LOGIT_SUMS, rtol=0)
    close(logits.abs().sum(-1), expected[f"{case}.logits_rowabs"], atol=LOGIT_SUMS, rtol=0)


def test_what_the_ears_say(egogpt: Model, inputs: Any, expected: Any) -> None:
    core = egogpt.model.model
    mel = inputs["speech.mel"].transpose(1, 2)
    states = core.speech_encoder(mel).last_hidden_state
    torch.testing.assert_close(states, expected["speech.encoder_out"], atol=1e-5, rtol=0)
    torch.testing.assert_close(core.get_speech_features(mel)[0], expected["speech.projected"], atol=1e-5, rtol=0)


def test_what_the_eyes_say(egogpt: Model, inputs: Any, expected: Any) -> None:
    core = egogpt.model.model
    frames = pixels(inputs["video.frames_u8"])
    features = core.multi_modal_projector(core.vision_tower(frames, output_hidden_states=True).hidden_states[-1])
    torch.testing.assert_close(features[:, ::27], expected["video.tower_proj_sub"], atol=1e-5, rtol=0)
    pooled = egogpt._pool(features, core.image_newline).reshape(4, 13, 14, -1)[:, :, :13].flatten(1, 2)
    torch.testing.assert_close(pooled[:, ::13], expected["video.pooled_sub"], atol=1e-5, rtol=0)


def test_the_greedy_continuation(egogpt: Model, inputs: Any, expected: Any) -> None:
    """Through our stages: the prompt's last token is the question, the rest the prefix."""
    whole = asked(egogpt, inputs, "av_grid")
    cut = Prepared(
        whole.pixels,
        whole.grids,
        whole.still,
        whole.prefix_ids[:-1],
        whole.spliced[:-1],
        ((int(whole.prefix_ids[-1]),),),
        whole.sound,
        whole.sound_tokens,
    )
    egogpt.ending_id, ours = 251, egogpt.ending_id
    try:
        said = egogpt.generate(egogpt.embed([cut]), max_new_tokens=12)[0][0]
    finally:
        egogpt.ending_id = ours
    wanted = expected["av_grid.greedy"][0].tolist()
    assert said == wanted[: wanted.index(251) + 1] if 251 in wanted else said == wanted


# --- preprocessing, bit for bit


@pytest.fixture(scope="module")
def preprocessing() -> dict[str, torch.Tensor]:
    return load_file(REFERENCE / "preprocessing.safetensors")


def test_a_frame_becomes_the_same_pixels(egogpt: Model, preprocessing: Any) -> None:
    packed, grids = egogpt.pack(preprocessing["frame.rgb_u8_hwc"].numpy())
    assert grids == ((1, 13, 13),)
    assert torch.equal(packed[:, :, ::16, ::16], preprocessing["frame.pixel_values_stride16"])
    torch.testing.assert_close(packed.sum(), preprocessing["frame.sum"][0], atol=0.5, rtol=0)


def test_a_still_becomes_the_same_patches(egogpt: Model, preprocessing: Any) -> None:
    packed, grids = egogpt.pack_stills([preprocessing["image.rgb_u8_hwc"].numpy()])
    assert grids == ((3, 200, 400),)
    assert torch.equal(packed[:, :, ::16, ::16], preprocessing["image.patches_stride16"])


def test_sound_becomes_the_same_spectrogram_but_for_the_rounding_of_the_fft(preprocessing: Any) -> None:
    """Pixels are equal to the bit on any machine. A Fourier transform in fp32 is not: its sums are ordered by the
    processor, and the authors' figures lie 2e-5 from the same computation in float64, as do ours. Silence is exact.
    """
    listener = WhisperFeatureExtractor(feature_size=128)  # the tiny one hears 2 s, the reference is of 30 s
    wave = preprocessing["audio.wave_16k"]
    heard = listener(wave.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    mel = torch.as_tensor(heard)[0]
    authors = preprocessing["audio.log_mel_first220"]
    torch.testing.assert_close(mel[:, :220], authors, atol=5e-5, rtol=0)
    assert torch.equal(mel[:, -1], preprocessing["audio.log_mel_last"])
    filters = torch.from_numpy(listener.mel_filters).double().T
    padded = torch.nn.functional.pad(wave.double(), (0, 480_000 - len(wave)))
    window = torch.hann_window(400, dtype=torch.float64)
    power = torch.stft(padded, 400, 160, window=window, return_complex=True)[:, :-1].abs() ** 2
    log = (filters @ power).clamp(min=1e-10).log10()
    exact = ((torch.maximum(log, log.max() - 8) + 4) / 4)[:, :220]
    ours, theirs = ((one.double() - exact).abs().max() for one in (mel[:, :220], authors))
    assert ours < 2 * theirs, (ours, theirs)
