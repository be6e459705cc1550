"""Prices, costs and paths as they are drawn, against numbers from the rows of the store."""

import numpy as np
import pandas as pd
import pytest

from analysis import store as stores
from analysis.curves.numbers import prices
from analysis.curves.pictures import made, pictures
from analysis.picture import Picture
from analysis.statistics import SETTING, finished
from analysis.store import B, K
from src import schema
from tests.analysis.marked import marked
from tests.stores import EPOCHS, GRAYSCALE, IMAGES, Store, curve, final_nll, study

T = {2: 12.7062, 3: 4.3027}  # Student's t, 97.5 %, of n values
SEEDS = {(1, 30): 2, (5, 30): 2, (25, 30): 1, (1, 100): 3, (5, 100): 3, (25, 100): 2}  # finished ones
EMPTY = {"images": pd.DataFrame(columns=[K, B, "seed", "image"])}


def drawn(store: Store, setting: int = 1, kind: str = schema.TRUE_NLL) -> dict[str, Picture]:
    runs, history = marked(store)
    return {each.stem: each for each in pictures(runs[runs[SETTING] == setting], history, EMPTY, kind)}


@pytest.fixture(scope="module")
def shown() -> dict[str, Picture]:
    """The setting with a true NLL; its cell (25, 30) has one seed."""
    return drawn(study(), 2)


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and ends of a t-interval; no ends for one value."""
    mean, n = float(np.mean(values)), len(values)
    half = T[n] * np.std(values, ddof=1) / n**0.5 if n > 1 else np.nan
    return mean, mean - half, mean + half


@pytest.mark.parametrize(
    ("axis", "cost"),
    [
        ("training time [s]", lambda k: 11.2 + 1.2 * k),
        ("decoder evaluations", lambda k: float(EPOCHS * IMAGES * k)),
    ],
)
def test_price_is_the_final_nll_of_each_cell_at_what_its_whole_training_took(shown, axis, cost):
    rows = shown["price"].chosen(axis)
    assert len(rows) == len(SEEDS)
    for (k, b), n in SEEDS.items():
        [row] = rows[(rows["hue"] == f"K={k}") & (rows["B"] == f"B={b}")].to_dict("records")
        expected = interval([final_nll(k, b, seed) for seed in range(n)])
        assert (row["mean"], row["ci_low"], row["ci_high"]) == pytest.approx(expected, rel=1e-5, nan_ok=True)
        assert (row["x"], row["n"]) == (pytest.approx(cost(k)), n)


def test_the_line_of_the_price_joins_the_front(shown):
    """At one price per K, the better batch size is on it, and every larger K is better here."""
    for axis in shown["price"].rows:
        front = shown["price"].chosen(axis).dropna(subset=["line"])
        means = {
            k: min(np.mean([final_nll(k, b, s) for s in range(SEEDS[k, b])]) for b in (30, 100)) for k in (1, 5, 25)
        }
        assert dict(zip(front["hue"], front["line"], strict=True)) == pytest.approx({f"K={k}": means[k] for k in means})


def test_the_front_is_that_of_brute_force_with_equal_costs_too():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cells = [(k, b) for k in (1, 2, 5, 10, 25) for b in (30, 100, 300)]
        runs = pd.DataFrame(cells, columns=[K, B]).assign(run_id=[f"{k}-{b}" for k, b in cells])
        runs[schema.FINAL_TEST_NLL.key] = rng.normal(90, 1, len(cells))
        seconds = rng.integers(1, 6, len(cells)).astype(float)
        history = runs[["run_id", K, B]].assign(**{schema.TRAIN_SECONDS.key: seconds})
        history[schema.TRAIN_IMAGES_PER_SECOND.key] = 600 / seconds
        table = prices(runs, history).merge(runs, on=[K, B]).merge(history, on=[K, B])
        costs = {"seconds": table[schema.TRAIN_SECONDS.key], "decoder_evaluations": 600.0 * table[K]}
        for key, cost in costs.items():
            assert table[f"matched/{key}"].to_numpy() == pytest.approx(cost.to_numpy())
            points = list(zip(cost, table[schema.FINAL_TEST_NLL.key], strict=True))
            beaten = [any(c <= own and nll < mine for c, nll in points) for own, mine in points]
            assert list(table[f"front_matched/{key}"]) == [not each for each in beaten]


def test_time_is_a_median_with_a_line_by_least_squares(shown):
    cost = shown["cost"]
    seconds = {k: np.median(curve(k, 100, 0)[schema.TRAIN_SECONDS.key]) for k in (1, 5, 25)}  # on a line: 1.2 + 0.1 K
    assert len(cost.table) == len(SEEDS)
    for row in cost.table.to_dict("records"):
        assert (row["mean"], row["line"]) == (pytest.approx(seconds[row["x"]]), pytest.approx(1.2 + 0.1 * row["x"]))
    assert cost.size()[0] == 0 == cost.floor
    assert (cost.x, cost.y) == ("Monte Carlo samples K [draws/image]", "training time per epoch [s]")


def test_paths_are_means_over_seeds_at_the_amount_of_each_epoch(shown):
    paths = shown["paths"]
    assert (paths.panels, paths.y, paths.x) == (["B=30", "B=100"], "test NLL [nats/image]", "")
    amounts = {
        "epochs": lambda k, b: np.arange(1.0, EPOCHS + 1),
        "updates": lambda k, b: np.ceil(IMAGES / b) * np.arange(1, EPOCHS + 1),
        "decoder evaluations": lambda k, b: k * IMAGES * np.arange(1.0, EPOCHS + 1),
        "training time [s]": lambda k, b: np.cumsum(curve(k, b, 0)[schema.TRAIN_SECONDS.key]),
    }
    assert set(paths.choices) == set(amounts) >= set(paths.rows)
    for axis, amount in amounts.items():
        for (k, b), n in SEEDS.items():
            rows = paths.chosen(axis, f"B={b}")
            rows = rows[rows["hue"] == f"K={k}"].sort_values("x")
            np.testing.assert_allclose(rows["x"], amount(k, b))
            values = zip(*(curve(k, b, seed)[schema.TEST_NLL.key] for seed in range(n)), strict=True)
            expected = [interval(list(of_epoch)) for of_epoch in values]
            np.testing.assert_allclose(rows[["mean", "ci_low", "ci_high"]], expected, rtol=1e-5)
    updates = paths.chosen("updates", "B=100")
    assert updates["x"].max() < paths.chosen("updates", "B=30")["x"].max()


def test_a_pseudo_nll_is_named_on_the_axes_and_in_the_titles():
    found = drawn(study(), 1, schema.PSEUDO_NLL)
    assert found["price"].y == "final test BCE pseudo-NLL [nats/image]"
    assert "final test BCE pseudo-NLL" in found["price"].title
    assert found["paths"].y == "test BCE pseudo-NLL [nats/image]"


def test_a_k_has_one_colour_and_every_hue_has_one(shown):
    for stem in ("price", "cost", "paths"):
        assert shown[stem].colours == shown["price"].colours
        assert set(shown[stem].table["hue"]) == set(shown[stem].colours) == {"K=1", "K=5", "K=25"}


def test_what_one_run_per_k_made_has_a_row_per_kind_and_a_column_per_k():
    images = [np.full((28, 28 * k), 0.5) for k in (5, 1)]
    panels = pd.DataFrame({K: [5, 1], B: [100, 30], "seed": [0, 2], "image": images})
    picture = made({"reconstructions": panels, "manifold": panels.head(1)})
    rows = picture.table[["panel", "x", "note"]].to_numpy().tolist()
    assert rows == [
        ["K=1", "reconstructions", "B=30, seed=2"],
        ["K=5", "reconstructions", "B=100, seed=0"],
        ["K=5", "manifold", "B=100, seed=0"],
    ]
    assert [image.shape for image in picture.table["image"]] == [(28, 28), (28, 140), (28, 140)]


def test_a_reconstruction_is_taken_from_the_smallest_seed_that_has_one():
    runs = marked(study())[0]
    found = stores.pictures([study().uri], finished(runs[runs[SETTING] == 2]), schema.RECONSTRUCTIONS_FILE)
    assert found[[K, B, "seed"]].to_numpy().tolist() == [[1, 30, 0], [5, 30, 0]]
    assert found["image"][1].shape[:2] == (28, 28 * 5)


def test_without_a_finished_run_pictures_are_empty(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0, schema.FAILED, params=GRAYSCALE)
    assert [len(each.table) for each in drawn(store).values()] == [0, 0, 0, 0]
