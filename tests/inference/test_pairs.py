"""Paired differences: who has a pair, where a diverged run stays, and the exact test of divergences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.inference import Paired, paired
from tests.statistics import agrees

scores = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=12)


def test_the_summary_is_that_of_the_differences_over_common_seeds():
    found = paired([(3.0, 1.0), (np.nan, 2.0), (5.0, 4.0), (9.0, 6.0), (4.0, np.nan)])
    assert (found.n, found.mean, found.sd) == (3, 2.0, 1.0)
    assert found.correlation == pytest.approx(stats.pearsonr([3.0, 5.0, 9.0], [1.0, 4.0, 6.0]).statistic)


def test_mean_and_variance_are_unbiased_and_pairing_removes_what_is_common():
    rng = np.random.default_rng(0)
    seeds = rng.normal(0.0, 5.0, size=(4000, 1, 5))
    values = seeds + rng.normal([[0.7], [0.0]], 1.0, size=(4000, 2, 5))
    found = [paired(both.T) for both in values]
    assert agrees([pair.mean for pair in found], 0.7)
    assert agrees([pair.sd**2 for pair in found], 2.0)
    assert not agrees([pair.sd**2 * 4 / 5 for pair in found], 2.0)  # ddof=0
    assert np.median([pair.correlation for pair in found]) > 0.9


def test_a_diverged_run_never_leaves_its_pair():
    unscored = paired([(1.0, 1.5), (np.inf, 2.0), (2.0, np.inf), (np.inf, np.inf), (np.nan, np.inf)])
    assert (unscored.n, unscored.only_a, unscored.only_b) == (4, 1, 1)
    assert math.isnan(unscored.mean)
    assert math.isnan(unscored.sd)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([np.nan], 0), ([1.0], 1), ([1.0, 2.0], 2)])
def test_what_too_few_pairs_cannot_say_is_nan(values, n):
    found = paired([(value, 0.0) for value in values])
    assert found.n == n
    assert math.isnan(found.mean) == (n < 1)
    assert math.isnan(found.sd) == (n < 2)
    assert math.isnan(found.correlation)


@settings(deadline=None)
@given(scores, st.randoms())
def test_sides_and_order_of_seeds(pairs, random):
    found, other = paired(pairs), paired([(b, a) for a, b in pairs])
    assert (other.mean, other.sd) == (-found.mean, found.sd)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    again = paired(shuffled)
    assert (again.mean, again.sd) == pytest.approx((found.mean, found.sd), rel=1e-9, abs=1e-9)


def test_discordant_divergences_are_a_fair_coin():
    def discordance(only_a, only_b):
        return Paired(10, 0.0, 1.0, only_a=only_a, only_b=only_b).discordance

    assert discordance(0, 0) == 1.0
    assert discordance(6, 0) == discordance(0, 6) == pytest.approx(2 * 0.5**6)
    assert discordance(5, 0) > 0.05  # six discordant pairs at least
