"""When an answer counts, and what a blind guess is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.qa.blind import blind_accuracy
from harness.qa.grading import is_correct, is_same, normalise, parsed_letter
from harness.qa.items import Clip, QAItem, by_clip

CLIP = Clip("c", "nowhere", lambda: np.zeros((1, 8, 8, 3), np.uint8))
WORD = st.text("bcdfghlmnprt", min_size=2, max_size=8)


def open_item(gold: str, question: str = "what is it?", clip: Clip = CLIP, template: str = "t") -> QAItem:
    return QAItem(f"{clip.id}/{question}", clip, question, gold, "type", template)


def lettered(gold: str, *options: str) -> QAItem:
    return QAItem("c/0", CLIP, "what is it?", gold, "type", "t", options)


@pytest.mark.parametrize("said", ["cup", "Cup.", "  the  CUP ", "a cup!", "“cup”", "cup\n", "ｃｕｐ"])
def test_these_are_all_the_answer_cup(said: str) -> None:
    assert is_correct(open_item("cup"), said)


@pytest.mark.parametrize("said", ["", "cups", "red cup", "c up", "bowl", "theory", "no cup"])
def test_these_are_not(said: str) -> None:
    assert not is_correct(open_item("cup"), said)


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(WORD, st.sampled_from(["{}", " {} ", "{}.", "The {}", "a {}", "({})", "{}!?"]))
def test_case_articles_and_punctuation_do_not_matter(word: str, around: str) -> None:
    assert is_same(word, around.format(word.upper()))


@given(WORD, WORD)
def test_other_words_are_other_answers(one: str, other: str) -> None:
    assert is_same(one, other) == (one == other)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_being_the_same_answer_is_an_equivalence(a: str, b: str, c: str) -> None:
    assert is_same(a, a)
    assert is_same(a, b) == is_same(b, a)
    if is_same(a, b) and is_same(b, c):
        assert is_same(a, c)


@pytest.mark.parametrize("other", ["", "B", "the", ".", "an"])
def test_the_letter_a_is_not_an_article_that_leaves_nothing(other: str) -> None:
    """A silent model must not agree with a teacher that says A."""
    assert not is_same("A", other)


def test_the_letter_a_agrees_with_itself() -> None:
    assert is_same("A", " a. ")


# --- lettered options


@pytest.mark.parametrize("said", ["B", "b", " B ", "(b)", "B.", "B: bowl", "B bowl", "[B] bowl", "B) bowl"])
def test_these_are_all_the_option_b(said: str) -> None:
    assert parsed_letter(said, 2) == "B"
    assert is_correct(lettered("B", "cup", "bowl"), said)


@pytest.mark.parametrize("said", ["", "bowl", "C", "BB", "1", "?", "A or B", "é"])
def test_these_are_not_b(said: str) -> None:
    assert not is_correct(lettered("B", "cup", "bowl"), said)


@given(st.text(), st.integers(2, 6))
def test_a_parsed_letter_is_one_of_the_options(said: str, options: int) -> None:
    assert parsed_letter(said, options) in (None, *"ABCDEF"[:options])


@given(st.lists(WORD, min_size=2, max_size=6, unique=True), st.data())
def test_exactly_one_letter_is_right(options: list[str], data: st.DataObject) -> None:
    gold = data.draw(st.sampled_from("ABCDEF"[: len(options)]))
    item = lettered(gold, *options)
    assert [letter for letter in "ABCDEF" if is_correct(item, letter)] == [gold]


def test_a_prompt_shows_its_options_by_letter() -> None:
    assert lettered("A", "cup", "bowl").prompt == "what is it? A cup B bowl"
    assert open_item("cup").prompt == "what is it?"


# --- blind


def test_blind_answers_each_question_by_its_usual_answer() -> None:
    learnt = [open_item(gold, "which hand?") for gold in ("left", "right", "left")]
    learnt += [open_item("cup", "what kind?")]
    asked = [open_item("left", "which hand?"), open_item("right", "which hand?"), open_item("cup", "what kind?")]
    assert blind_accuracy(learnt, asked) == pytest.approx(2 / 3)


def test_blind_falls_back_on_the_template_for_a_text_it_never_saw() -> None:
    learnt = [open_item("yes", "is there a cup?", template="exists")]
    assert blind_accuracy(learnt, [open_item("yes", "is there a bowl?", template="exists")]) == 1
    assert blind_accuracy(learnt, [open_item("yes", "is there a bowl?", template="other")]) == 0


def test_blind_does_not_learn_from_what_it_is_asked() -> None:
    assert blind_accuracy([open_item("no")], [open_item("yes")] * 3) == 0


def test_items_are_grouped_by_clip_in_their_order() -> None:
    one, two = Clip("1", "", CLIP.load), Clip("2", "", CLIP.load)
    items = [open_item("a", clip=two), open_item("b", clip=one), open_item("c", "other?", clip=two)]
    assert [(clip.id, len(asked)) for clip, asked in by_clip(items)] == [("2", 2), ("1", 1)]
