"""Names that stay below the data's root, and digests that say which bytes they are."""

import os
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.qa.media import EDGE, first_there, inside, natural, quick_digest


@pytest.mark.parametrize(
    "entry", ["../secret", "a/../../secret", "/etc/passwd", "..", "a/..", "C:\\secret", "\\\\host\\share", "a\\..\\b"]
)
def test_a_path_that_leaves_the_root_is_refused_by_name(entry: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"questions.json\[3\]: .* leaves the data's folder"):
        inside(tmp_path, entry, "questions.json[3]")


@pytest.mark.parametrize("entry", ["", "a\0b"])
def test_what_is_no_path_is_said_to_be_none(entry: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no path"):
        inside(tmp_path, entry, "here")


def test_a_link_may_point_within_the_root_but_not_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "videos").mkdir(parents=True)
    (tmp_path / "secret.mp4").write_text("secret")
    (root / "videos" / "a.mp4").write_text("a")
    (root / "same.mp4").symlink_to("videos/a.mp4")
    (root / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "outside").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    assert inside(root, "same.mp4", "here").read_text() == "a"
    for entry in ("out.mp4", "outside/secret.mp4"):
        with pytest.raises(DataError, match="is a link that leaves the data's folder"):
            inside(root, entry, "here")
    with pytest.raises(DataError, match="here: 'loop' cannot be followed"):
        inside(root, "loop", "here")


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.mp4").write_text("a")
    (tmp_path / "data").symlink_to("disk")
    assert inside(tmp_path / "data", "a.mp4", "here").read_text() == "a"


def test_of_several_places_the_first_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("")
    assert first_there(tmp_path, ["a", "b"], "here") == "b"
    assert first_there(tmp_path, ["c", "d"], "here") == "c"


def test_a_digest_tells_files_apart_by_size_beginning_and_end(tmp_path: Path) -> None:
    file = tmp_path / "a"
    content = bytearray(os.urandom(4 * EDGE))
    digests = []
    for change in (0, -1, EDGE - 1, 3 * EDGE):
        content[change] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(0, len(digests)))
        digests.append(quick_digest(file))
    file.write_bytes(content[:-1])
    digests.append(quick_digest(file))
    assert len(set(digests)) == 5
    assert quick_digest(tmp_path / "gone") == "absent"
    (tmp_path / "copy").write_bytes(content[:-1])
    assert quick_digest(tmp_path / "copy") == digests[-1]


def test_frames_are_counted_as_people_count() -> None:
    assert sorted(["f10.png", "f2.png", "f1b.png", "f1.png", "2"], key=natural) == [
        "2",
        "f1.png",
        "f1b.png",
        "f2.png",
        "f10.png",
    ]
