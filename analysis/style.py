"""The look and the grid of panels that all figures share: readable in print and by colour-blind readers."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from textwrap import wrap
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.store import EPOCH, K
from src import schema

Colours = dict[Any, tuple[float, float, float]]  # by level of K or B

INK = "#23303a"
MUTED = "#6b7780"
SEED_LINE = "#b4bcc2"
# Inches: the report's width, and the least and largest width of a facet, which depends on their number.
PAGE = 10.5
PANEL_WIDTH = (2.5, 3.6)
PANEL_HEIGHT = 2.9
PANELS_PER_ROW = 3
LABEL_WIDTH = 46  # characters that fit beside a panel
BAND_OPACITY = 0.18
LINE_WIDTHS = (2.6, 1.4)  # of the smallest and the largest K
# Lightness falls along each, so the order survives in grey; the two are told apart by hue.
K_STOPS = ("#46b87b", "#24878e", "#38598c", "#440f56")
B_STOPS = ("#e59a4f", "#c4503e", "#6b2346")

SETTINGS = sns.axes_style("whitegrid") | {
    "savefig.dpi": 200,
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e7ebee",
    "figure.titlesize": 11,
    "legend.frameon": False,
    # The same tables give the same bytes: without a salt the SVG has random ids.
    "svg.hashsalt": schema.EXPERIMENT,
}


class Picture(NamedTuple):
    """A figure: the stem of its file names, the table behind it, how to draw it, its caption, and what the page shows."""

    stem: str
    table: pd.DataFrame
    draw: Callable[[], Figure]
    caption: str
    chart: Any = None  # a charts.Chart where the page has an interactive one


def applied() -> AbstractContextManager[None]:
    """Figures made and saved inside have this look; matplotlib's settings outside stay as they were."""
    return mpl.rc_context(SETTINGS)


def sequential(levels: Iterable[Any], stops: Sequence[str] = K_STOPS) -> Colours:
    """A colour per level of an ordered quantity, light to dark; the lightest is still readable on white."""
    ordered = list(dict.fromkeys(levels))  # words keep their order
    ordered = ordered if any(isinstance(level, str) for level in ordered) else sorted(ordered)
    return dict(zip(ordered, sns.blend_palette(stops, len(ordered)), strict=True))


def lines(ax: Axes, table: pd.DataFrame, value: str, colours: Colours, **look: Any) -> None:
    """A line by epoch per K; later ones are thinner, so that one that runs over another does not hide it."""
    widths = dict(zip(colours, np.linspace(*LINE_WIDTHS, len(colours)), strict=True))
    for k, line in table.sort_values(EPOCH).groupby(K):
        ax.plot(line[EPOCH], line[value], color=colours[k], linewidth=widths[k], **look)


def bands(ax: Axes, table: pd.DataFrame, x: str, hue: str, colours: Colours) -> None:
    """Means as lines, their intervals in the columns ci_low and ci_high as bands."""
    for level, line in table.sort_values(x).groupby(hue, sort=False):
        ax.plot(line[x], line["mean"], color=colours[level], linewidth=1.6)
        ax.fill_between(line[x], line["ci_low"], line["ci_high"], color=colours[level], alpha=BAND_OPACITY, linewidth=0)


def margin_band(ax: Axes, margin: float) -> None:
    """The margin on both sides of 0, and a line there."""
    ax.axhspan(-margin, margin, color=MUTED, alpha=0.15, linewidth=0)
    ax.axhline(0, color=MUTED, linewidth=0.8)


def handles(colours: Colours, prefix: str = "") -> list[Line2D]:
    """What a legend shows of the colours."""
    return [Line2D([], [], color=colour, label=f"{prefix}{level}") for level, colour in colours.items()]


def marker(shape: str, label: str, colour: str = MUTED) -> Line2D:
    """What a legend shows of the shape of points."""
    return Line2D([], [], color=colour, marker=shape, linestyle="", label=label)


def facet_size(columns: int, rows: int) -> tuple[float, float]:
    """The size in inches of a figure of so many panels."""
    return float(np.clip(PAGE / columns, *PANEL_WIDTH)) * max(columns, 1.4) + 1, PANEL_HEIGHT * rows + 0.7


def wrapped(names: Sequence[str], label: str, title: str, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """Empty axes for each name, PANELS_PER_ROW side by side, with one scale and a label at the left."""
    columns = min(len(names), PANELS_PER_ROW)
    rows = -(-len(names) // columns)
    figure, axes = panels([label] * rows, [""] * columns, facet_size(columns, rows), title, sharey=sharey)
    for ax, name in zip(axes.flat, names, strict=False):
        ax.set_title(name)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    return figure, list(axes.flat[: len(names)])


def panels(
    rows: Sequence[str], columns: Sequence[str], size: tuple[float, float], title: str, **shared: Any
) -> tuple[Figure, np.ndarray]:
    """Empty axes, [rows, columns]: the rows' labels at the left, the columns' titles on top, the title above all."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False, **shared)
    for ax, label in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel("\n".join(line for part in label.splitlines() for line in wrap(part, LABEL_WIDTH)))
    for ax, name in zip(axes[0], columns, strict=True):
        ax.set_title(name)
    figure.suptitle(title, x=0.01, ha="left")
    return figure, axes
