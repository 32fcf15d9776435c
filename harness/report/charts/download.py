"""A chart as a file of its own, out of the page and without JavaScript: a link whose address holds all of it.

    <a download="pareto.svg" href="{{ chart | svg_uri }}">SVG</a>

The SVG stands alone: the page's own style in its light colours, resolved to one plain class for each kind of mark,
since Inkscape, LaTeX and office programs know no CSS variables. The CSV is the chart's data.
"""

import base64
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from harness.report.charts.data import Data
from harness.report.charts.svg import Chart

_CSS = Path(__file__).parents[1] / "templates" / "css"
_NAMESPACE = "http://www.w3.org/2000/svg"
_GROUND = "#ffffff"  # paper and slides are white, the page is not quite
_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_AT_RULE = re.compile(r"@[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SELECTOR = re.compile(r"(text)?((?:\.[\w-]+)*)")
_DRAWN = re.compile(r"fill|stroke|opacity|font-(?:size|weight|style)|paint-order")

Rule = tuple[str, frozenset[str], dict[str, str]]  # element or "", classes, declarations


def svg_uri(chart: Chart) -> str:
    """The wide drawing as a `data:` address of a file that stands alone."""
    return "data:image/svg+xml;base64," + base64.b64encode(standalone(chart)).decode()


def csv_uri(chart: Chart) -> str:
    """The chart's figures as a `data:` address of a CSV file."""
    data = chart.data or Data(chart.header, chart.rows)
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(data.csv()).decode()


def file_name(chart: Chart, ending: str) -> str:
    """A name that every file system takes: of the chart's id, letters, digits, - and _ alone."""
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', chart.id)[:80].strip('-') or 'chart'}.{ending}"


def standalone(chart: Chart) -> bytes:
    """The wide drawing as an SVG file, in UTF-8: light colours on white, its style within, nothing from outside."""
    root = ElementTree.fromstring(_NOT_XML.sub("\ufffd", str(chart.wide)))
    styles: dict[str, str] = {}
    for element in root.iter():
        classes = element.attrib.pop("class", "").split() if element is not root else []
        kind = element.tag if element.tag == "text" else ""
        style = _style(kind, tuple(classes))
        if style:
            name = "-".join(filter(None, (kind, *classes)))
            styles[name] = style
            element.set("class", name)
    root.attrib.pop("class", None)
    root.set("xmlns", _NAMESPACE)
    root.set("font-family", _FONTS)
    root.set("font-size", "12")
    style_element = ElementTree.Element("style")
    style_element.text = "".join(f".{name}{{{style}}}" for name, style in sorted(styles.items()))
    ground = ElementTree.Element("rect", {"width": "100%", "height": "100%", "fill": _GROUND})
    root[2:2] = [style_element, ground]  # after title and desc
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode").encode()


@cache
def _style(kind: str, classes: tuple[str, ...]) -> str:
    """The declarations that an element's classes come to, in light colours; of more classes is stronger, then later."""
    rules, colours = _sheet()
    found: dict[str, str] = {}
    fitting = [rule for rule in rules if rule[0] in ("", kind) and rule[1].issubset(classes) and (rule[0] or rule[1])]
    for _, _, declarations in sorted(fitting, key=lambda rule: len(rule[1])):
        found.update(declarations)
    values = {**colours, **{name: value for name, value in found.items() if name.startswith("--")}}
    drawn = {name: _resolved(value, values) for name, value in found.items() if _DRAWN.match(name)}
    return ";".join(f"{name}:{value}" for name, value in sorted(drawn.items()))


def _resolved(value: str, values: dict[str, str]) -> str:
    for _ in range(4):  # --c: var(--hue1)
        value = re.sub(r"var\((--[\w-]+)\)", lambda found: values.get(found[1], "currentColor"), value)
    return value


@cache
def _sheet() -> tuple[tuple[Rule, ...], dict[str, str]]:
    """The page's rules that a drawing can meet, in their order, and its light colours."""
    css = "".join(file.read_text(encoding="utf-8") for file in sorted(_CSS.glob("*.css")))
    css = _AT_RULE.sub("", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    rules: list[Rule] = []
    colours: dict[str, str] = {}
    for selectors, body in _RULE.findall(css):
        pairs = (line.partition(":") for line in body.split(";"))
        declarations = {name.strip(): value.strip() for name, _, value in pairs if value}
        for selector in selectors.split(","):
            match = _SELECTOR.fullmatch(selector.strip())
            if selector.strip() == ":root":
                colours.update(declarations)
            elif match and selector.strip():
                rules.append((match[1] or "", frozenset(filter(None, match[2].split("."))), declarations))
    return tuple(rules), {**colours, "--paper": _GROUND}
