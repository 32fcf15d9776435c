"""Floating-point operations of training and of the teacher's phase: what a phase's rate is counted from.

    rows = [row_of(shapes, prepared, answers) for …]
    training_flops(shapes, MODES["lm"], rows, shared=151_646, teacher_width=3584)

Model FLOPs, as MFU counts them (Chowdhery et al. 2022, PaLM, appendix B): what the mathematics needs, whatever is
recomputed, padded or masked. A product's backward is twice its forward where both its input and its weights learn, once
where only one of them does: frozen weights above a trained adapter, or the first weights that learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from torch import nn

from harness.plan.flops import hearing_flops
from harness.plan.shapes import Shapes, within
from harness.plan.training import Mode
from models.interface import Prepared

ANY_SIZE = (112, 112)  # of a frame, where only the tower's own sizes are asked for
FIRST = ("q_proj", "k_proj", "v_proj")  # of the first layer: what reads the embedded tokens themselves


@dataclass(frozen=True)
class RowTokens:
    """A clip's row: tokens of its prefix, of each question, of each answer with its ending token.

    `seen`: what the tower looks at, as (slices, rows of each): a slice attends to itself.
    """

    prefix: int
    questions: tuple[int, ...]
    answers: tuple[int, ...]
    seen: tuple[tuple[int, int], ...] = ()

    @property
    def asked(self) -> tuple[int, ...]:
        """Inputs of each question with its answer, whose last token is no input."""
        return tuple(asked + said - 1 for asked, said in zip(self.questions, self.answers, strict=True))


def row_of(shapes: Shapes, prepared: Prepared, answers: Sequence[Sequence[int]]) -> RowTokens:
    """Of a clip that is ready for the model, with the answers' ids. Its pixels are not looked at."""
    tower = shapes.vision(1, ANY_SIZE)
    if tower.rotary:  # grids are (time, height, width) in patches
        seen = tuple((time, height * width) for time, height, width in prepared.grids)
    else:  # grids begin with the frames of a video, or the patches of a still
        seen = ((sum(grid[0] for grid in prepared.grids), tower.span),)
    return RowTokens(len(prepared.prefix_ids), tuple(map(len, prepared.questions)), tuple(map(len, answers)), seen)


def video_row(
    shapes: Shapes,
    frames: int,
    size: tuple[int, int],
    *,
    prefix: int,
    questions: Sequence[int],
    answers: Sequence[int],
) -> RowTokens:
    """Of a video of so many frames of (height, width), where nothing was prepared."""
    tower = shapes.vision(frames, size)
    return RowTokens(prefix, tuple(questions), tuple(answers), ((tower.slices, tower.span),))


def training_flops(
    shapes: Shapes,
    mode: Mode,
    rows: Iterable[RowTokens],
    *,
    shared: int,
    teacher_width: int = 0,
    cached_vision: bool | None = None,
    backward: bool = True,
) -> int:
    """Forward and backward over these rows, and the loss over `shared` ids at answer tokens.

    `teacher_width`: of the states that its head turns into logits; 0 for gold answers and for a top-k cache.
    `cached_vision`: is what frozen vision gives read from disk (the merger too, unless it learns)? None: as the mode
    says. Without `backward`: of an evaluation.
    """
    cost = _costs(shapes, mode)
    cached = mode.cached_vision if cached_vision is None else cached_vision
    total = 0
    for row in rows:
        pairs, tokens = _packed_pairs(row.prefix, row.asked), row.prefix + sum(row.asked)
        total += cost.token.over(tokens, backward) + cost.pair.over(pairs, backward)
        total += cost.hearing.over(1, backward)
        head = _Work(2 * shapes.text.width * shared, 2 * shapes.text.width * shared * (1 if mode.rank else 2))
        total += head.over(sum(row.answers), backward) + 2 * teacher_width * shared * sum(row.answers)
        patches, inside = _patches(row)
        if not cached:
            total += cost.patch.over(patches, backward) + cost.patch_pair.over(inside, backward)
        if not cached or cost.connected_learns:
            total += cost.connected.over(patches, backward)
    return total


def teacher_flops(shapes: Shapes, rows: Iterable[RowTokens], *, answering: bool = True, forced: bool = True) -> int:
    """Vision and hearing; answering every question (prefill, then token by token); the teacher-forced pass for states.

    A row's prefix runs once for all its questions. The head runs at every answer token, and not in the forced pass.
    """
    cost, width = _costs(shapes, _FROZEN), 2 * shapes.text.width * shapes.text.vocabulary
    total = 0
    for row in rows:
        patches, inside = _patches(row)
        total += cost.hearing.forward + patches * (cost.patch.forward + cost.connected.forward)
        total += inside * cost.patch_pair.forward
        once = cost.token.forward * (row.prefix + sum(row.asked)) + cost.pair.forward * _packed_pairs(
            row.prefix, row.asked
        )
        total += once * (answering + forced) + width * sum(row.answers) * answering
    return total


def features_flops(shapes: Shapes, rows: Iterable[RowTokens], *, connected: bool) -> int:
    """A frozen tower over the clips' frames, once; with its merger or projector where that is frozen too."""
    cost = _costs(shapes, _FROZEN)
    each = cost.patch.forward + (cost.connected.forward if connected else 0)
    return sum(each * patches + cost.patch_pair.forward * inside for patches, inside in map(_patches, rows))


@dataclass(frozen=True)
class _Work:
    """Of one unit: its forward pass, its backward pass."""

    forward: int = 0
    backward: int = 0

    def over(self, count: int, backward: bool) -> int:
        return count * (self.forward + self.backward * backward)


@dataclass(frozen=True)
class _Costs:
    """What a network costs in a mode, by unit."""

    token: _Work  # of the language model, without attention
    pair: _Work  # a token and one that it sees
    patch: _Work  # a row of the tower, without attention
    patch_pair: _Work
    connected: _Work  # merger or projector, a row of the tower
    connected_learns: bool
    hearing: _Work  # a clip


_FROZEN = Mode("frozen", "nothing learns", cached_vision=False, rank=0)


@cache
def _costs(shapes: Shapes, mode: Mode) -> _Costs:
    learns = mode is not _FROZEN
    whole = learns and not mode.rank and not mode.cached_vision  # the tower learns as well
    connected_learns = learns and not mode.rank
    text, tower = shapes.text, shapes.vision(1, ANY_SIZE)
    vision, merger = shapes.parts["vision"], shapes.parts["vision"] + ".merger"
    patch = [one for one in _products(shapes, vision) if not within(one[0], merger)]
    connected = [(name, module, tower.merge) for name, module in _products(shapes, merger)]
    if "projector" in shapes.parts:
        connected = [(name, module, 1) for name, module in _products(shapes, shapes.parts["projector"])]
    first = connected[0][0] if mode.cached_vision and "projector" in shapes.parts else ""  # its input is frozen
    attention, inside = 4 * text.layers * text.query_width, 4 * tower.layers * tower.width
    heard = hearing_flops(shapes)
    return _Costs(
        token=_language(shapes, mode) if learns else _Work(sum(2 * _numbers(m) for _, m in _language_products(shapes))),
        pair=_Work(attention, 2 * attention),
        patch=_sum(_work(_numbers(m), whole, whole and isinstance(m, nn.Linear)) for _, m in patch),
        patch_pair=_Work(inside, 2 * inside * whole),
        # a merged row stands for `merge` rows of the tower
        connected=_sum(
            _work(_numbers(m) // n, connected_learns, connected_learns and c != first) for c, m, n in connected
        ),
        connected_learns=connected_learns,
        hearing=_Work(heard, 2 * heard * whole),
    )


def _language(shapes: Shapes, mode: Mode) -> _Work:
    """A token through the layers. With adapters: frozen products pass gradients on, but for the first layer's, whose
    input nothing below learns from.
    """
    if not mode.rank:
        return _sum(_work(_numbers(module), True, True) for _, module in _language_products(shapes))
    parts = []
    for name, module in _language_products(shapes):
        passes_on = not (".layers.0." in name and name.endswith(FIRST))
        parts.append(_work(_numbers(module), False, passes_on))
        outputs = module.weight.shape[0]
        parts.append(_work(mode.rank * (_numbers(module) // outputs), True, passes_on))
        parts.append(_work(mode.rank * outputs, True, True))
    return _sum(parts)


def _work(weights: int, learns: bool, passes_on: bool) -> _Work:
    """A product of a row with so many weights: do they learn, does a gradient go on to the input?"""
    return _Work(2 * weights, 2 * weights * (learns + passes_on))


def _sum(parts: Iterable[_Work]) -> _Work:
    found = list(parts)
    return _Work(sum(one.forward for one in found), sum(one.backward for one in found))


def _packed_pairs(prefix: int, asked: Sequence[int]) -> int:
    """Who sees whom: the prefix itself, causally; each question the prefix and itself, causally."""
    return _causal(prefix) + sum(length * prefix + _causal(length) for length in asked)


def _causal(length: int) -> int:
    return length * (length + 1) // 2


def _patches(row: RowTokens) -> tuple[int, int]:
    """Rows of the tower, and pairs of rows that see each other."""
    return sum(n * span for n, span in row.seen), sum(n * span**2 for n, span in row.seen)


def _products(shapes: Shapes, prefix: str) -> list[tuple[str, nn.Linear]]:
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    named = shapes.network.named_modules()
    return [(name, module) for name, module in named if within(name, prefix) and isinstance(module, kinds)]  # type: ignore[misc]


def _language_products(shapes: Shapes) -> list[tuple[str, nn.Linear]]:
    return _products(shapes, shapes.parts["language model"])


def _numbers(module: nn.Linear) -> int:
    return module.weight.numel()
