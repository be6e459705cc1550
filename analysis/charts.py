"""Pictures in Vega-Lite, for a page that answers to the reader and for files.

A page has one specification of a picture and draws it once for each panel, so that panels wrap as the screen is wide.
It sets the parameters: `panel` and the column of the switch, by which the data are filtered, and the margin. In a file
every panel is a chart of its own, with the values of the parameters in place of their names.
"""

import base64
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from PIL import Image

from analysis import style
from analysis.picture import HUE, IMAGES, LINES, PANEL, TILES, Picture, X

MARGIN = "margin"
WIDTH, HEIGHT = 260, 250  # pixels of a panel; on a page as wide as its place
PER_ROW = 4  # panels of a file
DIGITS = 5  # significant ones of the data in a page
MOST = 30  # points of a line; of more, evenly spaced ones are taken
PLAIN = 1e5  # numbers up to here have no prefix of a unit
SMALL_SHARE = 0.02  # up to here shares have decimals
BESIDE = -16  # pixels, of the points of single seeds from their mean
DASHES = ([1, 0], [4, 3])
FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
FONT_OF_FILES = "Liberation Sans, Arial, sans-serif"  # vl-convert brings the first, so no file depends on a machine's
LOOK: dict[str, Any] = {
    "view": {"stroke": None},
    "axis": {
        "labelColor": style.MUTED, "titleColor": style.INK, "titleFontWeight": "normal", "titleFontSize": 12,
        "gridColor": style.GRID, "domainColor": style.MUTED, "tickColor": style.MUTED, "labelFontSize": 11,
    },
    "title": {
        "anchor": "start", "color": style.INK, "fontSize": 12, "fontWeight": "normal", "subtitleColor": style.MUTED,
    },
    "legend": {"orient": "top", "title": None, "labelFontSize": 11, "labelLimit": 0},
}  # fmt: skip

Parameters = Mapping[str, str]  # by its name: the name itself, or in a file its value, as an expression has it
Rows = Callable[[pd.DataFrame], alt.Chart]  # the rows of a panel, with their x and colour
CLIP = re.compile(r"\bclip\d+\b")


def specification(picture: Picture) -> dict[str, Any]:
    """The chart of one panel, for a page."""
    begin: dict[str, Any] = {PANEL: picture.panels[0], MARGIN: picture.margin, picture.switch: None}
    begin[picture.switch] = next(iter(picture.choices), None)
    params = [alt.param(name, value=value) for name, value in begin.items() if value is not None]
    chart = layered(picture, {name: name or '""' for name in begin}).add_params(*params)
    made = compiled(chart.properties(width="container", height=HEIGHT), FONT)
    return made | {"datasets": {name: columns(rows) for name, rows in made["datasets"].items()}}


def files(picture: Picture) -> dict[str, bytes]:
    """SVG and PNG, by suffix: a chart for each panel and each value of the switch that a file shows."""
    values = list(picture.rows) or [""]
    cells = [(value, panel) for value in values for panel in picture.panels if len(picture.chosen(value, panel))]
    charts = [in_file(picture, value, panel, alone=len(cells) == 1) for value, panel in cells]
    per_row = len(picture.panels) if 1 < len(picture.panels) < len(charts) else PER_ROW
    title = {"text": ", ".join(filter(None, [picture.title, picture.seed_count])), "subtitle": picture.subtitle}
    whole = alt.concat(*charts, columns=per_row).properties(title=title)
    svg = vl_convert.vegalite_to_svg(compiled(whole, FONT_OF_FILES))
    # Vega numbers its clips from the start of the process, but the same picture shall give the same bytes.
    places = {name: f"clip{place}" for place, name in enumerate(dict.fromkeys(re.findall(CLIP, svg)))}
    svg = re.sub(CLIP, lambda found: places[found[0]], svg)
    return {"svg": svg.encode(), "png": vl_convert.svg_to_png(svg, scale=2)}


def in_file(picture: Picture, value: str, panel: str, alone: bool) -> alt.Chart | alt.LayerChart:
    """The chart of a panel at a value of the switch; alone: the picture has no other."""
    if picture.kind == IMAGES:
        return image(picture.chosen(value, panel).iloc[0], f"{panel}, {value}")
    given = {PANEL: json.dumps(panel), picture.switch: json.dumps(value), MARGIN: json.dumps(picture.margin)}
    key = alt.Legend(symbolType="circle", symbolOpacity=1, symbolStrokeWidth=2)
    chart = layered(picture._replace(x=picture.x or value), given, key)
    title = ", ".join(filter(None, [panel, value if picture.x else ""]))
    return chart.properties(width=WIDTH * (1 + alone), height=HEIGHT, title=title)


def image(row: pd.Series, title: str) -> alt.Chart:
    """A recorded image; numbers are dark where they are high."""
    pixels = np.asarray(row["image"], dtype=float)
    pixels = 1 - pixels if pixels.ndim == 2 else pixels
    buffer = io.BytesIO()
    drawing = Image.fromarray((255 * pixels).round().astype("uint8"))
    drawing.thumbnail((2 * WIDTH, 2 * WIDTH))
    drawing.save(buffer, "png")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    size = {"width": WIDTH, "height": max(10, round(WIDTH * pixels.shape[0] / pixels.shape[1]))}
    drawn = alt.Chart(pd.DataFrame({"url": [url]})).mark_image(align="left", baseline="top", **size)
    drawn = drawn.encode(x=alt.value(0), y=alt.value(0), url="url:N")
    return drawn.properties(title={"text": title, "subtitle": row["note"]}, **size)


def compiled(chart: Any, font: str) -> dict[str, Any]:
    """A chart with the look, as Vega-Lite."""
    with alt.data_transformers.disable_max_rows():
        made: dict[str, Any] = chart.configure(**LOOK, font=font).to_dict()
    return made


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
        table[name] = [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in table[name]]
    return table


def layered(picture: Picture, given: Parameters, legend: alt.Legend | None = None) -> alt.LayerChart:
    """What is drawn of a panel; legend: of the colours, None where the page has it."""
    scale = alt.Scale(domain=list(picture.colours), range=list(picture.colours.values()))
    colour = alt.Color(f"{HUE}:N", legend=legend, scale=scale)
    kept = " && ".join(f"datum.{name} == {given[name]}" for name in (PANEL, picture.switch) if name)

    def rows(table: pd.DataFrame) -> alt.Chart:
        return alt.Chart(data(picture, table)).transform_filter(kept).encode(x=x_axis(picture), color=colour)

    draw = {LINES: lines, TILES: tiles}.get(picture.kind, points)
    return alt.layer(*band(picture, given), *draw(picture, rows, given))


def x_axis(picture: Picture) -> alt.X:
    """Words side by side, or numbers."""
    title = picture.x or None
    if picture.kind == TILES or picture.table[X].dtype.kind not in "iuf":
        values = list(dict.fromkeys(picture.table[X]))
        return alt.X(f"{X}:N", title=title, sort=values, axis=alt.Axis(labelAngle=0))
    if "x" in picture.log:
        scale, axis = alt.Scale(type="log", nice=False, padding=20), alt.Axis(format="~s", tickCount=10)
    elif picture.sparse:
        values = sorted(picture.table[X].unique())
        scale, axis = alt.Scale(type="symlog", nice=False), alt.Axis(values=values, format="d", labelOverlap=True)
    else:
        ends = {"nice": False} if picture.kind == LINES else {"padding": 12}  # else points at the ends are cut
        scale, axis = alt.Scale(zero=False, **ends), alt.Axis(format="~s", tickCount=6)
    return alt.X(f"{X}:Q", title=title, scale=scale, axis=axis)


def y_axis(picture: Picture, given: Parameters, key: str = "mean") -> alt.Y:
    """A value axis that all panels share, with a range for each value of the switch, and few lines where it is log."""
    sizes = {value: picture.size(value) for value in picture.choices or [""]}
    ends = [{value: size[end] for value, size in sizes.items()} for end in (0, 1)]
    low, high = (alt.expr(f"{json.dumps(each)}[{given[picture.switch]}]") for each in ends)
    kind = {"type": "log"} if "y" in picture.log else {"zero": False}
    scale = alt.Scale(nice=False, domainMin=low, domainMax=high, **kind)
    lowest, highest = min(ends[0].values()), max(ends[1].values())
    look: dict[str, Any] = {"tickCount": 6}
    if picture.percent:
        look["format"] = "%" if highest > SMALL_SHARE else ".2%"
    if "y" in picture.log:
        look = {"format": "~g" if highest < PLAIN else "~s", "tickCount": 5 if highest < 100 * lowest else 4}
    return alt.Y(f"{key}:Q", title=picture.y, scale=scale, axis=alt.Axis(**look))


def tooltips(picture: Picture, table: pd.DataFrame) -> list[alt.Tooltip]:
    """What hovering shows: numbers with four digits."""
    return [
        alt.Tooltip(f"{key}:{'Q' if number else 'N'}", title=title, **({"format": ".4~r"} if number else {}))
        for key, title in picture.tips.items()
        if key in table
        for number in [table[key].dtype.kind == "f"]
    ]


def lines(picture: Picture, rows: Rows, given: Parameters) -> list[alt.Chart]:
    """Means as lines, with points to hover over, and intervals as bands."""
    shown, y, drawn = rows(picture.table), y_axis(picture, given), []
    joined = shown.mark_line(strokeWidth=1.8, clip=True).encode(y=y)
    if picture.marks:
        scale = alt.Scale(domain=picture.mark_values, range=[*DASHES][: len(picture.mark_values)])
        joined = joined.encode(strokeDash=alt.StrokeDash(f"{picture.marks}:N", scale=scale, legend=alt.Legend()))
    hover = shown.mark_point(filled=True, size=28, clip=True).encode(y=y, tooltip=tooltips(picture, picture.table))
    if "ci_low" in picture.table:
        known = shown.transform_filter("isValid(datum.ci_low)").mark_area(opacity=style.BAND_OPACITY, clip=True)
        drawn.append(known.encode(y=y_axis(picture, given, "ci_low"), y2="ci_high:Q"))
    return [*drawn, joined, hover]


def points(picture: Picture, rows: Rows, given: Parameters) -> list[alt.Chart]:
    """Means as points with their intervals as bars, single seeds beside them, and a line that joins points."""
    shown, y, drawn, shape = rows(picture.table), y_axis(picture, given), [], {}
    if picture.marks:
        key = alt.Legend() if len(picture.mark_values) > 1 else None
        shape = {"shape": alt.Shape(f"{picture.marks}:N", sort=picture.mark_values, legend=key)}
    if "line" in picture.table:
        joined = shown.transform_filter("isValid(datum.line)").mark_line(strokeDash=[4, 3], strokeWidth=1.2)
        joined = joined.encode(y=y_axis(picture, given, "line"), color=alt.value(style.MUTED))
        # Lines of the marks, but one front for all.
        drawn.append(joined if picture.switch else joined.encode(detail=f"{picture.marks}:N"))
    if picture.seeds is not None and len(picture.seeds):
        faint = rows(picture.seeds).mark_point(filled=True, size=36, opacity=0.45, xOffset=BESIDE)
        drawn.append(faint.encode(y=y, tooltip=tooltips(picture, picture.seeds)))
    if "ci_low" in picture.table:
        known = shown.transform_filter("isValid(datum.ci_low)").mark_rule(strokeWidth=2.2, clip=True)
        drawn.append(known.encode(y=y_axis(picture, given, "ci_low"), y2="ci_high:Q"))
    dots = shown.mark_point(filled=True, size=95, opacity=1, clip=True)
    return [*drawn, dots.encode(y=y, tooltip=tooltips(picture, picture.table), **shape)]


def tiles(picture: Picture, rows: Rows, given: Parameters) -> list[alt.Chart]:
    """A tile for each x and y."""
    drawn = rows(picture.table).mark_rect(stroke="white", strokeWidth=1)
    return [drawn.encode(y=alt.Y("mean:O", title=picture.y), tooltip=tooltips(picture, picture.table))]


def band(picture: Picture, given: Parameters) -> list[alt.Chart]:
    """The margin on both sides of 0, and a line there."""
    if not picture.margin:
        return []
    one, margin = alt.Chart(pd.DataFrame({"zero": [0.0]})), given[MARGIN]
    filled = one.transform_calculate(low=f"-{margin}", high=margin)
    filled = filled.mark_rect(color=style.MUTED, opacity=0.15, clip=True).encode(y="low:Q", y2="high:Q")
    return [filled, one.mark_rule(color=style.MUTED).encode(y="zero:Q")]
