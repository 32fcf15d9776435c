"""models/<pair>.yaml → Pair: teacher, student, the recipe between them, data, budgets, what is measured.

    pair = load_pair("tiny")            # models/tiny.yaml
    pair = load_pair("my/pair.yaml")    # any other file

A pair file stands alone: nothing is inherited, nothing is merged. An error is one line with the file and the
dotted path of the key: `models/tiny.yaml: recipe.temprature: unknown key; did you mean temperature?`
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.errors import FirstSightError, PairError, oneline

ALONE = "this file stands alone; copy what it needs into it"
MODELS = Path(__file__).resolve().parent.parent / "models"
VAL_SPLIT = "val"  # where training looks for the best state; so it is neither trained on nor reported on
VARIANTS = ("baseline", "int8", "distilled", "distilled-int8", "undistilled", "finetuned", "hard-labels")

T = TypeVar("T")
Many: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]


class Problem(ValueError):
    """What is wrong at `where`, a path relative to the section whose validator raises it."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(what)
        self.where = where


class Section(BaseModel):
    """A mapping of the pair file. Values are taken as they are: "3" is not a number, and 1 is not true."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        # Unknown before missing: a misspelt key is both, and the first of the two is the one to mend.
        for key in data:
            if key in ("extends", "inherits", "include", "defaults"):
                raise Problem(str(key), ALONE)
            if key not in cls.model_fields:
                raise Problem(str(key), f"unknown key; {suggest(key, cls.model_fields)}")
        for name, field in cls.model_fields.items():
            if field.is_required() and name not in data:
                raise Problem(name, f"missing ({field.description})")
        return data


S = TypeVar("S", bound=Section)


class Recipe(Section):
    """How a student is trained. The defaults are those of a real pair."""

    method: Literal["distill", "finetune"] = Field(
        "distill", description="what is learnt from: the teacher's answers and probabilities, or gold answers"
    )
    split: str = Field(description="the split of data.splits that is trained on")
    answers: Literal["teacher", "gold"] = Field(
        "teacher", description="which answers the student reads and the teacher scores: the teacher's own, or gold"
    )
    views: Count = Field(
        1, description="ways each clip is shown to both: frames between frames, options in another order"
    )
    divergence: Literal["forward-kl", "reverse-kl", "jsd"] = Field(
        "forward-kl", description="how far the student is from the teacher, beside the cross-entropy"
    )
    beta: float = Field(0.5, gt=0, lt=1, description="jsd: the teacher's share of the mixture")
    temperature: Positive = Field(3.0, description="softens both distributions before the divergence")
    alpha: Share = Field(0.7, description="weight of the divergence beside the cross-entropy, 0 to 1")
    top_k: Count | None = Field(
        None, description="keep only the teacher's k likeliest ids a token; null: its whole distribution, exactly"
    )
    on_policy_epochs: int = Field(
        0, ge=0, description="passes that follow on the student's own answers, scored by the teacher"
    )
    parameters: Literal["full", "lm", "lora"] = Field(
        "full", description="what is trained: all; all but the vision tower; low-rank adapters of the language model"
    )
    lora_rank: Count = Field(64, description="lora: rank of the adapters")
    lora_alpha: Positive = Field(128.0, description="lora: the adapters' output is scaled by this over the rank")
    epochs: Count = Field(3, description="passes over the split")
    max_steps: Count | None = Field(None, description="stop after so many optimizer steps; null: epochs decide")
    batch_clips: Count = Field(16, description="clips an optimizer step: the effective batch")
    micro_clips: Count = Field(16, description="clips a forward pass; divides batch_clips")
    optimizer: Literal["adamw", "adamw-8bit", "muon"] = Field(
        "adamw", description="adamw-8bit: moments of 8 bit; muon: for matrices, with adamw for the rest"
    )
    master: Literal["fp32", "stochastic", "kahan"] = Field(
        "fp32", description="what keeps small updates: fp32 weights; bf16 weights rounded by chance, or compensated"
    )
    learning_rate: Positive = Field(1e-5, description="adamw's peak learning rate")
    muon_learning_rate: Positive = Field(0.02, description="muon's peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    betas: Many[Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.95), min_length=2, max_length=2, description="adamw's two moment decays"
    )
    warmup: Share = Field(0.03, description="share of the steps in which the learning rate rises, 0 to 1")
    schedule: Literal["cosine", "wsd"] = Field(
        "cosine", description="how the learning rate falls after the warm-up; wsd: stable, then straight down"
    )
    cooldown: Share = Field(0.25, description="wsd: share of the steps in which the learning rate falls, 0 to 1")
    final_lr_ratio: Share = Field(0.0, description="last learning rate as a share of the peak, 0 to 1")
    clip_norm: Positive = Field(1.0, description="the gradient's norm is clipped to this")
    gradient_checkpointing: bool = Field(False, description="less memory for a second forward pass")
    compile: bool = Field(False, description="torch.compile the language model's layers")
    precision: Literal["auto", "fp32"] = Field("auto", description="auto: bf16 autocast where the device has it")
    evaluate_every: Count | None = Field(None, description="steps between evaluations on val; null: each epoch")
    patience: Count | None = Field(None, description="evaluations without improvement before stopping; null: never")
    checkpoint_every: Count | None = Field(None, description="steps between checkpoints; null: at evaluations")
    val_clips: Count | None = Field(None, description="clips of val an evaluation looks at; null: all")
    seed: Seed = Field(0, description="order of the clips, and dropout if any")
    threads: Count | None = Field(
        None, description="CPU threads of a training on a CPU, which fixes the order of its sums; null: torch's own"
    )
    teacher_format: Literal["native", "bf16", "int8", "nf4"] = Field(
        "native", description="how the teacher is loaded (distill)"
    )
    types: Many[str] | None = Field(
        None, min_length=1, description="types of items learnt from; null: every question, no descriptions"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.batch_clips % self.micro_clips:
            raise Problem("micro_clips", f"must divide batch_clips ({self.batch_clips}), got {self.micro_clips}")
        if self.method == "finetune" and self.teacher_format != "native":
            raise Problem("teacher_format", "only method distill has a teacher; remove the key")
        if self.optimizer == "muon" and (self.master != "fp32" or self.parameters == "lora"):
            raise Problem("optimizer", "muon trains fp32 weights themselves; take adamw for bf16 weights and for lora")
        if self.parameters == "lora" and self.master != "fp32":
            raise Problem("master", "adapters are kept in fp32, which costs little; remove the key")
        if self.on_policy_epochs and (self.method == "finetune" or self.top_k):
            raise Problem("on_policy_epochs", "needs a teacher that scores any token: method distill, without top_k")
        if self.method == "distill" and self.types is not None:
            raise Problem("types", "the teacher is asked every question; types are for fine-tuning")
        return self


class Training(Recipe):
    """A fine-tuning on gold answers that makes a model of the pair from its initial weights."""

    name: Name = Field(description="what this training is called in artifacts and reports")
    method: Literal["distill", "finetune"] = Field("finetune", description="finetune: gold answers")

    @model_validator(mode="after")
    def _from_gold(self) -> Self:
        if self.method != "finetune":
            raise Problem("method", "a model is made from gold answers (finetune); the pair's recipe distils")
        return self


class Initial(Section):
    """Random initial weights, for a pair that is made from nothing."""

    seed: Seed = Field(description="seed of the weights")
    config: dict[str, JsonValue] = Field(description="what the architecture builds its model from")
    tokenizer_extra: list[str] = Field([], description="tokens this model's vocabulary has beyond the shared ones")
    pad_vocab_to: Count = Field(1, description="the embedding's rows are padded to a multiple of this")
    scale: dict[str, float] = Field({}, description="factors on initial weights, by the parameter's name")
    layout: Literal["own", "authors"] = Field(
        "own", description="authors: saved with the keys of the architecture's authors, as their released weights are"
    )


class ModelSpec(Section):
    """A side of the pair: an architecture and where its weights come from."""

    @property
    def sizes(self) -> dict[str, JsonValue]:
        """The config to plan with."""
        return self.initial.config if self.initial is not None else self.config

    architecture: str = Field(description="the module of models/ that speaks for this model", min_length=1)
    weights: str | None = Field(None, description="folder or hub id of finished weights", min_length=1)
    config: dict[str, JsonValue] = Field(
        {}, description="what a checkpoint does not say of itself, and the shapes to plan with"
    )
    initial: Initial | None = Field(None, description="random initial weights")
    training: Many[Training] = Field((), description="fine-tunings on gold, in order, that follow")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.weights is None) == (self.initial is None):
            both = "not both" if self.weights else "neither is there"
            raise Problem("", f"give exactly one of weights and initial; {both}")
        if self.initial is not None and self.config:
            raise Problem("config", "initial has a config of its own; say it there")
        _no_repeats("training", [t.name for t in self.training])
        return self


class SplitSpec(Section):
    """A part of the data; no clip is in two of them."""

    clips: Count | None = Field(None, description="the number of clips")
    share: Share | None = Field(None, description="or: the share of the dataset's recordings, 0 to 1")
    questions_per_clip: Count | None = Field(None, description="the number of questions on each clip; null: all")

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.clips is None) == (self.share is None):
            both = "not both" if self.clips else "neither is there"
            raise Problem("", f"give exactly one of clips and share; {both}")
        return self


class DataSpec(Section):
    """What is asked, about which clips."""

    dataset: str = Field(description="the module of harness/qa/ that provides it", min_length=1)
    seed: Seed = Field(0, description="seed of whatever the dataset draws, and of the order in which clips are dealt")
    path: str | None = Field(None, description="folder of the dataset's files, where it has any", min_length=1)
    part: str | None = Field(None, description="the dataset's own part, where it has several", min_length=1)
    splits: dict[Name, SplitSpec] = Field(description="the parts, by name", min_length=1)
    frames: Count = Field(4, description="frames a clip, at most")
    max_side: Count | None = Field(
        None, description="longest side that video frames are shrunk to, pixels; null: as they are"
    )
    limit: Count | None = Field(None, description="at most so many clips a split; null: all")


class Budgets(Section):
    """What a variant must keep to be shipped; what is left out does not matter."""

    agreement: Share | None = Field(None, description="least agreement with the teacher (interval's lower end), 0 to 1")
    accuracy: Share | None = Field(None, description="least accuracy against gold, 0 to 1")
    ttft_ms: Positive | None = Field(None, description="most time to first token, ms")
    itl_ms: Positive | None = Field(None, description="most inter-token latency, ms")
    answer_ms: Positive | None = Field(None, description="most time for a whole answer, ms")
    answer_j: Positive | None = Field(None, description="most energy of an answer above idle, J")
    memory_mb: Positive | None = Field(None, description="most peak memory, MB")
    size_mb: Positive | None = Field(None, description="most bytes of weights, MB")
    objective: Literal["size", "memory", "ttft", "itl", "agreement"] = Field(
        "size", description="what to prefer among the variants that keep the budgets"
    )

    @field_validator("agreement", "accuracy", mode="before")
    @classmethod
    def _not_percent(cls, value: object) -> object:
        if isinstance(value, int | float) and 1 < value <= 100:
            raise ValueError(f"is a share from 0 to 1, got {value}; write {value / 100:g}")
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        limits = {f: getattr(self, f) for f in Budgets.model_fields if f != "objective"}
        if all(limit is None for limit in limits.values()):
            raise Problem("", f"at least one budget is needed: {', '.join(limits)}")
        # A part can never cost more than the whole, so such a budget is a slip of the pen.
        for part, whole in (("ttft_ms", "answer_ms"), ("itl_ms", "answer_ms"), ("size_mb", "memory_mb")):
            if limits[part] is not None and limits[whole] is not None and limits[part] > limits[whole]:
                raise Problem(part, f"{limits[part]:g} is more than {whole}, {limits[whole]:g}, which includes it")
        return self


class Evaluation(Section):
    """How answers are compared."""

    split: str = Field("test", description="the split of data.splits that is reported on")
    batch_clips: Count = Field(16, description="clips answered at once")
    max_new_tokens: Count = Field(8, description="longest answer, tokens")
    rotations: Count = Field(1, description="orders of its options that a multiple-choice question is asked in")


class Latency(Section):
    """How time is measured."""

    processes: Count = Field(9, description="processes that time every variant, one after another")
    rounds: Count = Field(12, description="measured rounds of each process, at least")
    precision: float = Field(
        0.01,
        gt=0,
        le=1,
        description="of short rounds there are more, until the standard error of the median within the process is "
        "this share of it, for at most 2 s; 1: for 0.25 s",
    )
    warmup_rounds: int = Field(5, ge=0, description="rounds before them, at least; more until they are steady")
    threads: Count | None = Field(None, description="CPU threads of a model; default: as many as torch takes")
    new_tokens: int = Field(8, ge=2, description="tokens decoded each round; inter-token latency needs two")
    batch_sizes: Many[Count] = Field((1, 4), min_length=1, description="clips answered at once, one row each")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        _no_repeats("batch_sizes", self.batch_sizes)
        return self


class Pair(Section):
    """A teacher, a student, the recipe between them, the data, the budgets."""

    name: Name = Field(description="the file's name without .yaml")
    description: str = Field(description="one sentence for the report", min_length=1)
    teacher: ModelSpec = Field(description="the model whose answers are the measure")
    student: ModelSpec = Field(description="the smaller model that learns from it")
    recipe: Recipe = Field(description="how the student is made from the teacher")
    finetune_split: str = Field(description="the split with the few gold answers that the controls learn from")
    data: DataSpec = Field(description="what is asked")
    budgets: Budgets = Field(description="what a variant must keep to be shipped")
    evaluation: Evaluation = Field(default_factory=lambda: Evaluation(), description="how answers are compared")
    latency: Latency = Field(default_factory=lambda: Latency(), description="how time is measured")
    variants: Many[str] = Field(VARIANTS, min_length=1, description="the forms that are measured")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.recipe.method != "distill":
            raise Problem("recipe.method", "the pair's recipe distils; fine-tunings belong under training")
        trained_on = {"recipe.split": self.recipe.split, "finetune_split": self.finetune_split}
        for side, spec in (("teacher", self.teacher), ("student", self.student)):
            trained_on |= {f"{side}.training.{i}.split": t.split for i, t in enumerate(spec.training)}
        for where, split in (trained_on | {"evaluation.split": self.evaluation.split}).items():
            if split not in self.data.splits:
                raise Problem(where, f"no split {split!r} in data.splits; {suggest(split, self.data.splits)}")
            if split == VAL_SPLIT:
                raise Problem(where, f"{VAL_SPLIT} is where training chooses its best state; name another split")
            if split == self.evaluation.split and where in trained_on:
                raise Problem(where, f"{split!r} is trained on here and reported on by evaluation.split")
        if VAL_SPLIT not in self.data.splits:
            raise Problem("data.splits", f"no split {VAL_SPLIT!r}; training chooses its best state by it")
        _no_repeats("variants", self.variants)
        if "baseline" not in self.variants:
            raise Problem("variants", "baseline is missing, and everything is compared with it")
        return self


def load_pair(name_or_path: str, root: Path = MODELS) -> Pair:
    """The pair of that name below `root`, or in that file; a PairError says what is wrong with it."""
    path = _find(name_or_path, root)
    pair = read_section(path, Pair, PairError, example="models/tiny.yaml")
    if pair.name != path.stem:
        shown = _shown(path)
        raise PairError(f"{shown}: name: {pair.name!r} is not the file's name; write {path.stem!r} or rename it")
    return pair


def read_section(path: Path, kind: type[S], wrong: type[FirstSightError], example: str) -> S:
    """A YAML file as one section. What is wrong with it is raised as `wrong`, in one line with the key's path."""
    try:
        return kind.model_validate(_read(path, example))
    except ValidationError as error:
        raise wrong(f"{_shown(path)}: {_first(error)}") from None
    except Problem as problem:
        raise wrong(f"{_shown(path)}:{problem.where} {problem}") from None


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _find(name_or_path: str, root: Path) -> Path:
    given = Path(name_or_path)
    is_path = given.suffix in (".yaml", ".yml") or len(given.parts) > 1
    path = given if is_path else root / f"{name_or_path}.yaml"
    try:
        if path.is_file():
            return path.absolute()
    except (OSError, ValueError):
        pass  # a name no file can have
    if is_path:
        raise PairError(f"{given}: no such pair file")
    names = sorted(p.stem for p in root.glob("*.yaml"))
    if not names:
        raise PairError(f"unknown pair {name_or_path!r}: there are no pair files in {root}")
    raise PairError(f"unknown pair {name_or_path!r}; {suggest(name_or_path, names)}; known: {', '.join(names)}")


class _Loader(yaml.SafeLoader):
    """Plain YAML, except that 1e-5 is a number: YAML 1.1 asks for a dot and would hand over a text."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def _read(path: Path, example: str) -> object:
    """The file's content. A Problem's place is `LINE:` here, and then the dotted path where there is one."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            raise Problem("", f"is empty; {example} shows what belongs in it")
        _check_node(node, "", set())
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or error
        raise Problem(f"{mark.line + 1}:" if mark else "", f"not YAML: {what}") from None
    except UnicodeDecodeError as error:
        raise Problem("", f"not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise Problem("", f"cannot be read ({error.strerror})") from None
    except RecursionError:
        raise Problem("", "nested too deeply") from None
    except ValueError as error:
        if isinstance(error, Problem):
            raise
        raise Problem("", f"not YAML: {error}") from None  # such as the date 2024-13-45


def _check_node(node: yaml.Node, path: str, seen: set[int]) -> None:
    """A key given twice would silently win over the first; an alias (*name) is another way to inherit."""

    def problem(at: yaml.Node, where: str, what: str) -> Problem:
        return Problem(f"{at.start_mark.line + 1}:" + (f" {where}:" if where else ""), what)

    if id(node) in seen:
        raise problem(node, path, "aliases (*name) are not used here; write the value out")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _check_node(item, f"{path}.{i}" if path else str(i), seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise problem(key, path, "a key must be plain text")
            inner = f"{path}.{key.value}" if path else key.value
            if key.tag == "tag:yaml.org,2002:merge":
                raise problem(key, inner, ALONE)
            if key.value in lines:
                raise problem(key, inner, f"given twice, first on line {lines[key.value]}")
            lines[key.value] = key.start_mark.line + 1
            _check_node(key, inner, seen)
            _check_node(value, inner, seen)


def _first(error: ValidationError) -> str:
    """The first problem, with its dotted path, in the words of the house; and where the others are."""
    problems = []
    for e in error.errors(include_url=False):
        at = ".".join(str(part) for part in e["loc"] if part != "[key]")
        cause = e.get("ctx", {}).get("error")
        if isinstance(cause, Problem) and cause.where:
            at = f"{at}.{cause.where}" if at else cause.where
        got = f"got {oneline(repr(e['input']), 60)}"
        match e["type"]:
            case "value_error":
                what = str(cause)
            case "model_type" | "dict_type":
                what = f"must be a mapping of keys to values, {got}"
            case "tuple_type":
                what = f"must be a list, {got}"
            case _:
                what = f"{re.sub('^(input|string) ', '', e['msg'], flags=re.IGNORECASE)}, {got}"
        problems.append((at, what))
    problems.sort(key=lambda p: not p[1].startswith("unknown key"))
    more = f" (and {len(problems) - 1} more: {', '.join(p[0] for p in problems[1:4])})" if problems[1:] else ""
    return ": ".join(part for part in problems[0] if part) + more


def suggest(word: object, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(str(word), names, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(names)}"


def _no_repeats(where: str, values: Sequence[object]) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise Problem(where, f"{value} is given twice")
