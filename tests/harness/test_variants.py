"""Variants: one entry with one loading function; the example of docs/adding-a-variant.md runs here."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import UsageError
from harness.pair import load_pair
from harness.variants import VARIANTS, Variant, chosen

ROOT = Path(__file__).resolve().parents[2]


def test_the_pairs_own_variants_are_chosen_by_default() -> None:
    pair = load_pair("tiny")
    assert [variant.name for variant in chosen(None, pair)] == list(pair.variants)


def test_a_list_selects_and_a_name_given_twice_counts_once() -> None:
    assert [v.name for v in chosen("int8, baseline,int8", load_pair("tiny"))] == ["int8", "baseline"]


@pytest.mark.parametrize("names", ["int9", "baseline,int9", "", ",", "\x1b[31m"])
def test_an_unknown_variant_is_named_beside_those_that_exist(names: str) -> None:
    with pytest.raises(UsageError, match="there are baseline, int8") as refused:
        chosen(names, load_pair("tiny"))
    assert "\x1b" not in str(refused.value)


def test_controls_are_those_that_only_tell_where_a_gain_comes_from() -> None:
    assert {v.name for v in VARIANTS.values() if v.control} == {"undistilled", "finetuned", "hard-labels"}


def test_every_loading_function_can_be_found_by_its_name() -> None:
    """A fresh process loads the variant again, by that name, to measure its memory."""
    assert {variant.loader for variant in VARIANTS.values()} == {
        f"harness.variants:{name}" for name in ("native", "int8", "nf4")
    }


def test_the_example_in_the_docs_loads_a_variant(monkeypatch: pytest.MonkeyPatch, lineage: Any) -> None:
    text = (ROOT / "docs" / "adding-a-variant.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    monkeypatch.delitem(VARIANTS, "bf16", raising=False)
    import harness.variants as room

    try:
        exec(compile(example[1], "adding-a-variant.md", "exec"), vars(room))
        variant: Variant = VARIANTS["bf16"]
        from models.interface import architecture

        model = variant.load(architecture("egogpt"), lineage.teacher.folder, torch.device("cpu"), {})
        assert model.dtype == torch.bfloat16
        assert variant.loader == "harness.variants:bf16"
    finally:
        VARIANTS.pop("bf16", None)
