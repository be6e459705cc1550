"""What K does to the noise of a step: the part of the minibatch loss's variance that it removes, beside all of it."""

from collections.abc import Mapping

import altair as alt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import charts, style
from analysis.charts import HUE, PANEL, Chart
from analysis.statistics import finished, intervals
from analysis.store import CELL, EPOCH, B, K
from analysis.style import Colours, Picture
from src import schema

TOTAL, REMOVED = schema.TRAIN_LOSS_VARIANCE, schema.TRAIN_LOSS_VARIANCE_MC
FIRST = 2  # in the first epoch the loss falls so fast that its trend is most of the variance
STABILITY = (
    "What K does to stability: the Monte Carlo part of the variance of the minibatch losses, which K divides, in colour; "
    "in grey all of that variance, from epoch 2 on, which the choice of the images dominates at every K. Geometric means "
    "over seeds with 95 % t-intervals."
)
ALL = "all of it, any K"
LABEL = f"variance of losses [{TOTAL.unit}]"


def pictures(runs: pd.DataFrame, history: pd.DataFrame, data: str) -> list[Picture]:
    """The noise of the minibatch loss of one setting, of its marked runs and their history."""
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"]) & (history[EPOCH] >= 1)]
    noise, total = (intervals.t_intervals(history, [*CELL, EPOCH], each.key, log=True) for each in (REMOVED, TOTAL))
    total = total[total[EPOCH] >= FIRST]
    colours = style.sequential(usable[K])
    panels = [f"B = {b}" for b in sorted(total[B].unique())]
    legend = {**charts.hexed(colours, "K = "), ALL: style.SEED_LINE}
    chart = Chart(lambda: layers(noise, total, legend), panels, legend)
    return [Picture("stability", total, lambda: plot(noise, total, colours, data), STABILITY, chart)]


def layers(noise: pd.DataFrame, total: pd.DataFrame, legend: Mapping[str, str]) -> alt.LayerChart:
    """Both variances by epoch on one logarithmic axis."""
    rows = [
        charts.thinned(table, EPOCH).assign(**{HUE: hue, PANEL: [f"B = {b}" for b in charts.thinned(table, EPOCH)[B]]})
        for table, hue in ((noise, None), (total, ALL))
        if len(table)
    ]
    both = pd.concat(rows)
    both[HUE] = both[HUE].where(both[HUE].notna(), [f"K = {k}" for k in both[K]])
    y = charts.log_y(LABEL, charts.log_domain(both["mean"]))
    x = alt.X(f"{EPOCH}:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(zero=False))
    tips = {HUE: "part", f"{K}:N": "draws", f"{EPOCH}:N": "epoch", "n:N": "seeds", "mean:Q": "variance"}
    return alt.layer(*charts.lines(both, legend, x, y, tips, detail=f"{K}:N"))


def plot(noise: pd.DataFrame, total: pd.DataFrame, colours: Colours, data: str) -> Figure:
    """Both variances by epoch on one logarithmic axis, a panel per B."""
    levels = sorted(total[B].unique())
    figure, axes = style.wrapped([f"B = {b}" for b in levels], LABEL, f"What K does to the noise of a step\n{data}")
    for ax, b in zip(axes, levels, strict=True):
        style.bands(ax, total[total[B] == b], EPOCH, K, dict.fromkeys(colours, style.SEED_LINE))
        style.bands(ax, noise[noise[B] == b], EPOCH, K, colours)
        ax.set(yscale="log", xlabel=schema.EPOCH.axis)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    handles = style.handles({**{f"K = {k}": colour for k, colour in colours.items()}, ALL: style.SEED_LINE})
    figure.legend(handles=handles, loc="outside right upper")
    return figure
