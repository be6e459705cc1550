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
from analysis.style import Colours, Picture
from src import schema

DASHED = (0, (3, 1.6))
LINEAR_EPOCHS = 12  # up to here an axis of epochs is linear; probes beyond are spaced geometrically
APART = 4  # the least ratio of two epochs named on it
COMPONENTS = (
    "Where a step's noise comes from, by epoch (0: before training): variance between images (dashed) and of the Monte "
    "Carlo noise of an image's K draws (solid); divided by B they add up to a step's variance. Means over seeds, faint "
    "lines the single seeds. Estimates below zero are not drawn."
)
OF_SET = " Here V_mc is that of a whole set of K draws, not divided again."
SHARES = (
    "Share of the Monte Carlo noise in a step's variance, by epoch: what a larger K could still take away. Ratios of "
    "means over seeds, faint lines the single seeds."
)


def pictures(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> list[Picture]:
    """The variance components and the share of Monte Carlo noise, from components_by_point() and observations()."""
    components = COMPONENTS + ("" if single(points) else OF_SET)
    return [
        Picture("probe_components", points, lambda: plot_components(points, observed, data), components),
        Picture("probe_share", points, lambda: plot_share(points, observed, data), SHARES),
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
    points, text = points.assign(var_data=points["var_data_mean"]), "variance per image"
    title = f"Where the noise comes from by epoch, {seed_count(points['n'])}\n{data}"
    figure, panels = _grid(points, observed, titles, text, title, handles)
    for ax, means, probes in panels:
        _lines(ax, means, probes, STEP_MC.key, style.sequential(points[K]), "-")
        _lines(ax, means, probes, "var_data", style.sequential(points[K]), DASHED)
        ax.set_yscale("log", nonpositive="mask")
    return figure


def plot_share(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> Figure:
    """Share of Monte Carlo noise in a step's variance by epoch. Arguments as in plot_components()."""
    title = f"Monte Carlo noise in a step's variance by epoch, {seed_count(points['n'])}\n{data}"
    figure, panels = _grid(points, observed, PARTS, "share of Monte Carlo noise", title, [])
    top = np.nanmax([*points[SHARE.key], *observed[SHARE.key], 0.01])
    for ax, means, probes in panels:
        _lines(ax, means, probes, SHARE.key, style.sequential(points[K]), "-")
        ax.set_ylim(0, 1.05 * top)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _grid(
    points: pd.DataFrame, observed: pd.DataFrame, titles: dict[str, str], text: str, title: str, handles: list[Line2D]
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame, pd.DataFrame]]]:
    """Empty axes with titles and legend, a row per B and a column per part, each with its points and observations."""
    levels, parts = sorted(points[B].unique()), [part for part in PARTS if part in set(points[PART])]
    size, labels = (style.PAGE, 2.6 * len(levels) + 0.8), [f"B = {level}\n{text}" for level in levels]
    figure, axes = style.panels(labels, [titles[part] for part in parts], size, title, sharex=True, sharey="col")
    for ax in axes[-1]:
        ax.set_xlabel(EPOCH)
    _epoch_axis(axes[0, 0], points[EPOCH])
    shown = [*style.handles(style.sequential(points[K]), "K = "), *handles]
    figure.legend(handles=shown, loc="outside lower left", ncols=len(shown))
    cells = [
        [table[(table[B] == level) & (table[PART] == part)] for table in (points, observed)]
        for level in levels
        for part in parts
    ]
    return figure, [(ax, *cell) for ax, cell in zip(axes.flat, cells, strict=True)]


def _epoch_axis(ax: Axes, epochs: pd.Series) -> None:
    """Ticks at probed epochs. Where late ones are far off the axis is logarithmic from 1 on, and not all are named."""
    levels = sorted(set(epochs))
    named = levels
    if levels[-1] > LINEAR_EPOCHS:
        ax.set_xscale("symlog", linthresh=1, linscale=0.4)
        named = levels[:1]
        for level in levels[1:]:
            named += [level] if level >= APART * named[-1] else []
    ax.set_xticks(levels, [str(level) if level in named else "" for level in levels])
    ax.xaxis.set_minor_locator(NullLocator())


def _lines(ax: Axes, means: pd.DataFrame, probes: pd.DataFrame, value: str, colours: Colours, dashes: Any) -> None:
    """A panel's line per K; behind it each seed's own where a cell has at least two."""
    if means["n"].max() > 1:
        for (k, _), run in probes.groupby([K, "run_id"]):
            ax.plot(run[EPOCH], run[value], color=colours[k], linestyle=dashes, linewidth=0.7, alpha=0.35)
    style.lines(ax, means, value, colours, linestyle=dashes, marker="o", markersize=3.5)
