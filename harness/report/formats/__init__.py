"""A run, or several, as something else than a page: for a pull request, a program, a paper, a README.

    FORMATS["md"].render(gather([run]))        # the text

A new format is a module with a `render(found: Across) -> str` and an entry here. PNG is no text:
`harness/report/charts/png.py` draws it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.across import Across
from harness.report.formats import badge, latex, markdown, plain_json


@dataclass(frozen=True)
class Format:
    """How a format is made, and what its file is called beside a record."""

    render: Callable[[Across], str]
    file: str


FORMATS = {
    "md": Format(markdown.render, "report.md"),
    "json": Format(plain_json.render, "report.json"),
    "latex": Format(latex.render, "report.tex"),
    "badge": Format(badge.render, "badge.svg"),
    "shields": Format(badge.endpoint, "badge.json"),
}
