"""Figures of the probe: a column per part of the model, a row per B, a colour per K.

Lines are means over seeds, or ratios of them; faint lines are the single seeds. Draw inside analysis.style.applied().
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, PercentFormatter

from analysis import charts, style
from analysis.charts import HUE, PANEL, Chart
from analysis.display import seed_count
from analysis.probe.numbers import NORM, PART, SHARE, STEP_MC, headline
from analysis.probe.words import NORMS, PARTS, single, unit
from analysis.store import EPOCH, B, K
from analysis.style import Picture

DASHED = (0, (3, 1.6))
LINEAR_EPOCHS = 12  # up to here an axis of epochs is linear; probes beyond are spaced geometrically
APART = 4  # the least ratio of two epochs named on it
Kinds = dict[str, tuple[Any, str]]  # by column: the dashes and the label of its lines
COMPONENTS = (
    "Where a step's noise comes from, by epoch (0: before training): variance between images (dashed) and of the Monte "
    "Carlo noise of an image's K draws (solid); divided by B they add up to a step's variance. Means over seeds. Estimates "
    "below zero are not drawn."
)
OF_SET = " Here V_mc is that of a whole set of K draws, not divided again."
TIPS = {HUE: "draws", f"{EPOCH}:N": "epoch", "n:N": "seeds", "mean:Q": "value"}
SHARES = (
    "Share of the Monte Carlo noise in a step's variance, by epoch: what a larger K could still take away. Ratios of "
    "means over seeds, with 95 % intervals."
)


def pictures(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> list[Picture]:
    """The share of Monte Carlo noise and the variance components."""
    points, observed = headline(points), headline(observed)
    if points.empty:
        return [Picture(stem, points, Figure, "") for stem in ("probe_share", "probe_components")]
    norm = f" Gradients {NORMS[points[NORM].min()]}."  # "optimizer" sorts first
    components = COMPONENTS + ("" if single(points) else OF_SET) + norm
    panels, legend = [f"B = {b}" for b in sorted(points[B].unique())], charts.hexed(style.sequential(points[K]), "K = ")
    parts = {PART: [PARTS[part] for part in reversed(PARTS) if part in set(points[PART])]}  # the whole gradient first
    share = Chart(lambda: share_layers(points, legend), panels, legend, parts)
    both = Chart(lambda: component_layers(points, legend), panels, legend, parts)
    return [
        Picture("probe_share", points, lambda: plot_share(points, observed, data), SHARES + norm, share),
        Picture("probe_components", points, lambda: plot_components(points, observed, data), components, both),
    ]


def share_layers(points: pd.DataFrame, legend: Mapping[str, str]) -> alt.LayerChart:
    """The share by epoch of the part that the switch names, with its intervals over seeds."""
    rows = _rows(points, SHARE).rename(columns={f"{SHARE}_ci_low": "ci_low", f"{SHARE}_ci_high": "ci_high"})
    highest = float(np.nanmax([*rows["mean"], *rows["ci_high"], 0.01]))
    y = charts.y_axis("share of Monte Carlo noise", [0.0, 1.05 * highest])
    y.axis = alt.Axis(format="%", tickCount=6)
    return alt.layer(*charts.lines(rows, legend, _x(points), y, TIPS, f"datum.{PART} == {PART}"))


def component_layers(points: pd.DataFrame, legend: Mapping[str, str]) -> alt.LayerChart:
    """Both variances by epoch of the part that the switch names; one scale for all B, of its own for each part."""
    points = points.assign(var_data=points["var_data_mean"])
    kinds = {STEP_MC: "Monte Carlo", "var_data": "between images"}
    rows = pd.concat([_rows(points, key).assign(kind=kind) for key, kind in kinds.items()])
    rows = rows[rows["mean"] > 0].drop(columns=[f"{SHARE}_ci_low", f"{SHARE}_ci_high"])
    sizes = {part: charts.log_domain(of_part["mean"]) for part, of_part in rows.groupby(PART)}
    y = charts.switched("variance per image", PART, sizes, type="log")
    y.axis = alt.Axis(format="~s", tickCount=3)
    kind = alt.StrokeDash("kind:N", scale=alt.Scale(domain=list(kinds.values()), range=[[1, 0], [4, 3]]),
                          legend=alt.Legend(title=None, orient="top"))  # fmt: skip
    drawn = charts.base(rows, legend, f"datum.{PART} == {PART}").encode(x=_x(points), y=y)
    points_to_hover = drawn.mark_point(filled=True, size=28).encode(tooltip=charts.tooltip({"kind:N": "noise", **TIPS}))
    return alt.layer(drawn.mark_line(strokeWidth=1.8).encode(strokeDash=kind), points_to_hover)


def _rows(points: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows of a chart of one column."""
    names = {PART: [PARTS[part] for part in points[PART]], HUE: [f"K = {k}" for k in points[K]]}
    rows = points.assign(**names, **{PANEL: [f"B = {b}" for b in points[B]]}, mean=points[key])
    return rows[[PANEL, HUE, PART, EPOCH, "n", "mean", f"{SHARE}_ci_low", f"{SHARE}_ci_high"]]


def _x(points: pd.DataFrame) -> alt.X:
    """Epochs; where late ones are far off, logarithmic from 1 on."""
    wide = points[EPOCH].max() > LINEAR_EPOCHS
    scale = alt.Scale(type="symlog" if wide else "linear", constant=1, nice=False) if wide else alt.Scale(nice=False)
    values = sorted(points[EPOCH].unique())
    return alt.X(f"{EPOCH}:Q", title="epoch", scale=scale, axis=alt.Axis(values=values, format="d", labelOverlap=True))


def plot_components(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> Figure:
    """Variance between images (dashed) and of the Monte Carlo noise (solid) by epoch, on logarithmic axes, which do not
    show what is at or below zero. points and observed are components_by_point() and observations() of one setting.
    """
    name = "V_mc/K" if single(points) else "V_mc of a set of K"
    kinds: Kinds = {STEP_MC: ("-", f"{name}: Monte Carlo"), "var_data": (DASHED, "V_data: between images")}
    titles = {part: f"{PARTS[part]}\n[{unit(part, points[NORM].min())}]" for part in PARTS}
    points = points.assign(var_data=points["var_data_mean"])
    figure = _plot(points, observed, kinds, titles, "variance per image", "Where the noise comes from", data)
    for ax in figure.axes:
        ax.set_yscale("log", nonpositive="mask")
    return figure


def plot_share(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> Figure:
    """Share of Monte Carlo noise in a step's variance by epoch. Arguments as in plot_components()."""
    text, title = "share of Monte Carlo noise", "Monte Carlo noise in a step's variance"
    figure = _plot(points, observed, {SHARE: ("-", text)}, PARTS, text, title, data)
    for ax in figure.axes:
        ax.set_ylim(0, 1.05 * np.nanmax([*points[SHARE], *observed[SHARE], 0.01]))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _plot(
    points: pd.DataFrame, observed: pd.DataFrame, kinds: Kinds, titles: dict[str, str], text: str, title: str, data: str
) -> Figure:
    """A row per B, a column per part, a line per K of each kind; behind it each seed's own where there are several."""
    levels, parts = sorted(points[B].unique()), [part for part in PARTS if part in set(points[PART])]
    labels, size = [f"B = {level}\n{text}" for level in levels], (style.PAGE, 2.6 * len(levels) + 0.8)
    title = f"{title} by epoch, {seed_count(points['n'])}\n{data}"
    figure, axes = style.panels(labels, [titles[part] for part in parts], size, title, sharex=True, sharey="col")
    _epoch_axis(axes[0, 0], points[EPOCH])
    colours = style.sequential(points[K])
    shown = [Line2D([], [], color=style.INK, linestyle=dashes, label=label) for dashes, label in kinds.values()]
    shown = [*style.handles(colours, "K = "), *shown]
    figure.legend(handles=shown, loc="outside lower left", ncols=len(shown))
    for ax, (level, part) in zip(axes.flat, product(levels, parts), strict=True):
        ax.set_xlabel(EPOCH if level == levels[-1] else "")
        means, probes = (table[(table[B] == level) & (table[PART] == part)] for table in (points, observed))
        for value, (dashes, _) in kinds.items():
            style.lines(ax, means, value, colours, linestyle=dashes, marker="o", markersize=3.5)
            for (k, _), run in probes.groupby([K, "run_id"]) if means["n"].max() > 1 else ():
                ax.plot(run[EPOCH], run[value], color=colours[k], linestyle=dashes, linewidth=0.7, alpha=0.35)
    return figure


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
