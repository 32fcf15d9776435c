"""The plan as plain text: aligned tables, each with a sentence on where its numbers come from.

print(text.render(plan(pair, forms, request)))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from tabulate import tabulate

from harness.plan.planning import FormPlan, Plan, TrainingPlan
from harness.plan.tokens import TEXT_TOKENS
from harness.plan.training import CHUNK_BYTES
from models.interface import FORMATS

GB = 1e9


@dataclass(frozen=True)
class _Unit:
    """What a pair's numbers are told in: thousands of millions for a real one, millions for a toy."""

    letter: str
    size: float

    def told(self, value: float, digits: int) -> str:
        return f"{value / self.size:,.{digits}f}"


def _unit(plan: Plan) -> _Unit:
    return _Unit("G", 1e9) if plan.sides[0].weights[0].total >= GB / 10 else _Unit("M", 1e6)


def render(plan: Plan) -> str:
    """All sections, without a line break at the end."""
    height, width = plan.size
    head = (
        f"{plan.pair}: {_count(plan.frames, 'frame')} of {height}x{width} (height x width), one question, "
        f"{plan.new_tokens} answer tokens. Nothing was loaded.\n"
        f"GB is 10^9 bytes. Assumed until measured: {TEXT_TOKENS} tokens of text, "
        f"{plan.forms[0].need.context / GB:.1f} GB for the CUDA context."
    )
    sections = (_parameters, _bytes, _quantised, _tokens, _flops, _answering, _training)
    return "\n\n".join([head, *(section(plan) for section in sections), f"Judging: {plan.sees}"])


def _parameters(plan: Plan) -> str:
    parts = dict.fromkeys(part for side in plan.sides for part in side.parts)
    rows = [[part, *(_number(side.parts.get(part)) for side in plan.sides)] for part in parts]
    if any(side.tied for side in plan.sides):
        rows.append(["head", *("the embedding" if side.tied else _number(side.parts["head"]) for side in plan.sides)])
        rows = [row for row in rows if row[0] != "head"] + [rows[-1]]
    rows.append(["all", *(f"{side.parameters:,}" for side in plan.sides)])
    told = "Parameters: the network built at the pair file's sizes on the meta device; a tied tensor counts once."
    return _section(told, ["", *_sides(plan)], rows)


def _bytes(plan: Plan) -> str:
    unit = _unit(plan)
    rows = []
    for at, name in enumerate(FORMATS):
        row = [name]
        for side in plan.sides:
            one = side.weights[at]
            row += [f"{one.values:,}", f"{one.scales:,}", f"{unit.told(one.total, 3)} {unit.letter}B"]
        rows.append(row)
    native = {2: "bf16", 4: "fp32"}
    saved = ", ".join(f"{side.side} {native[side.native_bytes]}" for side in plan.sides)
    told = (
        f"Bytes of weights: native as saved ({saved}); int8: 1 a weight, 4 a row; "
        "nf4: 1/2 a weight, 4 a block of 64; what is not quantised stays native. loaded: values, scales and buffers."
    )
    header = ["", *(word for side in plan.sides for word in (side.side, "scales", "loaded"))]
    return _section(told, header, rows)


def _quantised(plan: Plan) -> str:
    lines = ["Quantised on purpose (models/formats.py):"]
    for name, format in FORMATS.items():
        if not format.bits:
            continue
        lines += _wrapped(f"  {name}: {format.why}.", "    ")
        if name == "int8":
            lines.append(f"    llm_int8_threshold {format.described()['llm_int8_threshold']:g}")
        for side in plan.sides:
            found = ", ".join(f"{one.part} {one.linears} ({one.weights / 1e6:,.1f} M)" for one in side.quantised[name])
            lines += _wrapped(f"    {side.side}: Linears of {found}.", "      ")
    return "\n".join(lines)


def _tokens(plan: Plan) -> str:
    def row(label: str, values: Iterable[str]) -> list[str]:
        return [label, *values]

    sides = plan.sides
    rows = [
        row("visual tokens a frame", (f"{side.tokens.visual / plan.frames:,.1f}" for side in sides)),
        row("visual tokens a clip", (f"{side.tokens.visual:,}" for side in sides)),
        row("speech tokens a clip", (f"{side.tokens.speech:,}" for side in sides)),
        row("prompt and answer", (f"{side.tokens.context:,}" for side in sides)),
        row("the context holds", (f"{side.context:,}" for side in sides)),
        row("which is, in frames", (f"{side.most_frames:,}" for side in sides)),
        row("KV cache a token", (f"{side.kv_bytes_per_token:,} B" for side in sides)),
        row("KV cache a clip", (f"{side.tokens.context * side.kv_bytes_per_token / 1e6:,.1f} MB" for side in sides)),
    ]
    told = (
        "Tokens: as the architecture packs a video. KV cache a token: 2 x layers x KV heads x head width x the bytes "
        "of one number."
    )
    return _section(told, ["", *_sides(plan)], rows)


def _flops(plan: Plan) -> str:
    sides, unit = plan.sides, _unit(plan)

    def row(label: str, values: Iterable[int]) -> list[str]:
        return [label, *(unit.told(value, 1) for value in values)]

    rows = [
        row("vision, a frame", (side.flops.vision // plan.frames for side in sides)),
        row("vision, a clip", (side.flops.vision for side in sides)),
        row("hearing, a clip", (side.flops.hearing for side in sides)),
        row("prefill", (side.flops.prefill for side in sides)),
        row("one decode step", (side.flops.decode for side in sides)),
    ]
    reads = [
        [f"decode reads, {name}", *(f"{unit.told(side.decode_bytes[name], 3)} {unit.letter}B" for side in sides)]
        for name in ("native", "int8", "nf4")
    ]
    told = (
        f"{unit.letter}FLOP: matrix products, 2mnk each; attention in a prefill over the causal half. A decode step "
        "must read layers, head and KV cache: at batch 1 that, not its FLOPs, is what it takes time for."
    )
    return _section(told, ["", *_sides(plan)], rows + reads)


def _answering(plan: Plan) -> str:
    rows = [_form_row(plan, one, one.form.name) for one in plan.forms]
    label = f"teacher's targets, batch {plan.batch_clips}"
    if plan.questions > 1:
        label += f" x {plan.questions} questions"
    rows.append(_form_row(plan, plan.targets, label))
    told = (
        f"Answering one clip, {_unit(plan).letter}B: weights, KV cache, the largest activations (of vision with all "
        f"frames at once, or of prefill), CUDA context. {_most_told(plan)}"
    )
    return _section(told, ["", "from", "weights", "KV", "activ.", "all", *_card_heads(plan)], rows)


def _form_row(plan: Plan, one: FormPlan, label: str) -> list[str]:
    need, form = one.need, one.form
    parts = [_unit(plan).told(part, 2) for part in (need.weights, need.kv_cache, need.activations, need.total)]
    return [label, f"{form.side} {form.format}", *parts, *_fits(plan, one.most_frames, need.total)]


def _training(plan: Plan) -> str:
    rows = [_way_row(plan, one) for one in plan.training]
    micro, questions = _count(plan.micro_clips, "clip"), _count(plan.questions, "question")
    does = "with" if plan.gradient_checkpointing else "without"
    told = (
        f"Training the student, {_unit(plan).letter}B: {micro} a forward pass, {questions} each, bf16 autocast; the "
        f"pair's recipe: {plan.mode} {does} +ckpt. copies: the bf16 weights that autocast makes; activ.: what layers "
        "keep for their backward (+ckpt: the input of each, one in full); loss: a chunk of logits at answer positions, "
        f"at most {CHUNK_BYTES / GB:.2f} GB, passes over it, the head's gradient in fp32; teacher: its head; all: and "
        f"{plan.forms[0].need.context / GB:.1f} GB of CUDA context."
    )
    modes = [f"  {one.mode}: {one.told}" for one in plan.training if one.checkpointed]
    header = ["", "weights", "grads", "optim.", "copies", "activ.", "loss", "teacher", "all", *_card_heads(plan)]
    return _section(told, header, rows, modes)


def _way_row(plan: Plan, one: TrainingPlan) -> list[str]:
    m = one.memory
    parts = (m.weights, m.gradients, m.optimizer, m.copies, m.activations, m.logits, m.teacher, m.total)
    label = f"{one.mode} +ckpt" if one.checkpointed else one.mode
    return [label, *(_unit(plan).told(part, 2) for part in parts), *_fits(plan, one.most_frames, m.total)]


def _card_heads(plan: Plan) -> list[str]:
    if list(plan.cards) == ["card"]:
        return [f"on {plan.cards['card'] / GB:g} GB", "up to"]
    return list(plan.cards)


def _fits(plan: Plan, most_frames: dict[str, int], total: int) -> list[str]:
    if list(plan.cards) == ["card"]:
        most = most_frames["card"]
        return ["fits" if total <= plan.cards["card"] and plan.frames <= most else "too large", _frames(most)]
    return [str(count) if count else "-" for count in most_frames.values()]


def _frames(most: int) -> str:
    return _count(most, "frame") if most else "not one frame"


def _most_told(plan: Plan) -> str:
    if list(plan.cards) == ["card"]:
        return "Up to: the most frames that card and context hold."
    return "Under each card: the most frames that it and the context hold."


def _sides(plan: Plan) -> list[str]:
    return [f"{side.side} ({side.architecture})" for side in plan.sides]


def _section(told: str, header: Sequence[str], rows: Sequence[Sequence[str]], more: Sequence[str] = ()) -> str:
    aligned = ("left", *["right"] * (len(header) - 1))
    table = tabulate(rows, header, tablefmt="plain", disable_numparse=True, colalign=aligned)
    return "\n".join([*_wrapped(told, ""), *more, table])


def _wrapped(text: str, indent: str) -> list[str]:
    first = text[: len(text) - len(text.lstrip())]
    return wrap(text.strip(), 118, initial_indent=first, subsequent_indent=indent)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
