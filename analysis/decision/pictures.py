"""The figure that carries the answer, and the same difference along training: a panel per group, a colour per value."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import charts, style
from analysis.charts import AXIS, HUE, PANEL, Chart
from analysis.decision.numbers import Decision
from analysis.statistics import AXES
from analysis.statistics.amounts import EPOCHS, SECONDS
from analysis.style import Colours, Picture
from src import inference
from src.inference import Contrast, ends, stated, telling

END = (
    "Difference from {} at the end of training, seed by seed; above 0 is worse. Small points are single seeds, bars "
    "intervals that hold at every look, the band is the margin."
)
ALONG = (
    "The same difference along training, of the test NLL after an epoch, which takes few draws: at equal amounts of "
    "training, from the fork on where there is one. Bands are intervals at each amount alone."
)

BESIDE = -16  # pixels, of the points of single seeds from their mean


def pictures(decision: Decision, commands: Mapping[str, str]) -> list[Picture]:
    """The difference at the end and along training; none where nothing is compared. commands: by run, what repeats it."""
    if not decision.contrasts:
        return []
    first = decision.contrasts[0]
    margin, reference = first.judgement.design.margin, called(first, first.reference)
    everything = style.sequential([called(first, level) for level in levels(decision.contrasts)])
    colours = {label: colour for label, colour in everything.items() if label != reference}
    means, seeds = end_table(decision.contrasts), seed_table(decision.contrasts, commands)
    along = decision.along.assign(**{HUE: [called(first, level) for level in decision.along["level"]]})
    along = along.rename(columns={"place": PANEL})
    panels, legend = list(inference.by_group(decision.contrasts)), charts.hexed(colours)
    axes = {AXIS: [axis.label for axis in AXES]}
    end = Chart(lambda: end_layers(means, seeds, legend, reference), panels, legend, margin=margin)
    path = Chart(lambda: along_layers(along, legend, reference), panels, legend, axes, margin)
    return [
        Picture("difference", means, lambda: plot_end(means, seeds, colours, margin), END.format(reference), end),
        Picture("difference_path", along, lambda: plot_along(along, colours, margin), ALONG.format(reference), path),
    ]


def levels(contrasts: Sequence[Contrast]) -> list[float | str]:
    """The values of the factor, each once, in their order, the reference too: a value has one colour in all figures."""
    found = {level for each in contrasts for level in (each.level, each.reference)}
    return sorted(found, key=lambda level: (isinstance(level, str), level))


def called(contrast: Contrast, level: float | str) -> str:
    """A value of the factor, as legends have it."""
    return inference.named(contrast.judgement.design.factor, level).replace("=", " = ")


def end_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """A row per contrast: its panel, value, mean difference, the interval that tells, its text, and the verdict."""
    rows = [
        {PANEL: panel, HUE: called(each, each.level), "n": each.judgement.pairs.n, "mean": each.judgement.pairs.mean}
        | {"ci_low": telling(each).low, "ci_high": telling(each).high, "interval": ends(telling(each))}
        | {"verdict": ", ".join(stated(each.judgement.verdicts))}
        for panel, group in inference.by_group(contrasts).items()
        for each in group
    ]
    return pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)


def seed_table(contrasts: Sequence[Contrast], commands: Mapping[str, str]) -> pd.DataFrame:
    """A row per pair: its panel, value, seed and difference, with both runs and what repeats that of the value."""
    columns = [PANEL, HUE, "seed", "mean", "run", "reference run", "command"]
    rows = [
        [panel, called(each, each.level), pair.seed, pair.level - pair.reference, *pair.runs, commands[pair.runs[0]]]
        for panel, group in inference.by_group(contrasts).items()
        for each in group
        for pair in each.pairs
        if np.isfinite(pair.level - pair.reference)
    ]
    return pd.DataFrame(rows, columns=columns)


def end_layers(means: pd.DataFrame, seeds: pd.DataFrame, legend: Mapping[str, str], reference: str) -> alt.LayerChart:
    """The band of the margin, a point per seed, and means with their intervals."""
    size = charts.domain(means["mean"], means["ci_low"], means["ci_high"], seeds["mean"], pd.Series([0.0]))
    y = charts.y_axis(f"difference from {reference}", size)
    x = alt.X(f"{HUE}:N", title=None, sort=list(legend), axis=alt.Axis(labelAngle=0))
    rows, points = charts.base(means, legend), charts.base(seeds, legend)
    tips = {"n:N": "pairs", "mean:Q": "difference", "interval:N": "interval", "verdict:N": "at the study's margin"}
    of_seed = {name: name for name in ("seed", "run", "reference run", "command")} | {"mean:Q": "difference"}
    return alt.layer(
        *charts.band(),
        points.mark_point(filled=True, size=36, opacity=0.45, clip=True, xOffset=BESIDE).encode(
            x=x, y=y, tooltip=charts.tooltip(of_seed)
        ),
        rows.mark_rule(strokeWidth=2.5, clip=True).encode(x=x, y=charts.of(y, "ci_low"), y2="ci_high:Q"),
        rows.mark_point(filled=True, size=110, opacity=1, clip=True).encode(x=x, y=y, tooltip=charts.tooltip(tips)),
    )


def along_layers(along: pd.DataFrame, legend: Mapping[str, str], reference: str) -> alt.LayerChart:
    """The mean difference at equal amounts of what the switch says, with its intervals and the band of the margin."""
    sizes = {axis: charts.domain(rows["mean"], pd.Series([0.0]), pad=0.4) for axis, rows in along.groupby(AXIS)}
    y = charts.switched(f"difference from {reference}", AXIS, sizes)
    x = alt.X("x:Q", title=None, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=5, format="~s"))
    tips = {
        HUE: "value",
        "x:Q": "amount",
        "n:N": "pairs",
        "mean:Q": "difference",
        "ci_low:Q": "from",
        "ci_high:Q": "to",
    }
    return alt.layer(*charts.band(), *charts.lines(along, legend, x, y, tips, f"datum.{AXIS} == {AXIS}"))


def plot_end(means: pd.DataFrame, seeds: pd.DataFrame, colours: Colours, margin: float) -> Figure:
    """Difference from the reference by value of the factor; arguments as end_table() and seed_table() make them."""
    places = list(dict.fromkeys(means[PANEL]))
    figure, axes = style.wrapped(places, "difference from the reference", "Difference at the end of training")
    at = {label: place for place, label in enumerate(colours)}
    for ax, place in zip(axes, places, strict=True):
        style.margin_band(ax, margin)
        mine, points = means[means[PANEL] == place], seeds[seeds[PANEL] == place]
        shift = 0.3 * (points["seed"].rank(method="dense") / max(points["seed"].nunique(), 1) - 0.5)
        ax.scatter(points[HUE].map(at) + shift, points["mean"], s=14, c=list(points[HUE].map(colours)), alpha=0.45)
        ax.vlines(mine[HUE].map(at), mine["ci_low"], mine["ci_high"], list(mine[HUE].map(colours)), linewidth=2)
        ax.scatter(mine[HUE].map(at), mine["mean"], s=55, c=list(mine[HUE].map(colours)), zorder=4)
        ax.set_xticks(list(at.values()), list(at))
        ax.set_xlim(-0.6, len(at) - 0.4)
    return figure


def plot_along(along: pd.DataFrame, colours: Colours, margin: float) -> Figure:
    """Mean difference at equal epochs and at equal seconds, a column per group."""
    places = list(dict.fromkeys(along[PANEL]))
    rows = {EPOCHS: "at equal epochs", SECONDS: "at equal seconds"}
    size = style.facet_size(len(places), len(rows))
    figure, axes = style.panels(list(rows.values()), places, size, "Difference from the reference, along training")
    for line, axis in zip(axes, rows, strict=True):
        for ax, place in zip(line, places, strict=True):
            mine = along[(along[PANEL] == place) & (along[AXIS] == axis.label)]
            style.margin_band(ax, margin)
            style.bands(ax, mine, "x", HUE, colours)
            ax.set_xlabel(axis.axis)
    figure.legend(handles=style.handles(colours), loc="outside right upper")
    return figure
