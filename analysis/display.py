"""How numbers are written in tables and sentences."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

NONE = "–"


class Table(NamedTuple):
    """A table to show: its caption, its column heads and its rows of text."""

    caption: str
    heads: list[str]
    rows: list[list[str]]


def table(caption: str, rows: Iterable[dict[str, str]]) -> Table:
    """A table of rows that map each column's head to its text."""
    rows = list(rows)
    return Table(caption, list(rows[0]) if rows else [], [list(row.values()) for row in rows])


def decimals(value: float, digits: int = 2) -> str:
    """A value with fixed decimals; a dash where there is none."""
    if pd.isna(value):
        return NONE
    text = "∞" if math.isinf(value) else f"{abs(value):,.{digits}f}"
    return f"−{text}" if value < 0 else text


def significant(value: float) -> str:
    """A value with three significant digits; a dash where there is none."""
    if pd.isna(value) or math.isinf(value) or value == 0:
        return decimals(value, 0)
    exponent = math.floor(math.log10(abs(value)))
    return scientific(value, exponent) if not -6 < exponent < 10 else decimals(value, max(0, 2 - exponent))


def scientific(value: float, exponent: int) -> str:
    """A very large or small value with three significant digits."""
    return f"{decimals(value / 10.0**exponent)}e{exponent}".replace("e-", "e−")


def percent(share: float) -> str:
    """A share, not negative, in per cent with two significant digits; a dash where there is none."""
    value = 100 * share
    if 0 < value < 0.01:
        return "< 0.01 %"
    digits = 2 if 0 < value < 0.995 else 1 if 0 < value < 9.95 else 0
    return NONE if pd.isna(share) else f"{decimals(value, digits)} %"


def interval(low: float, high: float, write: Callable[[float], str] = decimals) -> str:
    """An interval; a dash where there is none."""
    return NONE if pd.isna(low) else f"{write(low)} to {write(high)}"


def spread(middle: float, low: float, high: float, write: Callable[[float], str] = decimals) -> str:
    """A median and, where the values differ, the lowest and the highest in brackets."""
    ends = write(low), write(high)
    return write(middle) if ends[0] == ends[1] else f"{write(middle)} ({' to '.join(ends)})"


def capitalised(label: str) -> str:
    return label[0].upper() + label[1:]
