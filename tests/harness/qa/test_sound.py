"""What is heard in a clip: mono, 16 kHz, cut to its times."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError
from harness.qa.sound import RATE, read_sound
from tests.harness.qa.film import cut_short, film


def tones(seconds: int) -> Any:
    """Second k of it is a pure tone of 400 + 100·k Hz."""
    clock = np.arange(RATE) / RATE
    return np.concatenate([0.5 * np.sin(2 * np.pi * (400 + 100 * k) * clock) for k in range(seconds)]).astype(
        np.float32
    )


def pitch(sound: Any) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


@pytest.fixture
def with_sound(tmp_path: Path) -> Path:
    return film(tmp_path / "a.mp4", frames=100, rate=10, tone=tones(10), options={"movflags": "faststart"})


def test_a_clip_is_heard_from_its_start_to_its_end(with_sound: Path) -> None:
    heard = read_sound(with_sound, "a.mp4", 3.0, 5.0)
    assert heard is not None
    assert heard.dtype == np.float32
    assert heard.shape == (2 * RATE,)
    assert abs(heard).max() <= 1
    assert pitch(heard[1000:15000]) == pytest.approx(700, abs=3)
    assert pitch(heard[17000:31000]) == pytest.approx(800, abs=3)


def test_the_cut_is_exact_to_a_few_samples(with_sound: Path) -> None:
    whole, part = read_sound(with_sound, "a.mp4"), read_sound(with_sound, "a.mp4", 6.25, 7.0)
    assert whole is not None
    assert part is not None
    assert np.allclose(whole[round(6.25 * RATE) :][: len(part)], part, atol=0.02)


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    assert read_sound(film(tmp_path / "a.mp4"), "a.mp4") is None


def test_where_the_track_ends_before_the_clip_there_is_silence(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=100, rate=10, tone=tones(4))
    heard = read_sound(tmp_path / "a.mp4", "a.mp4", 3.0, 6.0)
    assert heard is not None
    assert heard.shape == (3 * RATE,)
    assert abs(heard[:RATE]).max() > 0.3
    assert abs(heard[RATE + 4000 :]).max() < 0.01
    late = read_sound(tmp_path / "a.mp4", "a.mp4", 8.0, 9.0)
    assert late is not None
    assert late.shape == (RATE,)
    assert not late.any()


def test_of_a_truncated_file_what_came_before_is_heard(with_sound: Path) -> None:
    cut_short(with_sound, 0.6)
    heard = read_sound(with_sound, "a.mp4", 1.0, 2.0)
    assert heard is not None
    assert pitch(heard[1000:15000]) == pytest.approx(500, abs=3)


def test_times_that_make_no_clip_and_missing_files_are_named(with_sound: Path) -> None:
    with pytest.raises(DataError, match="it must end after its start"):
        read_sound(with_sound, "a.mp4", 3.0, 3.0)
    with pytest.raises(DataError, match=r"gone\.mp4: no such file"):
        read_sound(with_sound.with_name("gone.mp4"), "gone.mp4")
