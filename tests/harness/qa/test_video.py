"""A real video file to frames: the right ones, upright, and no more work than needed."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError
from harness.qa.video import Video
from tests.harness.qa.film import HEIGHT, WIDTH, cut_short, film, number, numbers


def seen(path: Path, start: float | None = None, end: float | None = None, most: int = 8) -> list[int]:
    with Video(path, path.name) as video:
        return numbers(video.frames(start, end, most))


def test_one_frame_a_second_of_an_mp4(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=50, rate=10)
    with Video(tmp_path / "a.mp4", "a.mp4") as video:
        frames = video.frames(None, None, 8)
    assert frames.shape == (5, HEIGHT, WIDTH, 3)
    assert frames.dtype == np.uint8
    assert numbers(frames) == [0, 10, 20, 30, 40]


def test_more_than_the_cap_are_spread_from_first_to_last(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=100, rate=10)
    assert seen(tmp_path / "a.mp4", most=4) == [0, 33, 66, 99]


def test_a_clip_is_cut_at_exact_times(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=100, rate=10)
    assert seen(tmp_path / "a.mp4", 2.5, 5.5) == [25, 35, 45]
    assert seen(tmp_path / "a.mp4", 2.55, 4.0) == [25, 35], "the frame on display at its start"
    assert seen(tmp_path / "a.mp4", 9.9, 10.0) == [99], "the last frame"
    assert seen(tmp_path / "a.mp4", 9.9, None) == [99]


@pytest.mark.parametrize("first", range(0, 30, 7))
def test_any_frame_can_be_had_whatever_keyframes_and_reordering(first: int, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=40, rate=10, keyframes=6)
    for at in range(first, first + 7):
        assert seen(tmp_path / "a.mp4", at / 10, at / 10 + 0.1) == [at]


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mov", "a.ts"])
def test_other_containers_give_the_same_frames(name: str, tmp_path: Path) -> None:
    film(tmp_path / name, frames=60, rate=10, codec="mpeg4" if name == "a.avi" else "libx264")
    assert seen(tmp_path / name) == [0, 10, 20, 30, 40, 50]
    assert seen(tmp_path / name, 3.2, 5.2) == [32, 42]


def test_a_broken_rate_is_seen_at_every_thirtieth_frame(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=100, rate=Fraction(30000, 1001))
    assert seen(tmp_path / "a.mp4") == [0, 30, 60, 90]


def test_a_variable_rate_goes_by_presentation_time(tmp_path: Path) -> None:
    """Ten frames a second for a second, then one that stays for three, then ten a second again."""
    at = [*np.arange(0, 1, 0.1), 1.0, *np.arange(4, 5, 0.1)]
    film(tmp_path / "a.mp4", at=at)
    assert seen(tmp_path / "a.mp4", 0, 5) == [0, 10, 10, 10, 11]
    assert seen(tmp_path / "a.mp4", 2.5, 4.7) == [10, 10, 16]
    assert seen(tmp_path / "a.mp4", 0, 5, most=3) == [0, 10, 20], "the cap goes by the order of frames"


def test_a_clip_of_ten_seconds_does_not_decode_the_ten_minutes_around_it(tmp_path: Path) -> None:
    film(tmp_path / "long.mp4", frames=3000, rate=5, keyframes=25)
    with Video(tmp_path / "long.mp4", "long.mp4") as video:
        assert numbers(video.frames(400.0, 410.0, 4)) == [2000, 2016, 2032, 2049]
        assert video.decoded < 50 + 2 * 25, "the clip's frames and those from the keyframe before it"
    with Video(tmp_path / "long.mp4", "long.mp4") as video:
        assert numbers(video.frames(None, None, 4)) == [0, 999, 1999, 2999]
        assert video.decoded < 4 * 30, "each frame from the keyframe before it, not all 3000"


# --- as it was held

CORNER = (slice(0, 16), slice(0, 16))  # frame 1 has one white block, top left of the picture as it was coded


@pytest.mark.parametrize(
    ("rotation", "shape", "where"),
    [
        (0, (HEIGHT, WIDTH), "top left"),
        (90, (WIDTH, HEIGHT), "bottom left"),  # counter-clockwise, as FFmpeg counts
        (180, (HEIGHT, WIDTH), "bottom right"),
        (-90, (WIDTH, HEIGHT), "top right"),
    ],
)
def test_a_rotated_film_is_shown_upright(rotation: int, shape: tuple[int, int], where: str, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=20, rate=10, rotation=rotation)
    with Video(tmp_path / "a.mp4", "a.mp4") as video:
        (frame,) = video.frames(0.1, 0.2, 8)
    assert frame.shape == (*shape, 3)
    assert white_corner(frame) == where


def white_corner(frame: np.ndarray) -> str:
    corners = {
        "top left": frame[:16, :16],
        "top right": frame[:16, -16:],
        "bottom left": frame[-16:, :16],
        "bottom right": frame[-16:, -16:],
    }
    (found,) = [name for name, corner in corners.items() if corner.mean() > 127]
    return found


def test_a_mirrored_film_is_mirrored_back(tmp_path: Path) -> None:
    one = 1 << 16
    film(tmp_path / "a.mp4", frames=20, rate=10, matrix=[-one, 0, 0, 0, one, 0, 0, 0, 1 << 30])
    with Video(tmp_path / "a.mp4", "a.mp4") as video:
        assert white_corner(video.frames(0.1, 0.2, 8)[0]) == "top right"


def test_frames_are_shrunk_to_a_longest_side_and_never_enlarged(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=20, rate=10)
    with Video(tmp_path / "a.mp4", "a.mp4") as video:
        assert video.frames(None, None, 8, max_side=32).shape == (2, 24, 32, 3)
        assert video.frames(None, None, 8, max_side=640).shape == (2, HEIGHT, WIDTH, 3)


# --- files that are not as they should be


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    film(tmp_path / "cut.mp4", frames=600, rate=10, options={"movflags": "faststart"})
    return cut_short(tmp_path / "cut.mp4", 0.6)


def test_of_a_truncated_file_the_clips_before_the_cut_are_good(truncated: Path) -> None:
    assert seen(truncated, 5.0, 10.0) == [50, 60, 70, 80, 90]


def test_a_clip_that_reaches_past_the_cut_is_refused_with_the_time_up_to_which_it_decodes(truncated: Path) -> None:
    for start, end in [(0.0, 60.0), (None, None), (50.0, 55.0)]:
        with pytest.raises(DataError, match=r"cut.mp4: cut short: decodes up to (2|3)\d\.\d\d s of 60.00 s; fetch"):
            seen(truncated, start, end)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_truncated_matroska_file_is_noticed(name: str, tmp_path: Path) -> None:
    film(tmp_path / name, frames=300, rate=10, codec="libvpx" if name == "a.webm" else "libx264")
    cut_short(tmp_path / name, 0.5)
    assert seen(tmp_path / name, 1.0, 3.0) == [10, 20]
    with pytest.raises(DataError, match=f"{name}: cut short: decodes up to"):
        seen(tmp_path / name)


def test_a_damaged_frame_is_no_frame(tmp_path: Path) -> None:
    """Zeros in the middle: clips around them are good, a frame within them is said not to decode."""
    path = film(tmp_path / "a.mp4", frames=300, rate=10, options={"movflags": "faststart"})
    whole = bytearray(path.read_bytes())
    middle = len(whole) * 6 // 10
    whole[middle : middle + len(whole) // 10] = bytes(len(whole) // 10)
    path.write_bytes(whole)
    assert seen(path, 1.0, 4.0) == [10, 20, 30]
    assert seen(path, 27.0, 30.0) == [270, 280, 290]
    with pytest.raises(DataError, match=r"a.mp4: the frame at \d+\.\d\d s cannot be decoded"):
        seen(path, 0, 30, most=30)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"cannot be opened as a video \("),
        (b"not a video at all", r"cannot be opened as a video \("),
        (b"GIF89a", "bad.mp4: "),
    ],
)
def test_what_is_no_video_is_said_to_be_none(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(DataError, match=said):
        seen(tmp_path / "bad.mp4")


def test_a_file_cut_before_its_index_cannot_be_opened(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=r"a\.mp4: cannot be opened as a video"):
        seen(cut_short(tmp_path / "a.mp4", 0.5))


def test_a_file_of_sound_alone_has_no_frames(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", pictures=False, tone=np.zeros(16_000, np.float32))
    with pytest.raises(DataError, match=r"a.mp4: no video stream in it \(holds audio\)"):
        seen(tmp_path / "a.mp4")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.mp4: no such file"):
        seen(tmp_path / "gone.mp4")
    with pytest.raises(DataError, match="is a folder"):
        seen(tmp_path)


def test_a_clip_that_is_not_in_the_video_is_refused(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=50, rate=10)
    for start, end, said in [
        (5.0, 6.0, "the clip starts at 5 s, but the video ends at 5.00 s"),
        (500.0, None, "the clip starts at 500 s, but the video ends at 5.00 s"),
        (4.0, 9.0, "the clip ends at 9 s, but the video at 5.00 s"),
        (3.0, 2.0, "a.mp4: the clip starts at 3 s and ends at 2 s: it must end after its start"),
    ]:
        with pytest.raises(DataError, match=said):
            seen(tmp_path / "a.mp4", start, end)
    assert seen(tmp_path / "a.mp4", 4.0, 5.9) == [40], "less than a second past the end is rounding in the annotation"


def test_a_playlist_cannot_send_us_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:5,\nhttp://localhost:9/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(DataError, match=r"list\.m3u8: "):
        seen(tmp_path / "list.m3u8")


def test_the_films_of_these_tests_say_their_numbers() -> None:
    from tests.harness.qa.film import picture

    assert [number(picture(n)) for n in (0, 1, 2049, 4095)] == [0, 1, 2049, 4095]
