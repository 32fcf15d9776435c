"""How a figure is written."""

import pytest

from harness.report import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.8312, "4.83"), (48.31, "48.3"), (483.1, "483"), (4831.4, "4 831"), (0.2431, "0.243"),
     (0.0123, "0.012"), (0.0, "0.000"), (99.96, "100"), (999.7, "1 000"), (-3.456, "-3.46")],
)  # fmt: skip
def test_three_digits_without_exponents(value: float, text: str) -> None:
    assert figures.digits(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.0 %"), (0.9996, "99.9 %"), (0.0004, "0.1 %"), (0.0, "0.0 %"), (0.821, "82.1 %")],
)
def test_nearly_all_is_not_all_and_hardly_any_is_not_none(share: float, text: str) -> None:
    assert figures.percent(share) == text


def test_factors_points_and_p_values() -> None:
    assert [figures.times(x) for x in (4.38, 1.031, 12.4)] == ["4.4×", "1.03×", "12×"]
    assert [figures.points(x) for x in (-0.179, 0.0004, 0.05)] == ["−17.9 pt", "0.0 pt", "+5.0 pt"]
    assert [figures.p_value(p) for p in (1e-9, 0.0341, 0.5)] == ["p < 0.001", "p = 0.034", "p = 0.50"]
    assert figures.listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("number", "scale", "text"),
    [(0.57, 2, "57"), (0.8666, 2, "86.66"), (1.0, 0, "1"), (12000.0, 0, "12 000"), (1234567.5, 0, "1 234 567.5"),
     (0.0, 2, "0"), (1e-7, 0, "1e-7"), (1e20, 0, "1e+20"), (1 / 3, 0, "0.3333333333333333")],
)  # fmt: skip
def test_what_was_stated_keeps_all_its_digits(number: float, scale: int, text: str) -> None:
    assert figures.exact(number, scale) == text


def test_an_estimated_count_claims_two_digits() -> None:
    counts = (1, 2, 99, 101, 1456, 4700, 123_456)
    assert [figures.estimated(n, "rounds of each") for n in counts] == [
        "1 more round of each",
        "2 more rounds of each",
        "99 more rounds of each",
        "110 more rounds of each",
        "1 500 more rounds of each",
        "4 700 more rounds of each",
        "130 000 more rounds of each",
    ]
