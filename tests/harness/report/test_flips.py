"""Flips: the most telling ones with their frames, filters by place, all of them in a file beside the page."""

import base64
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ResourceError
from harness.record import Record, Run, load_run
from harness.report import page
from harness.report.disagreements import as_json, disagreements
from harness.report.flips import FRAMES_BYTES, MOST, Flips, evenly, flips
from harness.report.verdict import decide
from harness.report.view import variants
from tests.harness.report.sample import as_json as saved
from tests.harness.report.sample import sample_run

ROOT = Path(__file__).resolve().parents[3]
KEYS = ("right_to_wrong", "wrong_to_right", "wrong_to_wrong", "right_to_right")
STYLE = ROOT / "harness" / "report" / "templates" / "css" / "4-flips.css"


def changed(run: Run, change: Callable[[Record, dict[str, Any]], object]) -> Run:
    """The run with the details of its agreement records changed in place."""
    records = []
    for record in run.records:
        details: Any = json.loads(json.dumps(dict(record.details)))
        if record.suite == "agreement":
            change(record, details)
        records.append(replace(record, details=details))
    return replace(run, records=tuple(records))


def shown(run: Run, ship: str | None = "distilled-int8") -> Flips:
    return flips(variants(run), ship)


def noise(size: int, seed: int) -> str:
    """A picture that no compression makes small: so many bytes behind a JPEG's name."""
    return "data:image/jpeg;base64," + base64.b64encode(random.Random(seed).randbytes(size)).decode()


def heavy(run: Run, size: int, frames: int = 4) -> Run:
    def change(record: Record, details: dict[str, Any]) -> None:
        for at, flip in enumerate(details["flips"]):
            flip["frames"] = [noise(size, 10 * at + frame) for frame in range(frames)]

    return changed(run, change)


# --- which are shown


def test_fifty_are_shown_each_of_a_clip_of_its_own(sample: Run, html: str) -> None:
    found = shown(sample)
    assert len(found.cards) == MOST
    assert html.count('class="question"') == MOST
    assert f"{MOST} of {found.total} questions" in html
    assert found.total == len({one.id for one in disagreements(variants(sample)) if not one.control})


def test_the_shipped_variants_come_first_and_every_outcome_has_its_place(sample: Run) -> None:
    cards = shown(sample).cards
    of_shipped = ["distilled-int8" in {name for name, *_ in card.answers} for card in cards]
    assert of_shipped == sorted(of_shipped, reverse=True)
    assert sum(of_shipped) >= MOST / 2
    outcomes = Counter(became for card in cards for *_, became in card.answers)
    assert outcomes["right → wrong"] > outcomes["wrong → right"] > 0
    assert outcomes["wrong → wrong"] > 0
    assert len({card.type for card in cards}) == 9


def test_a_card_tells_every_variant_that_differs_and_how_sure_each_was(sample: Run) -> None:
    wrong = {(one.id, one.variant) for one in disagreements(variants(sample)) if not one.control}
    for card in shown(sample).cards:
        assert {(card.id, name) for name, *_ in card.answers} == {pair for pair in wrong if pair[0] == card.id}
        assert card.teacher_sure.endswith(" %")
        assert any(sure for _, _, sure, _ in card.answers)
        assert card.gold
        assert card.frames


def test_totals_are_of_all_questions_and_add_up(sample: Run) -> None:
    totals = dict(shown(sample).totals)
    assert set(totals) == {"baseline", "int8", "distilled", "distilled-int8"}
    assert totals["baseline"] == ("600", "0", "0", "0", "0", "0")
    for _, differ, *outcomes in totals.values():
        assert int(differ) == sum(map(int, outcomes))


# --- filters


def test_a_filter_says_how_many_it_leaves(sample: Run) -> None:
    found = shown(sample)
    legends = dict(found.filters)
    assert list(legends) == ["What became of the teacher’s answer", "Which variant differs", "Type of question"]
    for filters in legends.values():
        assert (filters[0].label, filters[0].count) == ("all", MOST)
        for one in filters[1:]:
            assert one.count == sum(one.id in card.filters.split() for card in found.cards) > 0


def test_every_filter_has_its_rule(sample: Run) -> None:
    style = STYLE.read_text()
    found = shown(sample)
    for _, filters in found.filters:
        for one in filters[1:]:
            assert f"#flips:has(#by-{one.id}:checked) .flips > :not(.{one.id})" in style
    for name in {name for card in found.cards for name in card.filters.split()}:
        if both := re.fullmatch(r"(fv\d)(fo\d)", name):
            rule = f"#flips:has(#by-{both[1]}:checked):has(#by-{both[2]}:checked) .flips > :not(.{name})"
            assert rule in style


def test_names_of_types_and_variants_are_never_names_in_the_page(sample: Run) -> None:
    evil = 'x" class="y"></li><script>'

    def change(record: Record, details: dict[str, Any]) -> None:
        for row in (*details["items"], *details["flips"]):
            row["type"] = evil + row["type"]

    run = changed(sample, change)
    run = replace(run, records=tuple(replace(r, variant=evil + r.variant) for r in run.records))
    html = page.render(run)
    assert "<script" not in html
    for classes in re.findall(r'<li class="([^"]*)">\n<div class="frames">', html):
        assert re.fullmatch(r"f[tvo]\d+( f[tvo]\d+(fo\d)?)*", classes)
    for name in re.findall(r"<input[^>]*>", html):
        assert re.fullmatch(r'<input type="radio" name="f[tvo]" id="by-f[tvo]\d*"( checked)?>', name)


def test_more_types_than_filters_share_the_last_one(sample: Run) -> None:
    def change(record: Record, details: dict[str, Any]) -> None:
        for at, row in enumerate(details["flips"]):
            row["type"] = f"type {at:02d}"

    found = dict(shown(changed(sample, change)).filters)["Type of question"]
    assert found[-1].id == "ft23"
    assert "rarer types" in found[-1].label
    assert sum(one.count for one in found[1:]) == MOST


# --- frames within the page's size


@pytest.mark.parametrize(("size", "each"), [(2_000, 4), (7_000, 2), (12_000, 1)])
def test_large_frames_are_fewer_and_the_page_stays_below_2_mb(sample: Run, size: int, each: int) -> None:
    run = heavy(sample, size)
    found = shown(run)
    assert len(found.cards) == MOST
    assert {len(card.frames) for card in found.cards} == {each}
    html = page.render(run)
    assert len(html.encode()) < 2_000_000
    told = "shown, evenly spread, so that the page stays below 2 MB"
    assert (told in html) == (each < 4)


def test_frames_that_are_too_large_even_one_each_are_left_out_and_said_so(sample: Run) -> None:
    run = heavy(sample, 40_000)
    found = shown(run)
    bare = [card for card in found.cards if not card.frames]
    assert 0 < len(bare) < MOST
    assert sum(len(frame) for card in found.cards for frame in card.frames) <= FRAMES_BYTES
    assert page.render(run).count("Its frames are too large for this page.") == len(bare)


def test_long_texts_are_cut_on_the_page_and_whole_in_the_file(sample: Run) -> None:
    def change(record: Record, details: dict[str, Any]) -> None:
        for row in (*details["items"], *details["flips"]):
            row["question"] = row["question"] + "?" * 50_000

    run = changed(sample, change)
    assert len(page.render(run).encode()) < 2_000_000
    assert "?" * 50_000 in as_json(run, variants(run))


def test_evenly_takes_the_ends_and_what_lies_between() -> None:
    frames = tuple("abcdefgh")
    assert evenly(frames, 8) == frames
    assert evenly(frames, 4) == ("a", "c", "f", "h")
    assert evenly(frames, 2) == ("a", "h")
    assert evenly(frames, 1) == ("d",)


# --- the file beside the page


def test_the_file_holds_every_disagreement_of_every_variant_without_frames(sample: Run) -> None:
    told = json.loads(as_json(sample, variants(sample)))
    expected = {
        (record.variant, item["id"], item["answer"])
        for record in sample.records
        if record.suite == "agreement"
        for item in record.details["items"]  # type: ignore[union-attr]
        if not item["agrees"]  # type: ignore[index,call-overload]
    }
    assert {(row["variant"], row["id"], row["answer"]) for row in told["flips"]} == expected
    assert len(told["flips"]) == len(expected)
    assert "data:image" not in json.dumps(told)
    first = told["flips"][0]
    assert first["outcome"] in KEYS
    assert {"clip", "type", "question", "teacher", "gold", "teacher_right", "answer_right", "teacher_p"} <= set(first)
    for name, counted in told["variants"].items():
        assert counted["flips"] == sum(row["variant"] == name for row in told["flips"])
        assert counted["flips"] == sum(counted[key] for key in KEYS)


def test_the_same_records_give_the_same_file(sample: Run, tmp_path: Path) -> None:
    once = as_json(sample, variants(sample))
    assert as_json(sample_run(), variants(sample_run())) == once
    stored = tmp_path / "0001_x.json"
    stored.write_text(json.dumps(saved(sample)))
    page.write(load_run(stored), tmp_path / "report.html")
    assert (tmp_path / "flips.json").read_text() == once
    assert 'href="./flips.json"' in (tmp_path / "report.html").read_text()


def test_questions_told_once_with_the_baseline_are_told_of_every_variant(sample: Run) -> None:
    """As records are: what was asked, gold and the teacher's answer stand with the baseline alone."""

    def change(record: Record, details: dict[str, Any]) -> None:
        if record.variant != "baseline":
            for row in details["items"]:
                for name in ("question", "gold", "teacher"):
                    row.pop(name, None)

    bare = changed(sample, change)
    assert as_json(bare, variants(bare)) == as_json(sample, variants(sample))


def test_how_sure_each_was_is_of_every_question_where_items_tell_it(sample: Run) -> None:
    """The baseline's item by item is the teacher's; without it only the kept ones have a probability."""

    def change(record: Record, details: dict[str, Any]) -> None:
        for row in details["items"]:
            row["sure"] = 0.75 if record.variant == "baseline" else 0.5

    told = json.loads(as_json(changed(sample, change), variants(changed(sample, change))))
    assert {(row["teacher_p"], row["answer_p"]) for row in told["flips"]} == {(0.75, 0.5)}
    old = changed(sample, lambda _, details: [row.pop("sure") for row in details["items"]])
    before = json.loads(as_json(old, variants(old)))
    assert {row["answer_p"] is None for row in before["flips"]} == {True, False}


def test_a_page_of_another_name_has_a_file_of_its_own(sample: Run, tmp_path: Path) -> None:
    page.write(sample, tmp_path / "a b#1.html")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a b#1.html", "flips-a b#1.json"]
    assert 'href="./flips-a%20b%231.json"' in (tmp_path / "a b#1.html").read_text()


@pytest.mark.parametrize("taken", ["flips.json", "report.html"])
def test_where_one_of_the_two_cannot_be_written_neither_is(sample: Run, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).mkdir()
    with pytest.raises(ResourceError, match="cannot be written: Is a directory"):
        page.write(sample, tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == [taken]


def test_half_a_character_in_an_answer_is_written_as_json_has_it(sample: Run, tmp_path: Path) -> None:
    def change(record: Record, details: dict[str, Any]) -> None:
        for row in details["items"]:
            row["answer"] += "\ud800"

    page.write(changed(sample, change), tmp_path / "report.html")
    told = json.loads((tmp_path / "flips.json").read_text())
    assert told["flips"][0]["answer"].endswith("\ud800")


# --- records of before, and of nothing


def test_records_of_before_say_less_of_every_question(sample: Run) -> None:
    """Eight frames, no word on which answer was right, no texts of the answers that were not kept."""

    def change(record: Record, details: dict[str, Any]) -> None:
        known = ("id", "clip", "type", "agrees", "correct")
        details["items"] = [{name: row[name] for name in known} for row in details["items"]]
        details["flips"] = details["flips"][:24]
        for flip in details["flips"]:
            flip["frames"] *= 2

    run = changed(sample, change)
    found = shown(run)
    assert found.cards
    assert {len(card.frames) for card in found.cards} == {8}
    assert all(became for card in found.cards for *_, became in card.answers)
    told = json.loads(as_json(run, variants(run)))
    unkept = [row for row in told["flips"] if row["answer_p"] is None]
    assert unkept
    assert all(row["answer"] is None for row in unkept)


def test_the_published_record_of_before_has_its_flips() -> None:
    """Three seeds, at most 24 kept a variant: all its disagreements are told, and those that were kept are shown."""
    run = load_run(ROOT / "results" / "published" / "cpu" / "tiny")
    found = shown(run, decide(run).ship)
    assert 0 < len(found.cards) == found.kept < found.total
    assert f"The record holds {found.kept} of them with frames" in page.render(run)
    assert all(card.frames and card.gold and card.answers for card in found.cards)
    told = json.loads(as_json(run, variants(run)))
    assert {row["seed"] for row in told["flips"]} == {0, 1, 2}
    assert all(row["question"] and row["outcome"] for row in told["flips"])


def test_without_answers_there_is_nothing_to_link(sample: Run, tmp_path: Path) -> None:
    run = replace(sample, records=tuple(r for r in sample.records if r.suite != "agreement"))
    page.write(run, tmp_path / "report.html")
    assert "flips.json" not in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "flips.json").read_text())["flips"] == []


def test_random_weights_disagree_about_nothing(sample: Run) -> None:
    random_run = replace(sample, environment={**sample.environment, "weights": "random"})
    assert not shown(random_run, None).anything
    assert json.loads(as_json(random_run, variants(random_run)))["flips"] == []


def test_a_run_without_any_kept_flip_says_so_and_links_all(sample: Run) -> None:
    run = changed(sample, lambda record, details: details.pop("flips") and None)
    html = page.render(run)
    assert "was kept with its frames, of" in html
    assert 'href="./flips.json"' in html
