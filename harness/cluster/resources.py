"""What each job of a chain needs, counted from shapes as `firstsight plan` counts, and capped by the cluster file.

    needs = needs_of(pair, ["baseline", "distilled"])            # bytes and FLOPs; nothing is loaded
    fitted(needs.distil, site, "gpu", "distil")                  # partition, time, cores, memory, GPUs

Memory on a GPU is a bound: what does not fit is a ResourceError here, not hours in. Memory of a node and time are
estimates, doubled and then capped; a job that meets its time limit saves and requeues itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from harness.cluster.site import Partition, Site, time_words
from harness.errors import ResourceError
from harness.pair import ModelSpec, Pair, Recipe
from harness.plan.planning import Form, Plan, Request, default_size, plan
from harness.plan.shapes import Shapes, shapes_of_sides
from harness.plan.tokens import QUESTION_TOKENS, TEXT_TOKENS, clip_tokens
from harness.plan.training import Lesson, mode_of, training_memory
from harness.plan.training_flops import RowTokens, teacher_flops, training_flops, video_row
from harness.qa.datasets import clips_in
from harness.variants import VARIANTS

GB = 10**9
PROCESS = 8 * GB  # of a node's memory: two interpreters with torch and CUDA's own
UTILISATION = 0.15  # of the peak that the data sheet names: cautious, as a job that is cut off costs more
RESERVE = 2.0  # times and memory of a node are asked for twice over
STARTUP = 600  # seconds: image, imports, weights read from a shared disk
HASHED = 5  # seconds a GB, of checkpoints read from a shared disk for their digest
SUITES = 1800  # seconds of processes that time and weigh, beside the answers


@dataclass(frozen=True)
class Need:
    """Of one job: bytes on one GPU, bytes of its node's memory, floating-point operations, seconds beside them."""

    gpu: int
    host: int
    flops: float
    seconds: int = STARTUP

    def over(self, parts: int) -> Need:
        """Of one of so many jobs that share the work."""
        return replace(self, flops=self.flops / parts)


LIGHT = Need(gpu=0, host=0, flops=0)  # files are read, a page is written


@dataclass(frozen=True)
class Needs:
    """Of every stage of a pair's chain. `disk`: bytes that the artifacts of the whole chain take, about."""

    teacher: Need
    targets: Need
    distil: Need
    suites: dict[str, Need]
    disk: int
    check: Need = LIGHT


@dataclass(frozen=True)
class Resources:
    """What a job asks SLURM for. `planned`: the seconds that it would ask for if nothing limited them."""

    partition: str
    seconds: int
    cpus: int
    memory: int
    gpus: int = 0  # of a node
    gpu: str | None = None
    nodes: int = 1
    planned: int = field(default=0, compare=False)

    def requeues(self, warning: int) -> int:
        """How often a job of the planned length saves and requeues itself, `warning` seconds before its limit."""
        return 0 if self.planned <= self.seconds else ceil(self.planned / (self.seconds - warning)) - 1

    def words(self) -> str:
        """For a table."""
        gpus = f", {self.nodes * self.gpus} × {self.gpu or 'GPU'}" if self.gpus else ""
        nodes = f", {self.nodes} nodes" if self.nodes > 1 else ""
        return f"{self.partition}, {time_words(self.seconds)}, {self.cpus} cores, {self.memory // GB} GB{gpus}{nodes}"


def needs_of(pair: Pair, variants: Sequence[str]) -> Needs:
    """UsageError for frames that a context does not hold, ModelError for sizes that make no network."""
    forms = [Form(one.name, one.side, one.format) for one in (VARIANTS[name] for name in variants)]
    shapes = shapes_of_sides(pair)
    planned = plan(pair, forms, Request(), shapes)
    weights = {side.side: side.weights[0].total for side in planned.sides}  # native
    recipe, new = pair.recipe, pair.evaluation.max_new_tokens
    learning = _training(pair, shapes["student"], recipe, teacher_width=shapes["teacher"].text.width)
    asked = _answering(pair, shapes["teacher"], recipe.split, recipe.views)
    taught = _answers(pair, recipe.split) * recipe.views * new
    width = 4 * (recipe.top_k or 0) * 2 or planned.sides[0].native_bytes * shapes["teacher"].text.width
    rounds = recipe.on_policy_epochs  # of which each asks the teacher anew
    return Needs(
        teacher=_made(pair, shapes, weights),
        targets=Need(planned.targets.need.total, weights["teacher"], asked),
        distil=replace(
            learning,
            gpu=max(learning.gpu, planned.targets.need.total if rounds else 0),
            host=learning.host + (weights["teacher"] if rounds else 0),
            flops=learning.flops + rounds * asked,
        ),
        suites={one.form.name: _suites(pair, planned, shapes, weights, one.form) for one in planned.forms},
        disk=4 * (sum(weights.values()) + taught * width + _reference(pair, shapes["teacher"], planned)) // 3
        + learning.host,
        check=replace(LIGHT, seconds=STARTUP + _hashing(pair, weights)),
    )


def fitted(need: Need, site: Site, name: str, job: str, *, gpus: int = 1, nodes: int = 1) -> Resources:
    """What the job asks of a partition. ResourceError where no GPU of it is large enough."""
    partition = site.partition(name)
    if partition.gpus and need.gpu:
        if gpus > partition.gpus:
            raise ResourceError(f"{job}: {gpus} GPUs a node, but a node of {name} has {partition.gpus}")
        held = partition.gpu_memory or 0
        if need.gpu > held:
            raise ResourceError(
                f"{job} needs {need.gpu / GB:.1f} GB on a GPU, and those of {name} hold {held / GB:.1f} GB: take "
                f"another partition, or see what would fit: firstsight plan --vram {held // GB}GB"
            )
        share = gpus / partition.gpus
    else:
        if gpus > 1:
            raise ResourceError(f"{job}: {gpus} GPUs a node, but the cluster file tells of none in {name}")
        gpus, share = 0, 1.0 if need.gpu else min(1.0, 2 / partition.cpus)
    host = need.host if gpus else need.host + need.gpu
    flops = need.flops / (1e12 * partition.tflops * UTILISATION * max(gpus, 1) * nodes)
    # a job that was told to save as soon as it began would be requeued for ever
    planned = max(_rounded(RESERVE * flops + need.seconds), site.least)
    return Resources(
        partition=name,
        seconds=min(planned, partition.time),
        planned=planned,
        cpus=max(1, min(int(share * partition.cpus), 16 * max(gpus, 1))),
        memory=min(ceil((PROCESS + RESERVE * host) / GB) * GB, _share(partition, gpus)),
        gpus=gpus,
        gpu=partition.gpu if gpus else None,
        nodes=nodes,
    )


def _share(partition: Partition, gpus: int) -> int:
    return partition.memory * gpus // partition.gpus if gpus else partition.memory


def _rounded(seconds: float) -> int:
    return ceil(seconds / 300) * 300


def _answers(pair: Pair, split: str) -> int:
    return clips_in(pair.data, split) * (pair.data.splits[split].questions_per_clip or 1)


def _reference(pair: Pair, teacher: Shapes, planned: Plan) -> int:
    """Bytes of the teacher's states along its answers to the test, and of its head."""
    rows = _answers(pair, pair.evaluation.split) * pair.evaluation.rotations * pair.evaluation.max_new_tokens
    return planned.sides[0].native_bytes * teacher.text.width * (rows + teacher.text.vocabulary)


def _row(pair: Pair, shapes: Shapes, split: str) -> RowTokens:
    frames, size = pair.data.frames, default_size(pair)
    new, questions = pair.evaluation.max_new_tokens, pair.data.splits[split].questions_per_clip or 1
    tokens = clip_tokens(shapes, frames, size, new)
    prefix = tokens.visual + tokens.speech + TEXT_TOKENS - QUESTION_TOKENS
    return video_row(
        shapes, frames, size, prefix=prefix, questions=[QUESTION_TOKENS] * questions, answers=[new] * questions
    )


def _answering(pair: Pair, shapes: Shapes, split: str, shown: int = 1) -> float:
    return float(shown * clips_in(pair.data, split) * teacher_flops(shapes, [_row(pair, shapes, split)]))


def _training(pair: Pair, shapes: Shapes, recipe: Recipe, *, teacher_width: int = 0) -> Need:
    mode, row = mode_of(recipe), _row(pair, shapes, recipe.split)
    memory = training_memory(
        shapes,
        mode,
        Lesson(
            frames=pair.data.frames,
            size=default_size(pair),
            clips=recipe.micro_clips,
            questions=len(row.questions),
            answer_tokens=pair.evaluation.max_new_tokens,
            shared=shapes.text.vocabulary,
            teacher_width=teacher_width,
        ),
        checkpointed=recipe.gradient_checkpointing,
    )
    shown = clips_in(pair.data, recipe.split) * recipe.views * (recipe.epochs + recipe.on_policy_epochs)
    if recipe.max_steps:
        shown = min(shown, recipe.max_steps * recipe.batch_clips)
    each = training_flops(shapes, mode, [row], shared=shapes.text.vocabulary, teacher_width=teacher_width)
    # the checkpoint passes through the node's memory on its way to disk
    return Need(gpu=memory.total, host=memory.state, flops=float(1.25 * shown * each))


def _made(pair: Pair, shapes: dict[str, Shapes], weights: dict[str, int]) -> Need:
    """Of the trainings on gold that make a side of the pair, one after another; of given weights: being hashed."""
    sides: dict[str, ModelSpec] = {"teacher": pair.teacher, "student": pair.student}
    found = [_training(pair, shapes[side], one) for side, spec in sides.items() for one in spec.training]
    return Need(
        gpu=max((one.gpu for one in found), default=0),
        host=max([*(one.host for one in found), *weights.values()]),
        flops=sum(one.flops for one in found),
        seconds=STARTUP + _hashing(pair, weights),
    )


def _hashing(pair: Pair, weights: dict[str, int]) -> int:
    """Seconds, where weights are given."""
    given = (side for side, spec in (("teacher", pair.teacher), ("student", pair.student)) if spec.weights)
    return HASHED * ceil(sum(weights[side] for side in given) / GB)


def _suites(pair: Pair, planned: Plan, shapes: dict[str, Shapes], weights: dict[str, int], form: Form) -> Need:
    """The teacher answers first, as the reference; then the variant, which is also timed and weighed."""
    split = pair.evaluation.split
    own = next(one.need.total for one in planned.forms if one.form == form)
    reference = next((one.need.total for one in planned.forms if one.form.name == "baseline"), own)
    questions = sum(_answering(pair, shapes[side], split) for side in ("teacher", form.side))
    return Need(
        gpu=max(own, reference),
        host=max(weights.values()),
        flops=pair.evaluation.rotations * questions,
        seconds=STARTUP + SUITES,
    )
