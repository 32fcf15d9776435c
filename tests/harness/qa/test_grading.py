"""When an answer counts, and what a blind guess is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.qa.blind import blind_accuracy
from harness.qa.grading import is_correct, is_same, normalise, parsed_letter, token_f1
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


@pytest.mark.parametrize(
    "said", ["bowl", "A bowl.", "a bowl", "The answer is B.", "I think the correct option is (B)", "Answer: B"]
)
def test_an_options_own_text_or_a_letter_named_in_a_sentence_counts_too(said: str) -> None:
    """Large models explain themselves; "A bowl" is an article and option B, not the letter A."""
    assert is_correct(lettered("B", "cup", "bowl"), said)


def test_an_article_is_not_the_letter_a() -> None:
    assert parsed_letter("a cup", 2) is None
    assert parsed_letter("a cup", 2, ("bowl", "cup")) == "B"
    assert parsed_letter("A cup", 2, ("cup", "bowl")) == "A"


def test_a_text_that_two_options_share_names_neither() -> None:
    assert parsed_letter("cup", 2, ("cup", "the cup")) is None


@pytest.mark.parametrize("said", ["", "C", "BB", "1", "?", "A or B", "é", "bowls"])
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


@given(st.lists(WORD, min_size=2, max_size=6, unique=True), st.data())
def test_a_permuted_question_has_the_same_right_option(options: list[str], data: st.DataObject) -> None:
    gold = data.draw(st.integers(0, len(options) - 1))
    item = lettered("ABCDEF"[gold], *options)
    moved = item.permuted(data.draw(st.permutations(range(len(options)))))
    assert moved.options[ord(moved.gold) - ord("A")] == options[gold]
    assert sorted(moved.options) == sorted(options)


def test_a_prompt_of_a_real_set_lists_its_options_by_line() -> None:
    item = QAItem("c/0", CLIP, "what is it?", "A", "t", "t", ("cup", "bowl"), lettering="lines")
    assert item.prompt == (
        "what is it?\nA. cup\nB. bowl\nAnswer with the option's letter from the given choices directly."
    )


# --- several right answers, and partly right ones


def test_any_of_several_right_answers_counts() -> None:
    item = QAItem("c/0", CLIP, "what is it?", "cup", "t", "t", also=("mug",))
    assert [is_correct(item, said) for said in ("cup", "a mug", "bowl")] == [True, True, False]
    assert token_f1(item, "a red mug") == pytest.approx(2 * 1 / (2 + 1))


@pytest.mark.parametrize(
    ("said", "f1"), [("red cup", 1.0), ("the cup", 2 / 3), ("red red cup", 0.8), ("bowl", 0.0), ("", 0.0)]
)
def test_token_f1_is_shared_words_against_all_words(said: str, f1: float) -> None:
    assert token_f1(open_item("red cup"), said) == pytest.approx(f1)


@given(st.text(max_size=20), st.text(max_size=20))
def test_token_f1_lies_between_nothing_and_the_same_words(gold: str, said: str) -> None:
    assert 0 <= token_f1(open_item(gold), said) <= 1
    assert token_f1(open_item(gold), gold) == 1


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
