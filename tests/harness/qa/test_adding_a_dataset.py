"""The examples of docs/adding-a-dataset.md do what it says."""

import re
import sys
from pathlib import Path

import pytest

import harness.qa
from harness.cli import main
from harness.qa import jsonl
from harness.qa.datasets import module_of
from harness.qa.media import Sampling
from tests.harness.qa.film import film, number, numbers, photo

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "adding-a-dataset.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_CACHE", str(tmp_path / "cache"))


def test_the_jsonl_example_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "questions.jsonl").write_text(block("json"))
    film(tmp_path / "kitchen.mp4", frames=100, rate=10)
    for at in range(3):
        photo(tmp_path / "walk" / f"{at}.png", at)
    photo(tmp_path / "1.jpg", 9, quality=95)
    cut, way, pan = jsonl.read(tmp_path / "questions.jsonl", None, Sampling(8))
    assert numbers(cut.clip.frames()) == [25, 35, 45, 55, 65, 75, 85]
    assert (cut.gold, cut.also) == ("bread", ("a loaf",))
    assert (numbers(way.clip.frames()), way.gold, way.type) == ([0, 1, 2], "B", "direction")
    assert ([number(frame) for frame in pan.clip.frames()], pan.clip.recording) == ([9], "breakfast")
    assert main(["data", "check", f"jsonl:{tmp_path}/questions.jsonl"]) == 0
    assert "all is well: 3 clips decoded" in capsys.readouterr().out


def test_every_key_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE))))
    assert explained == {*jsonl.Open.model_fields, *jsonl.MultipleChoice.model_fields}


def test_the_module_of_the_example_is_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "kitchens.py").write_text(block("python"))
    monkeypatch.setattr(harness.qa, "__path__", [*harness.qa.__path__, str(tmp_path / "code")])
    try:
        module = module_of("kitchens")
        film(tmp_path / "a.mp4", frames=100, rate=10)
        (tmp_path / "questions.csv").write_text(
            "video,start,end,room,question,answer\na.mp4,0:02,5.5,galley,what is cut?,bread\na.mp4,0,1,hall,who?,\n"
        )
        reading = module.read(tmp_path, None, Sampling(8))
    finally:
        sys.modules.pop("harness.qa.kitchens", None)
    (item,) = reading
    assert (item.id, item.gold, item.type) == ("kitchens/0", "bread", "galley")
    assert numbers(item.clip.frames()) == [20, 30, 40, 50]
    assert reading.left_out == {"no answer": 1}
