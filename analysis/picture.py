"""What a figure is: a table, and what analysis.charts draws of it, for pages and for files."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.store import B, K
from analysis.style import Colours, sequential
from src.writing import label

LINES, POINTS, TILES, IMAGES = "lines", "points", "tiles", "images"
PANEL, HUE, X = "panel", "hue", "x"  # columns, beside mean, ci_low, ci_high and line
AXIS = "axis"  # the column of a switch among amounts of training
PAD = 0.08  # of the range of values, beyond it
SPARSE_EPOCHS = 12  # few epochs, some of them beyond this one, have a logarithmic axis


class Picture(NamedTuple):
    """A figure.

    Attributes:
        stem: its name. title, subtitle: above it in a file. caption: below it on a page.
        table: a row per point, with the columns panel, hue (a label of colours), x, mean; ci_low and ci_high, the ends
            of its interval; line, the height of a line that joins points; what `switch`, `marks` and `tips` name.
            Of TILES x and mean are the columns and rows.
        x, y: titles of the axes; no title of x where the switch says it.
        colours: by label, in the order of the legend.
        kind: LINES with bands, POINTS with bars, TILES, or IMAGES: those of the column image, with a note.
        switch: the column by whose values the reader chooses what is shown; a file has a row for each of `rows`.
        marks: the column by which lines are dashed and points have shapes.
        log: the logarithmic axes, such as "y". floor: the lower end of y, else that of the values.
        percent: whether y is a share. margin: the band around 0, in the unit of y.
        seeds: of single runs, with the columns of the table: faint points beside the means.
        tips: what hovering shows, by column.
        setting: the number of the setting that it shows; 0 where it shows all, or the only one.
    """

    stem: str
    title: str
    caption: str
    table: pd.DataFrame
    x: str
    y: str
    colours: Colours
    kind: str = LINES
    switch: str = ""
    rows: Sequence[str] = ()
    marks: str = ""
    log: str = ""
    floor: float | None = None
    percent: bool = False
    margin: float | None = None
    seeds: pd.DataFrame | None = None
    tips: Mapping[str, str] = {}
    subtitle: str = ""
    setting: int = 0

    @property
    def file(self) -> str:
        """The name of its files, without suffix."""
        return f"setting{self.setting}_{self.stem}" if self.setting else self.stem

    @property
    def panels(self) -> list[str]:
        return self.values(PANEL)

    @property
    def choices(self) -> list[str]:
        return self.values(self.switch)

    @property
    def seed_count(self) -> str:
        """The number of seeds behind the points, from the column n; empty where they are single runs."""
        known = self.table.get("n", pd.Series(dtype=float)).dropna().astype(int)
        return f"n={' to '.join(map(str, dict.fromkeys([known.min(), known.max()])))}" if len(known) else ""

    @property
    def mark_values(self) -> list[str]:
        return self.values(self.marks)

    def values(self, column: str) -> list[str]:
        """The values of a column in the order of the table; none without a name."""
        return [str(value) for value in self.table[column].unique()] if column else []

    def chosen(self, value: str = "", panel: str | None = None) -> pd.DataFrame:
        """The rows at a value of the switch, of one panel or of all."""
        rows = self.table[self.table[self.switch] == value] if self.switch else self.table
        return rows if panel is None else rows[rows[PANEL] == panel]

    def size(self, value: str = "") -> tuple[float, float]:
        """The range of y at a value of the switch, for all panels. Bands of lines may be wide where they begin: they
        count at their ends.
        """
        rows = last = self.chosen(value)
        if self.kind == LINES and self.floor is None:
            last = rows[rows[X] == rows.groupby([PANEL, HUE])[X].transform("max")]
        drawn = (rows.reindex(columns=["mean", "line"]), last.reindex(columns=["ci_low", "ci_high"]))
        found = [each.to_numpy(dtype=float).ravel() for each in drawn]
        found += [] if self.seeds is None else [self.seeds["mean"].to_numpy(dtype=float)]
        found += [np.array([0.0])] if self.margin else []
        known = np.concatenate(found)
        known = known[np.isfinite(known) & ((known > 0) | ("y" not in self.log))]
        known = np.log10(known) if "y" in self.log else known
        low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
        room = (PAD if self.kind == POINTS else 2 * PAD) * (high - low) or 1.0
        low, high = low - room if self.floor is None else self.floor, high + room
        return (10**low, 10**high) if "y" in self.log else (float(low), float(high))

    @property
    def sparse(self) -> bool:
        """Whether x are few epochs that lie far apart."""
        values: Any = self.table[X]
        return self.x == "epoch" and values.nunique() <= SPARSE_EPOCHS and values.max() > SPARSE_EPOCHS


def labels(column: pd.Series) -> list[str]:
    """The values of a setting with its name: K=5."""
    return [label(str(column.name), value) for value in column]


def of_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of cells with their panel, B=100, and their hue, K=5."""
    return rows.assign(**{PANEL: labels(rows[B]), HUE: labels(rows[K])})


def palette(rows: pd.DataFrame) -> Colours:
    """The colour of each K."""
    return sequential(labels(rows[K].sort_values()))
