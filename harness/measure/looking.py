"""Does it look? Some questions asked again without the frames, and with the frames in another order.

found = measurements(model, answers, batch_clips=25, max_new_tokens=8)       # answers: to the clips as they are

Without: every frame is grey, of the size and number it had; sound stays. In another order: the frames of a clip in an
order drawn by its id, never the one they had; stills and clips of one frame have no order, and are not asked. Accuracy
without frames is what the words of a question give away; its difference to the same questions as they are is what the
frames are worth to this model. It never saw a grey clip in training, so that it may be worse than who answers without
looking has to be: the blind majority stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from harness import stats
from harness.measure.agreement import WILSON
from harness.measure.answers import Answers, answer
from harness.measure.choices import ROTATED, drawn
from harness.qa.grading import is_correct, is_same
from harness.qa.items import Clip, Frames, QAItem, by_clip
from harness.record import Measurement
from models.interface import Architecture

MOST, PER_CLIP = 96, 4  # questions: the more clips they are of, the narrower the intervals, and the longer it takes
GREY = 128  # of 255
TANGO = "95% interval: Tango's on paired answers, at the effective number of questions clustered by clip"
UNORDERED = "no clip among them has frames in an order: stills, or one frame"


def blind(clip: Clip) -> Clip | None:
    """The clip with nothing to see: grey frames of the same sizes."""
    return replace(clip, source=f"{clip.source} blind", load=partial(_grey, clip.load), shifted=None)


def shuffled(clip: Clip) -> Clip | None:
    """The clip with its frames in another order; None where they have none."""
    if clip.still or len(clip.frames()) < 2:
        return None
    return replace(clip, source=f"{clip.source} shuffled", load=partial(_turned, clip.load, clip.id), shifted=None)


WAYS: dict[str, tuple[Callable[[Clip], Clip | None], str]] = {
    "blind_frames": (blind, "with every frame grey"),
    "shuffled_frames": (shuffled, "with each clip's frames in another order, drawn by its id"),
}


def sampled(items: Sequence[QAItem], most: int = MOST) -> list[QAItem]:
    """At most `most` questions, at most four of a clip: of clips and of their questions those whose ids' digests come
    first, so that the same are asked of every variant and run. A question in rotated options counts once.
    """
    groups = by_clip([item for item in items if ROTATED not in item.id])
    chosen: list[QAItem] = []
    for _, asked in sorted(groups, key=lambda group: drawn(group[0].id)):
        chosen += sorted(asked, key=lambda item: drawn(item.id))[: min(PER_CLIP, most - len(chosen))]
    return chosen


def measurements(
    model: Architecture, answers: Answers, *, batch_clips: int, max_new_tokens: int, most: int = MOST
) -> tuple[Measurement, ...]:
    """Of each way: accuracy_<way>, its difference to the same questions as they are (accuracy_<way>_change), and how
    many answers stay the same (unchanged_<way>).
    """
    before = dict(zip((item.id for item in answers.items), answers.texts, strict=True))
    found: list[Measurement] = []
    for way, (altered, told) in WAYS.items():
        asked = _altered(sampled(answers.items, most), altered)
        if not asked:
            found += _absent(way, told)
            continue
        said = answer(model, asked, batch_clips=batch_clips, max_new_tokens=max_new_tokens)
        found += _figures(way, told, said, [before[item.id] for item in said.items])
    return tuple(found)


def _altered(items: Sequence[QAItem], altered: Callable[[Clip], Clip | None]) -> list[QAItem]:
    asked: list[QAItem] = []
    for clip, of_clip in by_clip(items):
        other = altered(clip)
        asked += [] if other is None else [replace(item, clip=other) for item in of_clip]
    return asked


def _figures(way: str, told: str, said: Answers, before: Sequence[str]) -> list[Measurement]:
    clips = [item.clip.id for item in said.items]
    now = [is_correct(item, text) for item, text in zip(said.items, said.texts, strict=True)]
    then = [is_correct(item, text) for item, text in zip(said.items, before, strict=True)]
    same = [is_same(one, other) for one, other in zip(said.texts, before, strict=True)]
    change = stats.difference_interval(now, then, clips)
    of = f"{len(now)} questions of {len(set(clips))} clips"
    return [
        _share(f"accuracy_{way}", now, clips, f"share graded right against gold {told}, of {of}"),
        Measurement(
            f"accuracy_{way}_change",
            change.value,
            "1",
            len(now),
            change.low,
            change.high,
            True,
            f"accuracy {told}, less that of the same {of} as they are; {TANGO}",
        ),
        _share(f"unchanged_{way}", same, clips, f"share of answers that stay the same {told}, of {of}"),
    ]


def _share(metric: str, hits: Sequence[bool], clips: Sequence[str], how: str) -> Measurement:
    low, high = stats.wilson_clustered(hits, clips)
    return Measurement(metric, float(np.mean(hits)), "1", len(hits), low, high, True, f"{how}; {WILSON}")


def _absent(way: str, told: str) -> list[Measurement]:
    names = (f"accuracy_{way}", f"accuracy_{way}_change", f"unchanged_{way}")
    return [Measurement(name, None, "1", 0, None, None, True, f"answers {told}", absent=UNORDERED) for name in names]


def _grey(load: Callable[[], Frames]) -> Frames:
    frames = load()
    if isinstance(frames, tuple):
        return tuple(np.full_like(frame, GREY) for frame in frames)
    return np.full_like(frames, GREY)


def _turned(load: Callable[[], Frames], id: str) -> Frames:
    frames = load()
    order = np.random.default_rng(drawn(id)).permutation(len(frames))
    if (order == np.arange(len(frames))).all():
        order = order[::-1]
    return frames[order] if isinstance(frames, np.ndarray) else tuple(frames[at] for at in order)
