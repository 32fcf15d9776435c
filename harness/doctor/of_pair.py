"""Would this pair run here: are its weights and clips there, does it fit. Nothing is loaded, made or fetched.

of_pair(pair, Room(free=…, is_card=True), random=False)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.doctor.finding import Finding, Status, guarded
from harness.pair import ModelSpec, Pair

if TYPE_CHECKING:
    from harness.plan.planning import Plan

AREA = "pair"


@dataclass(frozen=True)
class Room:
    """Bytes that are free for models: of a card, or of the machine."""

    free: int
    is_card: bool


def of_pair(pair: Pair, room: Room, *, random: bool) -> Iterator[Finding]:
    """A line each for both sides' weights, the data, memory to answer, memory to train."""
    for side, spec in (("teacher", pair.teacher), ("student", pair.student)):
        yield from guarded(AREA, side, partial(weights, side, spec, random))
    yield from guarded(AREA, "data", lambda: data(pair, random))
    planned: list[Plan] = []

    def answers() -> Finding:
        planned.append(planned_of(pair))
        return fits(planned[0], room)

    yield from guarded(AREA, "memory to answer", answers)
    if planned and not random:
        yield from guarded(AREA, "memory to train", lambda: fits_to_train(planned[0], room))


def weights(side: str, spec: ModelSpec, random: bool) -> Finding:
    """The folder, or the snapshot in the Hugging Face cache, by its files' headers. ModelFault, with where was looked,
    where there is none, or where a file is cut short.
    """
    from models.interface import locate, read_shapes

    if spec.weights is None:
        return Finding(AREA, side, "ok", f"{spec.architecture}, made from nothing: no weights are needed")
    if random:
        return Finding(AREA, side, "ok", f"{spec.architecture}, random weights: no checkpoint is needed")
    folder = locate(spec.weights, fetch=False)
    tensors = len(read_shapes(folder))
    return Finding(AREA, side, "ok", f"{spec.weights}: {tensors} tensors, every file whole, in {folder}")


def data(pair: Pair, random: bool) -> Finding:
    """Every clip of every split is a file that is there. DataError names the first that is not."""
    from harness.options import require_meaning
    from harness.qa.datasets import clips_in, is_read, require_media

    require_meaning(pair, random)
    for split in pair.data.splits if is_read(pair.data) else ():
        require_media(pair.data, split)
    counts = ", ".join(f"{split} {clips_in(pair.data, split)}" for split in pair.data.splits if not random)
    read = pair.data.path or "drawn, nothing to fetch"
    return Finding(AREA, "data", "ok", f"{pair.data.dataset} ({read})" + (f"; clips: {counts}" if counts else ""))


def fits(planned: Plan, room: Room) -> Finding:
    """What each variant needs to answer one clip, as `firstsight plan` counts it, against what is free."""
    needs = {one.form.name: one.need.total - (0 if room.is_card else one.need.context) for one in planned.forms}
    large = [f"{name} {size(need)}" for name, need in needs.items() if need > room.free]
    where = f"{size(room.free)} free on {'the card' if room.is_card else 'this machine'}"
    most = max(needs, key=lambda name: needs[name])
    if not large:
        return Finding(AREA, "memory to answer", "ok", f"all fit: at most {size(needs[most])} ({most}); {where}")
    status: Status = "will not work" if needs.get("baseline", 0) > room.free else "warning"
    remedy = f"a larger card, or fewer --frames; firstsight plan --pair {planned.pair} says what would fit"
    return Finding(AREA, "memory to answer", status, f"too large: {', '.join(large)}; {where}", remedy)


def fits_to_train(planned: Plan, room: Room) -> Finding:
    """What the recipe needs to train the student."""
    asked = (planned.mode, planned.gradient_checkpointing)
    memory = next(one.memory for one in planned.training if (one.mode, one.checkpointed) == asked)
    need = memory.total if room.is_card else memory.state  # of a CPU only this is counted
    words = f"{size(need)} ({planned.mode}), {size(room.free)} free"
    if need <= room.free:
        return Finding(AREA, "memory to train", "ok", words)
    remedy = f"another `parameters` or `optimizer` (docs/distillation.md); firstsight plan --pair {planned.pair}"
    return Finding(AREA, "memory to train", "will not work", words, remedy)


def planned_of(pair: Pair) -> Plan:
    """The pair's own variants and its own frames."""
    from harness.plan.planning import Form, Request, plan
    from harness.variants import VARIANTS

    forms = [VARIANTS[name] for name in pair.variants if name in VARIANTS and not VARIANTS[name].control]
    return plan(pair, [Form(one.name, one.side, one.format) for one in forms], Request())


def disk_of(pair: Pair) -> int:
    """Bytes that the artifacts of a whole run take, about."""
    from harness.cluster.resources import needs_of

    return needs_of(pair, pair.variants).disk


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
