"""Fixed and anytime-valid intervals, equivalence and Holm: coverage by simulation, identities, and rules that fail."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.inference import Paired, holm, t_interval, t_sequence, tost, tost_pairs
from tests.inference import studies
from tests.inference.studies import agrees, at_most

p_values = st.lists(st.floats(0.0, 1.0), max_size=8)


def test_the_t_sequence_has_its_printed_values():
    found = [t_sequence(n, 0.05) for n in (4, 5, 6, 10)]
    np.testing.assert_allclose(found, [8.05, 5.46, 4.73, 3.92], atol=0.005)
    assert [t_sequence(n, 0.05) for n in (0, 1, 2, 3)] == [math.inf] * 4


def test_the_t_sequence_is_where_the_mixture_of_t_laws_reaches_one_over_alpha():
    n, alpha, g = 7, 0.05, 3.0
    t = t_sequence(n, alpha, g)
    # Bayes factor of N(0, g sigma^2) against 0 for the effect, right Haar prior on sigma.
    log_factor = 0.5 * (n * np.log1p(t**2 / (n - 1)) - n * np.log1p(t**2 / (n - 1) / (1 + n * g)) - np.log1p(n * g))
    assert log_factor == pytest.approx(-np.log(alpha))


def test_the_t_sequence_covers_at_every_n_and_a_fixed_interval_does_not():
    d, n = studies.normal(np.random.default_rng(2), n=60), np.arange(3, 61)
    t = studies.t_statistics(d, 3)
    missed = (np.abs(t) > [t_sequence(k, 0.05) for k in n]).any(axis=1).mean()
    assert agrees(missed, 0.025, rounding=0.0005)
    assert at_most(missed, 0.05)
    assert not at_most((np.abs(t) > studies.t_quantiles(0.025, 3, 60)).any(axis=1).mean(), 0.05)
    bounds = [t_sequence(k, 0.1) for k in n]
    above, below = (t > bounds).any(axis=1), (t < np.negative(bounds)).any(axis=1)
    assert at_most(above.mean(), 0.05)
    assert at_most(below.mean(), 0.05)
    assert at_most((above & below).mean(), 0.001)  # all that a side can have beyond its half


def test_the_fixed_interval_covers_and_one_of_z_does_not():
    d = studies.normal(np.random.default_rng(3), n=5)
    pairs = [Paired(5, *moments) for moments in zip(d.mean(axis=1), d.std(axis=1, ddof=1), strict=True)]
    ends = np.array([t_interval(pair, 0.025) for pair in pairs[:4000]])
    assert agrees(((ends > 0).all(axis=1) | (ends < 0).all(axis=1)).mean(), 0.05, 4000)
    narrow = ends.mean(axis=1, keepdims=True) + (ends - ends.mean(axis=1, keepdims=True)) * 1.96 / 2.776
    assert not agrees(((narrow > 0).all(axis=1) | (narrow < 0).all(axis=1)).mean(), 0.05, 4000)
    assert t_interval(Paired(1, 0.3, math.nan), 0.025) == (-math.inf, math.inf)


def test_equivalence_is_the_larger_of_two_one_sided_tests():
    d = np.random.default_rng(4).normal(0.2, 1.0, size=9)
    pairs = Paired(9, d.mean(), d.std(ddof=1))
    one_sided = [
        stats.ttest_1samp(d, side, alternative=alternative).pvalue
        for side, alternative in ((0.8, "less"), (-0.8, "greater"))
    ]
    assert tost(pairs, 0.8) == pytest.approx(max(one_sided))
    assert tost(Paired(9, 1.1, 1.0), 0.8) > 0.5
    assert [tost(Paired(4, mean, 0.0), 0.5) for mean in (0.1, 0.6)] == [0.0, 1.0]
    assert [tost(pair, 0.5) for pair in (Paired(1, 0.0, math.nan), Paired(3, math.nan, math.nan))] == [1.0, 1.0]


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(0.01, 2), st.integers(2, 30), st.floats(0.1, 2), st.floats(0.01, 0.2))
def test_equivalence_by_p_value_is_equivalence_by_interval(mean, sd, n, margin, alpha):
    pairs = Paired(n, mean, sd)
    low, high = t_interval(pairs, alpha)
    p = tost(pairs, margin)
    assert abs(p - alpha) < 1e-9 or (p < alpha) == (-margin < low and high < margin)


def test_the_pairs_of_a_fixed_design_have_its_power():
    n = tost_pairs(sd=2.0, margin=1.0)
    assert n == math.ceil(8.564 * 4)
    d = 2 * studies.normal(np.random.default_rng(5), 4000, n + 1)
    shown = [tost(Paired(n + 1, x.mean(), x.std(ddof=1)), 1.0) <= 0.05 for x in d]
    assert agrees(np.mean(shown), 0.8, 4000, rounding=0.02)
    assert tost_pairs(sd=0.001, margin=1.0) == 2


def test_holm_steps_down():
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@settings(deadline=None)
@given(p_values)
def test_holm_lies_between_the_raw_values_and_bonferroni_and_keeps_their_order(values):
    adjusted = holm(values)
    assert np.all(adjusted >= values)
    assert np.all(adjusted <= np.minimum(1.0, np.multiply(len(values), values)))
    assert np.all(np.diff(adjusted[np.argsort(values)]) >= 0)


def test_holm_keeps_the_chance_of_any_false_call():
    rng = np.random.default_rng(6)
    p = np.stack([*rng.random((3, 2000)), np.zeros(2000)], axis=1)  # three true nulls and one that is not
    false = [(holm(row)[:3] <= 0.05).any() for row in p]
    assert agrees(np.mean(false), 1 - (1 - 0.05 / 3) ** 3, 2000)
    assert not at_most((p[:, :3] <= 0.05).any(axis=1).mean(), 0.05, 2000)
