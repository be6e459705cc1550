"""Paths, divergence and spread over seeds against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.stability import stability_by_cell, stability_table
from analysis.stability.numbers import (
    DRAWDOWN,
    SHARE_WORSE,
    SPIKE_RATE,
    SPIKES,
    STEP_TO_STEP,
    WORST_STEP,
    ended_worse,
    path,
    seed_sd,
    spikes,
)
from analysis.statistics import CELL_OF, SETTING
from analysis.statistics.intervals import clopper_pearson
from analysis.store import B, K
from src import schema
from tests.analysis.marked import marked, records
from tests.stores import Store, final_nll, study

NLL, INF = schema.FINAL_TEST_NLL.key, math.inf
MEASURES = (WORST_STEP, STEP_TO_STEP, SHARE_WORSE, DRAWDOWN)


def cells(store: Store) -> pd.DataFrame:
    return stability_by_cell(*marked(store)).set_index(CELL_OF)


@pytest.mark.parametrize(
    ("nll", "diverged", "expected"),
    [
        # Steps -3, 2, 1, -4: the worst is 2, the rise from 7 to 10 is 3.
        ([10.0, 7.0, 9.0, 10.0, 6.0], False, (2.0, 2.5, 0.5, 3.0)),
        ([10.0, 7.0, 6.0], False, (-1.0, 2.0, 0.0, 0.0)),
        ([10.0, 7.0], True, (INF, INF, 0.5, INF)),
        ([], True, (INF, INF, 1.0, INF)),
        # The epochs of a trunk have no test NLL: the path of a forked run begins after them.
        ([math.nan, math.nan, 10.0, 7.0, 9.0], False, (2.0, 2.5, 0.5, 2.0)),
        ([math.nan, 10.0, math.nan, 8.0], False, (INF, INF, 0.5, INF)),
        ([10.0, math.nan, 8.0], False, (INF, INF, 0.5, INF)),
        ([10.0, INF, INF, 8.0], False, (INF, INF, 0.5, INF)),
        ([10.0], False, (math.nan, math.nan, math.nan, 0.0)),
        ([], False, (math.nan,) * 4),
        ([math.nan, math.nan], False, (math.nan,) * 4),
    ],
)
def test_the_measures_of_a_path_by_hand(nll, diverged, expected):
    found = path(nll, diverged)
    assert [found[quantity.key] for quantity in MEASURES] == pytest.approx(expected, nan_ok=True)


def test_the_measures_of_a_path_are_not_what_they_are_often_taken_for():
    """Power: the largest |step|, the share of all epochs, and the rise above the start would give other numbers."""
    nll = [10.0, 5.0, 9.0, 8.0]
    assert path(nll, False)[WORST_STEP.key] == 4 != np.abs(np.diff(nll)).max()
    assert path(nll, False)[SHARE_WORSE.key] == pytest.approx(1 / 3)  # of three steps, not of four epochs
    assert path(nll, False)[DRAWDOWN.key] == 4 > max(nll) - nll[0]


@pytest.mark.parametrize(
    ("losses", "nll", "expected"),
    [
        ([100.0, 99.0, 101.0], [1.0, 1.0, 1.0], True),
        ([100.0, math.nan], [1.0, 1.0], True),
        ([INF, INF], [1.0, 1.0], True),
        ([100.0, 99.0], [1.0, math.nan], True),
        ([100.0, 99.0], [1.0, INF], True),
        ([100.0, 300.0, 99.0], [1.0, INF, 1.0], False),
        ([100.0], [1.0], False),
        ([], [], False),
        ([math.nan, math.nan], [math.nan, math.nan], False),  # not recorded
    ],
)
def test_a_finished_run_diverged_too_where_it_ended_above_its_first_epoch_or_at_no_number(losses, nll, expected):
    assert ended_worse(losses, nll) == expected


def test_the_sd_over_seeds_has_the_known_factors(tmp_path):
    store = Store(tmp_path)
    for seed, value in enumerate([1.0, 2.0, 3.0, 4.0, 5.0]):
        store.record(1, 100, seed, nll=value)
    store.record(5, 100, 0)
    store.record(5, 100, 1, schema.FAILED)
    found = cells(store)
    sd, low, high = found.loc[(1, 1, 100), [f"{NLL}_sd", f"{NLL}_sd_ci_low", f"{NLL}_sd_ci_high"]]
    assert sd == pytest.approx(2.5**0.5)
    assert (low / sd, high / sd) == (pytest.approx(0.60, abs=0.005), pytest.approx(2.87, abs=0.005))
    assert np.std([1, 2, 3, 4, 5]) != pytest.approx(sd)  # ddof=0
    assert found.loc[(1, 5, 100), [f"{NLL}_sd", f"{NLL}_sd_ci_low"]].isna().all()


def test_the_interval_of_the_sd_covers_it_as_often_as_it_says():
    seeds, repeats, z = 4, 3000, 5
    values = np.random.default_rng(1).normal(100.0, 0.7, size=seeds * repeats)
    found = seed_sd(pd.DataFrame({NLL: values, K: np.repeat(np.arange(repeats), seeds), B: 100, SETTING: 1}))
    covered = (found[f"{NLL}_sd_ci_low"] < 0.7) & (found[f"{NLL}_sd_ci_high"] > 0.7)
    assert abs(covered.mean() - 0.95) < z * (0.95 * 0.05 / repeats) ** 0.5


STEPS = 60  # of an epoch, of which the first 31 are not judged


def spiky(tmp_path) -> Store:
    """Three finished runs, one that diverged, one that failed, of one cell; the third finished above its start."""
    store = Store(tmp_path)
    key = schema.TEST_NLL.key
    paths = ([120.0, 110.0, 112.0], [120.0, 115.0, 110.0], [120.0, 100.0, 130.0])
    for seed, nll in enumerate(paths):
        metrics = {key: nll, schema.TRAIN_SPIKES.key: [1.0 * seed, 2.0, 0.0]}
        metrics |= {schema.TRAIN_IMAGES_PER_SECOND.key: [STEPS * 100.0] * 3, schema.TRAIN_SECONDS.key: [1.0] * 3}
        metrics |= {schema.TRAIN_LOSS.key: [150.0, 140.0, 160.0]} if seed == 2 else {}
        metrics[schema.TRAIN_LOSS_VARIANCE_MC.key] = [1.0, 1.0, (0.04, 0.05, 0.09)[seed]]
        store.record(5, 100, seed, metrics=metrics, more={(schema.FINAL_ACTIVE_UNITS.key, 3): 2.0 - (seed == 1)})
    store.record(5, 100, 3, schema.DIVERGED, metrics={key: [120.0]})
    store.record(5, 100, 4, schema.FAILED, metrics={key: [999.0, 9999.0]})
    return store


def test_a_diverged_run_counts_as_the_worst_and_a_failed_one_not_at_all(tmp_path):
    cell = cells(spiky(tmp_path)).loc[(1, 5, 100)]
    assert (cell["ended_n"], cell["diverged_n"], cell["diverged_rate"]) == (4, 2, 0.5)
    low, high = clopper_pearson(2, 4)
    assert (cell["diverged_ci_low"], cell["diverged_ci_high"]) == (pytest.approx(low), pytest.approx(high))
    spread = [cell[f"{WORST_STEP.key}_{end}"] for end in ("n", "lowest", "median", "highest")]
    assert spread == [4, -5.0, pytest.approx((2.0 + 30.0) / 2), INF]  # -5, 2, 30, infinite
    assert spread[2] != 2.0  # the median of those that finished
    assert cell[f"{DRAWDOWN.key}_median"] == pytest.approx((2.0 + 30.0) / 2)
    assert cell[f"{SHARE_WORSE.key}_highest"] == 1.0  # the only step of the diverged run


def test_spikes_are_summed_over_epochs_and_related_to_steps(tmp_path):
    cell = cells(spiky(tmp_path)).loc[(1, 5, 100)]
    assert cell[f"{SPIKES.key}_n"] == 3  # the diverged run recorded none
    assert [cell[f"{SPIKES.key}_{end}"] for end in ("lowest", "median", "highest")] == [2, 3, 4]
    assert cell[f"{SPIKE_RATE.key}_median"] == pytest.approx(1000 * 3 / (3 * (STEPS - 31)))
    assert cell[f"{SPIKE_RATE.key}_median"] != pytest.approx(1000 * 3 / (3 * STEPS))
    assert cell[f"{schema.FINAL_ACTIVE_UNITS.key}_median"] == 2
    assert cell[f"{schema.FINAL_ACTIVE_UNITS.key}_lowest"] == 1


@pytest.mark.parametrize(
    ("counts", "steps", "rate"),
    [
        ([2.0, math.nan, 4.0], 600.0, 1000 * 6 / (2 * 499)),  # W = 101
        ([1.0], 599.2, 1000 / 499),  # a last, smaller batch is a step
        ([1.0], 41.0, math.nan),  # none is judged
        ([1.0], math.nan, math.nan),
        ([math.nan], 600.0, math.nan),
    ],
)
def test_the_rate_of_spikes_is_per_judged_step(counts, steps, rate):
    found = spikes(pd.Series(counts), steps)
    assert found[SPIKE_RATE.key] == pytest.approx(rate, nan_ok=True)


def test_the_table_says_what_was_counted(tmp_path):
    table = stability_table(stability_by_cell(*marked(spiky(tmp_path))), schema.PSEUDO_NLL)
    [row] = records(table)
    assert row["diverged, of the runs that ended (95 % interval)"] == "2 of 4 (6.8 % to 93 %)"
    assert row["worst step between epochs [nats/image]"] == "16.00 (−5.00 to ∞)"
    assert row["spikes of the minibatch loss"] == "3 (2 to 4)"
    assert row["spikes of the minibatch loss per 1,000 judged steps"] == "34.48 (22.99 to 45.98)"
    assert row["active latent units [units]"] == "2 (1 to 2)"
    assert row["its Monte Carlo part, what K removes [nats/image], last epoch"] == "0.245"  # root of 0.06
    assert "BCE pseudo-NLL" in table.caption
    assert any("sd of the final test BCE pseudo-NLL over seeds" in head for head in table.heads)


def test_a_forked_run_has_the_measures_of_its_path_from_the_fork_on(tmp_path):
    store = Store(tmp_path)
    for seed in range(2):
        metrics = {schema.TEST_NLL.key: [], schema.TRAIN_LOSS.key: [150.0, 130.0, 120.0, 119.0]}
        path_of = {(schema.TEST_NLL.key, epoch): value for epoch, value in ((2, 100.0), (3, 103.0), (4, 99.0))}
        store.record(5, 100, seed, params={"fork.epochs": 1}, metrics=metrics, more=path_of)
    cell = cells(store).loc[(1, 5, 100)]
    found = [cell[f"{quantity.key}_median"] for quantity in MEASURES]
    assert found == pytest.approx([3.0, 3.5, 0.5, 3.0])
    assert (cell["ended_n"], cell["diverged_n"]) == (2, 0)


def test_the_study_has_a_row_for_every_cell_that_was_started():
    found = cells(study())
    assert len(found) == 8
    assert found.loc[(2, 25, 30), "diverged_n"] == 1
    assert found.loc[(2, 1, 100), f"{WORST_STEP.key}_median"] == pytest.approx(-(10 / 2 - 10 / 3))
    values = [final_nll(1, 100, seed) for seed in range(3)]
    assert found.loc[(2, 1, 100), f"{NLL}_sd"] == pytest.approx(np.std(values, ddof=1))
