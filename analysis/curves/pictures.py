"""Curves, final values, costs and reconstructions: each plot_*() returns a figure and saves nothing.

Lines and points are means over seeds. Bands and bars are t-intervals, drawn where there are at least two seeds.
`data` is what the runs were trained on, for the title. Draw inside analysis.style.applied().
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from analysis import style
from analysis.curves.numbers import by_epoch
from analysis.curves.words import seeds
from analysis.display import labelled, seed_count
from analysis.statistics import EPOCH_SECONDS, finished, intervals, pairs
from analysis.store import CELL, EPOCH, SEED, B, K
from analysis.style import Colours, Picture
from src import schema
from src.schema import Quantity

MARKED_EPOCHS = 15  # up to here every epoch gets a marker; more would hide the line
PANELS_PER_ROW = 3
LARGE_FACTOR = 5
CAPTIONS = {
    "loss_variance": "Stability: variance of the minibatch losses of an epoch, images and draws; geometric means, {n}.",
    "loss_noise": "Stability: the Monte Carlo part of that variance, which is what K removes, after each epoch on the "
    "probe's images; the rest, on MNIST over 99 % of it, is the choice of images. Geometric means, {n}.",
    "learning_curves": "Training loss over an epoch's moving weights, {test} at its end and paired differences; {n}.",
    "final_nll": "The {final} by K and B, {n}. Grey lines join the runs of one seed: compare along them.",
    "cost": "Cost: median seconds of an epoch, without compilation, which comes before the first epoch, tests and "
    "probes; {n}. Runs that shared a machine slowed each other down.",
    "reconstructions": "One test digit and its K sampled reconstructions at a run's end; one run per K (n = 1).",
}


def pictures(
    runs: pd.DataFrame, history: pd.DataFrame, cells: pd.DataFrame, images: pd.DataFrame, kind: str, data: str
) -> list[Picture]:
    """The pictures of one setting, none drawn yet, of its marked runs, their history, their results_by_cell() and their
    store.pictures(). kind says what the NLL is.
    """
    usable = finished(runs)
    history = history.merge(usable.reindex(columns=["run_id", *pairs.MACHINE]), on="run_id")
    spread, loss, test = schema.TRAIN_LOSS_VARIANCE, schema.TRAIN_LOSS, labelled(schema.TEST_NLL, kind)
    nll, gap = labelled(schema.FINAL_TEST_NLL, kind), f"{test.label}\nminus that at the smallest K"
    noise, removable = schema.TRAIN_LOSS_VARIANCE_MC, by_epoch(history, schema.TRAIN_LOSS_VARIANCE_MC, log=True)
    variance = by_epoch(history, spread, log=True)
    curves = [(quantity, by_epoch(history, quantity)) for quantity in (loss, test)]
    curves.append((test._replace(label=gap), pairs.paired(history, [B, EPOCH], test)))
    curves = [(quantity, table) for quantity, table in curves if len(table)]
    final, cost = (intervals.t_intervals(usable, CELL, quantity.key) for quantity in (nll, EPOCH_SECONDS))
    drawn: dict[str, tuple[pd.DataFrame, Callable[[], Figure]]] = {
        "loss_variance": (variance, lambda: plot_curves([(spread, variance)], data, log=True)),
        "loss_noise": (removable, lambda: plot_curves([(noise, removable)], data, log=True)),
        "learning_curves": (curves[0][1] if curves else variance.head(0), lambda: plot_curves(curves, data)),
        "final_nll": (final, lambda: plot_final(usable, final, nll, data)),
        "cost": (cost, lambda: plot_cost(cost, EPOCH_SECONDS, data)),
        "reconstructions": (images, lambda: plot_reconstructions(images, data)),
    }
    words = {"n": seeds(cells), "test": test.label, "final": nll.label}
    return [Picture(stem, *what, CAPTIONS[stem].format(**words)) for stem, what in drawn.items()]


def plot_curves(curves: Sequence[tuple[Quantity, pd.DataFrame]], data: str, log: bool = False) -> Figure:
    """Quantities, each with its by_epoch() or its paired differences by B and epoch: a line per K, a row per quantity,
    a column per B; with log on a logarithmic axis where they differ by a large factor.
    """
    quantities, everything = [quantity for quantity, _ in curves], pd.concat([table for _, table in curves])
    title = " and ".join(quantity.label for quantity in quantities[:2])
    figure, axes = _facets(everything, quantities, f"By epoch: {title}\n{data}")
    colours = style.sequential(everything[K])
    figure.legend(handles=style.handles(colours, "K"), loc="outside right upper")
    for row, (_, table) in zip(axes, curves, strict=True):
        for ax, batch_size in zip(row, sorted(everything[B].unique()), strict=True):
            _curves(ax, table[table[B] == batch_size], colours)
            if log:
                _log_if_wide(ax, table["mean"])
    return figure


def plot_final(runs: pd.DataFrame, cells: pd.DataFrame, quantity: Quantity, data: str) -> Figure:
    """A final value against K, a facet per B: each seed's values in grey, the cells' t_intervals() in colour."""
    colours = style.sequential(cells[K])
    figure, axes = _facets(cells, [quantity], f"By K and B: {quantity.label}\n{data}")
    for ax, (batch_size, facet) in zip(axes[0], cells.groupby(B), strict=True):
        for _, seed in runs[runs[B] == batch_size].sort_values(K).groupby(SEED):
            ax.plot(seed[K], seed[quantity.key], "o-", color=style.SEED_LINE, linewidth=0.9, markersize=3.5)
        _bars(ax, facet, K, colours)
        ax.scatter(facet[K], facet["mean"], s=50, c=list(facet[K].map(colours)), zorder=4)
        _k_axis(ax, cells[K])
    return figure


def plot_cost(cells: pd.DataFrame, quantity: Quantity, data: str) -> Figure:
    """A cost against K, a line per B. cells: t_intervals() of the quantity by K and B."""
    title = f"Against K: {quantity.label}\n{data}"
    figure, [[ax]] = style.panels([quantity.axis], [seed_count(cells["n"])], (6, 3.4), title)
    colours = style.sequential(cells[B], style.B_STOPS)
    for (batch_size, line), marker in zip(cells.groupby(B), cycle("osD^v"), strict=False):
        ax.plot(line[K], line["mean"], marker=marker, color=colours[batch_size], label=f"B = {batch_size}")
    _bars(ax, cells, B, colours)
    _k_axis(ax, cells[K])
    figure.legend(loc="outside right upper")
    if not _log_if_wide(ax, cells["mean"]):
        ax.set_ylim(bottom=0)
    return figure


def plot_reconstructions(images: pd.DataFrame, data: str) -> Figure:
    """One test digit and its K sampled reconstructions, a panel per row of store.pictures()."""
    columns = min(len(images), PANELS_PER_ROW)
    rows = -(-len(images) // columns)
    title = f"A test digit and its K sampled reconstructions, n = 1 run per K\n{data}"
    figure, axes = style.panels([""] * rows, [""] * columns, (4.4 * columns, 2.7 * rows + 0.6), title)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image in zip(axes.flat, images.to_dict("records"), strict=False):
        ax.imshow(image["image"], cmap="gray_r")
        ax.set_title(f"K = {image[K]}, B = {image[B]}, seed {image[SEED]}")
    return figure


def _facets(table: pd.DataFrame, quantities: Sequence[Quantity], title: str) -> tuple[Figure, np.ndarray]:
    """Empty axes: a row per quantity and a column per B, titled with the number of seeds."""
    n = {int(str(b)): seed_count(cells.groupby(K)["n"].max()) for b, cells in table.groupby(B)}
    width = float(np.clip(style.PAGE / len(n), *style.PANEL_WIDTH))
    size = (width * max(len(n), 1.4) + 1, style.PANEL_HEIGHT * len(quantities) + 0.7)
    rows, columns = [quantity.axis for quantity in quantities], [f"B = {b}, {text}" for b, text in n.items()]
    return style.panels(rows, columns, size, title, sharex=True, sharey="row")


def _curves(ax: Axes, facet: pd.DataFrame, colours: Colours) -> None:
    """Means by epoch and their bands, over the epochs with at least two seeds; for differences the line of zero."""
    ax.set_xlabel(schema.EPOCH.axis)
    if facet.empty:
        ax.text(0.5, 0.5, "fewer than two seeds", transform=ax.transAxes, ha="center", color=style.MUTED)
        return
    style.lines(ax, facet, "mean", colours, marker="o" if facet[EPOCH].max() <= MARKED_EPOCHS else None, markersize=4)
    if "reference" in facet:
        ax.axhline(0, color=style.MUTED, linewidth=0.8)
    for k, line in facet[facet["n"] > 1].groupby(K):
        edges = line[EPOCH], line["ci_low"], line["ci_high"]
        ax.fill_between(*edges, color=colours[k], alpha=style.BAND_OPACITY, linewidth=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _bars(ax: Axes, cells: pd.DataFrame, hue: str, colours: Colours) -> None:
    """The intervals of the cells that have at least two seeds."""
    known = cells[cells["n"] > 1]
    ax.vlines(known[K], known["ci_low"], known["ci_high"], list(known[hue].map(colours)), zorder=3)


def _k_axis(ax: Axes, values: Iterable[int]) -> None:
    """K on a logarithmic axis with a tick at each value that was run, and nowhere else."""
    levels = sorted(set(values))
    ax.set(xscale="log", xlim=(levels[0] / 1.5, levels[-1] * 1.5), xlabel=schema.MC_SAMPLES.axis)
    ax.set_xticks(levels, [str(k) for k in levels])
    ax.xaxis.set_minor_locator(NullLocator())


def _log_if_wide(ax: Axes, values: pd.Series) -> bool:
    """A logarithmic y axis, with plain numbers at 1, 2, 5 of each decade, for values that differ by a large factor."""
    wide = bool(values.max() >= LARGE_FACTOR * values.min())
    if wide:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
    return wide
