"""Draws a scene's keyframes: 96×96 pixels seen from above the wearer's hands, one drawing per 16-pixel cell.

The table is six places of 32×32 pixels in two rows; the lowest 32 pixels are the table's edge where the hands rest.
Within a place the thing sits in the upper left cell, a reaching left hand below it, a right hand below and to the
right: aligned with a vision tower's 16-pixel patches, so that what limits a tiny model is its size, not aliasing.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.qa.items import Frames
from harness.qa.world import HANDS, OTHERS_PLACE, Keyframe, Place, Scene

SIZE, CELL = 96, 16
RGB = {
    "red": (214, 39, 40),
    "green": (44, 150, 60),
    "blue": (31, 90, 214),
    "yellow": (240, 210, 40),
    "white": (245, 245, 240),
    "purple": (130, 60, 180),
}
SKIN, SLEEVE, OTHERS_SKIN = (224, 172, 138), (60, 70, 90), (150, 100, 70)
TABLE, EDGE, WATER = (150, 118, 84), (96, 80, 66), (120, 200, 255)


def render(scene: Scene) -> Frames:
    """uint8 RGB `[4, 96, 96, 3]` of the scene's keyframes; a little sensor noise, fixed by the scene's seed."""
    frames = np.stack(
        [_keyframe(_table(scene.light, moment), keyframe) for moment, keyframe in enumerate(scene.keyframes)]
    )
    noise = np.frombuffer(np.random.default_rng([11, scene.seed]).bytes(frames.size), np.uint8).reshape(frames.shape)
    # 0…12 of noise upon colours squeezed by 6 at either end: the same as ±6 clipped, without leaving uint8
    noisy: Frames = np.minimum(np.maximum(frames, 6), 249) - 6 + noise % 13
    return noisy


@cache
def _wood(moment: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The lit table at a moment `[96, 96, 3]` and the two axes that a clip's own light runs along."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
    wood = np.where((y > 2 * 32 / SIZE - 0.5)[..., None], EDGE, TABLE)
    tint = np.stack([1 - 0.5 * y, np.full_like(x, 1.15 - 0.15 * moment), 1 - 0.8 * x], axis=-1)
    grain = 1 + 0.03 * np.sin(y * 60 + 3 * np.sin(x * 9))
    parts = (wood * tint * grain[..., None], wood * tint * 0.05 * x[..., None], wood * tint * 0.05 * y[..., None])
    lit, along_x, along_y = (part.astype(np.float32) for part in parts)
    return lit, along_x, along_y


def _table(light: tuple[float, float], moment: int) -> NDArray[np.uint8]:
    """Wood between a cool window on the left and a warm lamp at the back, while the evening falls.

    The light tells a patch where and when it is: to towers with rotary positions only, and to a pooled token.
    """
    lit, along_x, along_y = _wood(moment)
    table: NDArray[np.uint8] = (lit + np.float32(light[0]) * along_x + np.float32(light[1]) * along_y).astype(np.uint8)
    return table


def _keyframe(background: NDArray[np.uint8], keyframe: Keyframe) -> NDArray[np.uint8]:
    image = background
    for hand in HANDS:
        _forearm(image, hand, keyframe.reach[hand])
    if keyframe.others_hand:
        x, y = _corner(OTHERS_PLACE)
        _stamp(image, x + CELL, y, "others", OTHERS_SKIN)
        if keyframe.others_thing is not None:
            _stamp(image, x, y, keyframe.others_thing.kind, RGB[keyframe.others_thing.colour])
    for place, thing in keyframe.on_table.items():
        _stamp(image, *_corner(place), thing.kind, RGB[thing.colour])
    for hand in HANDS:
        reached = keyframe.reach[hand]
        x, y = _rest(hand) if reached is None else _corner(reached)
        _stamp(image, x + (CELL if hand == "right" else 0), y + CELL, f"hand-{hand}", SKIN)
        held = keyframe.held[hand]
        if held is None:
            continue
        if keyframe.pouring is not None and reached == keyframe.pouring:
            _stamp(image, x + CELL, y, held.kind, RGB[held.colour], tilted=True)
            _stamp(image, x, y, "drops", WATER)
        else:
            _stamp(image, x, y, held.kind, RGB[held.colour])
    return image


def _corner(place: Place) -> tuple[int, int]:
    return place[0] * 2 * CELL, place[1] * 2 * CELL


def _rest(hand: str) -> tuple[int, int]:
    return (0 if hand == "left" else 4 * CELL), 4 * CELL


def _forearm(image: NDArray[np.uint8], hand: str, place: Place | None) -> None:
    """A sleeve from the lower edge to the hand, drawn under everything else."""
    x0, _ = _rest(hand)
    x0 += 8 if hand == "left" else 24
    x1, y1 = _rest(hand) if place is None else _corner(place)
    x1 += 8 if hand == "left" else 24
    y1 += CELL + 12
    for y in range(y1, SIZE):
        x = x1 + (x0 - x1) * (y - y1) / max(SIZE - 1 - y1, 1)
        image[y, max(0, int(x) - 3) : int(x) + 4] = SLEEVE


def _stamp(
    image: NDArray[np.uint8], x: int, y: int, shape: str, colour: tuple[int, int, int], tilted: bool = False
) -> None:
    """Paint a shape into the 16×16 cell whose upper left corner is (x, y), with a dark outline."""
    body, outline = _shape(shape, tilted)
    cell = image[y : y + CELL, x : x + CELL]
    cell[outline] = np.asarray(colour, np.uint8) // 3
    cell[body] = colour


@cache
def _shape(name: str, tilted: bool = False) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Body and outline masks, 16×16."""
    y, x = np.mgrid[0:CELL, 0:CELL] - 7.5
    shapes = {
        "cup": ((abs(x + 1) < 4) & (abs(y) < 5)) | ((abs(x - 5) < 2) & (abs(y) < 3) & ~((x < 5) & (abs(y) < 1))),
        "bowl": (x**2 / 49 + (y + 2) ** 2 / 49 < 1) & (y > -2),
        "bottle": ((abs(x) < 3) & (y > -2) & (y < 7)) | ((abs(x) < 1.4) & (y > -7)),
        "book": (abs(x) < 6.5) & (abs(y) < 5) & ~(abs(x) < 0.6),
        "ball": x**2 + y**2 < 36,
        "knife": (abs(x + y) < 2.2) & (abs(x - y) < 12),
        "apple": ((x - 2) ** 2 + (y - 1) ** 2 < 20)
        | ((x + 2) ** 2 + (y - 1) ** 2 < 20)
        | ((abs(x - 1) < 1) & (y < 0) & (y > -6)),
        "box": (abs(x) < 6) & (abs(y) < 6) & ~((abs(x) < 3) & (abs(y) < 3)),
        "drops": ((x.astype(int) % 4 == 0) & (y.astype(int) % 3 == 0) & (x + y > -6)),
        "others": ((abs(y) < 4) & (x > -2)) | ((abs(y) < 6) & (y.astype(int) % 3 != 0) & (x < 0) & (x > -7)),
    }
    palm = (abs(x) < 5) & (y > -1)
    fingers = (abs(x) < 5.5) & (x.astype(int) % 3 != 0) & (y < 0) & (y > -7)
    thumb = (abs(y - 1) < 2) & (x > 3)
    shapes["hand-left"] = palm | fingers | thumb
    shapes["hand-right"] = (palm | fingers | thumb)[:, ::-1]
    body = shapes[name]
    if tilted:
        body = np.rot90(body).copy()
    grown = np.zeros((CELL + 2, CELL + 2), bool)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            grown[dy : dy + CELL, dx : dx + CELL] |= body
    return body, grown[1:-1, 1:-1] & ~body
