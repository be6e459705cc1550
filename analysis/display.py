"""Tables of text from rows of numbers."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from analysis.store import B, K
from src import schema
from src.schema import Quantity
from src.writing import NONE, decimals, short

Row = Mapping[Any, Any]
Write = Callable[[Any], str]
Columns = Mapping[str, Callable[[Row], str]]  # by its head, how a column is written of a row


class Table(NamedTuple):
    """A table to show: its title, its column heads, its rows of text, and what a reader has to know of it."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    caption: str = ""


def table(title: str, cells: pd.DataFrame, columns: Columns, caption: str = "") -> Table:
    """B, K and these columns of every cell, in the order of B and K."""
    columns = {**{short(key): number(key, str) for key in (B, K)}, **columns}
    rows = cells.sort_values([B, K]).to_dict("records")
    return Table(title, [*columns], [[write(row) for write in columns.values()] for row in rows], caption)


def interval(row: Row, prefix: str = "", write: Write = decimals) -> str:
    """The interval in the columns PREFIXci_low and PREFIXci_high; a dash where there is none."""
    low, high = row[f"{prefix}ci_low"], row[f"{prefix}ci_high"]
    return NONE if pd.isna(low) else f"{write(low)} to {write(high)}"


def number(key: str, write: Write = decimals) -> Callable[[Row], str]:
    """The value of a column."""
    return lambda row: write(row[key])


def spread(key: str, write: Write = decimals) -> Callable[[Row], str]:
    """The median of a column, with the lowest and the highest value in brackets where they differ."""

    def text(row: Row) -> str:
        middle, low, high = (write(row[f"{key}_{end}"]) for end in ("median", "lowest", "highest"))
        return middle if low == high else f"{middle} ({low} to {high})"

    return text


def labelled(quantity: Quantity, kind: str) -> Quantity:
    """The quantity named after the kind of NLL that was recorded, such as a pseudo-NLL."""
    return quantity._replace(label=quantity.label.replace(schema.TRUE_NLL, kind))
