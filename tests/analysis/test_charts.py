"""Whether a chart is valid Vega-Lite and holds the numbers of the picture's table."""

import io
import json
import re
from typing import Any

import altair as alt
import jsonschema
import numpy as np
import pandas as pd
import pytest
import vl_convert
from PIL import Image

from analysis import charts
from analysis.picture import Picture
from tests.analysis import samples

PICTURES = {
    "lines": samples.lines(margin=0.25), "many lines": samples.lines(200), "points": samples.points(),
    "prices": samples.prices(), "tiles": samples.tiles(), "log": samples.lines(log="y"),
    "shares": samples.lines(percent=True, floor=0.0),
}  # fmt: skip


def restored(specification: dict[str, Any]) -> dict[str, Any]:
    """The chart as the page has it before it is drawn: columns made rows, from JSON."""
    made = json.loads(json.dumps(specification, allow_nan=False))

    def values(column: Any) -> list[Any]:
        return [column["words"][at] for at in column["places"]] if isinstance(column, dict) else column

    def rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
        lists = [values(column) for column in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]

    return made | {"datasets": {name: rows(columns) for name, columns in made["datasets"].items()}}


def tables(picture: Picture) -> list[pd.DataFrame]:
    """The data of a chart, but for that of the margin."""
    found = [pd.DataFrame(rows) for rows in restored(charts.specification(picture))["datasets"].values()]
    return [table for table in found if "panel" in table]


def parameters(picture: Picture) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in charts.specification(picture)["params"]}


@pytest.mark.parametrize("name", PICTURES)
def test_a_chart_is_valid_and_compiles(name):
    chart = restored(charts.specification(PICTURES[name]))
    alt.LayerChart.from_dict(chart)  # raises where the schema of Vega-Lite is broken
    assert vl_convert.vegalite_to_vega(chart | {"width": 300})["marks"]
    with pytest.raises(jsonschema.ValidationError):
        alt.LayerChart.from_dict(chart | {"height": "tall"})


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "many lines"])
def test_its_data_are_the_tables_with_five_digits(name):
    picture = PICTURES[name]
    expected = [picture.table] if picture.seeds is None else [picture.table, picture.seeds]
    found = sorted(tables(picture), key=lambda table: "seed" in table)
    for table, drawn in zip(expected, found, strict=True):
        columns = [column for column in table if column in drawn]
        assert set(columns) >= {"panel", "hue", "x", "mean", "ci_low", "ci_high", "line", picture.switch} & set(table)
        order = [column for column in ("panel", "hue", "axis", "B", "seed", "x", "mean") if column in columns]
        table, drawn = (each[columns].sort_values(order, ignore_index=True) for each in (table, drawn))
        pd.testing.assert_frame_equal(table, drawn, check_dtype=False, rtol=6e-6)


def test_what_is_not_finite_is_missing():
    table = samples.lines().table
    table.loc[[0, 1, 2], "mean"] = [np.nan, np.inf, -np.inf]
    [found] = tables(samples.lines(table=table))
    assert found["mean"].isna().sum() == 3
    assert np.isfinite(found["mean"].dropna()).all()


@pytest.mark.parametrize("points", [charts.MOST - 1, charts.MOST, charts.MOST + 1, 59, 61, 1000])
def test_lines_with_many_points_are_thinned_evenly(points):
    picture = samples.lines(points)
    [found] = tables(picture)
    assert found.groupby(["panel", "hue", "axis"]).ngroups == 8
    for _, line in found.groupby(["panel", "hue", "axis"]):
        places = line["x"].to_numpy() / line["x"].min()
        assert (places[0], places[-1]) == (1, points)
        assert len(places) == min(points, charts.MOST)
        assert np.ptp(np.diff(places)) <= 1 + 1e-9


def test_points_are_never_thinned():
    many = samples.prices().table.loc[np.repeat(range(8), 50)]
    [found] = tables(samples.prices(table=many))
    assert len(found) == 400


def test_parameters_begin_at_the_first_panel_the_first_value_and_the_margin():
    assert parameters(samples.lines(margin=0.25)) == {"panel": "B=30", "axis": "epochs", "margin": 0.25}
    assert parameters(samples.points()) == {"panel": "B=30", "margin": 0.25}
    assert parameters(samples.prices()) == {"panel": "", "axis": "epochs"}


def test_data_are_filtered_by_panel_and_switch():
    def filters(picture: Picture) -> set[str]:
        text = json.dumps(charts.specification(picture))
        return {filter for filter in ("datum.panel == panel", "datum.axis == axis") if filter in text}

    assert filters(samples.lines()) == {"datum.panel == panel", "datum.axis == axis"}
    assert filters(samples.points()) == {"datum.panel == panel"}


def layers(picture: Picture) -> list[dict[str, Any]]:
    return charts.specification(picture)["layer"]


def test_every_kind_has_its_marks():
    def marks(picture: Picture) -> list[str]:
        return [layer["mark"]["type"] for layer in layers(picture)]

    assert marks(samples.lines()) == ["area", "line", "point"]
    assert marks(samples.lines(margin=0.25)) == ["rect", "rule", "area", "line", "point"]
    assert marks(samples.points()) == ["rect", "rule", "point", "rule", "point"]
    assert marks(samples.points(seeds=samples.points().seeds.head(0))) == ["rect", "rule", "rule", "point"]
    assert marks(samples.prices()) == ["line", "rule", "point"]
    assert marks(samples.tiles()) == ["rect"]


def test_colours_axes_and_tips_are_the_pictures():
    for picture in PICTURES.values():
        encoding = layers(picture)[-1]["encoding"]
        scale = encoding["color"]["scale"]
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == picture.colours
        assert encoding["y"]["title"] == picture.y
        assert encoding["x"].get("title") == (picture.x or None)
        known = {tip["title"] for tip in encoding["tooltip"]}
        assert known == {title for key, title in picture.tips.items() if key in picture.table}


def test_logarithmic_axes_are_so():
    assert layers(samples.lines(log="y"))[-1]["encoding"]["y"]["scale"]["type"] == "log"
    assert layers(samples.prices())[-1]["encoding"]["x"]["scale"]["type"] == "log"


def test_the_size_of_y_follows_the_switch():
    picture = samples.lines()
    scale = layers(picture)[-1]["encoding"]["y"]["scale"]
    for end, name in enumerate(("domainMin", "domainMax")):
        sizes = json.loads(scale[name]["expr"].removesuffix("[axis]"))
        assert sizes == {axis: picture.size(axis)[end] for axis in samples.AXES}


def test_panels_have_room_for_the_intervals_at_the_ends_of_lines_and_not_for_wide_ones_before():
    picture = samples.lines()
    axis, table = samples.AXES[0], picture.table
    last = table["x"] == table.groupby("axis")["x"].transform("max")

    def widened(rows):
        wide = table.assign(ci_low=table["ci_low"].mask(rows, -100.0), ci_high=table["ci_high"].mask(rows, 100.0))
        return picture._replace(table=wide).size(axis)

    assert widened(~last) == picture.size(axis)
    low, high = widened(last)
    assert low < -100.0
    assert high > 100.0


IN_FILES = {**PICTURES, "images": samples.images()}


@pytest.mark.parametrize("name", IN_FILES)
def test_a_picture_has_the_same_files_twice(name):
    first, second = (charts.files(IN_FILES[name]) for _ in range(2))
    assert first == second
    assert Image.open(io.BytesIO(first["png"])).width > 400
    assert first["svg"].startswith(b"<svg")


def words(picture: Picture) -> list[str]:
    """The texts of a file, in their order."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", charts.files(picture)["svg"].decode())


def test_a_file_has_a_chart_for_each_panel_and_value_with_its_legend_and_title():
    found = words(samples.lines())
    assert {"Along training, n=6", *samples.HUES} <= set(found)
    assert [found.count(panel) for panel in samples.PANELS] == [2, 2]
    assert [found.count(axis) for axis in samples.AXES] == [2, 2]
    assert {"B=30", "B=100"} <= set(words(samples.prices()))  # shapes
    assert {"finished", "failed", "seed"} <= set(words(samples.tiles()))
    assert {"K=1, made", "K=5, made", "K=5, latent"} <= set(words(samples.images()))


def test_the_lines_of_a_file_are_those_of_the_table():
    picture = samples.lines()
    svg = charts.files(picture)["svg"].decode()
    paths = re.findall(r'aria-roledescription="line mark" d="([^"]*)" stroke="([^"]*)"', svg)
    shown = [(axis, panel) for axis in samples.AXES for panel in samples.PANELS]
    assert len(paths) == len(shown) * len(samples.HUES)
    for place, (axis, panel) in enumerate(shown):
        low, high = picture.size(axis)
        drawn = {colour: path for path, colour in paths[2 * place : 2 * place + 2]}
        for hue, rows in picture.chosen(axis, panel).groupby("hue"):
            expected = charts.HEIGHT * (high - rows["mean"].to_numpy()) / (high - low)
            found = [float(at.split(",")[1]) for at in re.findall(r"[ML]([^ML]+)", drawn[picture.colours[hue]])]
            np.testing.assert_allclose(found, expected, atol=0.5)


def test_a_value_of_the_switch_without_rows_is_in_no_file():
    table = samples.lines().table
    assert samples.AXES[1] not in words(samples.lines(table=table[table["axis"] == samples.AXES[0]]))


def test_a_single_value_is_drawn():
    one = samples.lines().table.query("panel == 'B=30' and hue == 'K=1' and axis == 'epochs' and x == 1")
    for log in ("", "y", "x", "xy"):
        for kind in ("lines", "points"):
            picture = samples.lines(table=one, log=log, kind=kind, switch="", rows=())
            assert charts.files(picture)["png"]
            low, high = picture.size()
            assert low < one["mean"].iloc[0] < high
