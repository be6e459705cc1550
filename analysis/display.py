"""How numbers and names are written in tables and sentences."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from src import schema
from src.schema import Quantity

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


def whole(value: float) -> str:
    """A value without decimals; a dash where there is none."""
    return decimals(value, 0)


def significant(value: float) -> str:
    """A value with three significant digits, with an exponent where it is very large or small; a dash for none."""
    if pd.isna(value) or math.isinf(value) or value == 0:
        return whole(value)
    exponent = math.floor(math.log10(abs(value)))
    if -6 < exponent < 10:
        return decimals(value, max(0, 2 - exponent))
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
    """The label as the start of a sentence."""
    return label[0].upper() + label[1:]


def counted(n: int, noun: str) -> str:
    """A number with its noun, in the plural by an s where it is not 1."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def labelled(quantity: Quantity, kind: str) -> Quantity:
    """The quantity named after the kind of NLL that was recorded, such as a pseudo-NLL."""
    return quantity._replace(label=quantity.label.replace(schema.TRUE_NLL, kind))


def seed_count(n: pd.Series) -> str:
    """How many seeds are behind the means."""
    low, high = n.min(), n.max()
    return f"n = {counted(low, 'seed')} per cell" if low == high else f"n = {low} to {high} seeds per cell"
