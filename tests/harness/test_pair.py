"""A pair file says everything about a pair, and whatever is wrong with it is said in one line that helps."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.artifact import digest_of
from harness.errors import PairError
from harness.pair import Pair, Section, load_pair

SMALL = """\
name: small
description: A teacher of four layers and a student of two.
teacher:
  architecture: egogpt
  initial:
    seed: 1
    config: {text: {hidden_size: 64, layers: 4}, tie: false, extra: [1, 2.5, null]}
    tokenizer_extra: [<obs>]
    pad_vocab_to: 128
    scale: {vision.position: 4.0}
  training:
    - {name: captions, split: train, learning_rate: 5e-3, types: [caption]}
    - name: answers
      split: train
      optimizer: muon
      epochs: 2
student:
  architecture: qwen2_vl
  weights: hub/student-2b
recipe:
  split: pool
  learning_rate: 1e-5
  patience: 3
finetune_split: few
data:
  dataset: scenes
  splits:
    train: {clips: 100, questions_per_clip: 8}
    pool: {clips: 200, questions_per_clip: 8}
    few: {clips: 10, questions_per_clip: 8}
    val: {clips: 10, questions_per_clip: 8}
    test: {clips: 64, questions_per_clip: 8}
budgets:
  agreement: 0.8
  answer_ms: 50
  itl_ms: 6.5
"""

Load = Callable[[str], Pair]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a text as models/small.yaml, the place a user would have it in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()

    def from_text(text: str) -> Pair:
        (tmp_path / "models" / "small.yaml").write_text(text)
        return load_pair("small", Path("models"))

    return from_text


def changed(before: str, after: str) -> str:
    assert SMALL.count(before) == 1, before
    return SMALL.replace(before, after)


# --- what is in a pair


def test_a_pair_file_becomes_a_pair(load: Load) -> None:
    pair = load(SMALL)
    assert pair.name == "small"
    assert pair.teacher.architecture == "egogpt"
    assert pair.teacher.initial is not None
    assert pair.teacher.initial.config == {
        "text": {"hidden_size": 64, "layers": 4},
        "tie": False,
        "extra": [1, 2.5, None],
    }
    assert pair.teacher.initial.tokenizer_extra == ["<obs>"]
    assert [t.name for t in pair.teacher.training] == ["captions", "answers"]
    assert [t.method for t in pair.teacher.training] == ["finetune", "finetune"]
    assert pair.student.weights == "hub/student-2b"
    assert pair.data.splits["pool"].clips == 200
    assert pair.budgets.answer_ms == 50
    assert pair.budgets.memory_mb is None
    assert load(changed("itl_ms: 6.5", "answer_j: 2.5")).budgets.answer_j == 2.5


def test_the_defaults_are_those_of_a_real_pair(load: Load) -> None:
    pair = load(SMALL)
    recipe = pair.recipe
    assert (recipe.method, recipe.temperature, recipe.alpha, recipe.epochs) == ("distill", 3.0, 0.7, 3)
    assert (recipe.batch_clips, recipe.micro_clips, recipe.optimizer) == (16, 16, "adamw")
    assert (recipe.learning_rate, recipe.muon_learning_rate, recipe.betas) == (1e-5, 0.02, (0.9, 0.95))
    assert (recipe.warmup, recipe.schedule, recipe.final_lr_ratio, recipe.clip_norm) == (
        0.03,
        "cosine",
        0.0,
        1.0,
    )
    assert (recipe.gradient_checkpointing, recipe.precision, recipe.teacher_format) == (
        False,
        "auto",
        "native",
    )
    assert (recipe.max_steps, recipe.evaluate_every, recipe.checkpoint_every, recipe.val_clips) == (None,) * 4
    assert (recipe.weight_decay, recipe.types, recipe.seed, recipe.patience) == (0.0, None, 0, 3)
    assert (pair.evaluation.split, pair.evaluation.batch_clips, pair.evaluation.max_new_tokens) == (
        "test",
        16,
        8,
    )
    latency = pair.latency
    assert (latency.processes, latency.rounds, latency.warmup_rounds, latency.new_tokens) == (9, 12, 5, 8)
    assert latency.precision == 0.01
    assert pair.latency.batch_sizes == (1, 4)
    assert pair.data.frames == 4
    assert pair.budgets.objective == "size"
    assert pair.variants[:4] == ("baseline", "int8", "distilled", "distilled-int8")


def test_a_pair_cannot_be_changed(load: Load) -> None:
    pair = load(SMALL)
    with pytest.raises(ValidationError, match="frozen"):
        pair.recipe.alpha = 0.5  # type: ignore[misc]


def test_a_pair_can_be_the_key_of_an_artifact(load: Load) -> None:
    pair = load(SMALL)
    assert digest_of("student", pair.model_dump()) == digest_of("student", pair.model_dump(mode="json"))


def test_every_key_says_what_it_is() -> None:
    def sections(of: type[Section]) -> list[type[Section]]:
        return [of, *(s for c in of.__subclasses__() for s in sections(c))]

    for section in sections(Section):
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


def test_a_pair_is_found_by_name_or_by_path(load: Load, tmp_path: Path) -> None:
    pair = load(SMALL)
    assert load_pair("models/small.yaml") == pair
    assert load_pair(str(tmp_path / "models" / "small.yaml"), Path("elsewhere")) == pair
    (tmp_path / "small.yml").write_text(SMALL)
    assert load_pair("small.yml") == pair


def test_numbers_as_people_write_them(load: Load) -> None:
    """YAML 1.1 takes 1e-5 for a text; a learning rate must not depend on knowing that."""
    for written in ("1e-5", "1E-05", "1.0e-5", "0.00001", "+1e-5"):
        assert load(changed("learning_rate: 1e-5", f"learning_rate: {written}")).recipe.learning_rate == 1e-5
    assert load(changed("answer_ms: 50", "answer_ms: 5e1")).budgets.answer_ms == 50.0


# --- what is wrong with a pair file

BAD = {
    "misspelt key": (
        changed("  split: pool\n", "  split: pool\n  temprature: 3\n"),
        "recipe.temprature: unknown key; did you mean temperature?",
    ),
    "misspelt key that was needed": (
        changed("  split: pool\n", "  spilt: pool\n"),
        "recipe.spilt: unknown key; did you mean split?",
    ),
    "misspelt section": (
        changed("budgets:", "budget:"),
        "budget: unknown key; did you mean budgets?",
    ),
    "unknown key deep inside": (
        changed("split: train, learning_rate", "splt: train, learning_rate"),
        "teacher.training.0.splt: unknown key; did you mean split?",
    ),
    "unknown key in a named split": (
        changed("val: {clips: 10,", "val: {clip: 10,"),
        "data.splits.val.clip: unknown key; did you mean clips?",
    ),
    "key like no other": (
        changed("  agreement: 0.8\n", "  zzz: 0.8\n"),
        "budgets.zzz: unknown key; known here: accuracy, agreement, answer_j, answer_ms, itl_ms, memory_mb, "
        "objective, size_mb, ttft_ms",
    ),
    "key that is no text": (
        changed("  patience: 3\n", "  3: patience\n"),
        "recipe.3: unknown key; known here: alpha",
    ),
    "missing key": (
        changed("finetune_split: few\n", ""),
        "finetune_split: missing (the split with the few gold answers that the controls learn from)",
    ),
    "missing key deep inside": (
        changed("    - name: answers\n      split: train\n", "    - name: answers\n"),
        "teacher.training.1.split: missing (the split of data.splits that is trained on)",
    ),
    "a split of no size": (
        changed("val: {clips: 10, questions_per_clip: 8}", "val: {questions_per_clip: 8}"),
        "data.splits.val: give exactly one of clips and share; neither is there",
    ),
    "a split of two sizes": (
        changed("val: {clips: 10, questions_per_clip: 8}", "val: {clips: 10, share: 0.1}"),
        "data.splits.val: give exactly one of clips and share; not both",
    ),
    "text for a number": (
        changed("patience: 3", "patience: three"),
        "recipe.patience: should be a valid integer, got 'three'",
    ),
    "quoted number": (
        changed("patience: 3", "patience: '3'"),
        "recipe.patience: should be a valid integer, got '3'",
    ),
    "true for a number": (
        changed("patience: 3", "patience: yes"),
        "recipe.patience: should be a valid integer, got True",
    ),
    "number for a text": (
        changed("dataset: scenes", "dataset: 7"),
        "data.dataset: should be a valid string, got 7",
    ),
    "no for a name": (
        changed("finetune_split: few", "finetune_split: no"),
        "finetune_split: should be a valid string, got False",
    ),
    "number out of range": (
        changed("  patience: 3\n", "  temperature: 0\n"),
        "recipe.temperature: should be greater than 0, got 0",
    ),
    "alpha out of range": (
        changed("  patience: 3\n", "  alpha: 1.5\n"),
        "recipe.alpha: should be less than or equal to 1, got 1.5",
    ),
    "not a number": (
        changed("  patience: 3\n", "  alpha: .nan\n"),
        "recipe.alpha: should be a finite number, got nan",
    ),
    "unknown choice": (
        changed("  patience: 3\n", "  optimizer: adam\n"),
        "recipe.optimizer: should be 'adamw', 'adamw-8bit' or 'muon', got 'adam'",
    ),
    "betas": (
        changed("  patience: 3\n", "  betas: [0.9]\n"),
        "recipe.betas: Tuple should have at least 2 items",
    ),
    "list for a section": (changed("budgets:\n", "budgets: []\nx:\n"), "x: unknown key"),
    "text for a section": (
        SMALL[: SMALL.index("budgets:")] + "budgets: none\n",
        "budgets: must be a mapping of keys to values, got 'none'",
    ),
    "text for a list": (SMALL + "variants: int8\n", "variants: must be a list, got 'int8'"),
    "date in a config": (
        changed("tie: false", "tie: 2024-01-01"),
        "teacher.initial.config.tie: was not a valid JSON value, got datetime.date(2024, 1, 1)",
    ),
    "micro batch": (
        changed("  patience: 3\n", "  micro_clips: 5\n"),
        "recipe.micro_clips: must divide batch_clips (16), got 5",
    ),
    "micro batch too large": (
        changed("  patience: 3\n", "  micro_clips: 32\n"),
        "recipe.micro_clips: must divide batch_clips (16), got 32",
    ),
    "teacher for a fine-tuning": (
        changed("optimizer: muon\n", "optimizer: muon\n      teacher_format: int8\n"),
        "teacher.training.1.teacher_format: only method distill has a teacher; remove the key",
    ),
    "distilling a teacher": (
        changed("optimizer: muon\n", "optimizer: muon\n      method: distill\n"),
        "teacher.training.1.method: a model is made from gold answers (finetune); the pair's recipe distils",
    ),
    "fine-tuning a student": (
        changed("  patience: 3\n", "  method: finetune\n"),
        "recipe.method: the pair's recipe distils; fine-tunings belong under training",
    ),
    "two trainings of one name": (
        changed("- name: answers", "- name: captions"),
        "teacher.training: captions is given twice",
    ),
    "name that is no name": (
        changed("- name: answers", "- name: ../answers"),
        "teacher.training.1.name: should match pattern",
    ),
    "two origins": (
        changed("  weights: hub/student-2b\n", "  weights: hub/student-2b\n  initial: {seed: 0, config: {}}\n"),
        "student: give exactly one of weights and initial; not both",
    ),
    "no origin": (
        changed("  weights: hub/student-2b\n", ""),
        "student: give exactly one of weights and initial; neither is there",
    ),
    "unknown split": (
        changed("  split: pool\n", "  split: pol\n"),
        "recipe.split: no split 'pol' in data.splits; did you mean pool?",
    ),
    "unknown split of a training": (
        changed("      split: train\n", "      split: all\n"),
        "teacher.training.1.split: no split 'all' in data.splits; ",
    ),
    "unknown split of the controls": (
        changed("finetune_split: few", "finetune_split: gold"),
        "finetune_split: no split 'gold' in data.splits; known here: few, pool, test, train, val",
    ),
    "unknown split of the evaluation": (
        SMALL + "evaluation: {split: tests}\n",
        "evaluation.split: no split 'tests' in data.splits; did you mean test?",
    ),
    "training on the test": (
        changed("  split: pool\n", "  split: test\n"),
        "recipe.split: 'test' is trained on here and reported on by evaluation.split",
    ),
    "making the teacher on the test": (
        changed("split: train, learning_rate", "split: test, learning_rate"),
        "teacher.training.0.split: 'test' is trained on here and reported on by evaluation.split",
    ),
    "fine-tuning on the test": (
        changed("finetune_split: few", "finetune_split: test"),
        "finetune_split: 'test' is trained on here and reported on by evaluation.split",
    ),
    "training on val": (
        changed("  split: pool\n", "  split: val\n"),
        "recipe.split: val is where training chooses its best state; name another split",
    ),
    "reporting on val": (
        SMALL + "evaluation: {split: val}\n",
        "evaluation.split: val is where training chooses its best state; name another split",
    ),
    "empty split": (
        changed("val: {clips: 10,", "val: {clips: 0,"),
        "data.splits.val.clips: should be greater than or equal to 1, got 0",
    ),
    "no splits": (
        SMALL[: SMALL.index("  splits:")] + "  splits: {}\n" + SMALL[SMALL.index("budgets:") :],
        "data.splits: Dictionary should have at least 1 item",
    ),
    "budget in percent": (
        changed("agreement: 0.8", "agreement: 97"),
        "budgets.agreement: is a share from 0 to 1, got 97; write 0.97",
    ),
    "no budgets": (
        SMALL[: SMALL.index("budgets:")] + "budgets: {objective: size}\n",
        "budgets: at least one budget is needed: agreement, accuracy, ttft_ms, itl_ms, answer_ms, answer_j, memory_mb",
    ),
    "a token longer than the answer": (
        changed("itl_ms: 6.5", "itl_ms: 60"),
        "budgets.itl_ms: 60 is more than answer_ms, 50, which includes it",
    ),
    "a first token longer than the answer": (
        changed("itl_ms: 6.5", "ttft_ms: 50.1"),
        "budgets.ttft_ms: 50.1 is more than answer_ms, 50, which includes it",
    ),
    "weights larger than the memory": (
        changed("itl_ms: 6.5", "memory_mb: 100\n  size_mb: 200"),
        "budgets.size_mb: 200 is more than memory_mb, 100, which includes it",
    ),
    "negative budget": (
        changed("itl_ms: 6.5", "itl_ms: -1"),
        "budgets.itl_ms: should be greater than 0, got -1",
    ),
    "an answer for nothing": (
        changed("itl_ms: 6.5", "answer_j: 0"),
        "budgets.answer_j: should be greater than 0, got 0",
    ),
    "energy that is no number": (
        changed("itl_ms: 6.5", "answer_j: .nan"),
        "budgets.answer_j: should be a finite number, got nan",
    ),
    "unknown objective": (
        SMALL + "  objective: speed\n",
        "budgets.objective: should be 'size', 'memory', 'ttft', 'itl' or 'agreement', got 'speed'",
    ),
    "one token": (
        SMALL + "latency: {new_tokens: 1}\n",
        "latency.new_tokens: should be greater than or equal to 2, got 1",
    ),
    "a batch size twice": (
        SMALL + "latency: {batch_sizes: [1, 4, 1]}\n",
        "latency.batch_sizes: 1 is given twice",
    ),
    "a variant twice": (SMALL + "variants: [baseline, int8, int8]\n", "variants: int8 is given twice"),
    "no baseline": (
        SMALL + "variants: [int8]\n",
        "variants: baseline is missing, and everything is compared with it",
    ),
    "inheritance": (
        "extends: tiny\n" + SMALL,
        "extends: this file stands alone; copy what it needs into it",
    ),
    "another name": (
        changed("name: small", "name: large"),
        "name: 'large' is not the file's name; write 'small' or rename it",
    ),
    "several problems": (
        changed("  patience: 3\n", "  patience: 0\n  alpha: 2\n  temprature: 3\n").replace(
            "agreement: 0.8", "agreement: -1"
        ),
        "recipe.temprature: unknown key; did you mean temperature? (and 1 more: budgets.agreement)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_with_its_path(load: Load, case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(PairError) as error:
        load(text)
    assert str(error.value).startswith(f"models/small.yaml: {message}")


BAD_YAML = {
    "key given twice": (
        changed("  patience: 3\n", "  patience: 3\n  split: few\n"),
        "models/small.yaml:24: recipe.split: given twice, first on line 21",
    ),
    "key given twice in a list": (
        changed("{name: captions,", "{name: captions, name: x,"),
        "models/small.yaml:12: teacher.training.0.name: given twice, first on line 12",
    ),
    "merging": (
        changed("  patience: 3\n", "  patience: 3\n  <<: {alpha: 0.5}\n"),
        "models/small.yaml:24: recipe.<<: this file stands alone; copy what it needs into it",
    ),
    "alias": (
        changed("{clips: 100,", "&few {clips: 100,").replace("few: {clips: 10, questions_per_clip: 8}", "few: *few"),
        "models/small.yaml:28: data.splits.few: aliases (*name) are not used here; write the value",
    ),
    "a laugh of a billion": ("a: &a [x, x]\nb: &b [*a, *a]\n", "models/small.yaml:1: b.0: aliases (*name)"),
    "a list that holds itself": ("a: &a [*a]\n", "models/small.yaml:1: a.0: aliases (*name)"),
    "syntax": ("name: small\ndata: {a: [1, 2}\n", "models/small.yaml:2: not YAML: expected ',' or ']'"),
    "tab": ("name: small\n\tdata: 1\n", "models/small.yaml:2: not YAML: found character '\\t'"),
    "python object": (
        "a: !!python/object/apply:os.system [ls]\n",
        "models/small.yaml:1: not YAML: could not determine",
    ),
    "two documents": ("a: 1\n---\nb: 2\n", "models/small.yaml:2: not YAML: but found another document"),
    "impossible date": ("a: 2024-13-45\n", "models/small.yaml: not YAML: month must be in 1..12"),
    "control character": ("a: \x00\n", "models/small.yaml: not YAML: "),
    "empty": ("", "models/small.yaml: is empty"),
    "comment only": ("# nothing\n", "models/small.yaml: is empty"),
    "list": (
        "- name: small\n",
        "models/small.yaml: must be a mapping of keys to values, got [{'name': 'small'}]",
    ),
    "text": ("small", "models/small.yaml: must be a mapping of keys to values, got 'small'"),
    "key that is a list": ("? [a, b]\n: 1\n", "models/small.yaml:1: a key must be plain text"),
    "deep": ("[" * 5000, "models/small.yaml: nested too deeply"),
}


@pytest.mark.parametrize("case", BAD_YAML)
def test_what_is_not_yaml_is_said_with_its_line(load: Load, case: str) -> None:
    text, message = BAD_YAML[case]
    with pytest.raises(PairError) as error:
        load(text)
    assert str(error.value).startswith(message)


def test_a_file_that_is_not_text(load: Load, tmp_path: Path) -> None:
    (tmp_path / "models" / "small.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(PairError, match=r"^models/small\.yaml: not UTF-8 text \(byte 6\)$"):
        load_pair("small", Path("models"))


@pytest.mark.parametrize("name", ["smal", "Small", "small2"])
def test_an_unknown_pair_lists_the_known_ones(load: Load, name: str) -> None:
    load(SMALL)
    Path("models/egogpt.yaml").write_text("")
    with pytest.raises(PairError, match=rf"^unknown pair '{name}'; did you mean small\?; known: egogpt, small$"):
        load_pair(name, Path("models"))


@pytest.mark.parametrize("name", ["", ".", "x" * 5000, "a\nb\x1b[31m", "\0"])
def test_a_hostile_name_is_an_unknown_pair(load: Load, name: str) -> None:
    load(SMALL)
    with pytest.raises(PairError) as error:
        load_pair(name, Path("models"))
    assert str(error.value).startswith("unknown pair ")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("path", ["none.yaml", "models/none.yaml", "models/small", "../small", "/", "models/"])
def test_a_path_to_no_file(load: Load, path: str) -> None:
    load(SMALL)
    with pytest.raises(PairError, match=r"(: no such pair file|^unknown pair )"):
        load_pair(path, Path("models"))


def test_no_pairs_at_all(tmp_path: Path) -> None:
    with pytest.raises(PairError, match=r"^unknown pair 'tiny': there are no pair files in "):
        load_pair("tiny", tmp_path)


# --- whatever is in the file

lines = textwrap.dedent(SMALL).splitlines(keepends=True)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(scalars, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=8), t, max_size=3))


def one_line(path: Path) -> str:
    """What a user sees: nothing, or a line that fits a terminal. Any other exception fails the test."""
    try:
        load_pair(str(path))
    except PairError as error:
        return str(error)
    return ""


@given(st.lists(st.sampled_from(lines), max_size=40), st.text(max_size=20), st.integers(0, 40))
def test_any_mix_of_lines_is_a_pair_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, mix: list[str], noise: str, at: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "small.yaml"
    path.write_text("".join([*mix[:at], noise, *mix[at:]]), encoding="utf-8")
    assert one_line(path).isprintable()


@given(st.sampled_from(["recipe", "data", "budgets", "teacher", "latency", "variants", "name"]), trees)
def test_any_value_of_any_section_is_a_pair_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, section: str, tree: object
) -> None:
    path = tmp_path_factory.mktemp("any") / "small.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(SMALL) | {section: tree}))
    assert one_line(path).isprintable()
