"""The same clips shown in several ways, so that a student learns from more than one sampling of each recording.

shown = views(items, count=3)      # items, then each again twice: frames between frames, options in another order

Gold stays true: a view looks at the span of time that the question is about, and no option but the right one is right
wherever it stands. Views are of items that were dealt to a split already, and keep their recording. Nothing is decoded
here. What makes a view, files between the frames of view 0 included, is in its source: `items_digest(views(items, n))`
is the digest of it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from harness.qa.items import Clip, QAItem

VIEW = "~v"  # between the id of a clip or item and the number of its view


def views(items: Sequence[QAItem], count: int) -> list[QAItem]:
    """The items themselves (view 0), then view 1 to `count` − 1 of each.

    View v takes frames v/`count` of the way from each frame to the next, and options moved by v places. A question that
    would be asked again as it was is left out: an open one on photos, on drawn scenes, on frames with none between.
    A video whose chosen frames follow each other directly is known only to its decoder, and does repeat them.
    """
    shown = list(items)
    for number in range(1, count):
        seen: dict[str, tuple[Clip, bool]] = {}
        for item in items:
            if item.clip.id not in seen:
                seen[item.clip.id] = _view(item.clip, number, count)
            clip, has_new_frames = seen[item.clip.id]
            if has_new_frames or (item.options and number % len(item.options)):
                shown.append(replace(item.rotated(number), id=f"{item.id}{VIEW}{number}", clip=clip))
    return shown


def _view(clip: Clip, number: int, count: int) -> tuple[Clip, bool]:
    """The clip as it is seen in a view, and whether other frames are seen than in view 0."""
    shifted = clip.between(Fraction(number, count))
    view = replace(
        shifted,
        id=f"{clip.id}{VIEW}{number}",
        source=f"{shifted.source} view {number}/{count}",
        recording=clip.recording or clip.id,
        shifted=None,  # views are of recordings, and not of one another
    )
    return view, shifted.source != clip.source
