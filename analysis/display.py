"""How numbers, names and tables are written."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from analysis.store import B, K
from src import schema
from src.schema import Quantity
from src.writing import NONE, decimals

Row = Mapping[Any, Any]
Write = Callable[[float], str]
Columns = dict[str, Callable[[Row], str]]  # how each column is written of a cell, by its head


class Table(NamedTuple):
    """A table to show: its caption, its column heads and its rows of text."""

    caption: str
    heads: list[str]
    rows: list[list[str]]


def table(caption: str, cells: pd.DataFrame, columns: Columns) -> Table:
    """Cells in the order of B and K: both, and each column by its head and how it is written of a cell."""
    columns = {"B": number(B, str), "K": number(K, str), **columns}
    rows = cells.sort_values([B, K]).to_dict("records")
    return Table(caption, list(columns), [[write(row) for write in columns.values()] for row in rows])


def ends(cells: pd.DataFrame) -> Iterator[tuple[Any, Row, Row]]:
    """Each B with its cells of the smallest and the largest K."""
    for batch_size, group in cells.sort_values(K).groupby(B):
        levels = group.to_dict("records")
        yield batch_size, levels[0], levels[-1]


def interval(row: Row, prefix: str = "", write: Write = decimals) -> str:
    """The interval in the columns PREFIXci_low and PREFIXci_high; a dash where there is none."""
    low, high = row[f"{prefix}ci_low"], row[f"{prefix}ci_high"]
    return NONE if pd.isna(low) else f"{write(low)} to {write(high)}"


def number(key: str, write: Callable[[Any], str] = decimals) -> Callable[[Row], str]:
    """How the value of a column is written."""
    return lambda row: write(row[key])


def spread(key: str, write: Write = decimals) -> Callable[[Row], str]:
    """How the median of a column is written, with the lowest and the highest value in brackets where they differ."""

    def text(row: Row) -> str:
        middle, low, high = (write(row[f"{key}_{end}"]) for end in ("median", "lowest", "highest"))
        return middle if low == high else f"{middle} ({low} to {high})"

    return text


def labelled(quantity: Quantity, kind: str) -> Quantity:
    """The quantity named after the kind of NLL that was recorded, such as a pseudo-NLL."""
    return quantity._replace(label=quantity.label.replace(schema.TRUE_NLL, kind))
