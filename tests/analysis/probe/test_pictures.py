"""What the figures of the probe draw: means of components and ratios of them, by part, K and epoch."""

import numpy as np
import pytest

from analysis import style
from analysis.picture import Picture
from analysis.probe.pictures import pictures
from tests.analysis.marked import probes
from tests.stores import Store, probed

DATA = "mnist, dynamic pixels"
# In the order of the switch, with the factor by which tests.stores.probe() scales a part's variances.
PARTS = {"whole gradient": 4, "decoder's gradient": 3, "encoder's gradient": 2, "loss": 1}
EPOCHS = [0, 1, 3]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return probed(tmp_path_factory.mktemp("probed"))


@pytest.fixture(scope="module")
def shown(store) -> dict[str, Picture]:
    return {each.stem: each for each in pictures(probes(store)[1], DATA)}


def line(picture: Picture, part: str, k: int, **of: str) -> list[float]:
    rows = picture.chosen(part, "B=100")
    for column, value in {"hue": f"K={k}", **of}.items():
        rows = rows[rows[column] == value]
    assert rows["x"].tolist() == EPOCHS
    return rows["mean"].tolist()


def test_components_are_drawn_by_part_and_kind_on_a_logarithmic_axis(shown):
    picture = shown["probe_components"]
    assert picture.choices == list(PARTS)
    assert list(picture.rows) == ["whole gradient"]
    for part, factor in PARTS.items():
        for k in (1, 5, 25):
            np.testing.assert_allclose(line(picture, part, k, kind="Monte Carlo"), [factor * 10 / k] * 3)
            between = [factor * v for v in (10, 10, 90)]
            np.testing.assert_allclose(line(picture, part, k, kind="between images"), between)
    assert (picture.log, picture.marks, picture.x, picture.y) == ("y", "kind", "epoch", "variance per image")
    assert picture.table["n"].unique().tolist() == [3]
    assert DATA in picture.title


def test_the_share_is_a_ratio_of_means_with_an_interval(shown):
    picture = shown["probe_share"]
    for part in PARTS:
        for k in (1, 5, 25):
            np.testing.assert_allclose(line(picture, part, k), [1 / (1 + k), 1 / (1 + k), 1 / (1 + 9 * k)])
    assert picture.choices == list(PARTS)
    assert list(picture.rows) == [part for part in PARTS if part != "loss"]
    assert picture.percent
    assert picture.floor == 0.0
    assert (picture.table["ci_low"] <= picture.table["mean"]).all()
    assert (picture.table["ci_high"] >= picture.table["mean"]).all()
    assert picture.y == "share of Monte Carlo noise"


def test_a_k_has_the_colour_it_has_everywhere(shown):
    assert [picture.colours for picture in shown.values()] == [style.sequential(["K=1", "K=5", "K=25"])] * 2


def test_sets_of_draws_are_said_to_be_sets_and_one_seed_has_no_interval(tmp_path):
    share, parts = pictures(probes(probed(tmp_path, (2, 4), 1, independent=False))[1], DATA)
    assert "whole set of K draws" in parts.caption
    assert share.table[["ci_low", "ci_high"]].isna().all(axis=None)


def test_single_draws_are_not_said_to_be_sets(shown):
    assert "whole set" not in shown["probe_components"].caption


def test_estimates_below_zero_are_not_drawn(store):
    points = probes(store)[1]
    below = points.assign(var_data_mean=-points["var_data_mean"])
    assert pictures(below, DATA)[1].table["kind"].unique().tolist() == ["Monte Carlo"]


def test_epochs_are_sparse_only_where_some_lie_far_apart(store):
    points = probes(store)[1]
    late = points.assign(epoch=points["epoch"].map({0: 0, 1: 10, 3: 20}))
    assert [pictures(table, DATA)[0].sparse for table in (points, late)] == [False, True]
