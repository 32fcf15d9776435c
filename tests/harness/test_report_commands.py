"""`firstsight report`: where each format goes, what is printed, and that bad input is one line and writes nothing."""

import json
import re
import shlex
from pathlib import Path

import pytest

from harness.cli import main
from harness.record import Run
from harness.report_commands import EPILOG
from tests.harness.report.sample import as_json, sample_run
from tests.harness.report.several import of_commit, of_device, of_pair


@pytest.fixture(scope="module")
def sample() -> Run:
    return sample_run()


def save(run: Run, folder: Path, name: str = "0001_sample.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(as_json(run)))
    return folder / name


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_every_text_lies_beside_its_record(sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(sample, tmp_path)
    assert main(["report", str(tmp_path), "--format", "html,md", "--format", "json,latex,badge,shields"]) == 0
    made = {"badge.json", "badge.svg", "report.html", "report.json", "report.md", "report.tex"}
    assert made <= set(files(tmp_path))
    printed = capsys.readouterr().out
    for line in ("Ship distilled-int8:", f"report: {tmp_path}/report.html", f"md: {tmp_path}/report.md",
                 f"record: {tmp_path}/0001_sample.json"):  # fmt: skip
        assert line in printed


def test_out_is_the_file_of_one_format_and_the_folder_of_several(sample: Run, tmp_path: Path) -> None:
    record = save(sample, tmp_path / "r")
    assert main(["report", str(record), "--format", "md", "--out", str(tmp_path / "deep" / "x.txt")]) == 0
    assert main(["report", str(record), "--format", "md,json", "--out", str(tmp_path / "both")]) == 0
    assert main(["report", str(record), "--format", "latex", "--out", str(tmp_path / "both")]) == 0
    assert files(tmp_path) == ["both/report.json", "both/report.md", "both/report.tex", "deep/x.txt",
                               "r/0001_sample.json"]  # fmt: skip
    assert (tmp_path / "deep" / "x.txt").read_bytes() == (tmp_path / "both" / "report.md").read_bytes()


def test_pictures_lie_in_a_folder_of_their_own(sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("resvg_py", reason="no resvg-py: pip install resvg-py (no picture was drawn)")
    save(sample, tmp_path / "a")
    save(of_commit(sample, "abcdef01", 3), tmp_path / "b")
    assert main(["report", str(tmp_path / "a"), "--format", "png"]) == 0
    drawn = [name for name in files(tmp_path / "a") if name.endswith(".png")]
    assert "figures/pareto.png" in drawn
    assert capsys.readouterr().out.count("figure: ") == len(drawn)
    both = ["report", str(tmp_path / "a"), str(tmp_path / "b"), "--format", "png", "--out", str(tmp_path / "drawn")]
    assert main(both) == 0
    assert {name.partition("/")[0] for name in files(tmp_path / "drawn")} == {"run-1", "run-2"}
    assert (tmp_path / "drawn/run-1/pareto.png").read_bytes() == (tmp_path / "a/figures/pareto.png").read_bytes()


@pytest.mark.parametrize(("name", "begins"), [("md", "**Ship"), ("json", "{"), ("latex", "% made"), ("badge", "<svg")])
def test_a_text_goes_to_standard_output_alone(
    name: str, begins: str, sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(sample, tmp_path)
    assert main(["report", str(tmp_path), "--format", name, "--out", "-"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(begins)
    assert "record:" not in printed
    assert files(tmp_path) == ["0001_sample.json"]


def test_several_records_are_one_page_in_the_folder_that_holds_them(
    sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(sample, tmp_path / "tiny" / "cpu")
    save(of_device(sample, "Some GPU"), tmp_path / "tiny" / "gpu")
    folders = [str(tmp_path / "tiny" / name) for name in ("cpu", "gpu")]
    assert main(["report", *folders, "--format", "html,md"]) == 0
    printed = capsys.readouterr().out
    assert "Ship distilled-int8 in both runs." in printed
    assert "are not compared: they differ in device" in printed
    assert [name for name in files(tmp_path / "tiny") if "/" not in name] == ["across.html", "across.md"]
    before = (tmp_path / "tiny" / "across.html").read_bytes()
    assert main(["report", *folders[::-1]]) == 0
    assert (tmp_path / "tiny" / "across.html").read_bytes() == before
    assert main(["report", *folders, "--across", "device,driver"]) == 0
    assert b"Run 2 against run 1" in (tmp_path / "tiny" / "across.html").read_bytes()


def test_an_index_is_made_of_all_below_a_folder(
    sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(sample, tmp_path / "a")
    save(of_commit(sample, "abcdef01", 3), tmp_path / "b")
    assert main(["report", "--index", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"index: {tmp_path}/index.html, of 2 records\n"
    assert (tmp_path / "index.html").read_text().count("Ship distilled-int8:") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "report: no record"),
        (["HERE/no/such.json"], "no such file"),
        (["HERE/a", "HERE/broken"], "not JSON, or cut short"),
        (["HERE/a", "HERE/odd"], "odd/0001_odd.json: objective beauty: unknown"),
        (["HERE/a", "HERE/a"], "the same run given twice"),
        (["HERE/a", "HERE/a/0001_sample.json"], "the same run given twice"),
        (["HERE/a", "--format", "pdf"], "--format pdf: no such format; there are html, md"),
        (["HERE/a", "--format", ","], "--format: names none"),
        (["HERE/a", "--format", "md,json", "--out", "-"], "--out -: one format at a time"),
        (["HERE/a", "--format", "png", "--out", "-"], "--out -: one format at a time"),
        (["HERE/a", "HERE/b", "--format", "html,badge"], "a badge says what one run ships"),
        (["HERE/a", "--format", "json", "--out", "HERE/a/0001_sample.json"], "is a record, measured once"),
        (["HERE/a", "--format", "md", "--out", "HERE/a/0001_sample.json/x.md"], "cannot be written"),
        (["HERE/a", "HERE/b", "--across", "colour"], "--across colour: no such field"),
        (["HERE/a", "--index", "HERE"], "--index takes a folder alone"),
        (["--index", "HERE/none"], "no such folder"),
        (["--index", "HERE/empty"], "no record in it"),
        (["--index", "HERE/broken"], "not JSON, or cut short"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    arguments: list[str], said: str, sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(sample, tmp_path / "a")
    save(of_commit(sample, "abcdef01", 3), tmp_path / "b")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0001_cut.json").write_text('{"machine_info": {')
    save(of_pair(sample, objective="beauty"), tmp_path / "odd", "0001_odd.json")
    before = files(tmp_path)
    assert main(["report", *(word.replace("HERE", str(tmp_path)) for word in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert files(tmp_path) == before


def test_a_page_on_standard_output_links_no_file_that_is_not_there(
    sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(save(sample, tmp_path)), "--format", "html", "--out", "-"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r'href="\.[^"]*"', printed) == []
    assert "are in the flips.json that is written beside a page of a file" in printed
    assert files(tmp_path) == ["0001_sample.json"]


@pytest.mark.parametrize("asked", [["--format", "html"], ["--format", "md"], ["--index"]])
@pytest.mark.parametrize("held", [1.0, 0.5])
def test_no_record_is_written_over_not_even_another_run_s_or_half_a_one(
    sample: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], held: float
) -> None:
    given, other = save(sample, tmp_path / "a"), save(of_commit(sample, "abcdef01", 3), tmp_path / "b", "before.json")
    text = other.read_bytes()[: int(held * other.stat().st_size)]
    other.write_bytes(text)
    asked = [*asked, str(given.parent)] if asked == ["--index"] else [str(given), *asked]
    assert main(["report", *asked, "--out", str(other)]) == 2
    assert capsys.readouterr().err == f"firstsight: --out {other}: is a record, measured once; give another path\n"
    assert other.read_bytes() == text
    assert files(tmp_path) == ["a/0001_sample.json", "b/before.json"]


def test_a_record_that_is_cut_short_leaves_the_page_of_before(sample: Run, tmp_path: Path) -> None:
    record = save(sample, tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_bytes()
    record.write_text(record.read_text()[:-20])
    assert main(["report", str(tmp_path)]) == 2
    assert (tmp_path / "report.html").read_bytes() == page


GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "report-formats.md").read_text(encoding="utf-8")
EXAMPLES = [
    re.split(r"\s{3,}|\s\|", line.strip())[0]
    for line in f"{EPILOG}\n{GUIDE}".splitlines()
    if re.match(r"\s+firstsight report ", line)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_help_and_guide_runs(
    example: str, sample: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "png" in example:
        pytest.importorskip("resvg_py", reason="no resvg-py: pip install resvg-py (no picture was drawn)")
    monkeypatch.chdir(tmp_path)
    save(sample, Path("results/tiny/cpu"))
    save(of_device(sample, "H100"), Path("results/tiny/h100"))
    save(sample, Path("results/published/cpu"))
    save(sample, Path(), "before.json")
    save(of_commit(sample, "abcdef01", 3), Path(), "after.json")
    assert main(shlex.split(example)[1:]) == 0
    assert capsys.readouterr().out


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", "--help"])
    assert stopped.value.code == 0
    assert "firstsight report results/tiny/cpu --format md --out -" in capsys.readouterr().out
