"""Photos and folders of frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.qa.photos import frames_in, read_frames, read_photo, shrink
from tests.harness.qa.film import HEIGHT, WIDTH, number, photo


def test_a_photo_is_rgb_at_its_own_size(tmp_path: Path) -> None:
    frame = read_photo(photo(tmp_path / "a.png", 7), "a.png")
    assert frame.dtype == np.uint8
    assert number(frame) == 7
    Image.new("L", (5, 3), 9).save(tmp_path / "grey.png")
    assert read_photo(tmp_path / "grey.png", "grey.png").shape == (3, 5, 3)


def test_a_photo_that_was_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "a.jpg", 1, exif=exif, quality=95)
    frame = read_photo(tmp_path / "a.jpg", "a.jpg")
    assert frame.shape == (WIDTH, HEIGHT, 3)
    assert frame[:16, -16:].mean() > 127, "the white block moved from top left to top right"


def test_bad_images_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "cut.png", 5)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-30])
    photo(tmp_path / "half.jpg", 5)
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:500])
    (tmp_path / "text.jpg").write_text("hello")
    for name, said in [
        ("cut.png", "cut.png: cannot be decoded: .*; fetch the file again"),
        ("half.jpg", "half.jpg: cannot be decoded: "),
        ("text.jpg", "text.jpg: cannot be decoded: not an image that PIL can read"),
        ("gone.jpg", "gone.jpg: no such file"),
    ]:
        with pytest.raises(DataError, match=said):
            read_photo(tmp_path / name, name)
    for limit in (WIDTH * HEIGHT - 1, WIDTH * HEIGHT // 3):  # PIL warns above the limit, raises above twice that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"bomb\.png: too large to be decoded safely"):
            read_photo(photo(tmp_path / "bomb.png"), "bomb.png")


def test_frames_of_a_folder_are_sorted_as_people_count(tmp_path: Path) -> None:
    for place in (1, 2, 10, 11):
        photo(tmp_path / "walk" / f"frame_{place}.png", place)
    (tmp_path / "walk" / "notes.txt").write_text("not a frame")
    names = frames_in(tmp_path, "walk/", "here")
    assert names == ["walk/frame_1.png", "walk/frame_2.png", "walk/frame_10.png", "walk/frame_11.png"]
    frames = read_frames([tmp_path / name for name in names], names, None)
    assert [number(frame) for frame in frames] == [1, 2, 10, 11]
    assert frames_in(tmp_path, "walk", "here") == names
    assert frames_in(tmp_path, "nowhere", "here") == []


def test_depth_maps_beside_colour_frames_are_passed_over(tmp_path: Path) -> None:
    for name in ("0-rgb.png", "0-depth.png", "1-rgb.png", "1-depth.png"):
        photo(tmp_path / "walk" / name)
    assert frames_in(tmp_path, "walk", "here") == ["walk/0-rgb.png", "walk/1-rgb.png"]


def test_frames_of_unequal_size_are_no_video(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    Image.new("RGB", (5, 3)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png: 5×3 pixels, but a.png has 64×48: frames of one video are of one size"):
        read_frames([tmp_path / "a.png", tmp_path / "b.png"], ["a.png", "b.png"], None)


@pytest.mark.parametrize(
    ("size", "shrunk"), [((60, 40), (30, 20)), ((40, 60), (20, 30)), ((20, 10), (20, 10)), ((999, 1), (30, 1))]
)
def test_shrinking_keeps_the_proportions(size: tuple[int, int], shrunk: tuple[int, int]) -> None:
    frame: Any = np.zeros((size[1], size[0], 3), np.uint8)
    assert shrink(frame, 30).shape == (shrunk[1], shrunk[0], 3)
