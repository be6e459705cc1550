"""Pictures by seaborn and matplotlib, for files and for pages that cannot draw. Draw inside style.applied()."""

from itertools import cycle
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter

from analysis import style
from analysis.picture import HUE, IMAGES, LINES, PANEL, TILES, Picture, X

# Inches: the width of a page, and the least and largest width of a panel, which depends on their number.
PAGE = 10.5
PANEL_WIDTH = (2.5, 3.6)
PANEL_HEIGHT = 2.9
PANELS_PER_ROW = 4
LABEL_WIDTH, WORD_WIDTH, TITLE_PER_INCH = 40, 12, 9  # characters beside a panel, under a point, above a panel
AXIS_WIDTH = 40  # characters under the narrowest of panels
MOST_SEEDS = 12  # that are named on an axis
MARKERS = "osD^v"
DASHES: list[Any] = ["", (3, 1.6)]  # as seaborn has them
JITTER = 0.3
SMALL_SHARE = 0.02  # up to here shares have decimals
IMAGE_PIXELS = 400  # about the width of a picture in a figure


def draw(picture: Picture) -> Figure:
    """A column per panel, a row per value of the switch that a file shows; where there is one of them, they wrap."""
    values = list(dict.fromkeys(picture.table[X])) if picture.kind == IMAGES else filled(picture)
    shown = [(value, panel) for value in values for panel in picture.panels]
    columns = len(picture.panels) if len(values) > 1 and len(picture.panels) > 1 else min(PANELS_PER_ROW, len(shown))
    rows = -(-len(shown) // columns)
    size = float(np.clip(PAGE / columns, *PANEL_WIDTH)) * max(columns, 1.4) + 1, PANEL_HEIGHT * rows + 0.7
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(", ".join(filter(None, [picture.title, picture.seed_count])), x=0.01, ha="left")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes if picture.kind == IMAGES else axes[len(shown) :]:
        ax.set_axis_off()
    for at, (value, panel) in enumerate(shown):
        part = value if len(values) > 1 and picture.kind != IMAGES else ""
        title = ", ".join(filter(None, [panel, part]))
        axes[at].set_title(wrapped(title, TITLE_PER_INCH * size[0] / columns) if len(axes) > 1 else title)
        panel_of(axes[at], picture, value, panel)
        if at % columns == 0:
            axes[at].set_ylabel(wrapped(picture.y, LABEL_WIDTH))
    if handles := keys(picture):
        figure.legend(handles=handles, loc="outside right upper")
    return figure


def wrapped(text: str, width: float) -> str:
    """A text in lines of at most so many characters; a name and its value are apart only where they do not fit."""
    words = [word if len(word) <= width else word.replace("=", "= ") for word in text.split()]
    return fill(" ".join(words), int(width), break_long_words=False)


def filled(picture: Picture) -> list[str]:
    """The values of the switch for which some panel has rows; "" where there is no switch."""
    return [value for value in picture.rows or [""] if any(len(picture.chosen(value, each)) for each in picture.panels)]


def panel_of(ax: Axes, picture: Picture, value: str, panel: str) -> None:
    """One panel, at a value of the switch."""
    if picture.kind == IMAGES:
        rows = picture.table[(picture.table[PANEL] == panel) & (picture.table[X] == value)]
        for image, note in zip(rows["image"], rows["note"], strict=True):
            step = max(1, image.shape[1] // IMAGE_PIXELS)
            ax.imshow(image[::step, ::step], cmap="gray_r")
            ax.text(0, -0.02, note, transform=ax.transAxes, fontsize=7, va="top")
        return
    rows = picture.chosen(value, panel)
    if rows.empty:
        ax.text(0.5, 0.5, "no values", transform=ax.transAxes, ha="center", color=style.MUTED)
        return
    if picture.kind == TILES:
        tiles(ax, picture, rows)
        return
    if picture.margin:
        ax.axhspan(-picture.margin, picture.margin, color=style.MUTED, alpha=0.15, linewidth=0)
        ax.axhline(0, color=style.MUTED, linewidth=0.8)
    scales(ax, picture, rows)
    ax.set_ylim(picture.size(value))  # before drawing: matplotlib warns where equal values are all that it can go by
    (lines if picture.kind == LINES else points)(ax, picture, rows)
    ax.set(ylabel="", xlabel=value if value and not picture.x else picture.x)
    if picture.percent:
        decimals = None if picture.size(value)[1] > SMALL_SHARE else 2
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=decimals))
    if picture.kind == LINES and not picture.sparse:
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=bool((rows[X] % 1 == 0).all())))


def scales(ax: Axes, picture: Picture, rows: pd.DataFrame) -> None:
    """The scales of both axes, and the ticks of those that are not linear."""
    ax.set_xscale("log" if "x" in picture.log else "symlog" if picture.sparse else "linear")
    ax.set_yscale("log" if "y" in picture.log else "linear")
    if "y" in picture.log:
        ax.yaxis.set_minor_locator(NullLocator())
    if "x" in picture.log:
        low, high = rows[X].min(), rows[X].max()
        if low == high:  # matplotlib would spread rounding errors over the whole axis
            ax.set_xlim(low / 2, 2 * high)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5)))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(NullFormatter())
    if picture.sparse:
        levels = np.sort(picture.table[X].unique())
        names = [f"{level:g}" for level in levels]
        ax.set_xticks(levels, apart(names, ax.xaxis.get_transform().transform(levels)))
        ax.xaxis.set_minor_locator(NullLocator())


def apart(names: list[str], places: np.ndarray) -> list[str]:
    """The names of ticks, empty where one would touch the one before it; places: increasing, along the axis."""
    character, last = (places[-1] - places[0]) / AXIS_WIDTH, 0
    kept = names[:1]
    for number in range(1, len(names)):
        width = (len(names[last]) + len(names[number])) / 2 + 1
        free = places[number] - places[last] >= width * character
        kept.append(names[number] if free else "")
        last = number if free else last
    return kept


def lines(ax: Axes, picture: Picture, rows: pd.DataFrame) -> None:
    """Means as lines, intervals as bands."""
    look = {"hue": HUE, "palette": picture.colours, "legend": False, "estimator": None, "errorbar": None}
    if picture.marks:
        look |= {"style": picture.marks, "style_order": picture.mark_values, "dashes": DASHES}
    sns.lineplot(rows, x=X, y="mean", ax=ax, **look)
    if "ci_low" in rows:
        for label, line in rows.sort_values(X).groupby(HUE, sort=False):
            ends = line["ci_low"].astype(float), line["ci_high"].astype(float)
            colour = picture.colours[str(label)]
            ax.fill_between(line[X], *ends, color=colour, alpha=style.BAND_OPACITY, linewidth=0)


def points(ax: Axes, picture: Picture, rows: pd.DataFrame) -> None:
    """Means as points, intervals as bars, a line that joins points, single seeds a little apart."""
    words = [] if rows[X].dtype.kind in "iuf" else list(dict.fromkeys(picture.table[X]))
    at = {label: place for place, label in enumerate(words)}
    rows = rows.assign(at=rows[X].map(at) if words else rows[X], colour=rows[HUE].map(picture.colours))
    if "line" in rows:
        # Lines of the marks, but one front for all.
        for _, line in rows.dropna(subset=["line"]).sort_values(X).groupby(PANEL if picture.switch else picture.marks):
            ax.plot(line[X], line["line"], color=style.MUTED, linewidth=1, linestyle="--")
    if picture.seeds is not None:
        mine = picture.seeds[picture.seeds[PANEL] == rows[PANEL].iloc[0]]
        shift = JITTER * ((mine["seed"].rank(method="dense") - 0.5) / max(mine["seed"].nunique(), 1) - 0.5)
        ax.scatter(mine[X].map(at) + shift, mine["mean"], s=14, c=list(mine[HUE].map(picture.colours)), alpha=0.45)
    if "ci_low" in rows:
        ax.vlines(rows["at"], rows["ci_low"], rows["ci_high"], list(rows["colour"]), linewidth=2)
    shapes = dict(zip(picture.mark_values, cycle(MARKERS), strict=False))
    for value, dots in rows.groupby(picture.marks) if picture.marks else [("", rows)]:
        mark = shapes.get(str(value), MARKERS[0])
        ax.scatter(dots["at"], dots["mean"], s=50, c=list(dots["colour"]), marker=mark, zorder=4)
    if words:
        ax.set_xticks(list(at.values()), [wrapped(word, WORD_WIDTH) for word in words])
        ax.set_xlim(-0.6, len(words) - 0.4)


def tiles(ax: Axes, picture: Picture, rows: pd.DataFrame) -> None:
    """A tile for each x and y."""
    codes = {label: code for code, label in enumerate(picture.colours)}
    grid = rows.assign(code=rows[HUE].map(codes)).pivot(index="mean", columns=X, values="code")
    look = {"cmap": ListedColormap(list(picture.colours.values())), "vmin": -0.5, "vmax": len(codes) - 0.5}
    sns.heatmap(grid, ax=ax, cbar=False, linewidths=0.5, yticklabels=-(-len(grid) // MOST_SEEDS), **look)
    ax.set(xlabel=picture.x, ylabel="")


def keys(picture: Picture) -> list[Line2D]:
    """What the legend shows: colours, and dashes or shapes where there are several."""
    shape = "s" if picture.kind == TILES else "none"
    line = "" if picture.kind == TILES else "-"
    found = [Line2D([], [], color=c, label=label, marker=shape, linestyle=line) for label, c in picture.colours.items()]
    values = picture.mark_values
    if len(values) > 1 and picture.kind == LINES:
        looks = zip(values, DASHES, strict=False)
        found += [Line2D([], [], color=style.MUTED, label=value, linestyle=(0, dash or ())) for value, dash in looks]
    elif len(values) > 1:
        looks = zip(values, cycle(MARKERS), strict=False)
        found += [Line2D([], [], color=style.MUTED, label=value, marker=mark, linestyle="") for value, mark in looks]
    return [] if picture.kind == IMAGES else found
