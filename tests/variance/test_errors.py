"""Errors of components and of their ratios: jackknives taken directly, and repeated data with known components."""

import math

import numpy as np
import pytest

from src.variance import components
from src.variance.components import datum_squares
from src.variance.errors import (
    b_eq_log_error,
    best_samples_log_error,
    ceiling_log_error,
    log_errors,
    share_error,
    without_one,
)
from tests.oracles.components import component_errors, components_of
from tests.statistics import Z, agrees
from tests.variance.test_components import MEAN, VAR_DATA, VAR_MC, B, K, layouts


def test_the_jackknife_leaves_out_each_datum():
    values = np.random.default_rng(9).normal(size=(B, K, 3)) + np.arange(B)[:, None, None]
    left_out = np.array([components_of(np.delete(values, i, axis=0))[:3] for i in range(B)])
    expected = np.sqrt((B - 1) / B * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    np.testing.assert_allclose(component_errors(values)[:3], expected, rtol=1e-9)


def test_the_jackknife_gives_the_variance_of_the_estimates():
    values = layouts(np.random.default_rng(10))
    errors = np.array([component_errors(value)[:2] for value in values]) ** 2
    mc = 2 * VAR_MC**2 / (B * (K - 1))
    between = 2 * (K * VAR_DATA + VAR_MC) ** 2 / (B - 1)
    assert agrees(errors[:, 1], mc)
    assert agrees(errors[:, 0], ((B - 1) / (B - 2) * between + mc) / K**2)
    assert not agrees(errors[:, 1] / (B - 1) ** 2, mc)  # the variance of the leave-one-out estimates, not scaled up
    assert not agrees(np.sqrt(errors[:, 1]), mc)


def test_estimates_lie_within_their_own_errors():
    values = layouts(np.random.default_rng(11), replicates=1, data=200)[0]
    found, error = components_of(values), component_errors(values)
    assert abs(found.var_data - VAR_DATA) < Z * error.var_data
    assert abs(found.var_mc - VAR_MC) < Z * error.var_mc
    assert abs(found.square_mean - MEAN**2) < Z * error.square_mean
    assert abs(found.var_data + found.var_mc / K - VAR_DATA) > Z * error.var_mc / K  # MSB / K would not


MC_SAMPLES = 3


def direct(values, function) -> float:
    """The jackknife of a function of the components, each datum left out in turn."""
    left_out = np.array([function(components_of(np.delete(values, i, axis=0))) for i in range(len(values))])
    return math.sqrt((len(values) - 1) * left_out.var())


def test_errors_of_logarithms_are_the_jackknife_taken_directly():
    values = layouts(np.random.default_rng(20), replicates=1, data=30)[0]
    found = log_errors(without_one(datum_squares(values), K), MC_SAMPLES)
    assert found.mc_ratio == pytest.approx(direct(values, lambda c: math.log(c.var_mc / c.var_data)), rel=1e-9)
    assert found.snr == pytest.approx(direct(values, lambda c: math.log(components.snr(c, 100, MC_SAMPLES))), rel=1e-9)


def test_a_ratio_that_is_undefined_without_one_datum_has_no_error():
    values = layouts(np.random.default_rng(21), replicates=1, data=10)[0]
    values -= values.mean(axis=1, keepdims=True)  # no spread between data at all
    assert components_of(values).var_data < 0
    assert math.isnan(log_errors(without_one(datum_squares(values), K), 1).mc_ratio)


def test_errors_by_the_delta_method_are_about_the_jackknife_taken_directly():
    values = layouts(np.random.default_rng(22), replicates=1, data=400)[0]
    split, error = components_of(values), log_errors(without_one(datum_squares(values), K), MC_SAMPLES).mc_ratio
    ratio = split.var_mc / split.var_data

    def share(c):
        return c.var_mc / MC_SAMPLES / (c.var_data + c.var_mc / MC_SAMPLES)

    for found, function in (
        (share_error(ratio / MC_SAMPLES, error), share),
        (ceiling_log_error(ratio, error), lambda c: math.log(components.ceiling(c))),
        (
            b_eq_log_error(ratio, MC_SAMPLES, error),
            lambda c: math.log(components.equivalent_batch_size(c, 100, MC_SAMPLES)),
        ),
        (best_samples_log_error(error, 0.0), lambda c: math.log(components.optimal_mc_samples(c, 1.0, 1.0).continuous)),
    ):
        expected = direct(values, function)
        assert found == pytest.approx(expected, rel=0.02)
        assert error != pytest.approx(expected, rel=0.2)  # power: that of log r, not passed on


def test_errors_of_logarithms_are_the_spread_over_repeated_data():
    values = layouts(np.random.default_rng(23), data=200)
    found = [components_of(value) for value in values]
    errors = np.array([log_errors(without_one(datum_squares(value), K), 1) for value in values])
    ratios = np.log([c.var_mc / c.var_data for c in found])
    snrs = np.log([components.snr(c, 1, 1) for c in found])
    for logs, error, known in (
        (ratios, errors[:, 0], math.log(VAR_MC / VAR_DATA)),
        (snrs, errors[:, 1], math.log(MEAN / math.sqrt(VAR_DATA + VAR_MC))),
    ):
        squares = (logs - logs.mean()) ** 2 * len(logs) / (len(logs) - 1)
        assert agrees(squares - error**2, 0.0)
        assert not agrees(squares - 1.3 * error**2, 0.0)
        assert not agrees(squares - error, 0.0)  # the error for its square
        assert abs(logs.mean() - known) < error.mean() / 3  # a ratio of estimates is biased, by less than its error
