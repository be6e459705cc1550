"""Figures of the probe: a column per part of the model, a row per B, a colour per K.

Lines are means over seeds, or ratios of them; faint lines are the single seeds. Draw inside analysis.style.applied().
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, PercentFormatter

from analysis import style
from analysis.display import seed_count
from analysis.probe.numbers import PART, SHARE, STEP_MC
from analysis.probe.words import PARTS, single
from analysis.store import EPOCH, B, K
from analysis.style import LINE_WIDTHS, Colour, Picture
from src import schema

DASHED = (0, (3, 1.6))
LINEAR_EPOCHS = 12  # up to here an axis of epochs is linear; probes beyond are spaced geometrically
APART = 4  # the least ratio of two epochs named on it
FAINT = 0.35


def pictures(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> list[Picture]:
    """The variance components and the share of Monte Carlo noise, from components_by_point() and observations()."""
    of_set = "" if single(points) else " Here V_mc is that of a whole set of K draws, not divided again."
    return [
        Picture(
            "probe_components",
            points,
            lambda: plot_components(points, observed, data),
            "Where a step's noise comes from, by epoch (0: before training), at the weights of each cell's own runs: "
            "the variance between images (dashed) and of the Monte Carlo noise of an image's K draws (solid); divided "
            "by B they add up to a step's variance. Gradients are summed over parameters. Lines are means over seeds, "
            f"faint lines the single seeds; the table has intervals. An estimate below zero is not drawn.{of_set}",
        ),
        Picture(
            "probe_share",
            points,
            lambda: plot_share(points, observed, data),
            "Share of the Monte Carlo noise in a step's variance, by epoch: what a larger K could still take away. "
            "Lines are ratios of means over seeds, faint lines the single seeds.",
        ),
    ]


def plot_components(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> Figure:
    """Variance between images (dashed) and of the Monte Carlo noise (solid) by epoch, on logarithmic axes.

    Args:
        points: components_by_point() of one setting. Means at or below zero are not drawn.
        observed: observations() of its runs.
        data: what the runs were trained on, for the title.
    """
    name = "V_mc/K" if single(points) else "V_mc of a set of K"
    labels = {"-": f"{name}: Monte Carlo", DASHED: "V_data: between images"}
    handles = [Line2D([], [], color=style.INK, linestyle=dashes, label=label) for dashes, label in labels.items()]
    titles = {part: f"{PARTS[part]}\n[{schema.PROBE_UNITS[part]}]" for part in PARTS}
    points = points.assign(var_data=points["var_data_mean"])
    figure, panels = _grid(points, titles, "variance per image", "Where the noise comes from", data, handles)
    for ax, panel in panels:
        _lines(ax, panel, observed, STEP_MC.key, style.sequential(points[K]), "-")
        _lines(ax, panel, observed, "var_data", style.sequential(points[K]), DASHED)
        ax.set_yscale("log", nonpositive="mask")
    return figure


def plot_share(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> Figure:
    """Share of Monte Carlo noise in a step's variance by epoch. Arguments as in plot_components()."""
    title = "Monte Carlo noise in a step's variance"
    figure, panels = _grid(points, PARTS, "share of Monte Carlo noise", title, data, [])
    top = np.nanmax([*points[SHARE.key], *observed[SHARE.key], 0.01])
    for ax, panel in panels:
        _lines(ax, panel, observed, SHARE.key, style.sequential(points[K]), "-")
        ax.set_ylim(0, 1.05 * top)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _grid(
    points: pd.DataFrame, titles: dict[str, str], label: str, title: str, data: str, handles: list[Line2D]
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Empty axes with their titles and legend, a row per B and a column per part, each with its points."""
    batch_sizes, parts = sorted(points[B].unique()), [part for part in PARTS if part in set(points[PART])]
    size = (style.PAGE, style.PANEL_HEIGHT * 0.9 * len(batch_sizes) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(batch_sizes), len(parts), sharex=True, sharey="col", squeeze=False)
    for ax, part in zip(axes[0], parts, strict=True):
        ax.set_title(titles[part])
    for row, batch_size in zip(axes, batch_sizes, strict=True):
        row[0].set_ylabel(f"B = {batch_size}\n{label}")
    for ax in axes[-1]:
        ax.set_xlabel(EPOCH)
    _epoch_axis(axes[0, 0], points[EPOCH])
    lines = [Line2D([], [], color=colour, label=f"K = {k}") for k, colour in style.sequential(points[K]).items()]
    figure.legend(handles=[*lines, *handles], loc="outside lower left", ncols=len(lines) + len(handles))
    figure.suptitle(f"{title} by epoch, {seed_count(points['n'])}\n{data}", x=0.01, ha="left")
    cells = [(points[B] == batch_size) & (points[PART] == part) for batch_size in batch_sizes for part in parts]
    return figure, [(ax, points[cell]) for ax, cell in zip(axes.flat, cells, strict=True)]


def _epoch_axis(ax: Axes, epochs: pd.Series) -> None:
    """Ticks at probed epochs. Where late ones are far off the axis is logarithmic from 1 on, and not all are named."""
    levels = sorted(set(epochs))
    names = [str(level) for level in levels]
    if levels[-1] > LINEAR_EPOCHS:
        ax.set_xscale("symlog", linthresh=1, linscale=0.4)
        named = levels[:1]
        for level in levels[1:]:
            named += [level] if level >= APART * named[-1] else []
        names = [name if level in named else "" for name, level in zip(names, levels, strict=True)]
    ax.set_xticks(levels, names)
    ax.xaxis.set_minor_locator(NullLocator())


def _lines(
    ax: Axes, panel: pd.DataFrame, observed: pd.DataFrame, value: str, colours: dict[int, Colour], dashes: Any
) -> None:
    """A panel's line per K, thinner for later ones; behind it each seed's own where a cell has at least two."""
    probes = observed.merge(panel[[B, PART]].drop_duplicates(), on=[B, PART])
    if panel["n"].max() > 1:
        for _, run in probes.groupby("run_id"):
            ax.plot(run[EPOCH], run[value], color=colours[run[K].iloc[0]], linestyle=dashes, linewidth=0.7, alpha=FAINT)
    for (k, colour), width in zip(colours.items(), np.linspace(*LINE_WIDTHS, len(colours)), strict=True):
        line = panel[panel[K] == k].sort_values(EPOCH)
        ax.plot(line[EPOCH], line[value], color=colour, linestyle=dashes, linewidth=width, marker="o", markersize=3.5)
