"""`firstsight data check`: everything is read and decoded, and what is wrong is named."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.qa import check as checking
from tests.harness.qa.extracts import write
from tests.harness.qa.film import cut_short, film, photo


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four questions on two good media: a film with sound, a photo."""
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))
    film(tmp_path / "a.mp4", tone=np.zeros(80_000, np.float32))
    photo(tmp_path / "b.png")
    open_ = {"question": "what?", "answers": ["it"]}
    lines = [
        {"id": "1", "media": "a.mp4", "type": "object", **open_},
        {"id": "2", "media": "a.mp4", "type": "action", "question": "which?", "options": ["x", "y"], "answer": "A"},
        {"id": "3", "media": "a.mp4", "start": 1, "end": 2, "type": "action", **open_},
        {"id": "4", "media": ["b.png"], "type": "object", **open_},
    ]
    path = tmp_path / "ours.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_counts_by_type_when_all_is_well(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", f"jsonl:{ours}"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "type      questions    clips    recordings    multiple choice",
        "------  -----------  -------  ------------  -----------------",
        "action            2        2             1                50%",
        "object            2        2             2                 0%",
        "all               4        3             2                25%",
        "2 clips with sound",
        "all is well: 3 clips decoded",
    ]
    assert printed.err == "", "no bar for what takes no time"


def test_a_part_and_frames_can_be_named(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", f"jsonl:{ours}:object", "--frames", "2"]) == 0
    assert "all is well: 2 clips decoded" in capsys.readouterr().out


def test_every_broken_medium_is_named_with_its_reason(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut_short(ours.with_name("a.mp4"), 0.4)
    ours.with_name("b.png").unlink()
    assert main(["data", "check", f"jsonl:{ours}"]) == 1
    printed = capsys.readouterr().out
    assert "broken: a.mp4: cannot be opened as a video" in printed
    assert "fetch the file again (2 clips)" in printed
    assert "broken: b.png: no such file" in printed
    assert printed.endswith("3 clips of 3 cannot be shown\n")


def test_what_was_left_out_is_counted_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = {"question": "q", **{f"option {at}": f"o{at}" for at in range(5)}}
    write(tmp_path / "questions.json", [{"q_uid": uid, **question} for uid in "abc"])
    write(tmp_path / "subset_answers.json", {"a": 0})
    film(tmp_path / "a.mp4")
    assert main(["data", "check", f"egoschema:{tmp_path}"]) == 0
    assert "left out: 2 questions: no public answer (outside the subset)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jsonl:{}/gone.jsonl"], "there is no "),
        (["jsonl:{}"], "is a folder"),
        (["jsonl:{}/ours.jsonl:thing"], "no part 'thing'; there are action, object"),
        (["jsonll:{}"], "unknown dataset 'jsonll'"),
        (["jsonl:{}/empty.jsonl"], "no question in"),
        (["jsonl:{}/ours.jsonl", "--frames", "0"], "--frames 0: at least one frame is needed"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours.with_name("empty.jsonl").write_text("")
    assert main(["data", "check", *(one.replace("{}", str(ours.parent)) for one in arguments)]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "check", "--help"])
    assert "firstsight data check egothink:/data/EgoThink" in capsys.readouterr().out


def test_a_long_look_shows_how_far_it_is(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SHOW_AFTER_S", 0.0)
    out = io.StringIO()
    from harness.qa.media import Sampling

    checking.check("jsonl", str(ours), None, Sampling(4), out)
    assert "decoding" in out.getvalue()
    assert "decoded in" in out.getvalue()
