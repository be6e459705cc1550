"""What the figures of the probe draw: means of components and ratios of them, by part, K and epoch."""

import numpy as np
import pandas as pd
import pytest

from analysis.picture import Picture
from analysis.probe.pictures import pictures
from tests.analysis.marked import probes
from tests.stores import probed

# In the order of the switch, with the factor by which tests.stores.probe() scales a part's variances.
PARTS = {"whole gradient": 4, "decoder's gradient": 3, "encoder's gradient": 2, "loss": 1}
EPOCHS = [0, 1, 3]


@pytest.fixture(scope="module")
def points(tmp_path_factory) -> pd.DataFrame:
    return probes(probed(tmp_path_factory.mktemp("probed")))[1]


def line(picture: Picture, part: str, k: int, **of: str) -> list[float]:
    rows = picture.chosen(part, "B=100")
    for column, value in {"hue": f"K={k}", **of}.items():
        rows = rows[rows[column] == value]
    assert rows["x"].tolist() == EPOCHS
    return rows["mean"].tolist()


def test_share_and_components_are_drawn_by_part_and_k(points):
    share, parts = pictures(points)
    assert share.choices == parts.choices == list(PARTS)
    assert (list(share.rows), list(parts.rows)) == (list(PARTS)[:-1], ["whole gradient"])
    for part, factor in PARTS.items():
        for k in (1, 5, 25):
            np.testing.assert_allclose(line(share, part, k), [1 / (1 + k), 1 / (1 + k), 1 / (1 + 9 * k)])
            np.testing.assert_allclose(line(parts, part, k, kind="Monte Carlo"), [factor * 10 / k] * 3)
            between = [factor * v for v in (10, 10, 90)]
            np.testing.assert_allclose(line(parts, part, k, kind="between images"), between)
    assert (share.percent, share.floor, share.y) == (True, 0.0, "share of Monte Carlo noise")
    assert (parts.log, parts.marks, parts.x, parts.y) == ("y", "kind", "epoch", "variance per image")
    assert share.table["mean"].between(share.table["ci_low"], share.table["ci_high"]).all()
    assert share.colours == parts.colours
    assert "whole set" not in parts.caption


def test_sets_of_draws_are_said_to_be_sets_and_one_seed_has_no_interval(tmp_path):
    share, parts = pictures(probes(probed(tmp_path, (2, 4), 1, independent=False))[1])
    assert "whole set of K draws" in parts.caption
    assert share.table[["ci_low", "ci_high"]].isna().all(axis=None)


def test_estimates_below_zero_are_not_drawn(points):
    below = points.assign(var_data_mean=-points["var_data_mean"])
    assert pictures(below)[1].table["kind"].unique().tolist() == ["Monte Carlo"]


def test_epochs_are_sparse_only_where_some_lie_far_apart(points):
    late = points.assign(epoch=points["epoch"].map({0: 0, 1: 10, 3: 20}))
    assert [pictures(table)[0].sparse for table in (points, late)] == [False, True]
