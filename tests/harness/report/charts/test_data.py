"""CSV as a spreadsheet reads it: numbers stay numbers, text stays text."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from harness.record import Measurement
from harness.report.charts.data import Data, bounds, heads, share_heads

FREE = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_a_value_stands_with_its_interval_and_its_unit() -> None:
    ttft = Measurement("ttft", 9.3412345, "ms", 30, 9.1, None, False, "wall clock")
    data = Data(("Variant", *heads("TTFT", "ms"), "n"), (("int8", *bounds(ttft), 30),))
    assert data.csv() == b'Variant,TTFT (ms),"TTFT, low (ms)","TTFT, high (ms)",n\r\nint8,9.34123,9.1,,30\r\n'
    assert heads("Cohen’s kappa", "1")[0] == "Cohen’s kappa"
    assert share_heads("Agreement")[1] == "Agreement, low (0 to 1)"


def test_free_text_never_begins_a_formula() -> None:
    evil = ("=HYPERLINK(0)", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "＝1", "int8", "a=b", "-", " ")
    data = Data(evil, ((*evil[:-1], -1.5),))
    header, row = csv.reader(io.StringIO(data.csv().decode("utf-8-sig"), newline=""))
    for line in (header[:9], row[:9]):
        assert all(field.startswith("'") for field in line)
    assert header[9:] == ["int8", "a=b", "'-", " "]
    assert row[-1] == "-1.5", "a number below zero is no formula"


def test_a_byte_order_mark_only_where_a_letter_needs_it() -> None:
    assert not Data(("Variant",), ()).csv().startswith(b"\xef\xbb\xbf")
    assert Data(("κ",), ()).csv().startswith(b"\xef\xbb\xbf")
    assert Data(("half \ud800",), ()).csv() == b"\xef\xbb\xbfhalf ?\r\n"


@given(st.lists(st.tuples(FREE, st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.none())))
def test_what_is_written_is_read_again(rows: list[tuple[str, float, int, None]]) -> None:
    whole = Data(("text", "float", "count", "nothing"), tuple(rows)).csv().decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(whole, newline="")))[1:]
    for (text, number, count, _), (read, as_number, as_count, nothing) in zip(rows, found, strict=True):
        assert read in (text, f"'{text}")
        assert float(as_number) == float(f"{number:.6g}")
        assert (int(as_count), nothing) == (count, "")
