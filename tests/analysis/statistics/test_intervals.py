"""Means and rates with their intervals, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics.intervals import clopper_pearson, t_intervals
from src import schema

SEED = schema.SEED.key
INF = math.inf
# Student's t, 97.5 %, by degrees of freedom: any printed table.
T = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}


def table(values: list[float], **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"value": values, SEED: range(len(values)), **columns})


@pytest.mark.parametrize("values", [[1.0, 3.0], [1.0, 2.0, 6.0], [4.0, 4.5, 3.0, 4.2], [1.0, 2.0, 3.0, 4.0, 10.0]])
def test_interval_is_the_t_interval_with_ddof_1(values):
    n, mean = len(values), sum(values) / len(values)
    sd = (sum((v - mean) ** 2 for v in values) / (n - 1)) ** 0.5
    [row] = t_intervals(table(values, cell=0), ["cell"], "value").to_dict("records")
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
    rows = t_intervals(table(draws, cell=np.repeat(np.arange(cells), n)), ["cell"], "value")
    covered = ((rows["ci_low"] < 3.0) & (rows["ci_high"] > 3.0)).mean()
    assert abs(covered - 0.95) < z * (0.95 * 0.05 / cells) ** 0.5
    normal = 1.96 * rows["sd"] / n**0.5
    assert abs(((rows["mean"] - 3.0).abs() < normal).mean() - 0.95) > z * (0.95 * 0.05 / cells) ** 0.5


def test_one_seed_has_a_mean_and_nothing_else():
    [row] = t_intervals(table([7.0], cell=0), ["cell"], "value").to_dict("records")
    assert (row["n"], row["mean"]) == (1, 7.0)
    assert all(np.isnan(row[name]) for name in ("sd", "ci_low", "ci_high"))


def test_values_that_are_not_finite_are_left_out_and_n_says_so():
    rows = t_intervals(table([1.0, np.nan, 3.0, np.inf, np.nan], cell=[0, 0, 0, 0, 1]), ["cell"], "value")
    assert rows[["cell", "n", "mean"]].to_numpy().tolist() == [[0, 2, 2.0]]


def test_the_order_of_the_rows_does_not_matter():
    values = table(list(np.random.default_rng(1).normal(size=30)), cell=[0, 1, 2] * 10)
    shuffled = values.sample(frac=1, random_state=2)
    expected = t_intervals(values, ["cell"], "value")
    pd.testing.assert_frame_equal(t_intervals(shuffled, ["cell"], "value"), expected, rtol=1e-13)


def test_a_logarithmic_mean_is_geometric_and_its_interval_positive():
    values = [1.0, 10.0, 1000.0]
    [row] = t_intervals(table(values, cell=0), ["cell"], "value", log=True).to_dict("records")
    half_width = T[2] * np.std(np.log(values), ddof=1) / 3**0.5
    assert row["mean"] == pytest.approx(10 ** (4 / 3))
    assert row["ci_low"] == pytest.approx(row["mean"] / np.exp(half_width), rel=1e-3)
    assert row["ci_high"] == pytest.approx(row["mean"] * np.exp(half_width), rel=1e-3)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))


def test_a_column_that_nobody_recorded_has_no_rows():
    assert t_intervals(table([1.0], cell=0), ["cell"], "other").empty


@pytest.mark.parametrize("n", [5, 10, 20])
def test_the_exact_interval_of_none_is_the_known_one(n):
    low, up = clopper_pearson(0, n)
    assert (low, up) == (0, pytest.approx(1 - 0.025 ** (1 / n)))
    assert clopper_pearson(n, n) == (pytest.approx(1 - up), 1)
    assert np.isnan(clopper_pearson(0, 0)).all()


def test_the_exact_interval_is_where_both_tails_are_rare():
    low, high = clopper_pearson(3, 10)
    assert stats.binom.sf(2, 10, low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 10, high) == pytest.approx(0.025)


def test_the_exact_interval_covers_every_rate_as_often_as_it_says():
    """Power: Wilson's interval covers some rates less often."""
    low, high = np.array([clopper_pearson(count, 10) for count in range(11)]).T
    wilson = np.array([stats.binomtest(count, 10).proportion_ci(0.95, method="wilson") for count in range(11)]).T
    rates = np.linspace(0.001, 0.999, 999)[:, None]
    chances = stats.binom.pmf(np.arange(11), 10, rates)
    assert (chances * ((low <= rates) & (high >= rates))).sum(axis=1).min() >= 0.95
    assert (chances * ((wilson[0] <= rates) & (wilson[1] >= rates))).sum(axis=1).min() < 0.9
