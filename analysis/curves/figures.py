"""Figures of curves, final values and costs: functions that return a figure and save nothing.

Lines and points are means over seeds. Bands and bars are t-intervals, drawn where there are at least two seeds.
`data` is what the runs were trained on, for the title. Call inside analysis.style.applied().
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from analysis import style
from analysis.display import capitalised, seed_count
from analysis.store import EPOCH, SEED, B, K
from analysis.style import LINE_WIDTHS, Colour
from src import schema
from src.schema import Quantity

MARKED_EPOCHS = 15  # up to here every epoch gets a marker; more would hide the line
PANELS_PER_ROW = 3
LARGE_FACTOR = 5


def plot_curves(curves: Sequence[tuple[Quantity, pd.DataFrame]], data: str, log: bool = False) -> Figure:
    """Quantities by epoch, a line per K, a row per quantity and a column per B.

    Args:
        curves: each quantity with its by_epoch(), or its paired differences by B and epoch.
        log: whether the values get a logarithmic axis where they differ by a large factor.
    """
    quantities = [quantity for quantity, _ in curves]
    everything = pd.concat([table for _, table in curves])
    title = " and ".join(quantity.label for quantity in quantities[:2])
    figure, axes = _facets(everything, quantities, f"{capitalised(title)} by epoch", data)
    for row, (_, table) in zip(axes, curves, strict=True):
        for ax, batch_size in zip(row, sorted(everything[B].unique()), strict=True):
            _curves(ax, table[table[B] == batch_size], style.sequential(everything[K]))
            if log:
                _log_if_wide(ax, table["mean"])
    return figure


def plot_final(runs: pd.DataFrame, cells: pd.DataFrame, quantity: Quantity, data: str) -> Figure:
    """A final value against K, a facet per B: mean and interval in colour, each seed's values joined in grey.

    Args:
        runs: one row per run: mc_samples, batch_size, seed and the quantity.
        cells: t_intervals() of the quantity by K and B.
    """
    colours = style.sequential(cells[K])
    figure, axes = _facets(cells, [quantity], f"{capitalised(quantity.label)} by K and B", data, legend=False)
    for ax, (batch_size, facet) in zip(axes[0], cells.groupby(B), strict=True):
        seeds = runs[runs[B] == batch_size]
        look = {"color": style.SEED_LINE, "linewidth": 0.9, "marker": "o", "markersize": 3.5, "markeredgewidth": 0}
        sns.lineplot(seeds, x=K, y=quantity.key, units=SEED, estimator=None, legend=False, ax=ax, **look)
        for cell in facet.to_dict("records"):
            colour = colours[cell[K]]
            _bar(ax, cell, colour)
            ax.plot(cell[K], cell["mean"], "o", color=colour, markersize=7, zorder=4)
        _k_axis(ax, cells[K])
        ax.set_xlabel(schema.MC_SAMPLES.axis)
        ax.set_ylabel(quantity.axis if ax is axes[0, 0] else "")
    return figure


def plot_cost(cells: pd.DataFrame, quantity: Quantity, data: str) -> Figure:
    """A cost against K, a line per B. cells: t_intervals() of the quantity by K and B."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    ax = figure.subplots()
    colours = style.sequential(cells[B], style.B_STOPS)
    markers = dict(zip(colours, cycle("osD^v"), strict=False))
    look = {"palette": colours, "style": B, "markers": markers, "dashes": False, "legend": False}
    sns.lineplot(cells, x=K, y="mean", hue=B, estimator=None, ax=ax, **look)
    for cell in cells.to_dict("records"):
        _bar(ax, cell, colours[cell[B]])
    _k_axis(ax, cells[K])
    if not _log_if_wide(ax, cells["mean"]):
        ax.set_ylim(bottom=0)
    ax.set(xlabel=schema.MC_SAMPLES.axis, ylabel=quantity.axis)
    ax.set_title(seed_count(cells["n"]))
    handles = [Line2D([], [], color=colours[b], marker=markers[b], label=b) for b in colours]
    figure.legend(handles=handles, title=f"B [{schema.BATCH_SIZE.unit}]", loc="outside right upper", alignment="left")
    figure.suptitle(f"{capitalised(quantity.label)} against K\n{data}", x=0.01, ha="left")
    return figure


def plot_reconstructions(panels: pd.DataFrame, data: str) -> Figure:
    """One test digit and its K sampled reconstructions, a panel per row of store.reconstructions()."""
    columns = min(len(panels), PANELS_PER_ROW)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.4 * columns, 2.7 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, panel in zip(axes, panels.to_dict("records"), strict=False):
        ax.imshow(panel["image"], cmap="gray_r")
        ax.set_title(f"K = {panel[K]}, B = {panel[B]}, seed {panel[SEED]}")
    figure.suptitle(f"A test digit and its K sampled reconstructions, n = 1 run per K\n{data}", x=0.01, ha="left")
    return figure


def _facets(
    table: pd.DataFrame, quantities: Sequence[Quantity], title: str, data: str, legend: bool = True
) -> tuple[Figure, np.ndarray]:
    """Empty axes: a row per quantity, a column per B, titled with the number of seeds; the legend names each K."""
    batch_sizes = sorted(table[B].unique())
    width = float(np.clip(style.PAGE / len(batch_sizes), *style.PANEL_WIDTH))
    size = (width * max(len(batch_sizes), 1.4) + legend, style.PANEL_HEIGHT * len(quantities) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(quantities), len(batch_sizes), sharex=True, sharey="row", squeeze=False)
    for ax, batch_size in zip(axes[0], batch_sizes, strict=True):
        cells = table[table[B] == batch_size].groupby(K)["n"].max()
        ax.set_title(f"B = {batch_size}, {seed_count(cells)}")
    for row, quantity in zip(axes, quantities, strict=True):
        row[0].set_ylabel(quantity.axis)
    if legend:
        handles = [Line2D([], [], color=colour, label=k) for k, colour in style.sequential(table[K]).items()]
        figure.legend(
            handles=handles, title=f"K [{schema.MC_SAMPLES.unit}]", loc="outside right upper", alignment="left"
        )
    figure.suptitle(f"{title}\n{data}", x=0.01, ha="left")
    return figure, axes


def _curves(ax: Axes, facet: pd.DataFrame, colours: dict[int, Colour]) -> None:
    """Means by epoch and their bands, over the epochs with at least two seeds; for differences the line of zero."""
    label = ax.get_ylabel()
    if facet.empty:
        ax.set_xlabel(schema.EPOCH.axis)
        ax.text(0.5, 0.5, "fewer than two seeds", transform=ax.transAxes, ha="center", color=style.MUTED)
        return
    marker = "o" if facet[EPOCH].max() <= MARKED_EPOCHS else None
    # Later lines are thinner, so that one that runs over another does not hide it.
    widths = dict(zip(colours, np.linspace(*LINE_WIDTHS, len(colours)), strict=True))
    look = {"estimator": None, "errorbar": None, "legend": False, "marker": marker, "markersize": 4}
    sns.lineplot(facet, x=EPOCH, y="mean", hue=K, palette=colours, size=K, sizes=widths, ax=ax, **look)
    if "reference" in facet:
        ax.axhline(0, color=style.MUTED, linewidth=0.8)
    for k, colour in colours.items():
        line = facet[(facet[K] == k) & (facet["n"] > 1)]
        if len(line):
            edges = line[EPOCH], line["ci_low"], line["ci_high"]
            ax.fill_between(*edges, color=colour, alpha=style.BAND_OPACITY, linewidth=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set(xlabel=schema.EPOCH.axis, ylabel=label)


def _bar(ax: Axes, cell: dict[Hashable, Any], colour: Colour) -> None:
    """The bar of a cell that has at least two seeds."""
    if cell["n"] > 1:
        edges = [[cell["mean"] - cell["ci_low"]], [cell["ci_high"] - cell["mean"]]]
        ax.errorbar(cell[K], cell["mean"], edges, color=colour, capsize=4, zorder=3)


def _k_axis(ax: Axes, values: Iterable[int]) -> None:
    """K on a logarithmic axis with a tick at each value that was run, and nowhere else."""
    levels = sorted(set(values))
    ax.set_xscale("log")
    ax.set_xticks(levels, [str(k) for k in levels])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(levels[0] / 1.5, levels[-1] * 1.5)


def _log_if_wide(ax: Axes, values: pd.Series) -> bool:
    """A logarithmic y axis, with plain numbers at 1, 2, 5 of each decade, for values that differ by a large factor."""
    wide = bool(values.max() >= LARGE_FACTOR * values.min())
    if wide:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
    return wide
