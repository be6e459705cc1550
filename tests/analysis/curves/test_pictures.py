"""What is drawn: the data, the number of bands, labels with units, and the look that does not leak."""

import numpy as np
import pandas as pd
import pytest
from analysis.statistics.pairs import MACHINE, paired
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb

from analysis import store as stores
from analysis import style
from analysis.curves.numbers import by_epoch
from analysis.curves.pictures import plot_cost, plot_curves, plot_final, plot_reconstructions
from analysis.display import labelled
from analysis.statistics import EPOCH_SECONDS, SETTING, finished
from analysis.statistics.intervals import t_intervals
from analysis.store import CELL, B, K
from src import schema
from tests.analysis.marked import marked
from tests.stores import EPOCHS, final_nll, study

DATA = "mnist, dynamic pixels"
NLL = schema.FINAL_TEST_NLL


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """The finished runs of the setting with a true NLL; its cell (25, 30) has one seed."""
    runs, _ = marked(study())
    return finished(runs[runs[SETTING] == 2])


@pytest.fixture(scope="module")
def history(runs) -> pd.DataFrame:
    return marked(study())[1].merge(runs.reindex(columns=["run_id", *MACHINE]), on="run_id")


@pytest.fixture(autouse=True)
def look():
    with style.applied():
        yield


def bands(ax) -> list[PolyCollection]:
    return [artist for artist in ax.collections if isinstance(artist, PolyCollection)]


def bars(ax) -> int:
    return sum(len(artist.get_segments()) for artist in ax.collections if isinstance(artist, LineCollection))


def lines(ax) -> dict[str, np.ndarray]:
    """The curves of a facet by their colour, [epochs]."""
    return {line.get_color(): line.get_ydata() for line in ax.lines if len(line.get_xdata()) == EPOCHS}


def test_loss_variance_draws_means_and_a_band_per_cell_with_two_seeds(history):
    quantity = schema.TRAIN_LOSS_VARIANCE
    curves = by_epoch(history, quantity, log=True)
    figure = plot_curves([(quantity, curves)], DATA, log=True)
    few, many = figure.axes
    assert few.get_ylabel() == quantity.axis == "variance of minibatch losses [(nats/image)^2]"
    assert few.get_xlabel() == schema.EPOCH.axis
    assert few.get_title(loc="left") == "B = 30, n = 1 to 2 seeds per cell"
    assert many.get_title(loc="left") == "B = 100, n = 2 to 3 seeds per cell"
    assert (len(bands(few)), len(bands(many))) == (2, 3)
    colours = style.sequential([1, 5, 25])
    for ax, batch_size in ((few, 30), (many, 100)):
        drawn = lines(ax)
        assert len(drawn) == 3
        for k, colour in colours.items():
            expected = curves[(curves[K] == k) & (curves[B] == batch_size)]["mean"]
            [line] = [values for c, values in drawn.items() if np.allclose(to_rgb(c), colour)]
            np.testing.assert_allclose(line, expected)
    assert DATA in figure.get_suptitle()


def test_a_band_spans_its_interval(history):
    curves = by_epoch(history[(history[K] == 5) & (history[B] == 100)], schema.TEST_NLL)
    figure = plot_curves([(schema.TEST_NLL, curves)], DATA)
    [band] = bands(figure.axes[0])
    vertices = band.get_paths()[0].vertices
    for epoch, low, high in curves[["epoch", "ci_low", "ci_high"]].to_numpy():
        drawn = vertices[vertices[:, 0] == epoch, 1]
        assert (drawn.min(), drawn.max()) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_has_no_band_anywhere(history):
    one = history[history["seed"] == 0]
    curves = [(q, by_epoch(one, q)) for q in (schema.TRAIN_LOSS, schema.TEST_NLL)]
    figure = plot_curves(curves, DATA)
    assert len(figure.axes) == 4
    assert not any(bands(ax) for ax in figure.axes)
    assert figure.axes[0].get_title(loc="left") == "B = 30, n = 1 seed per cell"


def test_learning_curves_have_a_row_per_quantity_and_a_zero_line_under_differences(history):
    gap = paired(history, [B, "epoch"], schema.TEST_NLL)
    curves = [(schema.TRAIN_LOSS, by_epoch(history, schema.TRAIN_LOSS)), (schema.TEST_NLL, gap)]
    figure = plot_curves(curves, DATA)
    loss, _, difference, _ = figure.axes
    assert (loss.get_ylabel(), difference.get_ylabel()) == ("training loss [nats/image]", "test NLL [nats/image]")
    assert len(lines(difference)) == 1  # of K = 5 and 25 at B = 30, K = 25 has one seed: no pairs
    assert [0, 0] in [list(line.get_ydata()) for line in difference.lines]
    assert [0, 0] not in [list(line.get_ydata()) for line in loss.lines]


def test_a_batch_size_without_pairs_has_an_empty_facet(history):
    gap = paired(history[(history[B] == 100) | (history["seed"] == 0)], [B, "epoch"], schema.TEST_NLL)
    curves = [(schema.TRAIN_LOSS, by_epoch(history, schema.TRAIN_LOSS)), (schema.TEST_NLL, gap)]
    _, _, few, many = plot_curves(curves, DATA).axes
    assert (len(lines(few)), len(lines(many))) == (0, 2)
    assert few.get_xlabel() == "epoch"
    assert [text.get_text() for text in few.texts] == ["fewer than two seeds"]
    assert not many.texts


def test_final_draws_each_seed_each_mean_and_no_bar_at_one_seed(runs):
    cells = t_intervals(runs, CELL, NLL.key)
    few, many = plot_final(runs, cells, NLL, DATA).axes
    assert (bars(few), bars(many)) == (2, 3)
    seeds = sorted(tuple(line.get_ydata()) for line in many.lines if len(line.get_ydata()) == 3)
    expected = sorted(tuple(final_nll(k, 100, seed) for k in (1, 5, 25)) for seed in (0, 1))
    np.testing.assert_allclose(seeds, expected)
    [means] = [points.get_offsets()[:, 1] for points in few.collections if isinstance(points, PathCollection)]
    np.testing.assert_allclose(means, cells[cells[B] == 30]["mean"])
    assert [tick.get_text() for tick in few.get_xticklabels()] == ["1", "5", "25"]
    assert few.get_xscale() == "log"
    assert few.get_xlabel() == "Monte Carlo samples K [draws/image]"
    assert few.get_ylabel() == "final test NLL [nats/image]"


def test_a_pseudo_nll_is_named_on_the_axis_and_in_the_title(runs):
    pseudo = labelled(NLL, schema.PSEUDO_NLL)
    figure = plot_final(runs, t_intervals(runs, CELL, NLL.key), pseudo, DATA)
    assert figure.axes[0].get_ylabel() == "final test BCE pseudo-NLL [nats/image]"
    assert "BCE pseudo-NLL" in figure.get_suptitle()
    assert labelled(NLL, schema.TRUE_NLL) == NLL


def test_cost_draws_a_line_per_batch_size(runs):
    cells = t_intervals(runs, CELL, EPOCH_SECONDS.key)
    figure = plot_cost(cells, EPOCH_SECONDS, DATA)
    [ax], [legend] = figure.axes, figure.legends
    drawn = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 3]
    np.testing.assert_allclose(drawn, [[1.3, 1.7, 3.7]] * 2)
    assert bars(ax) == 5
    assert ax.get_ylabel() == "training time per epoch [s]"
    assert [text.get_text() for text in legend.get_texts()] == ["B = 30", "B = 100"]
    assert ax.get_ylim()[0] == 0
    assert ax.get_title(loc="left") == "n = 1 to 3 seeds per cell"


def test_reconstructions_show_a_panel_per_k():
    images = [np.full((28, 28 * k), 0.5) for k in (1, 5)]
    panels = pd.DataFrame({K: [1, 5], B: [100, 100], "seed": [0, 0], "image": images})
    figure = plot_reconstructions(panels, DATA)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["K = 1, B = 100, seed 0", "K = 5, B = 100, seed 0"]
    assert [ax.images[0].get_array().shape for ax in figure.axes] == [(28, 28), (28, 140)]


def test_a_reconstruction_is_taken_from_the_smallest_seed_that_has_one(runs):
    found = stores.pictures(study().uri, runs, schema.RECONSTRUCTIONS_FILE)
    assert found[[K, B, "seed"]].to_numpy().tolist() == [[1, 30, 0], [5, 30, 0]]
    assert found["image"][1].shape[:2] == (28, 28 * 5)


def test_the_axis_is_logarithmic_only_where_values_differ_by_a_large_factor(history):
    curves = by_epoch(history, schema.TRAIN_LOSS_VARIANCE, log=True)
    wide = plot_curves([(schema.TRAIN_LOSS_VARIANCE, curves)], DATA, log=True)
    first = curves[curves["epoch"] == 1].query("batch_size == 30")
    narrow = plot_curves([(NLL, first)], DATA, log=True)
    assert {ax.get_yscale() for ax in plot_curves([(NLL, curves)], DATA).axes} == {"linear"}
    assert {ax.get_yscale() for ax in wide.axes} == {"log"}
    assert {ax.get_yscale() for ax in narrow.axes} == {"linear"}
