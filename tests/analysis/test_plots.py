"""Whether the axes of a file hold the numbers of the picture's table."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_rgb

from analysis import plots, style
from tests.analysis import samples


@pytest.fixture(autouse=True)
def look():
    with style.applied():
        yield


def of_kind(ax, kind) -> list:
    return [artist for artist in ax.collections if isinstance(artist, kind)]


def drawn(ax, colour, size: int) -> np.ndarray:
    [line] = [li for li in ax.lines if np.allclose(to_rgb(li.get_color()), colour) and len(li.get_xdata()) == size]
    return line.get_xydata()


def by_panel(figure, picture):
    """The axes of each panel of a picture without a switch, with the rows that they show."""
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(samples.PANELS)
    return [(ax, picture.chosen("", panel)) for ax, panel in zip(figure.axes, samples.PANELS, strict=True)]


def legend(figure) -> list[str]:
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


def test_lines_and_bands_are_those_of_the_table_by_panel_and_value():
    picture = samples.lines()
    figure = plots.draw(picture)
    titles = [f"{panel}, {axis}" for axis in samples.AXES for panel in samples.PANELS]
    assert [ax.get_title(loc="left") for ax in figure.axes] == titles
    for ax, title in zip(figure.axes, titles, strict=True):
        panel, axis = title.split(", ")
        assert ax.get_xlabel() == axis
        bands = of_kind(ax, PolyCollection)
        assert len(bands) == 2
        for hue, colour in picture.colours.items():
            rows = picture.chosen(axis, panel).query(f"hue == '{hue}'")
            np.testing.assert_allclose(drawn(ax, colour, 4), rows[["x", "mean"]])
            [band] = [each for each in bands if np.allclose(each.get_facecolor()[0, :3], colour)]
            vertices = band.get_paths()[0].vertices
            for x, low, high in rows[["x", "ci_low", "ci_high"]].to_numpy():
                ends = vertices[vertices[:, 0] == x, 1]
                assert (ends.min(), ends.max()) == (pytest.approx(low), pytest.approx(high))
    assert [ax.get_ylabel() for ax in figure.axes] == ["difference [nats/image]", ""] * 2
    assert figure.get_suptitle() == "Along training, n=6"
    assert legend(figure) == ["K=1", "K=5"]


def test_panels_of_a_value_share_their_size_and_values_do_not():
    limits = [ax.get_ylim() for ax in plots.draw(samples.lines()).axes]
    assert limits[0] == limits[1] != limits[2] == limits[3]


def test_without_intervals_there_is_no_band():
    table = samples.lines().table
    for without in (table.drop(columns=["ci_low", "ci_high"]), table.assign(ci_low=np.nan, ci_high=np.nan)):
        axes = plots.draw(samples.lines(table=without)).axes
        assert not any(
            path.vertices.size for ax in axes for each in of_kind(ax, PolyCollection) for path in each.get_paths()
        )
        assert all(len(ax.lines) == 2 for ax in axes)


def test_marks_are_dashes_which_the_legend_names():
    rows = samples.lines().table.query("axis == 'epochs'")
    above = rows.assign(kind="images", mean=rows["mean"] + 30)
    table = pd.concat([samples.lines().table.assign(kind="Monte Carlo"), above])
    figure = plots.draw(samples.lines(table=table, marks="kind", rows=("epochs",)))
    for ax in figure.axes:
        dashed = [line for line in ax.lines if line.is_dashed()]
        assert (len(ax.lines), len(dashed)) == (4, 2)
        assert min(line.get_ydata().min() for line in dashed) > 30
    assert legend(figure) == ["K=1", "K=5", "Monte Carlo", "images"]


def test_the_margin_is_a_band_around_zero():
    [ax, *_] = plots.draw(samples.lines(margin=0.4)).axes
    [band] = ax.patches
    low, high = np.sort(band.get_extents().transformed(ax.transData.inverted()).get_points()[:, 1])
    assert (low, high) == (pytest.approx(-0.4), pytest.approx(0.4))
    assert [0, 0] in [list(line.get_ydata()) for line in ax.lines]
    assert not plots.draw(samples.lines()).axes[0].patches


def test_axes_are_logarithmic_where_the_picture_says_so():
    assert {ax.get_yscale() for ax in plots.draw(samples.lines(log="y")).axes} == {"log"}
    assert {(ax.get_xscale(), ax.get_yscale()) for ax in plots.draw(samples.prices()).axes} == {("log", "linear")}
    assert {ax.get_yscale() for ax in plots.draw(samples.lines()).axes} == {"linear"}


def test_epochs_far_apart_are_named_each():
    table = samples.lines().table.query("axis == 'epochs'")
    picture = samples.lines(table=table.assign(x=table["x"].map({1: 0, 2: 1, 3: 10, 4: 50})), switch="", x="epoch")
    for ax in plots.draw(picture).axes:
        assert ax.get_xscale() == "symlog"
        assert list(ax.get_xticks()) == [0, 1, 10, 50]
        assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "10", "50"]
        assert ax.get_xlabel() == "epoch"


def test_names_of_epochs_do_not_touch():
    table = pd.concat([samples.lines().table.query("axis == 'epochs'").query("x == 1").assign(x=epoch)
                       for epoch in (0, 1, 2, 5, 10, 20, 30, 50, 100, 120, 200, 280)])  # fmt: skip
    figure = plots.draw(samples.lines(table=table, switch="", x="epoch"))
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert len(ax.get_xticks()) == 12
        shown = [label for label in ax.get_xticklabels() if label.get_text()]
        assert [label.get_text() for label in shown] == ["0", "1", "2", "5", "10", "20", "50", "100", "280"]
        boxes = [label.get_window_extent() for label in shown]
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_a_short_logarithmic_axis_has_ticks_that_do_not_touch():
    table = samples.prices().table
    picture = samples.prices(table=table.assign(x=np.tile(np.geomspace(105, 430, 4), 2)))
    for ax in plots.draw(picture).axes:
        low, high = ax.get_xlim()
        assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [100, 150, 200, 300]


def test_equal_values_stand_in_the_middle_of_a_logarithmic_axis():
    for ax in plots.draw(samples.prices(table=samples.prices().table.assign(x=3e6))).axes:
        assert ax.get_xlim() == (1.5e6, 6e6)


@pytest.mark.parametrize(("size", "whole"), [(1, True), (0.5, False)])
def test_ticks_are_whole_numbers_where_the_values_are(size, whole):
    table = samples.lines().table
    figure = plots.draw(samples.lines(table=table.assign(x=table["x"] * size), rows=("epochs",)))
    for ax in figure.axes:
        assert all(tick == round(tick) for tick in ax.get_xticks()) is whole


def test_long_titles_are_wrapped_between_settings():
    assert plots.wrapped("gradient=stl K=4 B=100, forked", 18) == "gradient=stl K=4\nB=100, forked"
    assert plots.wrapped("noise=antithetic", 12) == "noise=\nantithetic"
    assert plots.wrapped("K=5", 12) == "K=5"
    assert plots.wrapped("", 12) == ""


def test_lines_have_room_for_the_intervals_at_their_ends_and_not_for_wide_ones_before():
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


def test_a_value_of_the_switch_without_rows_has_no_panels():
    table = samples.lines().table
    picture = samples.lines(table=table[table["axis"] == samples.AXES[0]])
    assert {ax.get_xlabel() for ax in plots.draw(picture).axes} == {samples.AXES[0]}


def test_a_share_is_written_in_per_cent():
    ax = plots.draw(samples.lines(percent=True, floor=0.0)).axes[0]
    assert ax.yaxis.get_major_formatter()(0.5) == "50%"
    assert ax.get_ylim()[0] == 0


def test_points_bars_and_seeds_are_those_of_the_table():
    picture = samples.points()
    figure = plots.draw(picture)
    for ax, rows in by_panel(figure, picture):
        seeds, means = of_kind(ax, PathCollection)
        np.testing.assert_allclose(means.get_offsets(), [[at, mean] for at, mean in enumerate(rows["mean"])])
        np.testing.assert_allclose(means.get_facecolor()[:, :3], [picture.colours[hue] for hue in rows["hue"]])
        mine = picture.seeds[picture.seeds["panel"] == rows["panel"].iloc[0]]
        np.testing.assert_allclose(seeds.get_offsets()[:, 1], mine["mean"])
        assert list(np.rint(seeds.get_offsets()[:, 0])) == [samples.HUES.index(hue) for hue in mine["hue"]]
        bars = [segment for each in of_kind(ax, LineCollection) for segment in each.get_segments() if len(segment)]
        known = zip(range(2), rows["ci_low"], rows["ci_high"], strict=True)
        ends = [[[at, low], [at, high]] for at, low, high in known if np.isfinite(low)]
        np.testing.assert_allclose(bars, ends)
        assert [text.get_text() for text in ax.get_xticklabels()] == list(samples.HUES)
        assert len(ax.patches) == 1


def test_points_have_a_shape_per_mark_and_a_line_that_joins_the_front():
    picture = samples.prices()
    figure = plots.draw(picture)
    assert [ax.get_xlabel() for ax in figure.axes] == list(samples.AXES)
    for ax, axis in zip(figure.axes, samples.AXES, strict=True):
        rows = picture.chosen(axis)
        by_mark = of_kind(ax, PathCollection)
        for dots, b in zip(by_mark, ("B=100", "B=30"), strict=True):
            np.testing.assert_allclose(dots.get_offsets(), rows[rows["B"] == b][["x", "mean"]])
        assert len({dots.get_paths()[0].vertices.tobytes() for dots in by_mark}) == 2
        [front] = ax.lines
        np.testing.assert_allclose(front.get_xydata(), rows.dropna(subset=["line"]).sort_values("x")[["x", "line"]])
    assert legend(figure) == ["K=1", "K=5", "B=30", "B=100"]


def test_without_a_switch_every_mark_has_a_line_of_its_own():
    table = samples.prices().table.query("axis == 'epochs'")
    [ax] = plots.draw(samples.prices(table=table.assign(line=table["mean"]), switch="", rows=(), x="K", log="")).axes
    found = sorted(line.get_xydata().tolist() for line in ax.lines)
    assert found == [[[10.0, 99.0], [300.0, 97.0]], [[20.0, 99.5], [200.0, 98.0]]]


def test_a_tile_has_the_colour_of_its_status():
    picture = samples.tiles()
    figure = plots.draw(picture)
    for ax, rows in by_panel(figure, picture):
        [mesh] = of_kind(ax, QuadMesh)
        ks, seeds = sorted(rows["x"].unique()), sorted(rows["mean"].unique())
        colours = mesh.to_rgba(mesh.get_array()).reshape(len(seeds), len(ks), 4)
        for row in rows.to_dict("records"):
            found = colours[seeds.index(row["mean"]), ks.index(row["x"])]
            assert tuple(found[:3]) == pytest.approx(picture.colours[row["hue"]], abs=1e-3)
        masked = np.ma.getmaskarray(mesh.get_array()).sum()
        assert masked == len(ks) * len(seeds) - len(rows)  # no tile where there is no run
    assert legend(figure) == ["finished", "failed"]
    assert figure.axes[0].get_ylabel() == "seed"


def test_images_have_a_row_per_kind_and_a_column_per_panel():
    figure = plots.draw(samples.images())
    shapes = [[image.get_array().shape for image in ax.images] for ax in figure.axes]
    assert shapes == [[(4, 4)], [(4, 20)], [], [(4, 8)]]
    notes = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert notes == [["K=1, made"], ["K=5, made"], [], ["K=5, latent"]]
    assert not figure.legends


def test_a_single_value_is_drawn_without_a_warning():
    """Warnings are errors in these tests."""
    one = samples.lines().table.query("panel == 'B=30' and hue == 'K=1' and axis == 'epochs' and x == 1")
    for log in ("", "y", "x", "xy"):
        for kind in ("lines", "points"):
            figure = plots.draw(samples.lines(table=one, log=log, kind=kind, switch="", rows=()))
            figure.canvas.draw()
            low, high = figure.axes[0].get_ylim()
            assert low < one["mean"].iloc[0] < high
