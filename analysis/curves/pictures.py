"""What training costs and reaches, and what the models make: prices, curves and pictures. Nothing is saved here.

Lines and points are means over seeds, bands and bars t-intervals, drawn where there are at least two seeds. `data` is
what the runs were trained on, for the title. Draw inside analysis.style.applied().
"""

from collections.abc import Mapping
from itertools import cycle

import altair as alt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis import charts, style
from analysis.charts import AXIS, HUE, PANEL, Chart
from analysis.curves.numbers import by_amount, prices
from analysis.display import labelled
from analysis.statistics import AXES, EPOCH_SECONDS, SETTING, finished
from analysis.statistics.amounts import EPOCHS, EVALUATIONS, SECONDS
from analysis.statistics.completeness import cost_lines
from analysis.store import SEED, B, K
from analysis.style import Colours, Picture
from src import schema
from src.schema import Quantity

PRICE = (
    "The {nll} at the end against what the whole training took, means over seeds with 95 % t-intervals. The line joins the "
    "cells that no cheaper one beats."
)
COST = (
    "Median seconds of an epoch against K, with a line by least squares, without compilation, tests and probes. Runs that "
    "shared a machine slowed each other down."
)
PATHS = (
    "The {test} after each epoch, which takes few draws, against the training up to there, from the fork on where there is "
    "one. Bands are 95 % t-intervals over seeds, which differ from each other by more than pairs do."
)
MADE = (
    "What one run per K has made of it (n = 1): a test digit with its K sampled reconstructions, the test images in the "
    "latent space, and the decoder's means over a grid of it."
)
MARKERS = "osD^v"
COSTS = (SECONDS, EVALUATIONS)
ALONE = [""]  # one panel


def pictures(
    runs: pd.DataFrame, history: pd.DataFrame, images: Mapping[str, pd.DataFrame], kind: str, data: str
) -> list[Picture]:
    """The pictures of one setting, none drawn yet, of its marked runs, their history and their store.pictures() by the
    name of the file. kind says what the NLL is.
    """
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"])]
    final, test = labelled(schema.FINAL_TEST_NLL, kind), labelled(schema.TEST_NLL, kind)
    cells, paths, seconds = prices(usable, history), by_amount(history), epoch_seconds(usable)
    colours = style.sequential(usable[K])
    legend, words = charts.hexed(colours, "K = "), {"nll": final.label, "test": test.label}
    panels = [f"B = {b}" for b in sorted(paths[B].unique())]
    costs, axes = ({AXIS: [axis.label for axis in each]} for each in (COSTS, AXES))
    priced = Chart(lambda: price_layers(cells, legend, final), ALONE, legend, costs)
    timed = Chart(lambda: cost_layers(seconds, legend), ALONE, legend)
    drawn = Chart(lambda: path_layers(paths, legend, test), panels, legend, axes)
    shown = pd.concat(images.values()) if images else pd.DataFrame()
    return [
        Picture("price", cells, lambda: plot_price(cells, colours, final, data), PRICE.format(**words), priced),
        Picture("cost", seconds, lambda: plot_cost(seconds, colours, data), COST, timed),
        Picture("paths", paths, lambda: plot_paths(paths, colours, test, data), PATHS.format(**words), drawn),
        Picture("made", shown, lambda: plot_made(images, data), MADE),
    ]


def epoch_seconds(usable: pd.DataFrame) -> pd.DataFrame:
    """The median of each K and B with what cost_lines() says of it, column `line`; nan where there is no line."""
    table = usable.groupby([SETTING, B, K])[EPOCH_SECONDS.key].median().rename("mean").reset_index()
    table = table.merge(cost_lines(usable), "left", [SETTING, B])
    return table.assign(line=table["seconds_fixed"] + table["seconds_per_draw"] * table[K])


def price_layers(cells: pd.DataFrame, legend: Mapping[str, str], nll: Quantity) -> alt.LayerChart:
    """Means with their intervals against the cost that the switch names, and the front."""
    both = [
        cells.assign(x=cells[axis.key], front=cells[f"front_{axis.key}"], **{AXIS: axis.label})
        .assign(**{PANEL: "", HUE: [f"K = {k}" for k in cells[K]]})
        .drop(columns=[name for name in cells if "/" in name])
        for axis in COSTS
    ]
    x = alt.X(
        "x:Q", title=None, scale=alt.Scale(type="log", nice=False, padding=20), axis=alt.Axis(format="~s", tickCount=4)
    )
    rows = charts.base(pd.concat(both), legend, f"datum.{AXIS} == {AXIS}").encode(x=x)
    y = charts.y_axis(nll.axis, charts.domain(cells["mean"], cells["ci_low"], cells["ci_high"]))
    tips = {HUE: "draws", f"{B}:N": "batch size", "n:N": "seeds", "x:Q": "price", "mean:Q": nll.label}
    front = rows.transform_filter("datum.front").mark_line(strokeDash=[4, 3], strokeWidth=1.2)
    known = rows.transform_filter("isValid(datum.ci_low)").mark_rule(strokeWidth=1.8, clip=True)
    return alt.layer(
        front.encode(y=y, color=alt.value(style.MUTED)),
        known.encode(y=charts.of(y, "ci_low"), y2="ci_high:Q"),
        rows.mark_point(filled=True, size=90, opacity=1).encode(y=y, shape=shape(cells), tooltip=charts.tooltip(tips)),
    )


def cost_layers(seconds: pd.DataFrame, legend: Mapping[str, str]) -> alt.LayerChart:
    """Seconds of an epoch against K, and the lines."""
    table = seconds.assign(**{PANEL: "", HUE: [f"K = {k}" for k in seconds[K]]})
    rows = charts.base(table, legend).encode(x=alt.X(f"{K}:Q", title=schema.MC_SAMPLES.label))
    y = charts.y_axis(EPOCH_SECONDS.axis, [0.0, 1.08 * float(seconds["mean"].max())])
    tips = {HUE: "draws", f"{B}:N": "batch size", "mean:Q": "seconds per epoch"}
    line = rows.mark_line(strokeWidth=1.2).encode(y=charts.of(y, "line"), detail=f"{B}:N", color=alt.value(style.MUTED))
    points = rows.mark_point(filled=True, size=90, opacity=1)
    return alt.layer(line, points.encode(y=y, shape=shape(seconds), tooltip=charts.tooltip(tips)))


def shape(table: pd.DataFrame) -> alt.Shape:
    """A shape of the points for each B, named where there are several."""
    return alt.Shape(f"{B}:N", legend=alt.Legend(title="B", orient="top") if table[B].nunique() > 1 else None)


def path_layers(paths: pd.DataFrame, legend: Mapping[str, str], nll: Quantity) -> alt.LayerChart:
    """Means with their bands against the amount of training that the switch names."""
    few = charts.thinned(paths, schema.EPOCH.key)
    few = few.assign(**{PANEL: [f"B = {b}" for b in few[B]], HUE: [f"K = {k}" for k in few[K]]})
    few = few.rename(columns={axis.key: axis.label for axis in AXES}).drop(columns=[K, B, "sd"])
    y = charts.y_axis(nll.axis, charts.domain(paths["mean"], paths["ci_low"], paths["ci_high"]))
    x = alt.X("x:Q", title=None, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(format="~s", tickCount=5))
    tips = {HUE: "draws", "epoch:N": "epoch", "x:Q": "amount", "n:N": "seeds", "mean:Q": nll.label}
    layers = charts.lines(few, legend, x, y, tips)
    return alt.layer(*(layer.transform_calculate(x=f"datum[{AXIS}]") for layer in layers))


def plot_price(cells: pd.DataFrame, colours: Colours, nll: Quantity, data: str) -> Figure:
    """prices() against both costs, with their fronts."""
    heads = ["against time", "against decoder evaluations"]
    figure, [ends] = style.panels([nll.axis], heads, style.facet_size(2, 1), f"Price\n{data}", sharey=True)
    marks = markers(cells)
    for ax, axis in zip(ends, COSTS, strict=True):
        front = cells[cells[f"front_{axis.key}"]].sort_values(axis.key)
        ax.plot(front[axis.key], front["mean"], color=style.MUTED, linestyle="--", linewidth=1)
        ax.vlines(cells[axis.key], cells["ci_low"], cells["ci_high"], list(cells[K].map(colours)))
        for b, line in cells.groupby(B):
            ax.scatter(line[axis.key], line["mean"], s=45, c=list(line[K].map(colours)), marker=marks[b], zorder=3)
        ax.set(xscale="log", xlabel=axis.axis)
    figure.legend(handles=both_handles(colours, marks), loc="outside right upper")
    return figure


def plot_cost(seconds: pd.DataFrame, colours: Colours, data: str) -> Figure:
    """epoch_seconds() against K."""
    figure, [[ax]] = style.panels([EPOCH_SECONDS.axis], [""], (6, 3.4), f"Time of an epoch\n{data}")
    marks = markers(seconds)
    for b, line in seconds.groupby(B):
        ax.plot(line[K], line["line"], color=style.MUTED, linewidth=1)
        ax.scatter(line[K], line["mean"], c=list(line[K].map(colours)), s=45, marker=marks[b], zorder=3)
    ax.set_xlabel(schema.MC_SAMPLES.axis)
    ax.set_ylim(bottom=0)
    figure.legend(handles=both_handles(colours, marks), loc="outside right upper")
    return figure


def markers(table: pd.DataFrame) -> dict[int, str]:
    """A shape for each B."""
    return dict(zip(sorted(table[B].unique()), cycle(MARKERS), strict=False))


def both_handles(colours: Colours, marks: Mapping[int, str]) -> list[Line2D]:
    """What a legend shows of K and B."""
    return [*style.handles(colours, "K = "), *(style.marker(mark, f"B = {b}") for b, mark in marks.items())]


def plot_paths(paths: pd.DataFrame, colours: Colours, nll: Quantity, data: str) -> Figure:
    """by_amount() against epochs and against seconds, a column per B."""
    levels, axes = sorted(paths[B].unique()), (EPOCHS, SECONDS)
    size, heads = style.facet_size(len(levels), 2), [f"B = {b}" for b in levels]
    figure, grid = style.panels([nll.axis] * 2, heads, size, f"{nll.label} along training\n{data}", sharey=True)
    for row, axis in zip(grid, axes, strict=True):
        for ax, b in zip(row, levels, strict=True):
            style.bands(ax, paths[paths[B] == b], axis.key, K, colours)
            ax.set_xlabel(axis.axis)
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=axis is EPOCHS))
    figure.legend(handles=style.handles(colours, "K = "), loc="outside right upper")
    return figure


def plot_made(images: Mapping[str, pd.DataFrame], data: str) -> Figure:
    """A row per kind of picture, a column per K, of the rows of store.pictures()."""
    kinds = [shown for shown in images.values() if len(shown)]
    columns = sorted({k for shown in kinds for k in shown[K]})
    size = (3.2 * len(columns) + 0.4, 2.9 * len(kinds) + 0.7)
    heads = [f"K = {k}" for k in columns]
    figure, axes = style.panels([""] * len(kinds), heads, size, f"One run per K (n = 1)\n{data}")
    for row, shown in zip(axes, kinds, strict=True):
        found = {image[K]: image for image in shown.to_dict("records")}
        for ax, k in zip(row, columns, strict=True):
            ax.set_axis_off()
            if k in found:
                ax.imshow(found[k]["image"], cmap="gray_r")
                ax.text(
                    0, -0.02, f"B = {found[k][B]}, seed {found[k][SEED]}", transform=ax.transAxes, fontsize=7, va="top"
                )
    return figure
