"""Parameters are the known totals; bytes are those of models that are really loaded in each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelError
from harness.measure.memory import weight_bytes as measured
from harness.pair import load_pair
from harness.plan.shapes import shapes_of
from harness.plan.weights import largest_quantised, parameters_by_part, quantised_by_part, weight_bytes
from models.interface import FORMATS


def test_the_known_totals_are_exact(real: Any) -> None:
    teacher, student = map(parameters_by_part, real)
    assert sum(teacher.values()) == 8_687_770_656
    assert sum(student.values()) == 2_208_985_600
    assert "other" not in {*teacher, *student}
    assert teacher["head"] == teacher["embedding"] == 152064 * 3584
    assert "head" not in student
    assert [shapes.tied for shapes in real] == [False, True]


def test_the_known_bytes_are_exact(real: Any) -> None:
    assert [weight_bytes(shapes, "native").values for shapes in real] == [17_375_541_312, 4_417_971_200]
    assert [weight_bytes(shapes, "fp32").values for shapes in real] == [34_751_082_624, 8_835_942_400]
    assert [weight_bytes(shapes, "int8").values for shapes in real] == [9_787_840_576, 2_444_551_168]


def test_int8_scales_are_one_a_row(real: Any) -> None:
    student = real[1]
    a_layer = 3840 + 1280 + 5120 + 1280, 1536 + 256 + 256 + 1536 + 8960 + 8960 + 1536
    rows = 32 * a_layer[0] + 5120 + 1536 + 28 * a_layer[1]
    assert weight_bytes(student, "int8").scales == 4 * rows


@pytest.fixture(scope="session")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny.save(path)
    return path


@pytest.mark.parametrize("format_name", FORMATS)
def test_bytes_are_those_of_a_loaded_model(tiny: Any, tiny_shapes: Any, folder: Path, format_name: str) -> None:
    loaded = type(tiny).load(folder, format=format_name)
    assert weight_bytes(tiny_shapes, format_name).total == measured(loaded.model)


@pytest.mark.parametrize("format_name", ["int8", "nf4"])
def test_what_is_quantised_is_what_is_loaded_so(tiny: Any, tiny_shapes: Any, folder: Path, format_name: str) -> None:
    loaded = type(tiny).load(folder, format=format_name).model
    small = sum(parameter.element_size() == 1 for parameter in loaded.parameters())
    found = quantised_by_part(tiny_shapes, format_name)
    assert sum(one.linears for one in found) == small > 0
    assert all(one.part not in FORMATS[format_name].kept for one in found)


def test_parts_add_up_to_the_whole(tiny_shapes: Any) -> None:
    parts = tuple(parameters_by_part(tiny_shapes))
    for format_name in FORMATS:
        whole = weight_bytes(tiny_shapes, format_name)
        each = [weight_bytes(tiny_shapes, format_name, (part,)) for part in parts]
        assert sum(one.total for one in each) == whole.values + whole.scales


def test_the_largest_linear_is_made_whole(real: Any) -> None:
    assert largest_quantised(real[0], "nf4", "language model") == 18944 * 3584
    assert largest_quantised(real[0], "nf4", "vision") == 0
    assert largest_quantised(real[0], "native", "language model") == 0


def test_an_unknown_format_is_named(tiny_shapes: Any) -> None:
    with pytest.raises(ModelError, match="unknown format 'int3'; there are native"):
        weight_bytes(tiny_shapes, "int3")


def test_sizes_that_make_no_network_are_one_line() -> None:
    pair = load_pair("egogpt-qwen2vl")
    sizes = {name: value for name, value in pair.teacher.config.items() if name != "text_config"}
    with pytest.raises(ModelError, match="no network has these sizes: KeyError: 'text_config'"):
        shapes_of(pair.teacher.model_copy(update={"config": sizes}))
    with pytest.raises(ModelError, match="no config in the pair file to plan with"):
        shapes_of(pair.teacher.model_copy(update={"config": {}}))
    with pytest.raises(ModelError, match=r"there is no models/gpt\.py"):
        shapes_of(pair.teacher.model_copy(update={"architecture": "gpt"}))
    with pytest.raises(ModelError, match="plan needs the data"):
        shapes_of(load_pair("tiny").teacher)
