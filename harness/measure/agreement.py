"""Agreement of a variant with the teacher, and with gold: figures with intervals clustered by clip."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from harness import stats
from harness.measure.answers import CHUNK, Answers, Forced
from harness.measure.divergence import token_kl
from harness.qa.grading import is_correct, is_same
from harness.qa.items import Clip
from harness.record import Measurement
from harness.telling import Candidate, most_telling, outcome

FLIPS_KEPT = 50
BOOTSTRAP = "95% interval: bootstrap over clips, 2000 resamples"
WILSON = "95% interval: Wilson's at the effective sample size of answers clustered by clip"


def measurements(
    answers: Answers, teachers: Answers, forced: Forced, teachers_forced: Forced
) -> tuple[Measurement, ...]:
    """agreement, top1, kl, kappa, accuracy and flips of one variant."""
    clips = [item.clip.id for item in answers.items]
    agrees = agreeing(answers, teachers)
    correct = correctness(answers)
    top1, kl = _forced_figures(forced, teachers_forced)
    token_clips = [item.clip.id for item, ids in zip(teachers.items, teachers.ids, strict=True) for _ in ids]
    kappa = stats.cohens_kappa(list(answers.texts), list(teachers.texts))
    kappa_low, kappa_high = stats.kappa_interval(list(answers.texts), list(teachers.texts), clips)
    flips = int((~agrees).sum())
    return (
        _mean(
            "agreement",
            agrees,
            clips,
            "1",
            True,
            "share of greedy answers equal to the teacher's (normalised text)",
        ),
        _mean(
            "top1",
            top1,
            token_clips,
            "1",
            True,
            "share of the teacher's answer tokens (ending token included) that are the top-1 when forced along them",
        ),
        _mean(
            "kl",
            kl,
            token_clips,
            "nats/token",
            False,
            "KL(teacher ‖ variant) at T = 1 over the shared ids, forced",
        ),
        Measurement(
            "kappa",
            kappa,
            "1",
            len(agrees),
            kappa_low,
            kappa_high,
            True,
            f"Cohen's κ of the answers' texts, variant against teacher; {BOOTSTRAP}",
        ),
        _mean(
            "accuracy",
            correct,
            clips,
            "1",
            True,
            "share graded right against gold (letter, or normalised text)",
        ),
        Measurement(
            "flips",
            float(flips),
            "answers",
            len(agrees),
            None,
            None,
            False,
            "answers that differ from the teacher's",
        ),
    )


def agreeing(answers: Answers, teachers: Answers) -> NDArray[np.bool_]:
    """Per item: is it the teacher's answer? Items must be the same, in the same order."""
    assert [i.id for i in answers.items] == [i.id for i in teachers.items], "answers to different questions"
    return np.array([is_same(a, b) for a, b in zip(answers.texts, teachers.texts, strict=True)])


def correctness(answers: Answers) -> NDArray[np.bool_]:
    return np.array([is_correct(item, text) for item, text in zip(answers.items, answers.texts, strict=True)])


def items_in_detail(answers: Answers, teachers: Answers, asked: bool = True) -> list[dict[str, Any]]:
    """One plain row an item, so that paired tests can be run from the record alone.

    With `asked`, also what was asked, gold and the teacher's answer: once a run is enough. `sure`: the probability of
    the answer that was given.
    """
    return [
        {
            "id": item.id,
            "clip": item.clip.id,
            "type": item.type,
            **({"question": item.prompt, "gold": item.gold, "teacher": theirs} if asked else {}),
            **({"teacher_sure": _digits(theirs_sure)} if asked else {}),
            "answer": text,
            "sure": _digits(sure),
            "agrees": is_same(text, theirs),
            "correct": is_correct(item, text),
            "multiple_choice": bool(item.options),
        }
        for item, text, theirs, sure, theirs_sure in zip(
            answers.items, answers.texts, teachers.texts, answers.sure, teachers.sure, strict=True
        )
    ]


def _digits(probability: float) -> float:
    """Four significant ones: a record holds thousands."""
    return float(f"{probability:.4g}")


def flips_in_detail(answers: Answers, teachers: Answers, most: int = FLIPS_KEPT) -> list[dict[str, Any]]:
    """The `most` disagreements that tell most (`harness/telling.py`), with their frames as data URIs."""
    differing = [index for index, same in enumerate(agreeing(answers, teachers)) if not same]
    right = {
        index: tuple(is_correct(answers.items[index], one.texts[index]) for one in (teachers, answers))
        for index in differing
    }
    candidates = [
        Candidate(
            id=answers.items[index].id,
            clip=answers.items[index].clip.id,
            type=answers.items[index].type,
            outcome=outcome(*right[index]),
            sure=answers.sure[index] * teachers.sure[index],
        )
        for index in differing
    ]
    kept: list[dict[str, Any]] = []
    for index in (differing[place] for place in most_telling(candidates, most)):
        item = answers.items[index]
        kept.append(
            {
                "id": item.id,
                "clip": item.clip.id,
                "type": item.type,
                "question": item.question,
                "options": list(item.options),
                "gold": item.gold,
                "teacher": teachers.texts[index],
                "answer": answers.texts[index],
                "teacher_p": teachers.sure[index],
                "answer_p": answers.sure[index],
                "teacher_right": right[index][0],
                "answer_right": right[index][1],
                "frames": frame_uris(item.clip),
            }
        )
    return kept


def frame_uris(clip: Clip, most: int = 4, longest_side: int = 160, pixels: int = 160 * 90) -> list[str]:
    """At most `most` frames, evenly spread, as JPEG data URIs of at most so many pixels: 5 kB of a photo."""
    frames = clip.frames()
    picked = [frames[at] for at in np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)]
    uris = []
    for frame in picked:
        image = Image.fromarray(frame)
        shrink = min(1.0, longest_side / max(image.size), (pixels / (image.width * image.height)) ** 0.5)
        image.thumbnail((round(image.width * shrink) or 1, round(image.height * shrink) or 1))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=75)
        uris.append("data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode())
    return uris


def _mean(
    metric: str, values: NDArray[Any], clips: Sequence[str], unit: str, higher_is_better: bool, how: str
) -> Measurement:
    value = float(values.mean())
    if values.dtype == bool:  # a share: Wilson's keeps a width where every answer is the same
        (low, high), told = stats.wilson_clustered(values.tolist(), clips), WILSON
    else:
        (low, high), told = stats.cluster_bootstrap(values, clips), BOOTSTRAP
    return Measurement(metric, value, unit, len(values), low, high, higher_is_better, f"{how}; {told}")


@torch.inference_mode()
def _forced_figures(forced: Forced, teachers: Forced) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Per answer token: do the top-1 ids agree, and KL(teacher ‖ variant) in nats; in chunks of tokens."""
    same, kl = [], []
    head, teachers_head = forced.whole_head(), teachers.whole_head()
    for start in range(0, len(forced.states), CHUNK):
        rows = slice(start, start + CHUNK)
        mine, theirs = forced.states[rows].float() @ head.T, teachers.states[rows].float() @ teachers_head.T
        same.append(mine.argmax(-1) == theirs.argmax(-1))
        kl.append(token_kl(mine, theirs))
    # KL is never negative; in fp32 the sum of its terms can be, by a rounding of 1e-7
    return torch.cat(same).numpy(), torch.cat(kl).double().clamp(min=0).numpy()
