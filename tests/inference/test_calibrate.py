"""Bounds of repeated confidence intervals: against closed forms, simulated studies, and rules that look too often."""

import numpy as np
import pytest
from scipy import stats

from src.inference.calibrate import critical_values, crossing_probability
from tests.inference import studies
from tests.inference.studies import N0, N_MAX, agrees, at_most
from tests.statistics import Z

# n_max, alpha, gamma, and some c_n: simulated from 300,000 paths, rounded as printed.
SIMULATED = [
    (6, 0.025, 0.0149, {4: 4.55, 5: 3.50, 6: 3.01}),
    (6, 0.05, 0.0310, {}),
    (10, 0.025, 0.0106, {4: 6.19, 5: 4.53, 6: 3.79, 7: 3.38, 8: 3.12, 9: 2.93, 10: 2.79}),
    (10, 0.05, 0.0228, {}),
    (20, 0.025, 0.0081, {4: 8.64, 5: 5.92, 6: 4.80, 20: 2.64}),
    (20, 0.05, 0.0180, {}),
]


@pytest.mark.parametrize(("n_max", "alpha", "gamma", "bounds"), SIMULATED)
def test_bounds_are_those_of_an_independent_simulation(n_max, alpha, gamma, bounds):
    exact = critical_values(n_max, alpha)
    error = Z / np.sqrt(300_000 * alpha) / 0.9  # of a quantile whose distribution function is ~ gamma^0.9
    assert stats.t.sf(exact[-1], n_max - 1) == pytest.approx(gamma, rel=error, abs=5e-5)
    for n, bound in bounds.items():
        least, most = (stats.t.isf(gamma * (1 + e) * n / n_max, n - 1) for e in (error, -error))
        assert least - 0.005 <= exact[n - N0] <= most + 0.005
        assert exact[n - N0] == pytest.approx(bound, rel=0.011)


@pytest.mark.parametrize(("n_max", "alpha", "n0"), [(10, 0.025, 4), (10, 0.05, 4), (10, 0.05, 2), (20, 0.002, 4)])
def test_a_true_null_is_rejected_at_the_level_and_by_naive_looks_more_often(n_max, alpha, n0):
    d = studies.normal(np.random.default_rng(n_max), 50_000, n_max)
    t = np.concatenate([studies.t_statistics(d, n0), -studies.t_statistics(d, n0)])  # both sides, hardly ever at once
    assert agrees((t > critical_values(n_max, alpha, n0)).any(axis=1).mean(), alpha, len(t))
    assert not at_most((t > studies.t_quantiles(alpha, n0, n_max)).any(axis=1).mean(), alpha, len(t))
    assert not agrees(
        (t > critical_values(n_max, alpha, n0)[-1]).any(axis=1).mean(), alpha, len(t)
    )  # c_n for a constant


def test_the_chance_of_crossing_is_that_of_simulated_studies():
    d = studies.normal(np.random.default_rng(1), 100_000, 20)
    for last in (5, 10, 20):
        bounds = studies.t_quantiles(0.025, 3, last)
        t = studies.t_statistics(d[:, :last], 3)
        assert agrees((t > bounds).any(axis=1).mean(), crossing_probability(bounds, 3), len(d))
    # Both sides of a 95 % interval after every pair: 10, 17, 23 %.
    naive = [2 * crossing_probability(studies.t_quantiles(0.025, 3, last), 3) for last in (5, 10, 20)]
    np.testing.assert_allclose(naive, [0.10, 0.17, 0.23], atol=0.006)


def test_the_recursion_meets_the_closed_form_of_a_single_look():
    for skipped in range(12):
        bounds = np.array([np.inf] * skipped + [2.5])
        assert crossing_probability(bounds, 3) == pytest.approx(stats.t.sf(2.5, 2 + skipped), rel=2e-3)
    assert critical_values(4, 0.05) == pytest.approx([stats.t.isf(0.05, 3)])


def test_bounds_fall_with_n_and_rise_with_the_number_of_looks():
    few, many = critical_values(10, 0.05), critical_values(30, 0.05)
    assert all(np.diff(many) < 0)
    assert all(np.array(many[: len(few)]) > few)
    assert all(np.array(critical_values(10, 0.05 / 6)) > few)
    assert all(np.array(few) > stats.t.isf(0.05, np.arange(N0, N_MAX + 1) - 1))


@pytest.mark.parametrize(("n_max", "alpha", "n0"), [(3, 0.05, 4), (10, 0.05, 1), (10, 0.0, 4), (10, 0.5, 4)])
def test_impossible_looks_are_refused(n_max, alpha, n0):
    with pytest.raises(ValueError, match=r"2 <= n0 <= n_max and .* Received: n0=.*Use n0=4"):
        critical_values(n_max, alpha, n0)
