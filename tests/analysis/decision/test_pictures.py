"""The difference as it is drawn, at the end and along training, against numbers from the rows of the store."""

import numpy as np
import pytest

from analysis import style
from analysis.decision import decide, pictures
from analysis.picture import Picture
from src import schema
from src.inference import t_sequence
from tests.analysis.marked import marked
from tests.stores import GRAYSCALE, Store

SEEDS, ALPHA, MARGIN = 6, 0.05, 0.25
SECONDS, SPEED = schema.TRAIN_SECONDS.key, schema.TRAIN_IMAGES_PER_SECOND.key
WORSE = {1: 2.0, 5: 0.02, 25: 0.0}  # than the largest K, on average
MOVES = {1: 1, 5: 3, 25: 2}  # the order of what is added by seed


def final(k: int, seed: int) -> float:
    return 90 + WORSE[k] + 0.5 * seed + 0.04 * (seed * MOVES[k] % 5)


def path(k: int, seed: int) -> list[float]:
    """The test NLL by epoch; at equal epochs all K get closer."""
    return [final(k, seed) + 30 * WORSE[k] / epoch + 5 / epoch for epoch in (1, 2, 3)]


def store(folder, cells=tuple((k, 100) for k in WORSE), seeds=SEEDS) -> Store:
    made = Store(folder)
    for k, b in cells:
        for seed in range(seeds):
            metrics = {schema.TEST_NLL.key: path(k, seed), SECONDS: [1.0, 2.0, 1.0], SPEED: [600.0, 300.0, 600.0]}
            made.record(k, b, seed, nll=final(k, seed), metrics=metrics)
    return made


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return marked(store(tmp_path_factory.mktemp("decision")))


@pytest.fixture(scope="module")
def decision(runs):
    return decide(*runs, {"margin": MARGIN})


@pytest.fixture(scope="module")
def shown(runs, decision) -> dict[str, Picture]:
    commands = {run: f"python repeat {run}" for run in runs[0]["run_id"]}
    return {each.stem: each for each in pictures(decision, commands)}


def ends(d: np.ndarray, level: float) -> list[float]:
    """The interval of a mean that holds at every look, of two comparisons; level of a side."""
    half = t_sequence(len(d), 2 * level / 2) * d.std(ddof=1) / len(d) ** 0.5
    return [d.mean(), d.mean() - half, d.mean() + half]


def test_the_difference_at_the_end_is_that_of_pairs_with_the_interval_that_tells(shown):
    table = shown["difference"].table.set_index("hue")
    for k, level in ((1, ALPHA / 2), (5, ALPHA)):  # of K = 1 a direction is proven, of K = 5 equivalence
        d = np.array([final(k, seed) - final(25, seed) for seed in range(SEEDS)])
        row = table.loc[f"K={k}"]
        assert list(row[["mean", "ci_low", "ci_high"]]) == pytest.approx(ends(d, level))
        assert row["n"] == SEEDS
    assert table["verdict"].tolist() == ["worse by more than the margin", "equivalent"]
    everywhere = style.sequential(["K=1", "K=5", "K=25"])
    for picture in shown.values():
        assert (picture.margin, picture.y, picture.panels) == (MARGIN, "difference from K=25 [nats/image]", ["B=100"])
        assert picture.colours == {f"K={k}": everywhere[f"K={k}"] for k in (1, 5)}


def test_every_seed_is_a_point_with_both_its_runs_and_what_repeats_it(shown, runs):
    seeds, ids = shown["difference"].seeds, runs[0].set_index(["mc_samples", "seed"])["run_id"]
    assert len(seeds) == 2 * SEEDS
    for row in seeds.to_dict("records"):
        k, seed = int(row["hue"].removeprefix("K=")), int(row["seed"])
        assert row["mean"] == pytest.approx(final(k, seed) - final(25, seed))
        assert (row["run"], row["reference run"]) == (ids[k, seed], ids[25, seed])
        assert row["command"] == f"python repeat {ids[k, seed]}"
        assert row["with"] == f"mc_samples={k} batch_size=100 seed={seed}"


def test_along_training_the_last_point_is_the_matched_contrast(shown, decision):
    path_of = shown["difference_path"]
    # In all three epochs a smaller K makes fewer decoder evaluations than K = 25 in one.
    assert path_of.choices == ["epochs", "updates", "training time [s]"]
    checked = 0
    for axis, matched in decision.matched.items():
        for each in matched:
            rows = path_of.chosen(axis.axis)
            rows = rows[rows["hue"] == f"K={each.level}"].sort_values("x")
            if not each.judgement.pairs.n:  # no amount that both reach
                assert rows.empty
                continue
            last = rows.iloc[-1]
            assert last["mean"] == pytest.approx(each.judgement.pairs.mean)
            assert (last["ci_low"], last["ci_high"]) == pytest.approx(tuple(each.judgement.directional))
            checked += 1
    assert checked == 3 * 2


@pytest.mark.parametrize("k", [1, 5])
def test_along_training_every_point_is_interpolated_seed_by_seed(shown, k):
    def differences(knots: list[float], x: np.ndarray) -> np.ndarray:
        both = [[np.interp(x, knots, path(level, seed)) for seed in range(SEEDS)] for level in (k, 25)]
        return np.subtract(*both)

    for axis, knots in (("epochs", [1.0, 2.0, 3.0]), ("training time [s]", [1.0, 3.0, 4.0])):
        rows = shown["difference_path"].chosen(axis)
        rows = rows[rows["hue"] == f"K={k}"].sort_values("x")
        assert (rows["x"].min(), rows["x"].max()) == (knots[0], knots[-1])
        assert not rows["x"].duplicated().any()
        expected = np.array([ends(d, ALPHA / 2) for d in differences(knots, rows["x"].to_numpy()).T])
        np.testing.assert_allclose(rows[["mean", "ci_low", "ci_high"]], expected)
        assert rows["n"].unique().tolist() == [SEEDS]
    assert list(shown["difference_path"].chosen("epochs", "B=100").query(f"hue == 'K={k}'")["x"]) == [1, 2, 3]


def test_before_the_first_look_there_are_points_and_no_intervals(tmp_path):
    decided = decide(*marked(store(tmp_path, seeds=3)), {})
    end, along = pictures(decided, {})
    assert len(end.seeds) == 2 * 3
    for table in (end.table, along.table):
        assert table["mean"].notna().all()
        assert table[["ci_low", "ci_high"]].isna().all(axis=None)


def test_a_diverged_run_leaves_a_mark_of_its_own_and_no_mean(tmp_path):
    made = store(tmp_path, seeds=4)
    made.record(1, 100, 4, schema.DIVERGED, metrics={schema.TEST_NLL.key: path(1, 4)})
    made.record(25, 100, 4, nll=final(25, 4), metrics={schema.TEST_NLL.key: path(25, 4)})
    end, along = pictures(decide(*marked(made), {}), {})
    rows = end.table.set_index("hue")
    assert rows.loc["K=1", ["mean", "ci_low", "ci_high"]].isna().all()
    assert rows.loc["K=1", "n"] == 5
    assert "undecided" in rows.loc["K=1", "verdict"]
    assert rows.loc["K=5", "mean"] == pytest.approx(np.mean([final(5, s) - final(25, s) for s in range(4)]))
    assert "4" not in end.seeds[end.seeds["hue"] == "K=1"]["seed"].tolist()
    assert along.table.query("level == 1")["n"].unique().tolist() == [4]


def test_groups_with_different_references_have_all_colours(tmp_path):
    """At B = 30 K = 5 is the reference, at B = 100 a value."""
    decided = decide(*marked(store(tmp_path, ((1, 30), (5, 30), (1, 100), (5, 100), (25, 100)), seeds=2)), {})
    for picture in pictures(decided, {}):
        assert set(picture.table["hue"]) == set(picture.colours) == {"K=1", "K=5"}
        assert picture.y == "difference from K=5 or K=25 [nats/image]"
        assert picture.panels == ["B=30", "B=100"]


def test_words_are_compared_in_their_own_colours(tmp_path):
    made = Store(tmp_path)
    for objective, worse in (("elbo", 0.0), ("iwae", -1.0), ("dreg", -2.0)):
        for seed in range(4):
            made.record(5, 100, seed, params={"objective": objective, **GRAYSCALE}, nll=90 + worse + seed)
    end, _ = pictures(decide(*marked(made), {"factor": "objective", "reference": "elbo"}), {})
    assert end.table.set_index("hue")["mean"].to_dict() == {"objective=dreg": -2.0, "objective=iwae": -1.0}
    assert set(end.colours) == {"objective=dreg", "objective=iwae"}
    assert end.seeds["with"].iloc[0] == "mc_samples=5 batch_size=100 objective=dreg seed=0"
