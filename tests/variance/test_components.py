"""Variance components: identities, and estimators against layouts whose components are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.variance.components import (
    VarianceComponents,
    ceiling,
    datum_squares,
    equivalent_batch_size,
    noise_scale,
    optimal_mc_samples,
    snr,
    variance_components,
    variance_of_mean,
)
from tests.oracles.components import component_errors, components_of
from tests.statistics import agrees

B, K, VAR_DATA, VAR_MC, MEAN = 8, 4, 2.0, 5.0, 1.5
REPLICATES = 4000

parts = st.floats(0.01, 100.0)


def layouts(rng, replicates=REPLICATES, data=B, draws=K, var_data=VAR_DATA, shared=False):
    """Values of datum i and draw k with the components above, [R, B, K]; with shared, one draw's noise for all data."""
    of_data = rng.normal(MEAN, math.sqrt(var_data), size=(replicates, data, 1))
    return of_data + rng.normal(0.0, math.sqrt(VAR_MC), size=(replicates, 1 if shared else data, draws))


def known(var_data=VAR_DATA, var_mc=VAR_MC, square_mean=MEAN**2, set_size=1):
    return VarianceComponents(var_data, var_mc, square_mean, set_size)


def test_components_are_unbiased():
    values = layouts(np.random.default_rng(0))
    found = np.array([components_of(value)[:3] for value in values])
    assert agrees(found, [VAR_DATA, VAR_MC, MEAN**2])
    means = values.mean(axis=2)
    assert not agrees(means.var(axis=1, ddof=1), VAR_DATA)  # MSB / K, the Monte Carlo part still in it
    assert not agrees(values.var(axis=2).mean(axis=1), VAR_MC)  # ddof=0
    assert not agrees(means.mean(axis=1) ** 2, MEAN**2)  # |g..|^2, too large by the variance of g..
    assert not agrees(np.sqrt(np.maximum(found[:, 1], 0.0)), VAR_MC)  # std for var


def test_negative_var_data_is_kept_and_as_frequent_as_the_F_distribution_says():
    values = layouts(np.random.default_rng(1))
    negative = [components_of(value).var_data < 0 for value in values]
    assert agrees(negative, stats.f.cdf(VAR_MC / (K * VAR_DATA + VAR_MC), B - 1, B * (K - 1)))
    absent = np.array([components_of(value).var_data for value in layouts(np.random.default_rng(1), var_data=0.0)])
    assert agrees(absent, 0.0)
    assert not agrees(np.maximum(absent, 0.0), 0.0)  # clipped before averaging


def test_components_of_vectors_are_sums_over_coordinates():
    values = np.random.default_rng(2).normal(3.0, 1.0, size=(B, K, 2, 3)) + np.arange(B)[:, None, None, None]
    whole = components_of(values)
    coordinates = [components_of(values[..., i, j]) for i in range(2) for j in range(3)]
    np.testing.assert_allclose(whole[:3], np.sum([c[:3] for c in coordinates], axis=0), rtol=1e-12)
    assert whole.set_size == 1


def test_components_are_those_of_the_analysis_of_variance():
    values = np.random.default_rng(3).normal(size=(B, K))
    between, within = K * values.mean(axis=1).var(ddof=1), values.var(axis=1, ddof=1).mean()
    expected = (between - within) / K, within, values.mean() ** 2 - between / (B * K)
    for found in (variance_components(datum_squares(values), K), components_of(values)):
        np.testing.assert_allclose(found[:3], expected, rtol=1e-12)


@given(st.permutations(range(B)), st.permutations(range(K)), st.floats(-1e6, 1e6))
def test_components_ignore_order_and_shift(data, draws, shift):
    values = layouts(np.random.default_rng(4), replicates=1)[0]
    expected = components_of(values)
    moved = components_of(values[data][:, draws].astype(np.float64) + shift)
    np.testing.assert_allclose(moved[:2], expected[:2], rtol=1e-8)


def test_float32_losses_keep_their_components():
    values = (104.0 + 0.01 * layouts(np.random.default_rng(5), 1, data=512)[0]).astype(np.float32)
    exact = components_of(values.astype(np.float64) - 104.0)
    np.testing.assert_allclose(components_of(values)[:2], exact[:2], rtol=1e-9)
    naive = np.mean(values * values) - np.mean(values.mean(axis=1) ** 2)
    assert naive * K / (K - 1) != pytest.approx(exact.var_mc, rel=0.1)


def test_the_variance_of_a_step_is_predicted():
    rng = np.random.default_rng(6)
    square = (layouts(rng).mean(axis=(1, 2)) - MEAN) ** 2
    assert agrees(square, variance_of_mean(known(), B, K))
    assert not agrees(square, variance_of_mean(known(), B, 1))
    shared = (layouts(rng, shared=True).mean(axis=(1, 2)) - MEAN) ** 2
    assert not agrees(shared, variance_of_mean(known(), B, K))  # eps shared over the batch does not average out


def test_the_variance_of_a_step_without_replacement_is_predicted():
    rng, population = np.random.default_rng(7), 12
    of_data = rng.exponential(2.0, size=population)
    finite = known(var_data=of_data.var(ddof=1))
    chosen = np.argsort(rng.random((REPLICATES, population)), axis=1)[:, :B]
    values = of_data[chosen][..., None] + rng.normal(0.0, math.sqrt(VAR_MC), size=(REPLICATES, B, K))
    square = (values.mean(axis=(1, 2)) - of_data.mean()) ** 2
    assert agrees(square, variance_of_mean(finite, B, K, population))
    assert not agrees(square, variance_of_mean(finite, B, K))
    assert variance_of_mean(finite, population, K, population) == pytest.approx(VAR_MC / (population * K))
    assert agrees([components_of(value).var_data for value in values], finite.var_data)


def test_sets_that_are_not_iid_are_one_observation():
    rng = np.random.default_rng(8)
    eps = rng.normal(size=(REPLICATES, B, 3))  # the draw is eps + eps^2: antithetic pairs keep the square alone
    values = rng.normal(0.0, 1.0, size=(REPLICATES, B, 1, 1)) + np.stack([eps + eps**2, eps**2 - eps], axis=3)
    pairs = [components_of(value.mean(axis=2), set_size=2) for value in values]
    single_draws = [components_of(value.reshape(B, 6)) for value in values]
    assert agrees([pair[:2] for pair in pairs], [1.0, 2.0])
    assert not agrees([draw.var_data for draw in single_draws], 1.0)
    assert variance_of_mean(known(1.0, 2.0, set_size=2), B, 6) == pytest.approx((1 + 2 / 3) / B)
    assert agrees((values.mean(axis=(1, 2, 3)) - 1.0) ** 2, (1 + 2 / 3) / B)
    assert math.isnan(equivalent_batch_size(pairs[0], B, 6))
    with pytest.raises(ValueError, match=r"positive multiple of the 2 draws.*mc_samples=3"):
        variance_of_mean(pairs[0], B, 3)


@given(parts, parts, st.integers(1, 500), st.integers(1, 50))
def test_the_equivalent_batch_at_one_draw_is_as_quiet(var_data, var_mc, batch_size, mc_samples):
    c = known(var_data, var_mc)
    b_eq = equivalent_batch_size(c, batch_size, mc_samples)
    quiet = variance_of_mean(c, batch_size, mc_samples)
    assert (var_data + var_mc) / b_eq == pytest.approx(quiet, rel=1e-12)
    without_replacement = variance_of_mean(c, batch_size, mc_samples, population=1000)
    assert var_data * (1 / b_eq - 1 / 1000) + var_mc / b_eq == pytest.approx(without_replacement, rel=1e-9, abs=1e-12)
    assert b_eq / batch_size <= min(mc_samples, ceiling(c)) * (1 + 1e-12)
    assert equivalent_batch_size(c, batch_size, 10**9) / batch_size == pytest.approx(ceiling(c), rel=1e-4)


@given(parts, parts, st.integers(1, 50))
def test_signal_and_noise_are_equal_at_the_noise_scale(var_data, var_mc, mc_samples):
    c = known(var_data, var_mc)
    assert snr(c, 1, mc_samples) ** 2 * noise_scale(c, mc_samples) == pytest.approx(1.0)
    assert snr(c, 400, mc_samples) == pytest.approx(20 * snr(c, 1, mc_samples))


@given(parts, parts, parts, parts, st.sampled_from([0.0, 50.0]), st.sampled_from([1, 2]))
def test_optimal_mc_samples_minimises_variance_times_cost(var_data, var_mc, encoder, decoder, fixed, set_size):
    c, batch_size = known(var_data, var_mc, set_size=set_size), 100

    def product(draws):
        per_image = encoder + fixed / batch_size + draws * decoder
        return (var_data + var_mc * set_size / draws) * per_image

    best = optimal_mc_samples(c, encoder + fixed / batch_size, decoder)
    around = best.continuous * np.array([0.9, 1.0, 1.1])
    assert np.argmin(product(around)) == 1
    candidates = set_size * np.arange(1, 2 + math.ceil(around.max()))
    assert product(best.integer) == pytest.approx(product(candidates).min(), rel=1e-12)


def test_the_second_draw_pays_only_above_a_ratio_of_two():
    assert optimal_mc_samples(known(1.0, 2.0), 1.0, 1.0) == (math.sqrt(2), 1)
    assert optimal_mc_samples(known(1.0, 2.1), 1.0, 1.0).integer == 2
    assert optimal_mc_samples(known(1.0, 0.0), 1.0, 1.0) == (0.0, 1)


def test_ratios_of_estimates_that_are_not_positive():
    negative, zero, none = known(var_data=-0.1), known(var_data=0.0), known(0.0, 0.0)
    assert math.isnan(ceiling(negative))
    assert math.isnan(equivalent_batch_size(negative, B, K))
    assert ceiling(zero) == math.inf
    assert equivalent_batch_size(zero, B, K) == B * K
    assert math.isnan(ceiling(none))
    assert math.isnan(equivalent_batch_size(none, B, K))
    assert optimal_mc_samples(zero, 1.0, 1.0) == (math.inf, None)
    assert math.isnan(optimal_mc_samples(negative, 1.0, 1.0).continuous)
    assert optimal_mc_samples(known(), 1.0, 0.0) == (math.inf, None)
    assert math.isnan(snr(known(square_mean=-0.1), B, K))
    assert snr(none, B, K) == math.inf
    assert math.isnan(noise_scale(known(square_mean=-0.1), K))
    assert noise_scale(known(1, 1, 0.0), K) == math.inf


def test_equal_draws_have_no_monte_carlo_variance():
    values = np.repeat(np.random.default_rng(12).normal(104.3, 1.0, size=(B, 1)), K, axis=1)
    assert components_of(values).var_mc == pytest.approx(0.0, abs=1e-25)
    squares = datum_squares(values)
    rounded = squares._replace(square_draws=squares.square_draws * (1 - 1e-12))
    assert variance_components(rounded, K).var_mc == 0.0  # rounding does not make a variance negative


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e300])
def test_a_diverged_gradient_has_no_components(bad):
    values = np.ones((B, K, 2))
    values[3, 1] = bad
    assert not np.isfinite(components_of(values).var_mc)
    assert not np.isfinite(component_errors(values).var_mc)


def test_layouts_that_cannot_be_split_are_refused():
    with pytest.raises(ValueError, match=r"at least two data and two draws.*Received: data=8, draws=1"):
        components_of(np.ones((8, 1)))
    with pytest.raises(ValueError, match=r"at least three data.*data=2"):
        component_errors(np.ones((2, K)))
