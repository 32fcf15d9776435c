"""The dataset `scenes`: first-person clips rendered from a known world, with balanced questions.

Splits never share a clip: each draws its scene seeds from a range of its own. A split is a function of
(dataset seed, split name, number of clips), and a longer split starts with the shorter one.

A clip's frames are the same in every view: the world knows four moments and nothing between, and questions name them
("at the start"), so that a frame beside its moment would show other things than gold says. Only options change places.
Look at it: `firstsight data sheet --pair tiny --split test --out sheet.png`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache, partial

import numpy as np

from harness.pair import DataSpec
from harness.qa.frame_cache import is_decoded_anew
from harness.qa.items import Clip, Frames, QAItem
from harness.qa.render import render
from harness.qa.templates import DOMAINS, Asked, asked_of, captions, stories, template_names
from harness.qa.world import Scene, make_scene

FRAMES = 4  # keyframes of a clip: start and end of two events
MULTIPLE_CHOICE = 0.06  # share of questions asked with lettered options, where the answer has a domain


def load_split(
    split: str, clips: int, questions_per_clip: int, data: DataSpec | None = None, descriptions: bool = False
) -> list[QAItem]:
    """`clips × questions_per_clip` items; with `descriptions`, the clip told in words comes on top."""
    seed = data.seed if data else 0
    items: list[QAItem] = []
    for number, (scene, asked) in enumerate(_balanced(split, clips, questions_per_clip, seed)):
        clip = Clip(f"{split}-{number:05d}", f"scenes:{scene.seed}", partial(_frames, scene.seed))
        rng = np.random.default_rng([13, scene.seed])
        items += [_item(clip, place, one, rng) for place, one in enumerate(asked)]
        if descriptions:
            for type, told in (("caption", captions(scene)), ("story", stories(scene))):
                items += [
                    QAItem(f"{clip.id}/{type}{part}", clip, question, answer, type, type)
                    for part, (question, answer) in enumerate(told)
                ]
    return items


@cache
def lexicon() -> tuple[str, ...]:
    """Every word a question, answer or option of this dataset can hold: the tiny tokenizers are built from it."""
    words: set[str] = {
        "A",
        "B",
        ":",
        "?",
        "describe",
        "moment",
        "rest",
        "where",
        "things",
        "start",
        "end",
        "what",
        "is",
        "done",
        "happens",
        "hand",
        "other",
        "person",
        "to",
    }
    for seed in range(600):
        for asked in asked_of(make_scene(seed)):
            words.update(f"{asked.question} {asked.answer}".replace("?", " ").replace(":", " ").split())
    for domain in DOMAINS.values():
        words.update(" ".join(domain).split())
    return tuple(sorted(words))


def _frames(seed: int) -> Frames:
    return render(make_scene(seed)) if is_decoded_anew() else _remembered(seed)


@lru_cache(maxsize=4096)
def _remembered(seed: int) -> Frames:
    return render(make_scene(seed))


def _first_seed(split: str, seed: int) -> int:
    """Start of the split's own range of two million scene seeds."""
    digest = hashlib.sha256(f"{seed}:{split}".encode()).digest()
    return int.from_bytes(digest[:6], "big") % 1_000_000 * 2_000_000


def _balanced(split: str, clips: int, per_clip: int, seed: int) -> Iterator[tuple[Scene, list[Asked]]]:
    """Per clip, choose the questions whose template, and whose answer to that question, are behind so far.

    Always answering a question's most frequent answer must not pay, so an answer that this question text has seen
    too often costs more than a template that has not been asked for a while.
    """
    by_template: Counter[str] = Counter()
    by_question: Counter[str] = Counter()
    by_answer: Counter[tuple[str, str]] = Counter()
    by_template_answer: Counter[tuple[str, str]] = Counter()
    first = _first_seed(split, seed)
    for number in range(clips):
        scene = make_scene(first + number)
        rng = np.random.default_rng([17, scene.seed])
        possible = asked_of(scene)
        jitter = rng.random(len(possible))
        average = sum(by_template.values()) / len(template_names())
        cost = [
            8.0 * (by_template[one.template] + 1) / (average + 1)
            + 1.5 * (by_answer[one.question, one.answer] + 0.5) / (by_question[one.question] + 1)
            + 3.0 * (by_template_answer[one.template, one.answer] + 0.5) / (by_template[one.template] + 1)
            + 0.4 * jitter[index]
            for index, one in enumerate(possible)
        ]
        chosen: list[Asked] = []
        taken: set[str] = set()
        for index in np.argsort(cost, kind="stable"):
            one = possible[int(index)]
            kind = one.template.rpartition("-")[0]
            if kind in taken:
                continue
            taken.add(kind)
            chosen.append(one)
            if len(chosen) == per_clip:
                break
        for one in chosen:
            by_template[one.template] += 1
            by_question[one.question] += 1
            by_answer[one.question, one.answer] += 1
            by_template_answer[one.template, one.answer] += 1
        yield scene, chosen


def _item(clip: Clip, number: int, asked: Asked, rng: np.random.Generator) -> QAItem:
    name = f"{clip.id}/{number}"
    if not asked.domain or asked.answer == "nothing" or rng.random() >= MULTIPLE_CHOICE:
        return QAItem(name, clip, asked.question, asked.answer, asked.type, asked.template)
    wrong = [word for word in DOMAINS[asked.domain] if word != asked.answer]
    options = [asked.answer, *(wrong[i] for i in rng.permutation(len(wrong))[:1])]
    options = [options[i] for i in rng.permutation(len(options))]
    letter = chr(ord("A") + options.index(asked.answer))
    return QAItem(name, clip, asked.question, letter, asked.type, f"{asked.template}-choice", tuple(options))
