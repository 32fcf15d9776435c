"""Sizes of cards and frames as they are typed, and what is asked on the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plan.cards import UNITS, parse_size, parse_vram
from harness.plan.tokens import most


@pytest.mark.parametrize(
    ("text", "size"),
    [("24GB", 24 * 10**9), ("24GiB", 24 * 2**30), ("24000MB", 24 * 10**9), ("7.5GB", 7_500_000_000), ("1MiB", 2**20)],
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert parse_vram(text) == size


@given(st.integers(1, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_every_whole_number_with_a_unit_is_read(number: int, unit: str) -> None:
    assert parse_vram(f"{number}{unit}") == number * UNITS[unit]


@given(st.text(max_size=60).filter(lambda text: not text[:1].isdecimal()))
def test_anything_else_is_one_line(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_vram(text)
    assert str(raised.value).startswith("--vram")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "text", ["24", "24 GB", "24gb", "GB", "-1GB", "+24GB", "1e3GB", "0GB", "0.0MB", "24GB!", "२४GB", ""]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--vram"):
        parse_vram(text)


@given(st.integers(16, 16384), st.integers(16, 16384))
def test_a_frame_is_height_by_width(height: int, width: int) -> None:
    assert parse_size(f"{height}x{width}") == (height, width)


@pytest.mark.parametrize("text", ["432", "432x", "x768", "432*768", "432x768x3", "0x768", "8x8", "99999x99999", "-1x5"])
def test_what_is_no_frame_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        parse_size(text)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_most_that_fits(holds: int, limit: int) -> None:
    assert most(lambda count: count <= holds, limit) == min(holds, limit)
