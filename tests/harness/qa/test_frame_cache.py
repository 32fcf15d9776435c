"""Decoded frames are kept; the cache never stands in the way."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.qa import frame_cache
from harness.qa.frame_cache import cached, folder

FRAMES: Any = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path))
    return tmp_path / "frames"


def again() -> Any:
    raise AssertionError("decoded again")


def test_what_was_decoded_once_is_read_back(cache: Path) -> None:
    assert np.array_equal(cached("a", lambda: FRAMES), FRAMES)
    assert np.array_equal(cached("a", again), FRAMES)
    with pytest.raises(AssertionError, match="decoded again"):
        cached("b", again)
    assert [file.suffix for file in cache.rglob("*") if file.is_file()] == [".npy"]


def test_another_version_of_the_decoder_decodes_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    cached("a", lambda: FRAMES)
    monkeypatch.setattr(frame_cache.av, "__version__", "99")
    with pytest.raises(AssertionError, match="decoded again"):
        cached("a", again)


def test_writing_into_the_array_does_not_write_into_the_cache() -> None:
    cached("a", lambda: FRAMES)
    found = cached("a", again)
    found[:] = 0
    assert np.array_equal(cached("a", again), FRAMES)


@pytest.mark.parametrize("keep", [0, 10, 100, 200])
def test_a_truncated_file_is_silently_made_again(keep: int, cache: Path) -> None:
    cached("a", lambda: FRAMES)
    (file,) = cache.rglob("*.npy")
    file.write_bytes(file.read_bytes()[:keep])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(cached("a", lambda: FRAMES), FRAMES)
    assert np.array_equal(cached("a", again), FRAMES)


def test_a_pickle_in_its_place_is_never_loaded(cache: Path) -> None:
    cached("a", lambda: FRAMES)
    (file,) = cache.rglob("*.npy")
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert np.array_equal(cached("a", lambda: FRAMES), FRAMES)


def test_a_cache_that_cannot_be_written_is_warned_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="decoded frames cannot be kept"):
        assert np.array_equal(cached("a", lambda: FRAMES), FRAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(cached("a", lambda: FRAMES), FRAMES)


def test_a_full_disk_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert np.array_equal(cached("a", lambda: FRAMES), FRAMES)
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_an_error_while_decoding_keeps_nothing(cache: Path) -> None:
    with pytest.raises(AssertionError):
        cached("a", again)
    assert not cache.exists()


def test_without_a_cache_of_ones_own_frames_lie_beside_the_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRSTSIGHT_CACHE")
    assert folder().parts[-2:] == ("artifacts", "frames")
