"""What the figures of the probe draw: data, labels, and how many lines."""

import numpy as np
import pytest

from analysis import style
from analysis.probe.pictures import plot_components, plot_share
from analysis.store import EPOCH
from tests.analysis.marked import probes
from tests.stores import Store, probed

DATA = "mnist, dynamic pixels"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return probed(tmp_path_factory.mktemp("probed"))


def drawn(ax, dashes: str) -> list[np.ndarray]:
    """The means' lines of one kind, by K."""
    return [line.get_ydata() for line in ax.lines if line.get_linestyle() == dashes and line.get_marker() == "o"]


def test_components_are_drawn_by_part_on_logarithmic_axes(store):
    observed, points = probes(store)
    with style.applied():
        figure = plot_components(points, observed, DATA)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "loss\n[(nats/image)^2]",
        "encoder's gradient\n[(nats/image/weight)^2]",
        "decoder's gradient\n[(nats/image/weight)^2]",
        "whole gradient\n[(nats/image/weight)^2]",
    ]
    for place, ax in enumerate(figure.axes):
        assert ax.get_yscale() == "log"
        assert ax.get_xlabel() == "epoch"
        np.testing.assert_allclose(drawn(ax, "-"), [[(1 + place) * 10 / k] * 3 for k in (1, 5, 25)])
        np.testing.assert_allclose(drawn(ax, "--"), [[(1 + place) * v for v in (10, 10, 90)]] * 3)
        assert len(ax.lines) == 2 * (3 + 9)  # and each seed's own
    assert figure.axes[0].get_ylabel() == "B = 100\nvariance per image"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0", "1", "3"]
    [legend] = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["K = 1", "K = 5", "K = 25", "V_mc/K: Monte Carlo", "V_data: between images"]
    assert "n = 3 seeds per cell" in figure.get_suptitle()
    assert DATA in figure.get_suptitle()


def test_the_share_is_drawn_in_per_cent(store):
    observed, points = probes(store)
    with style.applied():
        figure = plot_share(points, observed, DATA)
    ax = figure.axes[1]
    assert ax.get_title(loc="left") == "encoder's gradient"  # a share has no unit
    np.testing.assert_allclose(drawn(ax, "-"), [[1 / (1 + k), 1 / (1 + k), 1 / (1 + 9 * k)] for k in (1, 5, 25)])
    assert figure.axes[0].get_ylabel() == "B = 100\nshare of Monte Carlo noise"
    assert ax.yaxis.get_major_formatter()(0.5) == "50%"
    assert len({ax.get_ylim() for ax in figure.axes}) == 1


def test_one_seed_is_drawn_once_and_sets_are_named(tmp_path):
    observed, points = probes(probed(tmp_path, (2, 4), 1, independent=False))
    with style.applied():
        figure = plot_components(points, observed, DATA)
    assert all(len(ax.lines) == 4 for ax in figure.axes)
    assert "V_mc of a set of K: Monte Carlo" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_late_probes_get_an_axis_on_which_early_ones_stay_apart(store):
    observed, points = probes(store)
    late = points.assign(**{EPOCH: points[EPOCH].map({0: 0, 1: 10, 3: 20})})
    with style.applied():
        [far, *_], [near, *_] = (plot_share(table, observed, DATA).axes for table in (late, points))
    assert (far.get_xscale(), near.get_xscale()) == ("symlog", "linear")
    assert list(far.get_xticks()) == [0, 10, 20]
    assert [text.get_text() for text in far.get_xticklabels()] == ["0", "10", ""]
