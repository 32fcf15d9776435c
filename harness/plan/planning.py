"""The whole plan of a pair: both sides, every form that could be shipped, every way to train, what fits.

plan(load_pair("egogpt-qwen2vl"), forms, Request(frames=16, vram=24_000_000_000))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.pair import Pair
from harness.plan.cards import CARDS, parse_vram
from harness.plan.flops import Flops, decode_bytes, flops, kv_bytes_per_token
from harness.plan.inference import Need, needed
from harness.plan.shapes import Shapes, shapes_of_sides
from harness.plan.tokens import ClipTokens, clip_tokens, most, most_frames_in_context, require_frames
from harness.plan.training import MODES, Lesson, Mode, TrainingMemory, mode_of, training_memory
from harness.plan.weights import Quantised, WeightBytes, parameters_by_part, quantised_by_part, weight_bytes
from harness.stats.power import power_sentence
from models.interface import FORMATS

SCENES_SIZE = (96, 96)  # what the dataset `scenes` renders
UNSHRUNK = (720, 1280)  # where neither the pair nor the command line says how large a frame is: an assumption


@dataclass(frozen=True)
class Request:
    """What the command line asks: None is the pair's own. `vram` in bytes; None: the cards that are sold."""

    frames: int | None = None
    size: tuple[int, int] | None = None
    vram: int | None = None


@dataclass(frozen=True)
class Form:
    """One deployable form: a variant's name, whose weights (teacher or student), in which format."""

    name: str
    side: str
    format: str


@dataclass(frozen=True)
class SidePlan:
    """One side of the pair; bytes, tokens and floating-point operations of one clip with one question."""

    side: str
    architecture: str
    native_bytes: int
    parameters: int
    parts: dict[str, int]
    tied: bool
    weights: tuple[WeightBytes, ...]
    quantised: dict[str, tuple[Quantised, ...]]
    tokens: ClipTokens
    context: int  # max_position_embeddings
    most_frames: int  # that the context holds
    kv_bytes_per_token: int
    flops: Flops
    decode_bytes: dict[str, int]


@dataclass(frozen=True)
class FormPlan:
    """What a form needs to answer one clip, and the most frames on each card (0: none; the context is the limit)."""

    form: Form
    need: Need
    most_frames: dict[str, int]


@dataclass(frozen=True)
class TrainingPlan:
    """What a way to train needs, and the most frames on each card."""

    mode: str
    told: str
    checkpointed: bool
    memory: TrainingMemory
    most_frames: dict[str, int]


@dataclass(frozen=True)
class Plan:
    """Everything that `firstsight plan` prints. `cards`: name → bytes."""

    pair: str
    frames: int
    size: tuple[int, int]
    new_tokens: int
    questions: int  # on a clip, in training
    micro_clips: int
    batch_clips: int  # clips that the teacher answers at once
    mode: str  # the recipe's, and whether it checkpoints
    gradient_checkpointing: bool
    cards: dict[str, int]
    sides: tuple[SidePlan, SidePlan]
    forms: tuple[FormPlan, ...]
    targets: FormPlan  # the teacher's part of distilling
    training: tuple[TrainingPlan, ...]
    sees: str  # what difference of agreement so many questions can tell

    def as_json(self) -> dict[str, Any]:
        """Plain types, with the totals that are properties here; memory in bytes."""
        plain = asdict(self)
        for told, one in zip(plain["forms"], self.forms, strict=True):
            told["need"]["total"] = one.need.total
        plain["targets"]["need"]["total"] = self.targets.need.total
        for told, way in zip(plain["training"], self.training, strict=True):
            told["memory"] |= {"state": way.memory.state, "total": way.memory.total}
        for told, side in zip(plain["sides"], self.sides, strict=True):
            told["tokens"] |= {"prompt": side.tokens.prompt, "context": side.tokens.context}
        return plain


def _sees(clips: int | None, each: int | None) -> str:
    """Of the pair's own questions, or of 500 where the data decide how many there are."""
    if clips and each:
        return power_sentence(clips * each, clips)
    return power_sentence(500, 500)


def plan(pair: Pair, forms: Sequence[Form], asked: Request, shapes: Mapping[str, Shapes] | None = None) -> Plan:
    """UsageError when the frames are none or more than a context holds; ModelError for sizes that make no network.

    `shapes`: those of both sides, as `shapes_of_sides` tells them, by who has them already: half a second a side of 7B.
    """
    frames = pair.data.frames if asked.frames is None else asked.frames
    size = asked.size or default_size(pair)
    new_tokens = pair.evaluation.max_new_tokens
    questions = pair.data.splits[pair.recipe.split].questions_per_clip or 1
    cards = dict(zip(CARDS, map(parse_vram, CARDS), strict=True)) if asked.vram is None else {"card": asked.vram}
    shapes = shapes_of_sides(pair) if shapes is None else shapes
    tightest = min(shapes, key=lambda side: most_frames_in_context(shapes[side], size, new_tokens))
    require_frames(shapes[tightest], tightest, frames, size, new_tokens)

    def form_plan(form: Form, batch: int, questions: int) -> FormPlan:
        one = shapes[form.side]

        def need(count: int) -> Need:
            return needed(
                one,
                form.format,
                frames=count,
                size=size,
                batch=batch,
                new_tokens=new_tokens,
                questions=questions,
            )

        limit = most_frames_in_context(one, size, new_tokens, questions=questions)
        return FormPlan(form, need(frames), _most_on(cards, limit, lambda count: need(count).total))

    student = shapes["student"]

    def training_plan(mode: Mode, checkpointed: bool) -> TrainingPlan:
        def memory(count: int) -> TrainingMemory:
            lesson = Lesson(
                frames=count,
                size=size,
                clips=pair.recipe.micro_clips,
                questions=questions,
                answer_tokens=new_tokens,
                shared=min(one.text.vocabulary for one in shapes.values()),
                teacher_width=0 if pair.recipe.top_k else shapes["teacher"].text.width,
            )
            return training_memory(student, mode, lesson, checkpointed=checkpointed)

        limit = most_frames_in_context(student, size, new_tokens, questions=questions)
        fits = _most_on(cards, limit, lambda count: memory(count).total)
        return TrainingPlan(mode.name, mode.told, checkpointed, memory(frames), fits)

    asked_of = pair.data.splits[pair.evaluation.split]
    own = mode_of(pair.recipe)
    modes = dict.fromkeys([*MODES.values(), own])
    return Plan(
        pair=pair.name,
        frames=frames,
        size=size,
        new_tokens=new_tokens,
        questions=questions,
        micro_clips=pair.recipe.micro_clips,
        batch_clips=pair.evaluation.batch_clips,
        sees=_sees(asked_of.clips, asked_of.questions_per_clip),
        mode=own.name,
        gradient_checkpointing=pair.recipe.gradient_checkpointing,
        cards=cards,
        sides=(
            _side("teacher", pair.teacher.architecture, shapes["teacher"], frames, size, new_tokens),
            _side("student", pair.student.architecture, student, frames, size, new_tokens),
        ),
        forms=tuple(form_plan(form, 1, 1) for form in forms),
        targets=form_plan(
            Form("targets", "teacher", pair.recipe.teacher_format), pair.evaluation.batch_clips, questions
        ),
        training=tuple(training_plan(mode, checkpointed) for mode in modes for checkpointed in (True, False)),
    )


def default_size(pair: Pair) -> tuple[int, int]:
    """(height, width) of a frame where nobody says: `data.max_side` wide at 16:9, or what the dataset draws."""
    if pair.data.dataset == "scenes":
        return SCENES_SIZE
    side = pair.data.max_side
    return UNSHRUNK if side is None else (max(round(side * 9 / 16), 1), side)


def _side(
    side: str, architecture: str, shapes: Shapes, frames: int, size: tuple[int, int], new_tokens: int
) -> SidePlan:
    tokens = clip_tokens(shapes, frames, size, new_tokens)
    parts = parameters_by_part(shapes)
    return SidePlan(
        side=side,
        architecture=architecture,
        native_bytes=shapes.native_bytes,
        parameters=sum(parts.values()),
        parts=parts,
        tied=shapes.tied,
        weights=tuple(weight_bytes(shapes, name) for name in FORMATS),
        quantised={name: quantised_by_part(shapes, name) for name, format in FORMATS.items() if format.bits},
        tokens=tokens,
        context=shapes.text.context,
        most_frames=most_frames_in_context(shapes, size, new_tokens),
        kv_bytes_per_token=kv_bytes_per_token(shapes),
        flops=flops(shapes, frames, size, tokens),
        decode_bytes={name: decode_bytes(shapes, name, tokens.context) for name in FORMATS},
    )


def _most_on(cards: dict[str, int], limit: int, total: Callable[[int], int]) -> dict[str, int]:
    def on(size: int) -> int:
        return most(lambda count: total(count) <= size, limit)

    return {name: on(size) for name, size in cards.items()}
