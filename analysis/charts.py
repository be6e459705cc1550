"""Figures that answer to the reader, in Vega-Lite: their common look, parts and data.

A chart is one specification, drawn once for each panel: the page sets its parameter `panel`, by which the data are
filtered, so that panels wrap as the screen is wide. Other parameters are set by the page's switches and slider.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from analysis import style

PANEL, HUE, MARGIN, AXIS = "panel", "hue", "margin", "axis"
HEIGHT = 250
DIGITS = 5  # significant ones of the data in a page
MOST_EPOCHS = 40  # points of a line in a page; of more, evenly spaced ones are taken
PAD = 0.06  # of the range of values, above and below them
LOOK = {
    "font": 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
    "view": {"stroke": None},
    "axis": {
        "labelColor": style.MUTED, "titleColor": style.INK, "titleFontWeight": "normal", "titleFontSize": 12,
        "gridColor": "#e7ebee", "domainColor": style.MUTED, "tickColor": style.MUTED, "labelFontSize": 11,
    },
}  # fmt: skip


class Chart(NamedTuple):
    """A figure of the page.

    layers: what is drawn, made when it is asked for. panels: the values of the column PANEL, a panel each. legend: the
    colour of each label. switches: by parameter, the values among which the reader chooses, the first one to begin with.
    margin: the half-width of the band at the beginning, where there is one.
    """

    layers: Callable[[], alt.LayerChart]
    panels: Sequence[str]
    legend: Mapping[str, str]
    switches: Mapping[str, Sequence[str]] = {}
    margin: float | None = None

    def specification(self) -> dict[str, Any]:
        """Vega-Lite, as data."""
        begin = {PANEL: self.panels[0], **{name: values[0] for name, values in self.switches.items()}}
        begin |= {} if self.margin is None else {MARGIN: self.margin}
        chart = self.layers().properties(width="container", height=HEIGHT).configure(**LOOK)
        with alt.data_transformers.disable_max_rows():
            return chart.add_params(*(alt.param(name, value=value) for name, value in begin.items())).to_dict()


def hexed(colours: style.Colours, prefix: str = "") -> dict[str, str]:
    """A legend of these colours."""
    return {f"{prefix}{level}": to_hex(colour) for level, colour in colours.items()}


def data(table: pd.DataFrame) -> pd.DataFrame:
    """A table as a page carries it: numbers with DIGITS significant digits; what is not finite is missing."""
    numbers = table.select_dtypes("floating").astype(float)
    finite = numbers.where(np.isfinite(numbers))
    return table.assign(**{name: [significant(value) for value in finite[name]] for name in finite})


def significant(value: float) -> float | None:
    """None where there is no value: JSON has no nan."""
    return None if np.isnan(value) else float(f"{value:.{DIGITS}g}")


def thinned(table: pd.DataFrame, x: str) -> pd.DataFrame:
    """At most MOST_EPOCHS values of x, the first and the last among them."""
    values = np.sort(table[x].unique())
    kept = values[np.unique(np.linspace(0, len(values) - 1, MOST_EPOCHS).round().astype(int))]
    return table[table[x].isin(kept)]


def domain(*values: pd.Series, pad: float = PAD) -> list[float]:
    """The range of all finite values, a little wider: all panels have it."""
    known = np.concatenate([np.asarray(each, dtype=float) for each in values])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    room = pad * (high - low) or 1.0
    return [low - room, high + room]


def log_domain(values: pd.Series) -> list[float]:
    """The range of the positive values, on a logarithmic axis."""
    low, high = domain(np.log10(values[values > 0]))
    return [10**low, 10**high]


def base(table: pd.DataFrame, legend: Mapping[str, str], where: str = "") -> alt.Chart:
    """Rows of the panel, and of what the switches say by the expression `where`, with their colours by HUE."""
    kept = " && ".join(filter(None, [f"datum.{PANEL} == {PANEL}", where]))
    colour = alt.Color(f"{HUE}:N", legend=None, scale=alt.Scale(domain=list(legend), range=list(legend.values())))
    return alt.Chart(data(table)).transform_filter(kept).encode(color=colour)


def y_axis(title: str, size: Sequence[float]) -> alt.Y:
    """A value axis that all panels share."""
    scale = alt.Scale(domain=list(size), nice=False, zero=False)
    return alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))


def switched(title: str, switch: str, sizes: Mapping[str, Sequence[float]], **scale: Any) -> alt.Y:
    """A value axis that all panels share, with a size for each value of a switch."""
    low, high = (
        alt.expr(f"{json.dumps({name: size[end] for name, size in sizes.items()})}[{switch}]") for end in (0, 1)
    )
    whole = alt.Scale(domainMin=low, domainMax=high, nice=False, **scale)
    return alt.Y("mean:Q", title=title, scale=whole, axis=alt.Axis(tickCount=6))


def log_y(title: str, size: Sequence[float]) -> alt.Y:
    """A logarithmic value axis that all panels share, with few lines."""
    scale = alt.Scale(type="log", domain=list(size), nice=False)
    return alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(values=log_ticks(*size), format="~g"))


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten of a range, and their 2 and 5 times where it has few of them."""
    steps = (1, 2, 5) if high < 500 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for step in steps if low <= (tick := float(f"{step}e{power}")) <= high]


def tooltip(fields: Mapping[str, str]) -> list[alt.Tooltip]:
    """What hovering shows: by column, its name; numbers with four digits."""
    return [
        alt.Tooltip(key, title=title, **({"format": ".4~r"} if ":Q" in key else {})) for key, title in fields.items()
    ]


def lines(table: pd.DataFrame, legend: Mapping[str, str], x: alt.X, y: alt.Y, tips: Mapping[str, str], where: str = "",
          detail: str = "") -> list[alt.Chart]:  # fmt: skip
    """Means as lines by HUE and detail, points to hover over, and the intervals in ci_low and ci_high as bands."""
    rows = base(table, legend, where).encode(x=x, **({"detail": alt.Detail(detail)} if detail else {}))
    area = rows.transform_filter("isValid(datum.ci_low)").mark_area(opacity=style.BAND_OPACITY, clip=True)
    drawn = [
        rows.mark_line(strokeWidth=1.8, clip=True).encode(y=y),
        rows.mark_point(filled=True, size=28, clip=True).encode(y=y, tooltip=tooltip(tips)),
    ]
    return [area.encode(y=of(y, "ci_low"), y2="ci_high:Q"), *drawn]


def band() -> list[alt.Chart]:
    """The margin on both sides of 0, and a line there."""
    one = alt.Chart(pd.DataFrame({"zero": [0.0]}))
    ends = {"low": f"-{MARGIN}", "high": MARGIN}
    filled = one.transform_calculate(**ends).mark_rect(color=style.MUTED, opacity=0.15, clip=True)
    return [filled.encode(y="low:Q", y2="high:Q"), one.mark_rule(color=style.MUTED).encode(y="zero:Q")]


def of(y: alt.Y, key: str) -> alt.Y:
    """The same axis for another column."""
    return alt.Y(**{**y._kwds, "shorthand": f"{key}:Q"})
