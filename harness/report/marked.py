"""Text of a record in GitHub-flavoured Markdown: shown as it is, read as nothing.

    f"| {escaped(name)} |"     # no HTML, no cell border, no emphasis, no link, no mention, no reference to an issue

A backslash keeps Markdown from reading a character. GitHub looks for mentions, addresses and references in the text
that is left, so a word joiner (U+2060, without width) stands behind what begins one.
"""

import html
import re

from harness.errors import oneline

_JOINER = "\N{WORD JOINER}"
_READ = frozenset("\\`*_[]#|~!$")  # what Markdown reads within a line; <, > and & are HTML's
_BEGINS = re.compile(r"[-+=]|\d+(?=[.)](?:\s|$))")  # and where a line begins
_STARTS = re.compile(r"(?<=[@#])(?=\w)|(?<=\bwww)(?=\.)|(?<=:)(?=//)|(?<=\bgh-)(?=\d)", re.IGNORECASE)


def escaped(text: object, limit: int = 1000) -> str:
    """Text that GitHub shows as it is, on one line."""
    plain = oneline(text, limit)
    begun = _BEGINS.match(plain)
    at = -1 if begun is None else begun.start() if plain[0] in "-+=" else begun.end()
    joined = {found.start() for found in _STARTS.finditer(plain)}
    made = []
    for place, c in enumerate(plain):
        mark = f"\\{c}" if c in _READ or place == at else html.escape(c, quote=False)
        made.append(f"{_JOINER}{mark}" if place in joined else mark)
    return "".join(made)
