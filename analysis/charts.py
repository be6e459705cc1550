"""Pictures in Vega-Lite, which answer to the reader.

A chart is one specification, drawn once for each panel: the page sets its parameter `panel`, by which the data are
filtered, so that panels wrap as the screen is wide. Other parameters are set by the page's switch and slider.
"""

import json
import math
from typing import Any

import altair as alt
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from analysis import style
from analysis.picture import HUE, LINES, PANEL, TILES, Picture, X

MARGIN = "margin"
HEIGHT = 250
DIGITS = 5  # significant ones of the data in a page
MOST = 30  # points of a line in a page; of more, evenly spaced ones are taken
PLAIN = 1e5  # numbers up to here have no prefix of a unit
BESIDE = -16  # pixels, of the points of single seeds from their mean
FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
LOOK: dict[str, Any] = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": style.MUTED, "titleColor": style.INK, "titleFontWeight": "normal", "titleFontSize": 12,
        "gridColor": style.GRID, "domainColor": style.MUTED, "tickColor": style.MUTED, "labelFontSize": 11,
    },
}  # fmt: skip


def legend(picture: Picture) -> dict[str, str]:
    """The colour of each label, as pages write it."""
    return {label: to_hex(colour) for label, colour in picture.colours.items()}


def specification(picture: Picture) -> dict[str, Any]:
    """A picture as Vega-Lite."""
    begin: dict[str, Any] = {PANEL: picture.panels[0], MARGIN: picture.margin, picture.switch: None}
    begin[picture.switch] = next(iter(picture.choices), None)
    params = [alt.param(name, value=value) for name, value in begin.items() if value is not None]
    layers = {LINES: lines, TILES: tiles}.get(picture.kind, points)(picture)
    with alt.data_transformers.disable_max_rows():
        chart = alt.layer(*layers).properties(width="container", height=HEIGHT).configure(**LOOK)
        made: dict[str, Any] = chart.add_params(*params).to_dict()
    return made | {"datasets": {name: columns(rows) for name, rows in made["datasets"].items()}}


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows as columns, words as places in a list of them: a third of the bytes. The page makes rows of them again."""
    found: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    for name, values in found.items():
        if all(isinstance(value, str) for value in values):
            places = {word: place for place, word in enumerate(dict.fromkeys(values))}
            found[name] = {"words": list(places), "places": [places[value] for value in values]}
    return found


def data(picture: Picture, table: pd.DataFrame) -> pd.DataFrame:
    """The columns that are drawn; numbers with DIGITS significant digits; what is not finite is missing."""
    names = [PANEL, HUE, X, "mean", "ci_low", "ci_high", "line", picture.switch, picture.marks, *picture.tips]
    table = table[[name for name in dict.fromkeys(names) if name in table]].dropna(axis=1, how="all")
    if picture.kind == LINES:
        table = table.sort_values(X, ignore_index=True)
        lines = table.groupby([name for name in (PANEL, HUE, picture.switch, picture.marks) if name])[X]
        place, last = lines.cumcount(), lines.transform("size") - 1
        step = (last / (MOST - 1)).clip(lower=1)
        table = table[((place / step).round() * step).round() == place]
    table = table.copy()
    for name in [name for name in table if table[name].dtype.kind == "f"]:
        table[name] = [rounded(value) for value in table[name]]
    return table


def rounded(value: float) -> float | None:
    """None where there is no finite value: JSON has none."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def base(picture: Picture, table: pd.DataFrame) -> alt.Chart:
    """The rows of the panel, and of what the switch says, with their colours and their place on x."""
    kept = [f"datum.{name} == {name}" for name in (PANEL, picture.switch) if name]
    scale = alt.Scale(domain=list(picture.colours), range=list(legend(picture).values()))
    rows = alt.Chart(data(picture, table)).transform_filter(" && ".join(kept))
    return rows.encode(x=x_axis(picture), color=alt.Color(f"{HUE}:N", legend=None, scale=scale))


def x_axis(picture: Picture) -> alt.X:
    """Words side by side, or numbers."""
    title = picture.x or None
    if picture.kind == TILES or picture.table[X].dtype.kind not in "iuf":
        values = list(dict.fromkeys(picture.table[X]))
        return alt.X(f"{X}:N", title=title, sort=values, axis=alt.Axis(labelAngle=0))
    if "x" in picture.log:
        scale, axis = alt.Scale(type="log", nice=False, padding=20), alt.Axis(format="~s", tickCount=4)
    elif picture.sparse:
        values = sorted(picture.table[X].unique())
        scale, axis = alt.Scale(type="symlog", nice=False), alt.Axis(values=values, format="d", labelOverlap=True)
    else:
        ends = {"nice": False} if picture.kind == LINES else {"padding": 12}  # else points at the ends are cut
        scale, axis = alt.Scale(zero=False, **ends), alt.Axis(format="~s", tickCount=6)
    return alt.X(f"{X}:Q", title=title, scale=scale, axis=axis)


def y_axis(picture: Picture, key: str = "mean") -> alt.Y:
    """A value axis that all panels share, with a size for each value of the switch, and few lines where it is log."""
    look: dict[str, Any] = {"format": "%"} if picture.percent else {}
    if "y" in picture.log:
        low, high = picture.size(next(iter(picture.choices), ""))
        ticks = {"tickCount": 3} if picture.switch else {"values": log_ticks(low, high)}
        look = {"format": "~g" if high < PLAIN else "~s", **ticks}
    if picture.switch:
        sizes = {value: picture.size(value) for value in picture.choices}
        ends = [alt.expr(f"{json.dumps({v: s[end] for v, s in sizes.items()})}[{picture.switch}]") for end in (0, 1)]
        size = {"domainMin": ends[0], "domainMax": ends[1]}
    else:
        size = {"domain": list(picture.size())}
    kind = {"type": "log"} if "y" in picture.log else {"zero": False}
    scale = alt.Scale(nice=False, **size, **kind)
    return alt.Y(f"{key}:Q", title=picture.y, scale=scale, axis=alt.Axis(**{"tickCount": 6, **look}))


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten of a range, and their 2 and 5 times where it has few of them; round numbers where it has none."""
    steps = (1, 2, 5) if high < 500 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [tick for power in powers for step in steps if low <= (tick := float(f"{step}e{power}")) <= high]
    return ticks if len(ticks) > 1 else [float(tick) for tick in MaxNLocator(4).tick_values(low, high)[1:-1]]


def tooltips(picture: Picture, table: pd.DataFrame) -> list[alt.Tooltip]:
    """What hovering shows: numbers with four digits."""
    return [
        alt.Tooltip(f"{key}:{'Q' if number else 'N'}", title=title, **({"format": ".4~r"} if number else {}))
        for key, title in picture.tips.items()
        if key in table
        for number in [table[key].dtype.kind == "f"]
    ]


def lines(picture: Picture) -> list[alt.Chart]:
    """Means as lines, with points to hover over, and intervals as bands."""
    rows, y = base(picture, picture.table), y_axis(picture)
    joined = rows.mark_line(strokeWidth=1.8, clip=True).encode(y=y)
    if picture.marks:
        values = picture.mark_values
        scale = alt.Scale(domain=values, range=[[1, 0], [4, 3]][: len(values)])
        key = alt.Legend(title=None, orient="top")
        joined = joined.encode(strokeDash=alt.StrokeDash(f"{picture.marks}:N", scale=scale, legend=key))
    hover = rows.mark_point(filled=True, size=28, clip=True).encode(y=y, tooltip=tooltips(picture, picture.table))
    drawn = band(picture)
    if "ci_low" in picture.table:
        known = rows.transform_filter("isValid(datum.ci_low)").mark_area(opacity=style.BAND_OPACITY, clip=True)
        drawn.append(known.encode(y=y_axis(picture, "ci_low"), y2="ci_high:Q"))
    return [*drawn, joined, hover]


def points(picture: Picture) -> list[alt.Chart]:
    """Means as points with their intervals as bars, single seeds beside them, and a line that joins points."""
    rows, y = base(picture, picture.table), y_axis(picture)
    drawn, shape = band(picture), {}
    if picture.marks:
        key = alt.Legend(title=None, orient="top") if len(picture.mark_values) > 1 else None
        shape = {"shape": alt.Shape(f"{picture.marks}:N", sort=picture.mark_values, legend=key)}
    if "line" in picture.table:
        joined = rows.transform_filter("isValid(datum.line)").mark_line(strokeDash=[4, 3], strokeWidth=1.2)
        drawn.append(joined.encode(y=y_axis(picture, "line"), color=alt.value(style.MUTED)))
    if picture.seeds is not None and len(picture.seeds):
        faint = base(picture, picture.seeds).mark_point(filled=True, size=36, opacity=0.45, xOffset=BESIDE)
        drawn.append(faint.encode(y=y, tooltip=tooltips(picture, picture.seeds)))
    known = rows.transform_filter("isValid(datum.ci_low)").mark_rule(strokeWidth=2.2, clip=True)
    dots = rows.mark_point(filled=True, size=95, opacity=1, clip=True)
    bars = [known.encode(y=y_axis(picture, "ci_low"), y2="ci_high:Q")] if "ci_low" in picture.table else []
    return [*drawn, *bars, dots.encode(y=y, tooltip=tooltips(picture, picture.table), **shape)]


def tiles(picture: Picture) -> list[alt.Chart]:
    """A tile for each x and y."""
    drawn = base(picture, picture.table).mark_rect(stroke="white", strokeWidth=1)
    return [drawn.encode(y=alt.Y("mean:O", title=picture.y), tooltip=tooltips(picture, picture.table))]


def band(picture: Picture) -> list[alt.Chart]:
    """The margin on both sides of 0, and a line there."""
    if not picture.margin:
        return []
    one = alt.Chart(pd.DataFrame({"zero": [0.0]}))
    filled = one.transform_calculate(low=f"-{MARGIN}", high=MARGIN).mark_rect(
        color=style.MUTED, opacity=0.15, clip=True
    )
    return [filled.encode(y="low:Q", y2="high:Q"), one.mark_rule(color=style.MUTED).encode(y="zero:Q")]
