"""Means, intervals and paired differences against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import completeness, load, statistics
from analysis.statistics import DECODER_EVALUATIONS, EPOCH_SECONDS, intervals, paired
from analysis.tidy import SETTING
from src import schema
from tests.stores import EXPERIMENT, IMAGES, curve, final_nll, study

K, B, SEED = schema.MC_SAMPLES.key, schema.BATCH_SIZE.key, schema.SEED.key
NLL = schema.FINAL_TEST_NLL
# Student's t, 97.5 %, by degrees of freedom: any printed table.
T = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}


def table(values: list[float], **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"value": values, SEED: range(len(values)), **columns})


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    tables = load.read(study().uri, EXPERIMENT)
    return completeness.mark(tables.runs).merge(statistics.cost(tables.history), "left", "run_id")


@pytest.mark.parametrize("values", [[1.0, 3.0], [1.0, 2.0, 6.0], [4.0, 4.5, 3.0, 4.2], [1.0, 2.0, 3.0, 4.0, 10.0]])
def test_interval_is_the_t_interval_with_ddof_1(values):
    n, mean = len(values), sum(values) / len(values)
    sd = (sum((v - mean) ** 2 for v in values) / (n - 1)) ** 0.5
    [row] = intervals(table(values, cell=0), ["cell"], "value").to_dict("records")
    assert (row["n"], row["mean"], row["sd"]) == (n, pytest.approx(mean), pytest.approx(sd))
    half_width = (row["ci_high"] - row["ci_low"]) / 2
    assert half_width == pytest.approx(T[n - 1] * sd / n**0.5, rel=1e-4)
    assert (row["ci_high"] + row["ci_low"]) / 2 == pytest.approx(mean)
    # Power: what is often written instead would not pass.
    assert half_width != pytest.approx(T[n - 1] * np.std(values) / n**0.5, rel=0.05)
    assert half_width != pytest.approx(1.96 * sd / n**0.5, rel=0.05)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    cells, n, z = 4000, 4, 5
    draws = np.random.default_rng(0).normal(3.0, 2.0, cells * n)
    rows = intervals(table(draws, cell=np.repeat(np.arange(cells), n)), ["cell"], "value")
    covered = ((rows["ci_low"] < 3.0) & (rows["ci_high"] > 3.0)).mean()
    assert abs(covered - 0.95) < z * (0.95 * 0.05 / cells) ** 0.5
    normal = 1.96 * rows["sd"] / n**0.5
    assert abs(((rows["mean"] - 3.0).abs() < normal).mean() - 0.95) > z * (0.95 * 0.05 / cells) ** 0.5


def test_one_seed_has_a_mean_and_nothing_else():
    [row] = intervals(table([7.0], cell=0), ["cell"], "value").to_dict("records")
    assert (row["n"], row["mean"]) == (1, 7.0)
    assert all(np.isnan(row[name]) for name in ("sd", "ci_low", "ci_high"))


def test_values_that_are_not_finite_are_left_out_and_n_says_so():
    rows = intervals(table([1.0, np.nan, 3.0, np.inf, np.nan], cell=[0, 0, 0, 0, 1]), ["cell"], "value")
    assert rows[["cell", "n", "mean"]].to_numpy().tolist() == [[0, 2, 2.0]]


def test_the_order_of_the_rows_does_not_matter():
    values = table(list(np.random.default_rng(1).normal(size=30)), cell=[0, 1, 2] * 10)
    shuffled = values.sample(frac=1, random_state=2)
    expected = intervals(values, ["cell"], "value")
    pd.testing.assert_frame_equal(intervals(shuffled, ["cell"], "value"), expected, rtol=1e-13)


def test_a_logarithmic_mean_is_geometric_and_its_interval_positive():
    values = [1.0, 10.0, 1000.0]
    [row] = intervals(table(values, cell=0), ["cell"], "value", log=True).to_dict("records")
    half_width = T[2] * np.std(np.log(values), ddof=1) / 3**0.5
    assert row["mean"] == pytest.approx(10 ** (4 / 3))
    assert row["ci_low"] == pytest.approx(row["mean"] / np.exp(half_width), rel=1e-3)
    assert row["ci_high"] == pytest.approx(row["mean"] * np.exp(half_width), rel=1e-3)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))


def test_a_column_that_nobody_recorded_has_no_rows():
    assert intervals(table([1.0], cell=0), ["cell"], "other").empty


def pairs() -> pd.DataFrame:
    """Four seeds at K = 1 and 5, of which one is at K = 5 alone; one seed at K = 25."""
    y = {(1, 0): 10.0, (1, 1): 12.0, (1, 2): 11.0, (5, 0): 9.0, (5, 1): 10.5, (5, 2): 10.5, (5, 3): 99.0, (25, 0): 1.0}
    rows = [(k, seed, value) for (k, seed), value in y.items()]
    return pd.DataFrame(rows, columns=[K, SEED, NLL.key]).assign(**{B: 100, SETTING: 1})


def test_paired_differences_by_hand():
    rows = paired(pairs(), [SETTING, B], NLL)
    d = [-1.0, -1.5, -0.5]
    [row] = rows.to_dict("records")
    assert (row[K], row["reference"], row["n"]) == (5, 1, 3)
    assert (row["mean"], row["sd"]) == (pytest.approx(-1.0), pytest.approx(0.5))
    assert row["ci_high"] - row["mean"] == pytest.approx(T[2] * 0.5 / 3**0.5, rel=1e-4)
    assert row["rho"] == pytest.approx(stats.pearsonr([10.0, 12.0, 11.0], [9.0, 10.5, 10.5]).statistic)
    assert row["mean"] == pytest.approx(np.mean(d))


def test_paired_ratios_by_hand():
    [row] = paired(pairs(), [SETTING, B], NLL, ratio=True).to_dict("records")
    assert row["mean"] == pytest.approx((0.9 * 10.5 / 12 * 10.5 / 11) ** (1 / 3))


def test_two_pairs_have_an_interval_and_no_correlation():
    [row] = paired(pairs().query("seed < 2"), [SETTING, B], NLL).to_dict("records")
    assert row["n"] == 2
    assert np.isfinite(row["ci_low"])
    assert np.isnan(row["rho"])


def test_one_pair_is_no_comparison():
    assert paired(pairs().query("seed < 1"), [SETTING, B], NLL).empty


def test_seeds_are_never_paired_across_settings_or_batch_sizes():
    apart = pd.concat([pairs().query("mc_samples == 1"), pairs().query("mc_samples == 5").assign(**{SETTING: 2})])
    assert paired(apart, [SETTING, B], NLL).empty
    assert paired(apart.rename(columns={SETTING: B, B: SETTING}), [SETTING, B], NLL).empty


def test_cost_is_the_median_over_epochs_and_decoder_evaluations_are_n_times_k(runs):
    one = runs.set_index("run_id").loc[study().runs[25, 100, 0]]
    assert one[EPOCH_SECONDS.key] == pytest.approx(np.median(curve(25, 100, 0)[schema.TRAIN_SECONDS.key]))
    assert one[DECODER_EVALUATIONS.key] == IMAGES * 25


def cell(rows: pd.DataFrame, k: int, b: int, setting: int = 2) -> pd.Series:
    [row] = [row for _, row in rows.iterrows() if (row[K], row[B], row[SETTING]) == (k, b, setting)]
    return row


def test_summary_of_the_study(runs):
    rows = statistics.summary(runs)
    whole, one_seed, grayscale = cell(rows, 1, 100), cell(rows, 25, 30), cell(rows, 5, 100, setting=1)
    values = [final_nll(1, 100, seed) for seed in range(3)]
    assert whole[f"{NLL.key}_n"] == 3
    assert whole[f"{NLL.key}_mean"] == pytest.approx(np.mean(values))  # not with the repeat's 500
    assert whole[f"{NLL.key}_sd"] == pytest.approx(np.std(values, ddof=1))
    half_width = T[2] * np.std(values, ddof=1) / 3**0.5
    assert whole[f"{NLL.key}_ci_low"] == pytest.approx(np.mean(values) - half_width, rel=1e-5)
    assert one_seed[f"{NLL.key}_n"] == 1
    assert one_seed[f"{NLL.key}_mean"] == pytest.approx(final_nll(25, 30, 0))
    assert one_seed[[f"{NLL.key}_{name}" for name in ("sd", "ci_low", "ci_high")]].isna().all()
    assert grayscale[f"{NLL.key}_n"] == 2
    assert f"{schema.RUN_SECONDS.key}_mean" in rows


def test_gains_of_the_study(runs):
    row = cell(statistics.gains(runs), 5, 100)
    d = [final_nll(5, 100, seed) - final_nll(1, 100, seed) for seed in range(3)]
    assert (row["reference"], row["n"]) == (1, 3)
    assert row["mean"] == pytest.approx(np.mean(d))
    assert row["ci_low"] == pytest.approx(np.mean(d) - T[2] * np.std(d, ddof=1) / 3**0.5, rel=1e-4)
    assert row[f"{EPOCH_SECONDS.key}_ratio"] == pytest.approx(1.7 / 1.3)
    ratios = [(3.2 + 0.1 * seed) / (4 + 0.1 * seed) for seed in range(3)]
    assert row[f"{schema.TRAIN_LOSS_VARIANCE.key}_ratio"] == pytest.approx(np.prod(ratios) ** (1 / 3))
