r"""The LaTeX table: every character is set, none is read; it compiles where there is a TeX."""

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Run
from harness.report.across import gather
from harness.report.formats.latex import escaped, render
from tests.harness.report.several import EVIL, of_commit, of_device, poisoned

TEX = next((found for name in ("pdflatex", "lualatex", "xelatex", "tectonic") if (found := shutil.which(name))), None)
# What the table itself may use; a command in a record's text would be another.
COMMANDS = {
    "begin", "end", "centering", "footnotesize", "setlength", "tabcolsep", "caption", "label", "toprule", "midrule",
    "bottomrule", "textbf", "textit", "scriptsize", "multicolumn", "usepackage", "addlinespace",
    "textbackslash", "textasciitilde", "textasciicircum", "ensuremath", "times", "kappa", "cdot", "ldots", "to",
    "approx", "le", "ge", "pm", "mu", "circ", "surd", "dagger",
    "char", "ss", "ae", "AE", "o", "O", "l", "L", "i", "v", "u", "c",
    "r", "H",
}  # fmt: skip
DOCUMENT = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\n\\end{document}\n"


def balanced(text: str) -> bool:
    """Whether every group that is opened is closed, and none before."""
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_it_is_a_booktabs_table_with_what_it_rests_on(sample: Run) -> None:
    text = render(gather([sample]))
    for part in (
        "\\toprule", "\\midrule", "\\bottomrule", "Variant & Agreement & Accuracy & TTFT & Inter{-}token",
        "\\textbf{distilled{-}int8}", "600 questions on 80 clips", "medians of 30 rounds", "95\\,\\% intervals",
        "{\\scriptsize ms}", "{\\scriptsize MB}", "finetuned\\ensuremath{^\\dagger}", "a control, never shipped",
        "Size: bytes of parameters, buffers and scales.",
    ):  # fmt: skip
        assert part in text
    assert text.isascii()
    assert balanced(text)
    assert text == render(gather([sample]))


def test_every_row_has_the_table_s_cells(sample: Run) -> None:
    text = render(gather([sample, of_commit(sample, "abcdef01", 3)]))
    rows = [line for line in text.splitlines() if line.endswith("\\\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {6}
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 2


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_brings_no_command(evil: str) -> None:
    text = render(gather([poisoned(evil)]))
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= COMMANDS
    assert text.isascii()
    assert balanced(text)


@given(st.text(max_size=60))
def test_whatever_is_escaped_is_ascii_balanced_and_without_a_live_sign(text: str) -> None:
    made = escaped(text)
    assert made.isascii()
    assert "\n" not in made
    assert balanced(made)
    assert not re.search(r"(?<!\\)(?:\\\\)*[%&$#_]", made)
    assert set(re.findall(r"\\([A-Za-z]+)", made)) <= COMMANDS
    assert not re.search(r"[\[\]*](?!\})", made)  # after a row's end they would be its arguments


@given(st.text(string.ascii_letters + string.digits + " .,:;()/+=", max_size=30))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert escaped(text) == " ".join(text.split())


@pytest.mark.slow
@pytest.mark.skipif(TEX is None, reason="no TeX: apt-get install texlive-latex-recommended (it was not compiled)")
@pytest.mark.parametrize("evil", ["plain", *EVIL, "several"])
def test_it_compiles(evil: str, sample: Run, tmp_path: Path) -> None:
    runs = {
        "plain": [sample],
        "several": [sample, of_commit(sample, "abcdef01", 3), of_device(of_commit(sample, "12345678", 4), "Some GPU")],
    }.get(evil) or [poisoned(evil)]
    (tmp_path / "paper.tex").write_text(DOCUMENT % render(gather(runs)))
    assert TEX is not None
    told = [] if TEX.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([TEX, *told, "paper.tex"], cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 1000
    if evil in ("plain", "several"):
        assert "Overfull" not in done.stdout  # it fits an article's column
