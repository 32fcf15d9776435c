"""`firstsight plan …` as a user meets it: what it prints, its JSON, its errors, and the example of docs/planning.md."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from harness.cli import main
from harness.plan.planning import UNSHRUNK, default_size
from tests.conftest import MICRO

DOCS = Path(__file__).resolve().parents[3] / "docs" / "planning.md"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def test_the_example_of_the_docs_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    command = re.search(r"^    firstsight plan (.+)$", text, re.MULTILINE)
    shown = re.search(r"```\n(.+?)```", text, re.DOTALL)
    assert command is not None
    assert shown is not None
    out = printed(capsys, *shlex.split(command[1]))
    for line in filter(None, shown[1].splitlines()):
        assert line == "…" or line in out.splitlines()


def test_the_real_pair_is_told_in_under_a_hundred_lines(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "--pair", "egogpt-qwen2vl", "--vram", "24GB", "--frames", "16")
    assert "8,687,770,656" in out
    assert "2,208,985,600" in out
    assert "llm_int8_threshold 6" in out
    assert len(out.splitlines()) < 100
    assert max(map(len, out.splitlines())) <= 140
    assert re.search(r"^full \+ckpt .* too large +not one frame$", out, re.MULTILINE)
    assert re.search(r"^int8 +teacher int8 .* fits +\d+ frames$", out, re.MULTILINE)


def test_what_fits_is_decided_as_it_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*more: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(printed(capsys, "--pair", str(MICRO), "--json", *more))
        return found

    plan = told()
    form = plan["forms"][0]  # type: ignore[index]
    need = form["need"]
    assert need["total"] == sum(need[part] for part in ("weights", "kv_cache", "activations", "context"))
    assert set(form["most_frames"]) == {"8GB", "12GB", "16GB", "24GB", "40GB", "80GB"}
    bare = f"{need['total'] / 1e6:.6f}MB"
    assert told("--vram", bare)["forms"][0]["most_frames"]["card"] >= plan["frames"]  # type: ignore[index]
    less = f"{(need['total'] - 1) / 1e6:.6f}MB"
    assert told("--vram", less)["forms"][0]["most_frames"]["card"] < plan["frames"]  # type: ignore[index]


@pytest.mark.parametrize("pair", ["tiny", "egogpt-qwen2vl-tiny", str(MICRO)])
def test_pairs_made_from_nothing_are_planned_too(capsys: pytest.CaptureFixture[str], pair: str) -> None:
    out = printed(capsys, "--pair", pair)
    assert "of 96x96" in out
    assert "native as saved (teacher fp32, student fp32)" in out


def test_the_size_of_a_frame_where_nobody_says(micro: object) -> None:
    from harness.pair import load_pair

    pair = load_pair("egogpt-qwen2vl")
    assert default_size(pair) == (432, 768)
    bare = pair.model_copy(update={"data": pair.data.model_copy(update={"max_side": None})})
    assert default_size(bare) == UNSHRUNK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "tinny"], "did you mean tiny?"),
        (["--pair", "tiny", "--frames", "0"], "--frames 0: at least one frame is needed"),
        (["--pair", "tiny", "--frames", "-3"], "--frames -3: at least one frame is needed"),
        (["--pair", "tiny", "--frames", "336"], "context holds 4,096: at most 335 frames of 96x96"),
        (["--pair", "egogpt-qwen2vl", "--frames", "200"], "context holds 32,768: at most 160 frames of 432x768"),
        (["--pair", "tiny", "--vram", "24"], "--vram 24: give a number with a unit"),
        (["--pair", "tiny", "--vram", "0GB"], "--vram 0GB: must be above zero"),
        (["--pair", "tiny", "--size", "96"], "--size 96: give height and width"),
        (["--pair", "tiny", "--size", "16x16000"], "aspect ratio"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *arguments]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.count("\n") == 1
    assert said in out.err


def test_what_so_many_questions_can_tell_is_said_in_advance(capsys: pytest.CaptureFixture[str]) -> None:
    assert "1200 questions on 150 clips see a difference of 3.0 points" in " ".join(
        printed(capsys, "--pair", "tiny").split()
    )
    real = " ".join(printed(capsys, "--pair", "egogpt-qwen2vl").split())
    assert "500 questions on 500 clips see a difference of 4.0 points" in real
