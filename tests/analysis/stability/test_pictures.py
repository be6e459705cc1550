"""The noise of the loss as it is drawn, against numbers from the rows of the store."""

import numpy as np
import pytest

from analysis.picture import Picture
from analysis.stability import pictures
from analysis.stability.pictures import ALL
from src import schema
from tests.analysis.marked import marked
from tests.stores import Store

SEEDS = (0, 1, 2)
T = {3: 4.3027, 6: 2.5706}  # Student's t, 97.5 %, of n values


def variances(k: int, seed: int) -> tuple[list[float], list[float]]:
    """All of the variance and its Monte Carlo part, by epoch."""
    return [500.0 + seed, 40.0 + 3 * seed + k, 20.0 + seed], [(1 + 0.2 * seed) / k, (2 + seed) / k, 3.0 / k]


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Picture:
    store = Store(tmp_path_factory.mktemp("noise"))
    for k in (1, 5):
        for seed in SEEDS:
            total, removed = variances(k, seed)
            metrics = {schema.TRAIN_LOSS_VARIANCE.key: total, schema.TRAIN_LOSS_VARIANCE_MC.key: removed}
            store.record(k, 100, seed, metrics=metrics)
    store.record(5, 100, 3, schema.DIVERGED, metrics={schema.TRAIN_LOSS_VARIANCE.key: [1e9] * 3})
    [found] = pictures(*marked(store))
    return found


def geometric(values: list[float]) -> list[float]:
    logs, n = np.log(values), len(values)
    half = T[n] * logs.std(ddof=1) / n**0.5
    return list(np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]))


def drawn(picture: Picture, hue: str) -> np.ndarray:
    rows = picture.table[picture.table["hue"] == hue].sort_values("x")
    return rows[["x", "mean", "ci_low", "ci_high"]].to_numpy()


@pytest.mark.parametrize("k", [1, 5])
def test_the_part_that_k_removes_is_the_geometric_mean_over_seeds_of_each_k(picture, k):
    removed = [variances(k, seed)[1] for seed in SEEDS]
    expected = [[epoch, *geometric([each[epoch - 1] for each in removed])] for epoch in (1, 2, 3)]
    np.testing.assert_allclose(drawn(picture, f"K={k}"), expected, rtol=1e-4)
    assert np.mean([each[1] for each in removed]) != pytest.approx(expected[1][1], rel=0.01)  # an arithmetic mean


def test_all_of_it_is_over_all_finished_runs_and_leaves_out_the_first_epoch(picture):
    totals = [variances(k, seed)[0] for k in (1, 5) for seed in SEEDS]
    expected = [[epoch, *geometric([each[epoch - 1] for each in totals])] for epoch in (2, 3)]
    np.testing.assert_allclose(drawn(picture, ALL), expected, rtol=1e-4)
    assert picture.seed_count == "n=3"  # of each K: all of it counts no seeds


def test_the_axis_is_logarithmic_and_has_its_unit(picture):
    assert (picture.log, picture.x, picture.y) == ("y", "epoch", "variance of losses [(nats/image)^2]")
    assert picture.panels == ["B=100"]
    assert list(picture.colours) == ["K=1", "K=5", ALL]
