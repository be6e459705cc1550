"""The cost of draws: exact lines, errors against simulated times, and what two K cannot show."""

import math

import numpy as np
import pytest

from src.variance import components, cost, errors
from src.variance.components import VarianceComponents
from tests.statistics import Z

LEVELS = np.repeat([1.0, 5.0, 25.0], 4)
FIXED, PER_DRAW, SCATTER, STUDIES = 0.8, 1.0, 0.05, 4000


def ordinary(seconds):
    """(c_i, c_d) by ordinary least squares, whose error is that of the longest times."""
    per_draw, fixed = np.polyfit(LEVELS, seconds, 1)
    return fixed, per_draw


@pytest.fixture(scope="module")
def studies() -> np.ndarray:
    """Times that scatter by a share of themselves, [studies, runs]."""
    noise = np.random.default_rng(0).normal(0.0, SCATTER, size=(STUDIES, len(LEVELS)))
    return (FIXED + PER_DRAW * LEVELS) * np.exp(noise)


def test_exact_times_give_the_line_without_error():
    found = cost.fit(LEVELS, FIXED + PER_DRAW * LEVELS)
    assert found[:2] == pytest.approx((FIXED, PER_DRAW))
    assert found.log_error == pytest.approx(0.0, abs=1e-12)


def test_of_two_seconds_the_shorter_counts_more():
    found = cost.fit([1, 2, 3], [1.0, 2.0, 6.0])
    design = np.array([[1, 1], [0.5, 1], [1 / 6, 0.5]])
    expected = np.linalg.lstsq(design, np.ones(3))[0]
    residuals = 1 - design @ expected
    assert found.per_draw == pytest.approx(expected[1])
    assert found.fixed == max(expected[0], 0.0) == 0.0
    np.testing.assert_allclose(found.covariance, residuals @ residuals * np.linalg.inv(design.T @ design))


def test_the_error_of_the_ratio_is_its_spread_over_studies(studies):
    found = [cost.fit(LEVELS, seconds) for seconds in studies]
    logs = np.log([each.fixed / each.per_draw for each in found])
    squares = (logs - logs.mean()) ** 2
    of_error = np.array([each.log_error for each in found]) ** 2
    spread = squares.std() / math.sqrt(STUDIES)
    assert abs(squares.mean() - of_error.mean()) < Z * spread + 0.05 * of_error.mean()  # the delta method's own error
    assert squares.mean() - of_error.mean() / 2 > Z * spread
    by_ordinary = np.array([fixed / per_draw for fixed, per_draw in map(ordinary, studies)])
    assert by_ordinary.std() > 1.5 * np.exp(logs).std()


def test_intervals_of_the_best_k_cover_it(studies):
    split = VarianceComponents(1.0, 2.0, 1.0)
    truth = components.optimal_mc_samples(split, FIXED, PER_DRAW).continuous
    noise = np.random.default_rng(1).normal(0.0, 0.1, size=STUDIES)

    def covered(found: cost.Cost, off: float, cost_half: float) -> bool:
        best = components.optimal_mc_samples(split._replace(var_mc=2.0 * math.exp(off)), found.fixed, found.per_draw)
        return abs(math.log(best.continuous / truth)) < errors.best_samples_log_error(1.96 * 0.1, cost_half)

    found = [cost.fit(LEVELS, seconds) for seconds in studies]
    both = [covered(each, off, each.log_half_width) for each, off in zip(found, noise, strict=True)]
    near = Z * math.sqrt(0.95 * 0.05 / STUDIES)
    assert abs(np.mean(both) - 0.95) < near
    assert np.mean([covered(each, off, 0.0) for each, off in zip(found, noise, strict=True)]) < 0.95 - near
    alone = [abs(math.log(each.fixed / each.per_draw / FIXED * PER_DRAW)) < each.log_half_width for each in found]
    assert abs(np.mean(alone) - 0.95) < near
    by_ordinary = [
        abs(math.log(max(fixed, 1e-9) / per_draw / FIXED * PER_DRAW)) < each.log_half_width
        for each, (fixed, per_draw) in zip(found, map(ordinary, studies), strict=True)
    ]
    assert np.mean(by_ordinary) < 0.95 - near


def test_two_values_of_k_give_no_cost():
    found = cost.fit([1, 1, 25, 25], [2.0, 2.1, 30.0, 31.0])
    assert np.isnan([found.fixed, found.per_draw, found.log_error, found.log_half_width]).all()
    best = components.optimal_mc_samples(VarianceComponents(1.0, 1.0, 1.0), found.fixed, found.per_draw)
    assert math.isnan(best.continuous)


@pytest.mark.parametrize(("seconds", "best"), [([1.0, 5.2, 26.0], 0.0), ([3.0, 3.0, 2.9], math.inf)])
def test_a_cost_below_zero_is_taken_as_zero_and_has_no_error(seconds, best):
    found, split = cost.fit([1, 5, 25], seconds), VarianceComponents(1.0, 1.0, 1.0)
    assert min(found.fixed, found.per_draw) == 0.0
    assert components.optimal_mc_samples(split, found.fixed, found.per_draw).continuous == best
    assert math.isnan(found.log_error)
