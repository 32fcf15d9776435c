"""The badge: one line of verdict, as wide as its text, whatever the text."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.record import Run
from harness.report.across import gather
from harness.report.formats.badge import endpoint, render
from tests.harness.report.sample import sample_run
from tests.harness.report.several import EVIL, of_commit, of_pair, poisoned

SVG = "{http://www.w3.org/2000/svg}"


def texts(badge: str) -> list[str]:
    return [found.text or "" for found in ET.fromstring(badge).iter(f"{SVG}text")]


def test_it_says_what_ships_how_alike_and_how_much_smaller(sample: Run) -> None:
    badge = render(gather([sample]))
    assert texts(badge) == ["FirstSight", "ship distilled-int8 · agrees ≥ 77.8 % · 4.4× smaller"]
    assert ET.fromstring(badge).findtext(f"{SVG}title") == f"FirstSight: {texts(badge)[1]}"
    assert badge == render(gather([sample]))


def test_its_parts_stand_side_by_side_and_hold_their_text(sample: Run) -> None:
    root = ET.fromstring(render(gather([sample])))
    left, right = list(root.iter(f"{SVG}rect"))[1:]
    assert int(left.get("width", 0)) == int(right.get("x", 0))
    assert int(root.get("width", 0)) == int(left.get("width", 0)) + int(right.get("width", 0))
    for text, box in zip(root.iter(f"{SVG}text"), (left, right), strict=True):
        assert int(text.get("textLength", 0)) + 14 == int(box.get("width", 0))


@pytest.mark.parametrize(
    ("change", "says", "colour"),
    [
        ({"budgets": {"agreement": 0.99, "size_mb": 0.1}}, "ship none", "#a63a00"),
        ({"budgets": {}}, "no verdict", "#5d6066"),
        ({"objective": "agreement", "budgets": {"size_mb": 0.5}}, "ship int8 · agrees ≥ 98.8 %", "#0a6b50"),
    ],
)
def test_it_says_plainly_when_nothing_ships(sample: Run, change: dict[str, object], says: str, colour: str) -> None:
    badge = render(gather([of_pair(sample, **change)]))
    assert texts(badge)[1].startswith(says)
    assert colour in badge


def test_shields_io_draws_the_same(sample: Run) -> None:
    told = json.loads(endpoint(gather([sample])))
    assert told["schemaVersion"] == 1
    assert told["message"] == texts(render(gather([sample])))[1]
    assert told["color"] == "0a6b50"


def test_a_badge_is_of_one_run(sample: Run) -> None:
    with pytest.raises(UsageError, match="2 are given; give one"):
        render(gather([sample, of_commit(sample, "abcdef01", 3)]))


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_names_are_text(evil: str) -> None:
    root = ET.fromstring(render(gather([poisoned(evil)])))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "clipPath", "rect", "g", "text"
    }  # fmt: skip


EMPTY = replace(sample_run(), records=())
WEIGHED = [record for record in sample_run().records if record.suite == "vram"]


@given(st.text(min_size=1, max_size=80).filter(str.strip))
def test_any_name_gives_a_picture_of_bounded_width(name: str) -> None:
    named = tuple(replace(record, variant=f"{name} int8") if record.variant == "int8" else record for record in WEIGHED)
    run = of_pair(replace(EMPTY, records=named), budgets={"size_mb": 0.5}, objective="size")
    assert int(ET.fromstring(render(gather([run]))).get("width", 0)) < 640
