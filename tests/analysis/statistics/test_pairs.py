"""Paired differences against numbers worked out by hand, and which runs make no pair."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics import SETTING
from analysis.statistics.pairs import MACHINE, paired
from analysis.store import SEED, B, K
from src import schema

NLL = schema.FINAL_TEST_NLL
T = {1: 12.7062, 2: 4.3027}  # Student's t, 97.5 %, by degrees of freedom


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


def on(machines: dict[int, tuple[str, str]]) -> pd.DataFrame:
    """pairs() made on a processor and with a number of threads by K; the third seed on (z, 9) at every K."""
    made = [("z", "9") if seed == 2 else machines[k] for k, seed in pairs()[[K, SEED]].to_numpy()]
    return pairs().assign(**dict(zip(MACHINE, map(list, zip(*made, strict=True)), strict=True)))


@pytest.mark.parametrize(("other", "n"), [(("x", "2"), 3), (("y", "2"), 1), (("x", "4"), 1)])
def test_runs_of_two_kinds_of_machines_make_no_pair(other, n):
    rows = paired(on({1: ("x", "2"), 5: other, 25: other}), [SETTING, B], NLL)
    assert list(rows["n"]) == ([3] if n == 3 else [])  # one pair is no comparison


def test_a_machine_that_is_not_recorded_is_another_one():
    unknown = on({1: ("x", "2"), 5: (None, None), 25: (None, None)})
    assert paired(unknown, [SETTING, B], NLL).empty
    nowhere = on(dict.fromkeys((1, 5, 25), (None, None))).query("seed < 2")
    assert list(paired(nowhere, [SETTING, B], NLL)["n"]) == [2]  # of both: nothing tells them apart
