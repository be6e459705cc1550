"""What training costs and reaches, and what the models make: prices, curves and pictures. Nothing is saved here.

Lines and points are means over seeds, bands and bars t-intervals, drawn where there are at least two seeds. `data` is
what the runs were trained on, for the title. Draw inside analysis.style.applied().
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import altair as alt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis import charts, style
from analysis.charts import AXIS, HUE, PANEL, Chart
from analysis.curves.numbers import by_amount, prices
from analysis.display import counted, labelled
from analysis.statistics import AXES, EPOCH_SECONDS, SETTING, finished
from analysis.statistics.amounts import EPOCHS, EVALUATIONS, SECONDS
from analysis.statistics.completeness import cost_lines
from analysis.store import SEED, B, K
from analysis.style import Colours, Picture
from src import schema
from src.schema import Quantity

PRICE = (
    "Price: the {nll} at the end against what the whole training took, means over seeds. The line joins the cells that no "
    "other beats at its price. Right: median seconds of an epoch with a line in K by least squares. Runs that shared a "
    "machine slowed each other down."
)
PATHS = (
    "The {nll} after each epoch, which takes few draws, against the training up to there, from the fork on where there is "
    "one. Bands are 95 % t-intervals over seeds, which differ from each other by more than pairs do."
)
MADE = (
    "What one run per K has made of it (n = 1): a test digit with its K sampled reconstructions, the test images in the "
    "latent space, and the decoder's means over a grid of it."
)
MARKERS = "osD^v"
COSTS = (SECONDS, EVALUATIONS)


def pictures(
    runs: pd.DataFrame, history: pd.DataFrame, images: Mapping[str, pd.DataFrame], kind: str, data: str
) -> list[Picture]:
    """The pictures of one setting, none drawn yet, of its marked runs, their history and their store.pictures() by the
    name of the file. kind says what the NLL is.
    """
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"])]
    final, test = labelled(schema.FINAL_TEST_NLL, kind), labelled(schema.TEST_NLL, kind)
    cells, paths, rates = prices(usable, history), by_amount(history), cost_lines(usable)
    colours = style.sequential(usable[K])
    legend = charts.hexed(colours, "K = ")
    seconds = usable.groupby([B, K])[EPOCH_SECONDS.key].median().reset_index()
    priced = Chart(lambda: price_layers(cells, legend, final), [""], legend, {AXIS: [axis.label for axis in COSTS]})
    panels, axes = [f"B = {b}" for b in sorted(paths[B].unique())], {AXIS: [axis.label for axis in AXES]}
    drawn = Chart(lambda: path_layers(paths, legend, test), panels, legend, axes)
    shown = pd.concat(images.values()) if images else pd.DataFrame()
    return [
        Picture("price", cells, lambda: plot_price(cells, seconds, rates, colours, final, data), PRICE.format(nll=final.label), priced),
        Picture("paths", paths, lambda: plot_paths(paths, colours, test, data), PATHS.format(nll=test.label), drawn),
        Picture("made", shown, lambda: plot_made(images, data), MADE),
    ]  # fmt: skip


def price_layers(cells: pd.DataFrame, legend: Mapping[str, str], nll: Quantity) -> alt.LayerChart:
    """Means with their intervals against the cost that the switch names, and the front."""
    both = [
        cells.assign(**{PANEL: "", HUE: [f"K = {k}" for k in cells[K]], "x": cells[axis.key], AXIS: axis.label})
        .assign(front=cells[f"front_{axis.key}"])
        .drop(columns=[name for name in cells if "/" in name])
        for axis in COSTS
    ]
    rows = charts.base(pd.concat(both), legend, f"datum.{AXIS} == {AXIS}").encode(
        x=alt.X("x:Q", title=None, scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", tickCount=5))
    )
    y = charts.y_axis("mean", nll.axis, charts.domain(cells["mean"], cells["ci_low"], cells["ci_high"]))
    tips = {HUE: "draws", f"{B}:N": "batch size", "n:N": "seeds", "x:Q": "price", "mean:Q": nll.label}
    front = rows.transform_filter("datum.front").mark_line(color=style.MUTED, strokeDash=[4, 3], strokeWidth=1.2)
    known = rows.transform_filter("isValid(datum.ci_low)")
    return alt.layer(
        front.encode(y=y, color=alt.value(style.MUTED)),
        known.mark_rule(strokeWidth=1.8, clip=True).encode(y=charts.of(y, "ci_low"), y2="ci_high:Q"),
        rows.mark_point(filled=True, size=90, opacity=1).encode(
            y=y, shape=alt.Shape(f"{B}:N", legend=alt.Legend(title="B")), tooltip=charts.tooltip(tips)
        ),
    )


def path_layers(paths: pd.DataFrame, legend: Mapping[str, str], nll: Quantity) -> alt.LayerChart:
    """Means with their bands against the amount of training that the switch names."""
    few = charts.thinned(paths, schema.EPOCH.key)
    few = few.assign(**{PANEL: [f"B = {b}" for b in few[B]], HUE: [f"K = {k}" for k in few[K]]})
    few = few.rename(columns={axis.key: axis.label for axis in AXES}).drop(columns=[K, B, "sd"])
    y = charts.y_axis("mean", nll.axis, charts.domain(paths["mean"], paths["ci_low"], paths["ci_high"]))
    x = alt.X("x:Q", title=None, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(format="~s", tickCount=5))
    tips = {HUE: "draws", "epoch:N": "epoch", "x:Q": "amount", "n:N": "seeds", "mean:Q": nll.label}
    layers = charts.lines(few, legend, x, y, tips)
    return alt.layer(*(layer.transform_calculate(x=f"datum[{AXIS}]") for layer in layers))


def plot_price(
    cells: pd.DataFrame, seconds: pd.DataFrame, rates: pd.DataFrame, colours: Colours, nll: Quantity, data: str
) -> Figure:
    """prices() against both costs with their fronts, and seconds per epoch against K with cost_lines()."""
    heads = ["against time", "against decoder evaluations", "time of an epoch"]
    figure, [[*ends, right]] = style.panels([nll.axis], heads, style.facet_size(3, 1), f"Price\n{data}")
    marks = dict(zip(sorted(cells[B].unique()), cycle(MARKERS), strict=False))
    for ax, axis in zip(ends, COSTS, strict=True):
        front = cells[cells[f"front_{axis.key}"]].sort_values(axis.key)
        ax.plot(front[axis.key], front["mean"], color=style.MUTED, linestyle="--", linewidth=1)
        ax.vlines(cells[axis.key], cells["ci_low"], cells["ci_high"], list(cells[K].map(colours)))
        for b, line in cells.groupby(B):
            ax.scatter(line[axis.key], line["mean"], s=45, c=list(line[K].map(colours)), marker=marks[b], zorder=3)
        ax.set(xscale="log", xlabel=axis.axis)
    for b, line in seconds.groupby(B):
        right.scatter(line[K], line[EPOCH_SECONDS.key], c=list(line[K].map(colours)), s=45, marker=marks[b], zorder=3)
        for rate in rates[rates[B] == b].to_dict("records"):
            drawn = pd.Series([line[K].min(), line[K].max()])
            right.plot(drawn, rate["seconds_fixed"] + rate["seconds_per_draw"] * drawn, color=style.MUTED, linewidth=1)
    right.set(xlabel=schema.MC_SAMPLES.axis, ylabel=EPOCH_SECONDS.axis)
    right.set_ylim(bottom=0)
    shapes = [style.marker(marks[b], f"B = {b}") for b in marks]
    figure.legend(handles=[*style.handles(colours, "K = "), *shapes], loc="outside right upper")
    return figure


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
                ax.text(0, -0.02, f"B = {found[k][B]}, seed {found[k][SEED]}", transform=ax.transAxes, fontsize=7, va="top")
    return figure
