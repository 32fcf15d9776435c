"""Memory to answer and to train: against what tensors really hold on tiny models, and the floors that are known."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.distill.adamw import LeanAdamW
from harness.distill.fused import fused_distillation
from harness.distill.knowledge import Dense
from harness.distill.loss import Objective
from harness.errors import ResourceError
from harness.pair import Recipe, load_pair
from harness.plan.inference import (
    CONTEXT_BYTES,
    Need,
    hearing_activations,
    needed,
    prefill_activations,
    require_fits,
    vision_activations,
)
from harness.plan.shapes import shapes_of
from harness.plan.tokens import QUESTION_TOKENS, clip_tokens, most_frames_in_context
from harness.plan.training import (
    CHUNK_BYTES,
    MODES,
    PART_BYTES,
    Lesson,
    loss_bytes,
    mode_of,
    moment_bytes,
    training_memory,
)
from tests.conftest import untrained
from tests.harness.plan.live import Live
from tests.harness.plan.test_flops import SIZE, video

REAL = (432, 768)
ONE = Lesson(frames=8, size=REAL, clips=1, questions=1, answer_tokens=64, shared=151646, teacher_width=3584)
FLOORS = {  # weights, gradients, optimizer
    "full": 35.3e9,
    "full-8bit": 22.2e9,
    "full-kahan-8bit": 17.7e9,
    "full-8bit-stochastic": 13.3e9,
    "lm-8bit": 15.8e9,
    "lora": 5.6e9,
}


def test_a_need_is_its_parts(tiny_shapes: Any) -> None:
    need = needed(tiny_shapes, "int8", frames=4, size=SIZE, batch=2, new_tokens=8)
    assert need.total == need.weights + need.kv_cache + need.activations + CONTEXT_BYTES
    assert needed(tiny_shapes, "int8", frames=4, size=SIZE, new_tokens=8).kv_cache * 2 == need.kv_cache


def test_a_card_too_small_is_told_with_the_arithmetic() -> None:
    need = Need("int8", 9_790_000_000, 100_000_000, 310_000_000)
    require_fits(need, need.total, "the teacher")
    with pytest.raises(ResourceError) as raised:
        require_fits(need, 8_000_000_000, "the teacher")
    assert str(raised.value).startswith(
        "the teacher does not fit: int8 weights 9.79 GB + KV cache 0.10 GB + activations 0.31 GB + CUDA context "
        "0.50 GB = 10.70 GB, but the card has 8.00 GB free: "
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_what_tensors_hold_at_their_peak(
    heard_pair: Any, side: str, tiny_shapes: Any, dtype: torch.dtype
) -> None:
    """Of vision (all frames at once) and of a prefill, in the native fp32 and in bf16: within 15 %."""
    format_name = "native" if dtype == torch.float32 else "bf16"
    model = untrained(heard_pair, side, scale={})
    model.model.to(dtype)
    prepared = [model.prepare(video(16), ["what is this?"])]
    length = len(prepared[0].prefix_ids) + len(prepared[0].questions[0])
    with torch.inference_mode():
        with Live(*model.model.parameters()) as seen:
            model.see(prepared)
        embedded = model.embed(prepared)
        with Live(*model.model.parameters()) as run:
            state = model.prefill(embedded)
    cache = sum(one.numel() * one.element_size() for layer in state.cache.layers for one in (layer.keys, layer.values))
    assert vision_activations(tiny_shapes, format_name, 16, SIZE) == pytest.approx(seen.peak, rel=0.15)
    assert prefill_activations(tiny_shapes, format_name, length, 1) == pytest.approx(run.peak - cache, rel=0.15)


def test_activations_of_the_real_teacher_are_those_of_its_real_sizes() -> None:
    """In bf16 on the meta device, where tensors have sizes and no memory: within 1 %, its ears within 10 %."""
    pair = load_pair("egogpt-qwen2vl")
    shapes = shapes_of(pair.teacher)
    core, tokens = shapes.network.to(torch.bfloat16).model, 3000  # type: ignore[union-attr]

    def peak(run: Callable[[], Any]) -> int:
        with torch.inference_mode(), Live(*shapes.network.parameters()) as live:
            run()
        return live.peak

    def meta(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta", dtype=torch.bfloat16)

    tower = core.vision_tower

    def see() -> Any:  # as the architecture's own does: the pixels are there to the end
        pixels = meta(16, 3, 384, 384)
        states = tower.encoder(inputs_embeds=tower.embeddings(pixels)).last_hidden_state
        return pixels, states

    seen = peak(see)
    heard = peak(lambda: core.get_speech_features(meta(1, 128, 3000)))
    run = peak(
        lambda: core.language_model(
            inputs_embeds=meta(1, tokens, 3584),
            position_ids=torch.arange(tokens, device="meta")[None],
            attention_mask={"full_attention": None},
            use_cache=False,
        )
    )
    assert vision_activations(shapes, "bf16", 16, REAL) == pytest.approx(seen, rel=0.01)
    assert hearing_activations(shapes, "bf16", 1) == pytest.approx(heard, rel=0.1)
    assert prefill_activations(shapes, "bf16", tokens, 1) == pytest.approx(run, rel=0.01)


def test_8_bit_moments_are_those_that_the_optimizer_keeps() -> None:
    """Of a matrix in 8 bits, of a small one in fp32; a vector has fp32 moments whatever its size."""
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in ((100, 100), (10, 10), (5000,))]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer = LeanAdamW(parameters, lr=1e-3, eight_bit=True)
    optimizer.step()
    held = [
        sum(one.nbytes for one in optimizer.state[parameter].values() if isinstance(one, torch.Tensor))
        for parameter in parameters
    ]
    assert held == [moment_bytes(p.numel(), eight_bit=p.ndim > 1) for p in parameters]


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
def test_the_state_of_bf16_weights_is_that_of_a_real_step(
    heard_pair: Any, side: str, tiny_shapes: Any, rounding: Any
) -> None:
    """Weights and gradients of two bytes; what the optimizer keeps, to the byte."""
    model = untrained(heard_pair, side, scale={}).model.bfloat16()
    optimizer = LeanAdamW(model.parameters(), lr=1e-3, eight_bit=True, rounding=rounding)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    mode = MODES["full-8bit-stochastic" if rounding == "stochastic" else "full-kahan-8bit"]
    memory = training_memory(tiny_shapes, mode, lesson(tiny_shapes), checkpointed=False)
    assert memory.weights == sum(p.nbytes for p in model.parameters())
    assert memory.gradients == sum(p.grad.nbytes for p in model.parameters())
    kept = [one for state in optimizer.state.values() for one in state.values() if isinstance(one, torch.Tensor)]
    assert memory.optimizer == sum(one.nbytes for one in kept)
    assert memory.copies == 0


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "full"),
        ({"optimizer": "muon"}, "full"),
        ({"optimizer": "adamw-8bit"}, "full-8bit"),
        ({"optimizer": "adamw-8bit", "master": "stochastic"}, "full-8bit-stochastic"),
        ({"optimizer": "adamw-8bit", "master": "kahan"}, "full-kahan-8bit"),
        ({"parameters": "lm"}, "lm"),
        ({"parameters": "lm", "optimizer": "adamw-8bit"}, "lm-8bit"),
        ({"parameters": "lora"}, "lora"),
        ({"parameters": "lm", "master": "kahan"}, "lm-adamw-kahan"),
        ({"parameters": "lora", "lora_rank": 8}, "lora-adamw-fp32"),
    ],
)
def test_a_recipes_mode(changes: dict[str, Any], name: str, real: Any) -> None:
    """One that plan knows by name, or one of its own with the same parts."""
    mode = mode_of(Recipe(split="pool", **changes))
    assert mode.name == name
    assert (mode is MODES.get(name)) == (name in MODES)
    state = training_memory(real[1], mode, ONE, checkpointed=True).state
    if name == "lm-adamw-kahan":
        assert state == training_memory(real[1], MODES["lm"], ONE, checkpointed=True).state * 14 // 16
    if name == "lora-adamw-fp32":
        assert state < training_memory(real[1], MODES["lora"], ONE, checkpointed=True).state


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.integers(1, 150), format_name=st.sampled_from(["native", "bf16", "int8", "nf4"]))
def test_more_frames_never_need_less(real: Any, frames: int, format_name: str) -> None:
    for shapes in real:
        few, more = (
            needed(shapes, format_name, frames=count, size=REAL, new_tokens=64).total for count in (frames, frames + 1)
        )
        assert few <= more
    few, more = (
        training_memory(real[1], MODES["full"], Lesson(count, REAL, 1, 4, 64, 151646, 3584), checkpointed=True).total
        for count in (frames, frames + 1)
    )
    assert few <= more


def test_the_most_frames_are_the_last_that_the_context_holds(real: Any) -> None:
    for shapes in real:
        most = most_frames_in_context(shapes, REAL, 64)
        assert clip_tokens(shapes, most, REAL, 64).context <= 32768 < clip_tokens(shapes, most + 1, REAL, 64).context


@pytest.mark.parametrize("mode", FLOORS)
def test_the_state_of_a_training_is_the_known_floor(real: Any, mode: str) -> None:
    memory = training_memory(real[1], MODES[mode], ONE, checkpointed=True)
    assert memory.state == pytest.approx(FLOORS[mode], rel=0.005)


@pytest.mark.parametrize("mode", MODES)
def test_checkpointing_needs_less(real: Any, mode: str) -> None:
    with_it, without = (training_memory(real[1], MODES[mode], ONE, checkpointed=on).total for on in (True, False))
    assert with_it < without / 1.1


def lesson(shapes: Any, frames: int = 16) -> Lesson:
    return Lesson(frames, SIZE, 1, 1, 8, shapes.text.vocabulary, 0)


def test_weights_gradients_and_optimizer_are_those_of_a_real_step(heard_pair: Any, side: str, tiny_shapes: Any) -> None:
    model = untrained(heard_pair, side, scale={}).model.float()
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    memory = training_memory(tiny_shapes, MODES["full"], lesson(tiny_shapes), checkpointed=False)
    assert memory.weights == sum(4 * p.numel() for p in model.parameters())
    assert memory.gradients == sum(p.grad.numel() * p.grad.element_size() for p in model.parameters())
    moments = [one for state in optimizer.state.values() for one in state.values() if one.ndim]
    assert memory.optimizer == sum(one.numel() * one.element_size() for one in moments)


@pytest.mark.parametrize("mode", ["full", "full-8bit-stochastic"])
@pytest.mark.parametrize("side", ["student"], indirect=True)  # plan trains students: ears and pooling are not counted
def test_activations_of_a_training_are_those_that_a_backward_finds(
    heard_pair: Any, tiny_shapes: Any, side: str, mode: str
) -> None:
    """Storages alive after a forward pass under bf16 autocast, without checkpointing: within 15 %."""
    model = untrained(heard_pair, side, scale={})
    model.model.to(torch.float32 if mode == "full" else torch.bfloat16)
    model.model.train()
    one = lesson(tiny_shapes)
    answer = [[model.answer_ids("yes " * 6)[:8]]]
    words = next(n for n in range(1, 100) if len(model.question_ids("a " * n)) >= QUESTION_TOKENS)
    prepared = [model.prepare(video(16), ["a " * words])]
    rows = len(prepared[0].prefix_ids) + len(prepared[0].questions[0]) + 7
    assert rows == pytest.approx(one.tokens(tiny_shapes), abs=12)
    with Live(*model.model.parameters()) as live, torch.autocast("cpu", torch.bfloat16):
        states = model.answer_states(model.embed(prepared), answer)
        gc.collect()
        held = live.now
    assert states.requires_grad
    memory = training_memory(tiny_shapes, MODES[mode], one, checkpointed=False)
    text = tiny_shapes.text
    in_backward = one.tokens(tiny_shapes) * (6 * text.ffn + 8 * text.width)
    copies = memory.copies - 2 * text.width * text.vocabulary if memory.copies else 0  # without the head's
    assert memory.activations - in_backward + copies == pytest.approx(held, rel=0.15)


def test_the_loss_takes_a_chunk_and_the_heads_gradient(real: Any) -> None:
    """A chunk is as large as its tokens need, or as it may be; adapters leave the head as it is."""
    few, many = ONE, replace(ONE, questions=200)
    head = 4 * ONE.shared * real[1].text.width
    found = {
        (name, one.questions): training_memory(real[1], MODES[name], one, checkpointed=True)
        for name in ("full", "lora")
        for one in (few, many)
    }
    assert found["full", 1].logits == loss_bytes(64, ONE.shared) + head
    assert found["full", 200].logits == CHUNK_BYTES * 5 // 4 + 3 * PART_BYTES + head
    assert found["lora", 200].logits == found["full", 200].logits - head
    assert found["full", 1].teacher == 2 * ONE.shared * 3584


def test_the_loss_is_what_its_tensors_hold_at_their_peak() -> None:
    """In fp32, which needs no copy of the student's logits for its products: within 15 %."""
    answers, ids, width = 64, 4000, 16
    states, head = torch.randn(answers, width, requires_grad=True), torch.randn(ids, width, requires_grad=True)
    taught = Dense(torch.randn(answers, width), torch.randn(ids, width))
    said = torch.randint(0, ids, (answers,))
    with Live(states, head, taught.states, taught.head, said) as live:
        fused_distillation(states, head, said, Objective(alpha=0.7, temperature=2.0), taught).backward()
    logits = 4 * answers * ids
    assert loss_bytes(answers, ids) - logits / 2 + head.nbytes == pytest.approx(live.peak, rel=0.15)
